package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Files say what one side of connections shows and asks for. Empty fields are not set.
type Files struct {
	CA           string // certificates that must have signed the other side's
	Cert         string // this side's certificate, and those in between it and its CA
	Key          string // its key
	Ciphers      string // OpenSSL's names of suites, with colons in between
	Password     string // of the key
	PasswordFile string // more of them, one a line
}

// IsZero tells whether nothing is said.
func (f Files) IsZero() bool { return f == Files{} }

// Shows tells whether there is something to show to the other side.
func (f Files) Shows() bool { return f.Cert != "" || f.Key != "" }

// Check reports what is wrong with the names and the suites, without a look at any file.
func (f Files) Check() error {
	var errs []error
	if (f.Cert == "") != (f.Key == "") {
		errs = append(errs, errors.New("a certificate and its key belong together: one of them is not set"))
	}
	if f.Key == "" && (f.Password != "" || f.PasswordFile != "") {
		errs = append(errs, errors.New("there is a password and no key"))
	}
	_, err := parseCiphers(f.Ciphers)
	return errors.Join(append(errs, err)...)
}

// names are the files that there are.
func (f Files) names() []string {
	return slices.DeleteFunc([]string{f.CA, f.Cert, f.Key, f.PasswordFile}, func(name string) bool { return name == "" })
}

// material is what was read of files.
type material struct {
	pool   *x509.CertPool // nil: the other side is not looked at
	certs  []tls.Certificate
	suites suites
	until  time.Time // when the certificate expires; zero: there is none
}

// load reads the files. An error names the one that is wrong.
func (f Files) load(now time.Time) (m material, err error) {
	if err = f.Check(); err != nil {
		return m, err
	}
	m.suites, _ = parseCiphers(f.Ciphers)
	if f.CA != "" {
		if m.pool, err = readCA(f.CA, now); err != nil {
			return m, err
		}
	}
	if f.Cert == "" {
		return m, nil
	}
	leaf, chain, err := readChain(f.Cert, now)
	if err != nil {
		return m, err
	}
	key, err := f.readKey()
	if err != nil {
		return m, err
	}
	if !fits(key, leaf) {
		return m, fmt.Errorf("%s: the key is not that of the certificate %s", f.Key, f.Cert)
	}
	m.certs = []tls.Certificate{{Certificate: chain, PrivateKey: key, Leaf: leaf}}
	m.until = leaf.NotAfter
	return m, nil
}

// blocks reads the blocks of a PEM file.
func blocks(name string) (out []*pem.Block, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err // has the name in it
	}
	for b, rest := pem.Decode(data); b != nil; b, rest = pem.Decode(rest) {
		out = append(out, b)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no PEM in it", name)
	}
	return out, nil
}

// certificates reads those of a file.
func certificates(name string) (out []*x509.Certificate, err error) {
	all, err := blocks(name)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", name, len(out)+1, err)
		}
		out = append(out, c)
	}
	if len(out) > 0 {
		return out, nil
	}
	if strings.Contains(all[0].Type, "PRIVATE KEY") {
		return nil, fmt.Errorf("%s: a key, where a certificate is expected: are the two swapped?", name)
	}
	return nil, fmt.Errorf("%s: no certificate in it, but %s", name, all[0].Type)
}

func readCA(name string, now time.Time) (*x509.CertPool, error) {
	all, err := certificates(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	var last error
	valid := 0
	for _, c := range all {
		pool.AddCert(c)
		if err := inTime(c, now); err != nil {
			last = fmt.Errorf("%s: %w", name, err)
		} else {
			valid++
		}
	}
	if valid == 0 {
		return nil, last
	}
	return pool, nil
}

// readChain reads a certificate, and those behind it.
func readChain(name string, now time.Time) (leaf *x509.Certificate, chain [][]byte, err error) {
	all, err := certificates(name)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range all {
		if err := inTime(c, now); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		chain = append(chain, c.Raw)
	}
	return all[0], chain, nil
}

func inTime(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("the certificate of %s expired at %s", subject(c), c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the certificate of %s is valid from %s on, and that is to come", subject(c), c.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// subject names a certificate to people.
func subject(c *x509.Certificate) string {
	if names := NamesOf(c); len(names) > 0 {
		return names[0]
	}
	return "serial number " + c.SerialNumber.String()
}
