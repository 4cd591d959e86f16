package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == forwardCommand {
		return forward(args[1:])
	}
	f, err := parse(args, out)
	if err != nil {
		return err
	}
	if len(f.addrs) > 0 {
		return driveAddress(ctx, f, out)
	}
	if f.list {
		printNames(f, out)
		return nil
	}
	return measureAll(ctx, f, args, out)
}
