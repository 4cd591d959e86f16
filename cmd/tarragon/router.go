package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/tlsconf"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/router"
	"tarragon.dev/tarragon/server"
)

// routerFlags are the flags of router as they were given.
type routerFlags struct {
	connectFlags
	rw, ro    []string
	http      []string
	hold      time.Duration
	maxLag    time.Duration
	consensus string
	reads     string
	clients   int
	perUser   int
	backends  int
	numbers   bool
	serveSSL  bool
	httpSSL   bool
	logLevel  string
	logFormat string
}

const routerHelp = `Router lets clients of a replica set know one address: what comes in by --rw goes to
the leader, what comes in by --ro to readers. When another instance comes to lead, requests wait for it, and
clients see no error: writes that were on their way are sent again, and done once (docs/router.md).

The instances are those of --config or --addr, all of one replica set. The router logs in there as the user
that it is given, which needs the right to act for others (execute of lua_call tarragon.act_as, or the role
super) and to read _user; clients log in with their own names and passwords.

`

const routerExample = `  tarragon router --config cluster.yaml --rw 0.0.0.0:3300 --ro 0.0.0.0:3399 --http 0.0.0.0:8008
  tarragon router --addr 10.0.0.1:3301 --addr 10.0.0.2:3301 --user router --password-file router.pw --rw :3300`

func newRouter(p process) *cobra.Command {
	var f routerFlags
	cmd := &cobra.Command{
		Use:     "router",
		Short:   "one address for the leader of a replica set, and one for its readers",
		Long:    routerHelp + connectHelp,
		Example: routerExample,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return route(cmd.Context(), p, &f) },
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&f.rw, "rw", nil, "address to listen on for the leader, may be repeated")
	fl.StringArrayVar(&f.ro, "ro", nil, "address to listen on for readers, may be repeated")
	fl.StringArrayVar(&f.http, "http", nil, "address to listen on for health checks (docs/router.md), may be repeated")
	fl.DurationVar(&f.hold, "hold-time", 10*time.Second, "how long a request waits for an instance that takes it")
	fl.DurationVar(&f.maxLag, "reader-max-lag", 10*time.Second, "how far behind the leader a reader may be")
	fl.StringVar(&f.consensus, "consensus-timeout", "", "how long ports lead somewhere without a leader whom most instances believe in; 0: not at all (default for ever)")
	fl.StringVar(&f.reads, "consistency", "eventual", "what comes in by --ro shows: eventual, what its reader has; session, all that the user wrote through this router before")
	fl.IntVar(&f.clients, "max-connections", 0, "clients that are logged in at each port (default as many as come)")
	fl.IntVar(&f.perUser, "max-connections-per-user", 0, "of these as one user (default all)")
	fl.BoolVar(&f.serveSSL, "serve-ssl", false, "speak TLS at --rw and --ro, with --ssl-cert-file and --ssl-key-file; with --ssl-ca-file clients must show a certificate")
	fl.BoolVar(&f.httpSSL, "http-ssl", false, "speak HTTPS at --http, with the same certificate")
	fl.BoolVar(&f.numbers, "numbers", true, "give writes numbers, by which they are sent again when a leader is lost")
	fl.IntVar(&f.backends, "max-backends", 1024, "connections to instances, all together")
	fl.StringVar(&f.logLevel, "log-level", "info", "fatal, error, warn, info, verbose or debug")
	fl.StringVar(&f.logFormat, "log-format", "", "plain or json (default plain on a terminal, else json)")
	return cmd
}

func route(ctx context.Context, p process, f *routerFlags) error {
	if len(f.rw)+len(f.ro)+len(f.http) == 0 {
		return usagef("--rw, --ro or --http is needed: the address to listen on")
	}
	cfg, err := f.config(p)
	if err != nil {
		return err
	}
	level, ok := config.Level(f.logLevel)
	if !ok {
		return usagef("--log-level %s: one of %s expected", f.logLevel, config.LevelNames())
	}
	log, file, err := newLogger(config.Log{To: "stderr", Level: level, Format: f.logFormat}, &config.Tarragon{}, p.err)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // a complaint would go to that log
	cfg.Log = log
	return router.Run(ctx, cfg)
}

// config is the router's configuration.
func (f *routerFlags) config(p process) (cfg router.Config, err error) {
	targets, err := f.targets(p)
	if err != nil {
		return cfg, err
	}
	cfg = router.Config{Version: server.GreetingVersion, UUID: uuid.NewString(), RW: f.rw, RO: f.ro, HTTP: f.http, HoldTime: f.hold, ReaderMaxLag: f.maxLag, ConnectTimeout: f.timeout}
	cfg.Limits = iproto.Limits{Connections: f.clients, PerUser: f.perUser, Option: "the router's "}
	cfg.MaxBackends, cfg.NoNumbers = f.backends, !f.numbers
	if f.consensus != "" {
		if cfg.ConsensusTimeout, err = time.ParseDuration(f.consensus); err != nil || cfg.ConsensusTimeout < 0 {
			return cfg, usagef("--consensus-timeout %s: a duration expected, as in 10s, or 0", f.consensus)
		}
		if cfg.ConsensusTimeout == 0 {
			cfg.ConsensusTimeout = -1
		}
	}
	if f.reads != "eventual" && f.reads != "session" {
		return cfg, usagef("--consistency %s: eventual or session expected", f.reads)
	}
	if err := f.ports(&cfg); err != nil {
		return cfg, err
	}
	cfg.OwnWrites = f.reads == "session"
	set := targets[0].replicaset
	for _, t := range targets {
		if t.replicaset != set {
			return cfg, usagef("the instances are of two replica sets, %s and %s: a router is for one", set, t.replicaset)
		}
		if t.uri.IsZero() {
			return cfg, fmt.Errorf("%s: %w", t.label(), errNoAddress)
		}
		if t.tlsErr != nil {
			return cfg, fmt.Errorf("%s: %w", t.label(), t.tlsErr)
		}
		cfg.Instances = append(cfg.Instances, router.Instance{Name: t.label(), Addr: t.uri.Address(), Login: t.login, Password: t.password, Secure: t.secure})
	}
	return cfg, nil
}

// ports says how the router's own ports speak.
func (f *routerFlags) ports(cfg *router.Config) error {
	if !f.serveSSL && !f.httpSSL {
		return nil
	}
	if !f.connectFlags.ssl.files.Shows() {
		return usagef("--serve-ssl and --http-ssl need --ssl-cert-file and --ssl-key-file")
	}
	k, err := tlsconf.Open(f.connectFlags.ssl.files, nil, nil)
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	if f.serveSSL {
		if cfg.TLS, err = k.Server(false); err != nil {
			return err
		}
	}
	if f.httpSSL {
		cfg.HTTPTLS, err = k.Server(true)
	}
	return err
}
