package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tarantool/go-tarantool/v2"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// target is an instance that a tool connects to.
type target struct {
	name       string // empty: not known before it answers
	replicaset string // the same
	uri        config.URI
	login      string
	password   string
	control    string // its control socket, if it runs on this machine; empty: not to be used
	listed     bool   // it is of a file, which says whether it has TLS
	names      []string
	secure     iproto.Secure // nil: without TLS
	tlsErr     error         // why there is no TLS, which it has
}

// connectFlags say which instances a tool talks to, and as whom.
type connectFlags struct {
	file         string
	addrs        []string
	user         string
	passwordFile string
	timeout      time.Duration
	ssl          sslFlags
}

// defaultTimeout is the longest wait for an instance.
const defaultTimeout = 3 * time.Second

const connectHelp = `The instances are those of --config, or of --addr, which may be repeated; without
either the node that a plain "tarragon serve" runs here. The user is that of
--user with --password-file, of TT_CLI_USERNAME with TT_CLI_PASSWORD, of the
address (login:password@host:port), or, with --config, the first one with the
role super. An instance of --config that runs on this machine needs no user: its
control socket (tarragon.control_socket) lets in whoever may open it.`

func (f *connectFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "config", "c", "", "YAML file of the cluster (TT_CONFIG)")
	fl.StringArrayVarP(&f.addrs, "addr", "a", nil, "address of an instance, may be repeated")
	fl.StringVarP(&f.user, "user", "u", "", "user to connect as (TT_CLI_USERNAME)")
	fl.StringVar(&f.passwordFile, "password-file", "", "file with the user's password (else TT_CLI_PASSWORD)")
	fl.DurationVar(&f.timeout, "timeout", defaultTimeout, "longest wait for an instance")
	f.ssl.register(fl)
}

// targets resolves the flags.
func (f *connectFlags) targets(p process) ([]target, error) {
	file := f.file
	if file == "" && len(f.addrs) == 0 {
		file = lookupEnv(p.environ, "TT_CONFIG")
	}
	var out []target
	var err error
	switch {
	case f.file != "" && len(f.addrs) > 0:
		return nil, usagef("--config and --addr exclude each other")
	case len(f.addrs) > 0:
		out, err = addressTargets(f.addrs)
	case file != "":
		out, err = fileTargets(file, p.environ)
	default:
		out, err = loneTargets()
	}
	if err != nil {
		return nil, err
	}
	if err := f.ssl.check(out); err != nil {
		return nil, err
	}
	f.ssl.secure(out)
	return out, f.login(p, out)
}

func addressTargets(addrs []string) ([]target, error) {
	var out []target
	for _, a := range addrs {
		u, err := config.ParseURI(a)
		if err != nil {
			return nil, usagef("--addr: %w", err)
		}
		out = append(out, target{uri: u, login: u.Login, password: u.Password})
	}
	return out, nil
}

// fileTargets are all instances of a file. One without an address stays, and
// is shown as such.
func fileTargets(file string, environ []string) ([]target, error) {
	all, err := config.LoadAll(config.Source{File: file, Environ: environ})
	if err != nil {
		return nil, err
	}
	var out []target
	for _, in := range all {
		t := target{name: in.Name, replicaset: in.Replicaset, uri: in.IProto.AdvertiseClient, control: in.Tarragon.ControlSocket, listed: true, names: in.Tarragon.PeerNames}
		if t.uri.IsZero() {
			t.uri = in.IProto.AdvertisePeer
		}
		for _, u := range in.Credentials.Users {
			if u.HasPassword && contains(u.Roles, "super") {
				t.login, t.password = u.Name, u.Password
				break
			}
		}
		if t.login == "" {
			t.login, t.password = in.IProto.AdvertisePeer.Login, in.IProto.AdvertisePeer.Password
		}
		out = append(out, t)
	}
	return out, nil
}

