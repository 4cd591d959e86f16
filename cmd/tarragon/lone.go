package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/perm"
)

// A node on its own, without a configuration.
const (
	defaultDataDir  = "tarragon-data"
	defaultAddress  = "127.0.0.1:3301"
	defaultInstance = "i-001"
	loneUser        = "tarragon"
	passwordFile    = "password"
	controlSocket   = "tarragon.sock"
	storeDir        = "store" // where the server keeps the log, in wal.dir
	passwordBytes   = 18      // random ones: 24 characters
)

// loneNode is what serve prepared for a node on its own.
type loneNode struct {
	dir      string // data directory, absolute
	created  bool   // dir is new
	password string
	fresh    bool // password is new: it is shown
}

// resolveLone prepares a node on its own. Its defaults lie below the
// environment and the flags.
func resolveLone(p process, f serveFlags, src config.Source) (*config.Instance, *loneNode, error) {
	if src.Instance == "" && lookupEnv(p.environ, "TT_INSTANCE_NAME") == "" {
		src.Instance = defaultInstance
	}
	dir := f.data
	if dir == "" {
		dir = defaultDataDir
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, usagef("data directory: %w", err)
	}
	src.Defaults = []config.Flag{
		{Name: "default", Path: "iproto.listen", Value: defaultAddress},
		{Name: "default", Path: "wal.dir", Value: dir},
		{Name: "default", Path: "snapshot.dir", Value: dir},
		{Name: "default", Path: "tarragon.control_socket", Value: filepath.Join(dir, controlSocket)},
		{Name: "default", Path: "replication.failover", Value: string(config.FailoverElection)},
		{Name: "default", Path: "credentials.users." + loneUser + ".roles", Value: "super"},
	}
	cfg, err := config.Load(src) // mistakes first: nothing is made before all is well
	if err != nil || f.check {
		return cfg, nil, err
	}
	lone := &loneNode{dir: dir}
	if err := lone.prepare(cfg.Tarragon.DirMode); err != nil {
		return nil, nil, err
	}
	for i := range cfg.Credentials.Users {
		u := &cfg.Credentials.Users[i]
		if u.Name == loneUser && !u.HasPassword {
			u.Password, u.HasPassword = lone.password, true
		}
	}
	return cfg, lone, nil
}

// prepare makes the data directory and the password where they are missing.
func (l *loneNode) prepare(mode fs.FileMode) error {
	info, err := os.Stat(l.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := perm.MkdirAll(l.dir, mode); err != nil {
			return fmt.Errorf("make the data directory: %w", err)
		}
		l.created = true
	case err != nil:
		return fmt.Errorf("look at the data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("the data directory %s is a file", l.dir)
	}
	return l.readPassword()
}

func (l *loneNode) passwordPath() string { return filepath.Join(l.dir, passwordFile) }

// readPassword takes the password from its file, or makes one. Others must not
// be able to read the file.
func (l *loneNode) readPassword() error {
	path := l.passwordPath()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l.makePassword()
	}
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	l.password = string(bytes.TrimSpace(data))
	if l.password == "" {
		return fmt.Errorf("the password file %s is empty: write a password into it, or remove it for a new one", path)
	}
	if _, err := perm.Reset(path, perm.File); err != nil {
		return fmt.Errorf("close the password file to others: %w", err)
	}
	return nil
}

func (l *loneNode) makePassword() error {
	var raw [passwordBytes]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return fmt.Errorf("make a password: %w", err)
	}
	l.password, l.fresh = base64.RawURLEncoding.EncodeToString(raw[:]), true
	// Exclusive: of two processes that start at once, one must not overwrite
	// what the other has shown.
	f, err := perm.Create(l.passwordPath(), os.O_WRONLY, perm.File)
	if err != nil {
		return fmt.Errorf("keep the password: %w", err)
	}
	_, err = f.WriteString(l.password + "\n")
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// announce says what was done and how to connect.
func (l *loneNode) announce(w io.Writer, cfg *config.Instance) error {
	var b strings.Builder
	fmt.Fprintln(&b, build())
	fmt.Fprintln(&b, "One node on its own. For a cluster: tarragon serve --config cluster.yaml --instance NAME")
	fmt.Fprintln(&b)
	fate := "found"
	if l.created {
		fate = "created"
	}
	fmt.Fprintf(&b, "  data      %s (%s)\n", l.dir, fate)
	address := ""
	for i, u := range cfg.IProto.Listen {
		if i == 0 {
			address = u.Address()
		}
		fmt.Fprintf(&b, "  address   %s%s\n", u, reach(u))
	}
	literal := "password"
	fmt.Fprintf(&b, "  user      %s\n", loneUser)
	if l.fresh {
		literal = fmt.Sprintf("%q", l.password)
		fmt.Fprintf(&b, "  password  %s\n            shown this once; kept in %s\n", l.password, l.passwordPath())
	} else {
		fmt.Fprintf(&b, "  password  in %s\n", l.passwordPath())
	}
	fmt.Fprintf(&b, "\nConnect from Go:\n  conn, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: %q, User: %q, Password: %s}, tarantool.Opts{})\n",
		address, loneUser, literal)
	fmt.Fprintf(&b, "Look at it:\n  %s\n", l.statusCommand(address))
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

// statusCommand is how to look at the node from here.
func (l *loneNode) statusCommand(address string) string {
	if usual, err := filepath.Abs(defaultDataDir); err == nil && l.dir == usual && address == defaultAddress {
		return "tarragon status"
	}
	return fmt.Sprintf("tarragon status --addr %s --user %s --password-file %s", address, loneUser, l.passwordPath())
}

// reach says who can connect to an address.
func reach(u config.URI) string {
	ip := net.ParseIP(u.Host)
	if u.Unix != "" || u.Host == "localhost" || ip != nil && ip.IsLoopback() {
		return " (this machine only)"
	}
	return ""
}
