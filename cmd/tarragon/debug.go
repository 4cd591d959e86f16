package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/iproto"
)

func newDebug(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "debug",
		Short: "record and read conversations of clients and peers",
		Example: `  tarragon debug record --listen 127.0.0.1:3400 --to 127.0.0.1:3301 talk.jsonl
  tarragon debug decode talk.jsonl`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDebugRecord(p), newDebugDecode(p))
	return cmd
}

func newDebugRecord(p process) *cobra.Command {
	var listen, to string
	cmd := &cobra.Command{
		Use:   "record --listen ADDRESS --to ADDRESS FILE",
		Short: "pass connections on and write down what is said",
		Long: `Record listens, passes each connection on to another address unchanged, and
writes both directions with their times into FILE, one JSON object a line (see
docs/protocol/captures.md). FILE must not exist; - is standard output.

Put it between a client and a server, or between an applier and its peer, by
giving its address to the one that connects. An address is host:port, or the
path of a Unix socket. It ends on an interrupt.

The file holds all that was said: data, and passwords that requests contain.`,
		Example: "  tarragon debug record --listen 127.0.0.1:4301 --to 127.0.0.1:3301 talk.jsonl",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if listen == "" || to == "" {
				return usagef("--listen and --to are needed; see tarragon debug record --help")
			}
			return record(cmd.Context(), p, listen, to, a[0])
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "address to listen on")
	cmd.Flags().StringVar(&to, "to", "", "address to pass connections on to")
	return cmd
}

func record(ctx context.Context, p process, listen, to, file string) (err error) {
	l, err := iproto.ListenAt(listen, perm.Socket)
	if err != nil {
		return err
	}
	out := p.out
	if file != "-" {
		f, err := perm.Create(file, os.O_WRONLY, perm.File)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
		out = f
	}
	fmt.Fprintf(p.err, "recording %s -> %s into %s; interrupt to end\n", l.Addr(), to, file)
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		network, address := iproto.SplitAddr(to)
		return d.DialContext(ctx, network, address)
	}
	return capture.Record(ctx, l, dial, capture.NewWriter(out))
}

// decodeFlags choose messages and how they are printed.
type decodeFlags struct {
	conns     []string
	json, raw bool
}

func newDebugDecode(p process) *cobra.Command {
	var f decodeFlags
	cmd := &cobra.Command{
		Use:   "decode FILE",
		Short: "print a recorded conversation",
		Long: `Decode prints a recording, one line a message: time, connection, who sent it
(-> the side that connected, <- the other one), type, header, body. Keys that it
does not know are printed as numbers. - is standard input.

It exits with 3 if lines could not be read; all the rest is printed.`,
		Example: "  tarragon debug decode talk.jsonl\n  tarragon debug decode talk.jsonl --conn 1 --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(_ *cobra.Command, a []string) error { return f.decode(p, a[0]) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.conns, "conn", nil, "messages of this connection only, may be repeated")
	fl.BoolVar(&f.json, "json", false, "print one JSON object a message")
	fl.BoolVar(&f.raw, "raw", false, "print the bytes as well, in hex")
	return cmd
}

func (f *decodeFlags) decode(p process, file string) error {
	in := p.in
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return err
		}
		defer func() { _ = opened.Close() }()
		in = opened
	}
	out := bufio.NewWriter(p.out)
	err := f.print(out, p.err, capture.NewReader(in))
	return errors.Join(err, out.Flush())
}

// print writes all messages to out and complaints about lines to complaints.
func (f *decodeFlags) print(out, complaints io.Writer, in *capture.Reader) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	wanted := make(map[string]bool)
	for _, name := range f.conns {
		wanted[name] = true
	}
	damaged := false
	for {
		l, err := in.Next()
		var bad *capture.DamagedError
		switch {
		case errors.Is(err, io.EOF) && damaged:
			return errUnhealthy
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			damaged = true
			fmt.Fprintln(complaints, "tarragon:", bad)
			continue
		case err != nil:
			return err
		case len(wanted) > 0 && !wanted[l.Conn]:
			continue
		}
		m := capture.Decode(&l)
		if f.raw {
			m.SetHex(&l)
		}
		if f.json {
			err = enc.Encode(&m)
		} else {
			_, err = fmt.Fprintln(out, &m)
		}
		if err != nil {
			return err
		}
	}
}