// loneTargets is the node of a plain serve in this directory.
func loneTargets() ([]target, error) {
	t := target{login: loneUser, control: filepath.Join(defaultDataDir, controlSocket)}
	t.uri, _ = config.ParseURI(defaultAddress)
	data, err := os.ReadFile(filepath.Join(defaultDataDir, passwordFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usagef("which instances? There is no ./%s of a plain serve here: give --config or --addr", defaultDataDir)
	case err != nil:
		return nil, fmt.Errorf("read the password of the node: %w", err)
	}
	t.password = strings.TrimSpace(string(data))
	return []target{t}, nil
}

// login puts the user that was asked for into all targets.
func (f *connectFlags) login(p process, out []target) error {
	user, password := f.user, lookupEnv(p.environ, "TT_CLI_PASSWORD")
	if user == "" {
		user = lookupEnv(p.environ, "TT_CLI_USERNAME")
	}
	if f.passwordFile != "" {
		data, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return usagef("--password-file: %w", err)
		}
		password = strings.TrimSpace(string(data))
	}
	if user == "" {
		if f.passwordFile != "" {
			return usagef("--password-file needs --user")
		}
		return nil
	}
	for i := range out {
		out[i].login, out[i].password, out[i].control = user, password, ""
	}
	return nil
}

func contains(list []string, word string) bool {
	for _, s := range list {
		if s == word {
			return true
		}
	}
	return false
}

// label names a target in messages.
func (t target) label() string {
	switch {
	case t.name == "":
		return t.uri.Address()
	case t.uri.IsZero():
		return t.name
	}
	return t.name + " (" + t.uri.Address() + ")"
}

// errNoAddress is an instance of the file that nobody can connect to.
var errNoAddress = errors.New("no address to connect to: neither iproto.listen nor iproto.advertise has one")

// call connects, calls one function and disconnects. Arguments go as they are;
// the first value that comes back goes to what answer points to, unless that is nil.
// What the instance answers with is an [answerError].
func (t target) call(ctx context.Context, timeout time.Duration, answer any, function string, arguments ...any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn := t.dialControl(ctx, timeout)
	if conn == nil {
		var err error
		if conn, err = t.dial(ctx, timeout, t.login, t.password); err != nil {
			return answered(err)
		}
	}
	defer conn.Close()
	return invoke(ctx, conn, answer, function, arguments...)
}

func invoke(ctx context.Context, conn *tarantool.Connection, answer any, function string, arguments ...any) error {
	if arguments == nil {
		arguments = []any{}
	}
	return request(conn, tarantool.NewCallRequest(function).Args(arguments).Context(ctx), answer)
}

// dial connects by the network; an empty user does not log in.
func (t target) dial(ctx context.Context, timeout time.Duration, user, password string) (*tarantool.Connection, error) {
	if t.uri.IsZero() {
		return nil, errNoAddress
	}
	address := t.uri.Address()
	if t.uri.Unix != "" {
		address = "unix:" + t.uri.Unix
	}
	dialer, err := t.dialer(address, user, password)
	if err != nil {
		return nil, err
	}
	return connect(ctx, timeout, dialer)
}

// dialControl connects by the control socket, as admin; nil: there is none here
// that lets us in, or it is that of another instance.
func (t target) dialControl(ctx context.Context, timeout time.Duration) *tarantool.Connection {
	if info, err := os.Stat(t.control); t.control == "" || err != nil || info.Mode().Type() != fs.ModeSocket {
		return nil
	}
	conn, err := connect(ctx, timeout, tarantool.NetDialer{Address: "unix:" + iproto.ShortSocket(t.control)})
	if err != nil {
		return nil
	}
	var info boxInfo
	if err := invoke(ctx, conn, &info, "box.info"); err == nil && t.name != "" && info.Name != "" && info.Name != t.name {
		conn.Close()
		return nil
	}
	return conn
}

func connect(ctx context.Context, timeout time.Duration, dialer tarantool.Dialer) (*tarantool.Connection, error) {
	return tarantool.Connect(ctx, dialer,
		tarantool.Opts{Timeout: timeout, SkipSchema: true, Logger: quiet{}})
}

// answerError is the error that an instance answered with, without the place in
// its source, which the driver makes up where there is none.
type answerError struct {
	code xrow.Code
	text string
	err  error
}

func (e *answerError) Error() string { return e.text }
func (e *answerError) Unwrap() error { return e.err }

// answered makes an answerError of what the driver returns; other errors stay.
func answered(err error) error {
	var e tarantool.Error
	if !errors.As(err, &e) {
		return err
	}
	return &answerError{xrow.Code(e.Code), fmt.Sprintf("%s (error %d)", e.Msg, e.Code), err}
}

// quiet keeps the driver from writing to our standard error.
type quiet struct{}

// Report does nothing: what matters comes back as an error.
func (quiet) Report(tarantool.ConnLogKind, *tarantool.Connection, ...any) {}
