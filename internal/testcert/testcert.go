// Package testcert makes certificates for tests, at run time: a CA, and what it signs, as
// files in a directory.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// T is a test, or what stands for one.
type T interface {
	Helper()
	Fatal(args ...any)
}

// CA signs certificates. Its own is in the file ca.crt of its directory.
type CA struct {
	Dir  string
	File string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	t    T
}

// New makes a CA in a directory.
func New(t T, dir string) *CA {
	t.Helper()
	ca := &CA{Dir: dir, File: filepath.Join(dir, "ca.crt"), t: t}
	ca.key = ca.newKey()
	tmpl := ca.template("test CA")
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage, tmpl.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &ca.key.PublicKey, ca.key)
	ca.must(err)
	ca.cert, err = x509.ParseCertificate(der)
	ca.must(err)
	ca.write(ca.File, "CERTIFICATE", der)
	return ca
}

func (ca *CA) must(err error) {
	ca.t.Helper()
	if err != nil {
		ca.t.Fatal(err)
	}
}

func (ca *CA) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ca.must(err)
	return key
}

func (ca *CA) template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	ca.must(err)
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
}

// Issue makes NAME.crt and NAME.key: a certificate with that common name, for this
// machine. changes, if any, change it before it is signed.
func (ca *CA) Issue(name string, changes ...func(*x509.Certificate)) (cert, key string) {
	ca.t.Helper()
	k := ca.newKey()
	tmpl := ca.template(name)
	for _, change := range changes {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, &k.PublicKey, ca.key)
	ca.must(err)
	cert, key = filepath.Join(ca.Dir, name+".crt"), filepath.Join(ca.Dir, name+".key")
	ca.write(cert, "CERTIFICATE", der)
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	ca.must(err)
	ca.write(key, "PRIVATE KEY", raw)
	return cert, key
}

// Expired is a change for Issue.
func Expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
}

// NoHost is a change for Issue: the certificate is for no machine.
func NoHost(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }

// write replaces a file at once, as those who renew certificates do.
func (ca *CA) write(name, kind string, der []byte) {
	ca.t.Helper()
	next := name + ".next"
	ca.must(os.WriteFile(next, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	ca.must(os.Rename(next, name))
}

// Client is a configuration that shows the certificate of a name that was issued before, and
// takes servers of this CA; an empty name shows none.
func (ca *CA) Client(name string) *tls.Config {
	ca.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	c := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(ca.Dir, name+".crt"), filepath.Join(ca.Dir, name+".key"))
		if err != nil {
			ca.t.Fatal(fmt.Errorf("the certificate of %s: %w", name, err))
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}
