package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/server"
)

// serveFlags are the flags of serve as they were given.
type serveFlags struct {
	file     string
	instance string
	listen   []string
	data     string
	walMode  string
	logLevel string
	set      []string
	check    bool
	resign   bool
}

const serveHelp = `Serve runs one node.

Without a configuration it runs a node on its own: data under ./tarragon-data,
listening on 127.0.0.1:3301 only, with an administrator named tarragon. Its
random password is shown once and kept in a file that only you can read.

With --config it runs one instance of a cluster, in the YAML layout of Tarantool
3. Where the same option is given several times, the first of these wins: flags,
variables (TT_<PATH>, as in TT_IPROTO_LISTEN), the file (instance, replicaset,
group, global scope), variables named TT_<PATH>_DEFAULT.`

const serveExample = `  tarragon serve
  tarragon serve --listen 127.0.0.1:3302 --data /var/lib/tarragon
  tarragon serve --config cluster.yaml --instance i-001
  tarragon serve --config cluster.yaml --instance i-001 --check
  TT_CONFIG=cluster.yaml TT_INSTANCE_NAME=i-001 tarragon serve --set log.level=debug`

func newServe(p process) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "run a node",
		Long:    serveHelp,
		Example: serveExample,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), p, f) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "config", "c", "", "YAML file of the cluster (TT_CONFIG)")
	fl.StringVarP(&f.instance, "instance", "i", "", "name of this instance (TT_INSTANCE_NAME)")
	fl.StringArrayVarP(&f.listen, "listen", "l", nil, "address to listen on, may be repeated (iproto.listen)")
	fl.StringVarP(&f.data, "data", "d", "", "directory of the data (default ./"+defaultDataDir+" without --config)")
	fl.StringVar(&f.walMode, "wal-mode", "", "what an acknowledged write survives: fsync the machine, write the process, none nothing (wal.mode)")
	fl.StringVar(&f.logLevel, "log-level", "", "fatal, error, warn, info, verbose or debug (log.level)")
	fl.StringArrayVar(&f.set, "set", nil, "any option of the configuration as path=value, may be repeated")
	fl.BoolVar(&f.resign, "no-handover", false, "when told to stop as leader, resign at once instead of moving leadership first")
	fl.BoolVar(&f.check, "check", false, "check the configuration and stop")
	return cmd
}

// serve resolves the configuration and runs the node until ctx is done.
func serve(ctx context.Context, p process, f serveFlags) error {
	cfg, lone, err := resolveServe(p, f)
	if err != nil {
		return err
	}
	if f.check {
		return printCheck(p, cfg)
	}
	if lone != nil {
		if err := lone.announce(p.out, cfg); err != nil {
			return err
		}
	}
	log, file, err := newLogger(cfg.Log, &cfg.Tarragon, p.err)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // a complaint would go to that log
	logWarnings(log, cfg.Warnings)
	run := server.Config{Instance: cfg, Log: log, Program: program(), SetHeapLimit: heapLimit(log), NoHandover: f.resign}
	if lone == nil {
		run.Reload = func() (*config.Instance, error) {
			cfg, _, err := resolveServe(p, f)
			return cfg, err
		}
	}
	reopen := make(chan struct{})
	run.Reopen = reopen
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	notifySystemd(ctx, &run, log)
	go reopenLogs(ctx, hup, reopen, file, log)
	return serveNode(ctx, run)
}

// resolveServe is the configuration that the flags, the environment and the
// file come to. lone is set when there is no file; then the data directory and
// the password exist when it returns, unless only a check was asked for.
func resolveServe(p process, f serveFlags) (*config.Instance, *loneNode, error) {
	src := config.Source{File: f.file, Instance: f.instance, Environ: p.environ}
	var err error
	if src.Flags, err = f.options(); err != nil {
		return nil, nil, err
	}
	if f.file != "" || lookupEnv(p.environ, "TT_CONFIG") != "" {
		cfg, err := config.Load(src)
		return cfg, nil, err
	}
	return resolveLone(p, f, src)
}

// options are the flags in terms of the configuration.
func (f *serveFlags) options() ([]config.Flag, error) {
	var out []config.Flag
	for _, kv := range f.set {
		path, val, ok := strings.Cut(kv, "=")
		if !ok || path == "" {
			return nil, usagef("--set %s: path=value expected", kv)
		}
		out = append(out, config.Flag{Name: "--set " + path, Path: path, Value: val})
	}
	add := func(name, path, val string) {
		if val != "" {
			out = append(out, config.Flag{Name: name, Path: path, Value: val})
		}
	}
	add("--listen", "iproto.listen", strings.Join(f.listen, ","))
	add("--wal-mode", "wal.mode", f.walMode)
	add("--log-level", "log.level", f.logLevel)
	if f.data != "" {
		dir, err := filepath.Abs(f.data)
		if err != nil {
			return nil, usagef("--data: %w", err)
		}
		add("--data", "wal.dir", dir)
		add("--data", "snapshot.dir", dir)
	}
	return out, nil
}

// logWarnings tells each warning, but the options of Tarantool that have no
// effect in one line: a file that Tarantool reads, too, may have dozens.
func logWarnings(log zerolog.Logger, all []config.Warning) {
	var unserved []string
	for _, w := range all {
		if w.Unserved {
			unserved = append(unserved, w.Path)
		} else {
			log.Warn().Str("option", w.Path).Str("where", w.Where).Msg(w.Text)
		}
	}
	if len(unserved) > 0 {
		log.Info().Strs("options", unserved).Msg("these options of Tarantool have no effect here (serve --check tells more)")
	}
}

func printCheck(p process, cfg *config.Instance) error {
	for _, w := range cfg.Warnings {
		fmt.Fprintln(p.out, "warning:", w)
	}
	if foreign := server.FindForeign(cfg); foreign != nil {
		fmt.Fprintln(p.out, "warning:", foreign)
	}
	_, err := fmt.Fprintf(p.out, "the configuration of instance %s is good\n", cfg.Name)
	return err
}

// lookupEnv is the value of a variable, the last one where it is there twice.
func lookupEnv(environ []string, name string) string {
	val := ""
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			val = v
		}
	}
	return val
}
