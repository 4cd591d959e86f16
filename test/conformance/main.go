// Command conformance runs the test suites of go-tarantool against Tarragon, and
// writes what passed to a page.
//
// The suites come as modules, at the exact versions below, into a directory that is
// removed again; nothing of them is kept. Those of queue and crud are left out: they
// need modules in Lua. They take the server's command from TARANTOOL_BIN, which is
// the shim beside this command: it makes what their init scripts would.
//
// A test that does not pass must have its reason in reasons.txt, and what stands there
// must not pass: else the command says so and fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// versions of go-tarantool whose suites are run.
var versions = []suite{
	{version: "v3.0.0", module: "github.com/tarantool/go-tarantool/v3"},
	{version: "v2.4.2", module: "github.com/tarantool/go-tarantool/v2"},
}

type options struct {
	binary string // the server
	page   string // where the outcome goes; empty: nowhere
	only   string // a version; empty: all
	pkg    string // a package of the suites; empty: all
	run    string // a test; empty: all
	router bool   // the suites come in by a router
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/tarragon", "the server")
	flag.StringVar(&o.page, "page", "docs/conformance.md", "where the outcome is written, unless -version, -package or -run choose some")
	flag.StringVar(&o.only, "version", "", "only the suites of this version")
	flag.StringVar(&o.pkg, "package", "", "only this package of them; root is the first")
	flag.StringVar(&o.run, "run", "", "only this test, with its output")
	flag.BoolVar(&o.router, "router", false, "let the suites come in by a router in the server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	known, byRouter, err := readReasons()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	shim := filepath.Join(dir, "tarantool")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", shim, "./test/conformance/shim").CombinedOutput(); err != nil {
		return fmt.Errorf("build the shim: %w\n%s", err, out)
	}
	servers := filepath.Join(dir, "servers") // the suites leave the data of theirs
	if err := os.Mkdir(servers, 0o755); err != nil {
		return err
	}
	r := &runner{environ: append(os.Environ(), "TARANTOOL_BIN="+shim, "TARRAGON_BIN="+binary, "TMPDIR="+servers), log: os.Stderr}
	if o.router {
		maps.Copy(known, byRouter)
		r.environ = append(r.environ, "TARRAGON_ROUTER=1")
	}
	var all []outcome
	for _, s := range versions {
		if o.only != "" && o.only != s.version {
			continue
		}
		found, err := s.measure(ctx, r, dir, o)
		if err != nil {
			return fmt.Errorf("%s: %w", s.version, err)
		}
		all = append(all, found...)
	}
	complaints := known.explain(all)
	if o.page != "" && o.only+o.pkg+o.run == "" {
		was, err := os.ReadFile(o.page)
		if err == nil {
			err = os.WriteFile(o.page, page(all, was, o.router, byRouter), 0o644)
		}
		if err != nil {
			return err
		}
	}
	fmt.Print(summary(all))
	for _, c := range complaints {
		fmt.Println(c)
	}
	if len(complaints) > 0 {
		return fmt.Errorf("%d tests are not as reasons.txt says", len(complaints))
	}
	return nil
}
