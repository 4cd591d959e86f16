package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// lookEach is how often at most the files are looked at: a connection that begins
// does so, and there may be thousands in a second.
const lookEach = time.Second

// Keeper has the configurations of some files. It is safe for all goroutines.
type Keeper struct {
	files Files
	names Names           // that a server which is dialed must have one of; empty: that of the host
	told  func(err error) // of files that have changed; nil error: they are in use

	mu     sync.Mutex
	now    func() time.Time
	looked time.Time
	seen   []stamp // the files as they were when they were last read, or found to be wrong
	made   made
}

// made is what is made of the files that are in use.
type made struct {
	material
	server *tls.Config
	client *tls.Config // without names
}

// stamp is what tells that a file has changed.
type stamp struct {
	size int64
	mod  time.Time
	info os.FileInfo // of which os.SameFile knows more; nil: the file cannot be looked at
}

func (s stamp) is(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == o.info
	}
	return s.size == o.size && s.mod.Equal(o.mod) && os.SameFile(s.info, o.info)
}

// Open reads the files. names: of those, a server that is dialed must have one. told is
// called with each change of the files that is found, by whoever opens a connection then; nil: nobody is told.
func Open(files Files, names Names, told func(err error)) (*Keeper, error) {
	if told == nil {
		told = func(error) {}
	}
	k := &Keeper{files: files, names: names, told: told, now: time.Now}
	k.seen = k.stamps() // before they are read: a change meanwhile is found by the next look
	k.looked = k.now()
	m, err := files.load(k.looked)
	if err != nil {
		return nil, err
	}
	k.take(m)
	return k, nil
}

// Expires is when the certificate in use does; zero: there is none.
func (k *Keeper) Expires() time.Time { return k.current().until }

// Asks tells whether the other side is looked at.
func (k *Keeper) Asks() bool { return k.files.CA != "" }

// Server is the configuration of a listener. anybody: whoever comes is let in, whatever the
// CA file says.
func (k *Keeper) Server(anybody bool) (*tls.Config, error) {
	if !k.files.Shows() {
		return nil, errors.New("a certificate and a key are needed to listen with TLS")
	}
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := k.current().server
		if anybody {
			c = c.Clone()
			c.ClientAuth, c.ClientCAs = tls.NoClientCert, nil
		}
		return c, nil
	}}, nil
}

// Client is the configuration to dial a host with.
func (k *Keeper) Client(host string) *tls.Config {
	m := k.current()
	c := m.client.Clone()
	c.ServerName = host // of an address none is sent
	if m.pool != nil {
		c.VerifyConnection = func(cs tls.ConnectionState) error { return k.verify(&m.material, host, cs.PeerCertificates) }
	}
	return c
}

// verify looks at what a server shows.
func (k *Keeper) verify(m *material, host string, certs []*x509.Certificate) error {
	leaf := certs[0]
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: m.pool, Intermediates: between, CurrentTime: k.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return fmt.Errorf("the certificate of %s: %w", subject(leaf), err)
	}
	if len(k.names) > 0 {
		return k.names.Allow(leaf)
	}
	if err := leaf.VerifyHostname(host); err != nil {
		return fmt.Errorf("the certificate of %s: %w", subject(leaf), err)
	}
	return nil
}

// current is what is in use, once the files were looked at.
func (k *Keeper) current() made {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if now.Sub(k.looked) < lookEach {
		return k.made
	}
	k.looked = now
	seen := k.stamps()
	if slices.EqualFunc(seen, k.seen, stamp.is) {
		return k.made
	}
	k.seen = seen
	m, err := k.files.load(now)
	if err == nil {
		k.take(m)
	}
	k.told(err)
	return k.made
}

func (k *Keeper) stamps() []stamp {
	var out []stamp
	for _, name := range k.files.names() {
		info, err := os.Stat(name)
		if err != nil {
			out = append(out, stamp{})
			continue
		}
		out = append(out, stamp{info.Size(), info.ModTime(), info})
	}
	return out
}

// take puts what was read in use.
func (k *Keeper) take(m material) {
	base := &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: m.suites.max, CipherSuites: m.suites.ids, Certificates: m.certs,
		SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true, Time: k.now}
	server := base.Clone()
	if m.pool != nil {
		server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, m.pool
	}
	client := base.Clone()
	client.InsecureSkipVerify = true // verify does that, where there is a CA file
	k.made = made{material: m, server: server, client: client}
}
