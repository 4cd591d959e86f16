package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	"github.com/tarantool/go-tarantool/v2"

	"tarragon.dev/tarragon/client"
	"tarragon.dev/tarragon/internal/tlsconf"
	"tarragon.dev/tarragon/iproto"
)

// sslFlags say how a tool speaks TLS.
type sslFlags struct {
	on    bool
	files tlsconf.Files
	names []string
}

func (f *sslFlags) register(fl *pflag.FlagSet) {
	fl.BoolVar(&f.on, "ssl", false, "speak TLS with the instances of --addr; every other --ssl flag says so too")
	fl.StringVar(&f.files.CA, "ssl-ca-file", "", "certificates that must have signed that of an instance; without it the instance is not looked at")
	fl.StringVar(&f.files.Cert, "ssl-cert-file", "", "certificate to show to instances that ask for one")
	fl.StringVar(&f.files.Key, "ssl-key-file", "", "its key")
	fl.StringVar(&f.files.Ciphers, "ssl-ciphers", "", "cipher suites, by OpenSSL's names with colons in between")
	fl.StringVar(&f.files.PasswordFile, "ssl-password-file", "", "file with the passwords of the key, one a line")
	fl.StringArrayVar(&f.names, "ssl-name", nil, "name that the certificate of an instance must have (default the host of its address; with --config, tarragon.peer_names), may be repeated")
}

// secure says of all targets how they are dialed. Flags stand above the files that a
// configuration names; of those, each instance's own are used, where they are on this machine, and else
// those of another one that are. What is wrong is said by whoever dials: the control
// socket needs none of it.
func (f *sslFlags) secure(out []target) {
	given := f.on || !f.files.IsZero() || len(f.names) > 0
	var works iproto.Secure
	var lacking []int
	for i := range out {
		t := &out[i]
		files, names := t.uri.TLS, t.names
		if !f.files.IsZero() || files == nil && given && !t.listed {
			files = &f.files
		}
		if len(f.names) > 0 {
			names = f.names
		}
		if files == nil {
			continue
		}
		k, err := tlsconf.Open(*files, names, nil)
		if err != nil {
			t.tlsErr = fmt.Errorf("TLS: %w", err)
			lacking = append(lacking, i)
			continue
		}
		t.secure = k.Client
		if works == nil {
			works = t.secure
		}
	}
	if works == nil {
		return
	}
	for _, i := range lacking {
		out[i].secure, out[i].tlsErr = works, nil
	}
}

// dialer is that of go-tarantool, with TLS where the instance has it.
func (t target) dialer(address, user, password string) (tarantool.Dialer, error) {
	if t.tlsErr != nil {
		return nil, t.tlsErr
	}
	if t.secure == nil {
		return tarantool.NetDialer{Address: address, User: user, Password: password}, nil
	}
	return client.TLSDialer{Address: address, User: user, Password: password, Config: t.secure}, nil
}

// errNoTLS is what is said of files for instances that have no TLS.
var errNoTLS = errors.New("the instances of --config have no TLS (iproto.listen[].params.transport): --ssl flags are for those that have")

// check refuses flags that would be passed over: somebody thinks that traffic is encrypted.
func (f *sslFlags) check(out []target) error {
	if !f.on && f.files.IsZero() && len(f.names) == 0 {
		return nil
	}
	if err := f.files.Check(); err != nil {
		return usagef("--ssl flags: %w", err)
	}
	for _, t := range out {
		if t.uri.TLS != nil || !t.listed {
			return nil
		}
	}
	return usagef("%w", errNoTLS)
}
