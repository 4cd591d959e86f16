package tlsconf

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/testcert"

	"github.com/youmark/pkcs8"
)

// file writes one of a test.
func file(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What is wrong with files is one line, with the name of the file in it.
func TestFilesThatAreWrong(t *testing.T) {
	ca := testcert.New(t, t.TempDir())
	cert, key := ca.Issue("node")
	other, _ := ca.Issue("other")
	old, oldKey := ca.Issue("old", testcert.Expired)
	early, earlyKey := ca.Issue("early", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	sealed := sealedKey(t, key, "secret")
	broken := file(t, "broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	brokenKey := file(t, "broken.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	words := file(t, "words", "wrong\nmore\n")
	for what, c := range map[string]struct {
		files Files
		want  string
	}{
		"a key that does not fit":   {Files{Cert: other, Key: key}, key + ": the key is not that of the certificate " + other},
		"swapped":                   {Files{Cert: key, Key: cert}, key + ": a key, where a certificate is expected: are the two swapped?"},
		"a certificate as key":      {Files{Cert: cert, Key: other}, other + ": a certificate, where a key is expected: are the two swapped?"},
		"a key as CA":               {Files{CA: key}, key + ": a key, where a certificate is expected"},
		"expired":                   {Files{Cert: old, Key: oldKey}, old + ": the certificate of old expired at "},
		"not yet valid":             {Files{Cert: early, Key: earlyKey}, early + ": the certificate of early is valid from "},
		"an expired CA":             {Files{CA: old}, old + ": the certificate of old expired at "},
		"not there":                 {Files{Cert: cert + ".no", Key: key}, "open " + cert + ".no: no such file"},
		"no PEM":                    {Files{Cert: words, Key: key}, words + ": no PEM in it"},
		"a broken certificate":      {Files{Cert: broken, Key: key}, broken + ": certificate 1: x509"},
		"a broken key":              {Files{Cert: cert, Key: brokenKey}, brokenKey + ": the key cannot be read"},
		"a directory":               {Files{Cert: filepath.Dir(cert), Key: key}, "read " + filepath.Dir(cert) + ": is a directory"},
		"no key":                    {Files{Cert: cert}, "a certificate and its key belong together"},
		"no password":               {Files{Cert: cert, Key: sealed}, sealed + ": the key is encrypted, and there is no password"},
		"wrong passwords":           {Files{Cert: cert, Key: sealed, Password: "guess", PasswordFile: words}, sealed + ": the key is encrypted, and none of the 3 passwords opens it"},
		"a password for nothing":    {Files{Password: "guess"}, "there is a password and no key"},
		"no file of passwords":      {Files{Cert: cert, Key: sealed, PasswordFile: words + ".no"}, "open " + words + ".no: no such file"},
		"a suite that is not known": {Files{Ciphers: "HIGH:!aNULL"}, `cipher suite "HIGH": not known`},
	} {
		_, err := Open(c.files, nil, nil)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
		for _, secret := range []string{"guess", "wrong", "more"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error tells a password: %v", what, err)
			}
		}
	}
	if os.Geteuid() != 0 { // who is root may read all
		if err := os.Chmod(key, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Files{Cert: cert, Key: key}, nil, nil); !errors.Is(err, os.ErrPermission) {
			t.Errorf("unreadable: %v", err)
		}
	}
}

// sealedKey encrypts a key as PKCS #8 does.
func sealedKey(t *testing.T, name, password string) string {
	t.Helper()
	b, _ := pem.Decode([]byte(read(t, name)))
	k, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	der, err := pkcs8.MarshalPrivateKey(k, []byte(password), nil)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "sealed.key", string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})))
}

// Keys with a password, in the form of PKCS #8 and in the one before: by the password, by a
// later line of the file, and a password that is not needed does not hurt.
func TestSealedKeys(t *testing.T) {
	ca := testcert.New(t, t.TempDir())
	cert, key := ca.Issue("node")
	b, _ := pem.Decode([]byte(read(t, key)))
	k, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := x509.MarshalECPrivateKey(k.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 there are such keys
	old, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", plain, []byte("secret"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	passwords := file(t, "passwords", "one\nsecret\nthree\n")
	legacy := file(t, "legacy.key", string(pem.EncodeToMemory(old)))
	for what, f := range map[string]Files{
		"PKCS #8, by password": {Key: sealedKey(t, key, "secret"), Password: "secret"},
		"PKCS #8, by file":     {Key: sealedKey(t, key, "secret"), PasswordFile: passwords},
		"legacy, by password":  {Key: legacy, Password: "secret"},
		"legacy, by file":      {Key: legacy, Password: "wrong", PasswordFile: passwords},
		"none needed":          {Key: key, Password: "secret"},
		"SEC 1":                {Key: file(t, "sec1.key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: plain})))},
	} {
		f.Cert = cert
		if _, err := Open(f, nil, nil); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestCiphers(t *testing.T) {
	for list, want := range map[string]string{
		"": "0 suites, up to 0",
		"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256":                                                "2 suites, up to 771",
		"ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256": "1 suites, up to 0",
		"TLS_AES_128_GCM_SHA256":                         "those of TLS 1.3 cannot be chosen among",
		"GOST2012-GOST8912-GOST8912":                     `cipher suite "GOST2012-GOST8912-GOST8912": GOST is not served`,
		"ECDHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES256-SHA": `cipher suite "DHE-RSA-AES256-SHA": DHE is not served`,
		"AES128-SHA":              `cipher suite "AES128-SHA": without ECDHE`,
		"ECDHE-RSA-AES256-SHA384": `cipher suite "ECDHE-RSA-AES256-SHA384": CBC with SHA-2`,
		"ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_128_CCM_SHA256": `cipher suite "TLS_AES_128_CCM_SHA256": not known`,
		"ECDHE-RSA-AES256-GCM-SHA384:":                       `cipher suite "": not known`,
	} {
		s, err := parseCiphers(list)
		got := fmt.Sprintf("%d suites, up to %d", len(s.ids), s.max)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
	good := map[uint16]bool{}
	for _, s := range tls.CipherSuites() {
		good[s.ID] = true
	}
	for name, id := range suiteNames {
		if !good[id] {
			t.Errorf("%s is not among those that crypto/tls holds to be good", name)
		}
	}
}

// talk is a handshake between two configurations, and how each side ends.
func talk(t *testing.T, server, client *tls.Config) (of *tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // a pipe has no room for the last words of both
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		a, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		s := tls.Server(a, server)
		err = s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1}) // so that the client hears how it ended
		}
		done <- err
		_ = a.Close()
	}()
	b, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(b, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		_, clientErr = io.ReadFull(c, make([]byte, 1))
	}
	state := c.ConnectionState()
	_ = b.Close()
	return &state, <-done, clientErr
}

func TestWhoIsTaken(t *testing.T) {
	ca, strange := testcert.New(t, t.TempDir()), testcert.New(t, t.TempDir())
	node := func(ca *testcert.CA, name string, changes ...func(*x509.Certificate)) Files {
		cert, key := ca.Issue(name, changes...)
		return Files{CA: ca.File, Cert: cert, Key: key}
	}
	good, noHost, other := node(ca, "i-001"), node(ca, "i-002", testcert.NoHost), node(strange, "i-001")
	for what, c := range map[string]struct {
		server, client Files
		names          Names
		host           string
		wantServer     string // empty: it takes the client
		wantClient     string
	}{
		"each other":                  {server: good, client: good},
		"another host":                {server: good, client: good, host: "elsewhere", wantClient: "the certificate of i-001: x509: certificate is valid for localhost, not elsewhere"},
		"a name instead of the host":  {server: noHost, client: good, host: "elsewhere", names: Names{"i-001", "I-002"}},
		"a wrong name":                {server: good, client: good, names: Names{"i-002"}, wantClient: "the certificate is that of i-001, localhost, 127.0.0.1, ::1, which is none of i-002"},
		"any name":                    {server: noHost, client: good, names: Names{"*"}},
		"no host":                     {server: noHost, client: good, wantClient: "the certificate of i-002: x509: certificate is not valid for any names"},
		"a server of another CA":      {server: other, client: Files{CA: ca.File}, wantClient: "the certificate of i-001: x509: certificate signed by unknown authority"},
		"a client of another CA":      {server: good, client: Files{CA: ca.File, Cert: other.Cert, Key: other.Key}, wantServer: "tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		"a client without":            {server: good, client: Files{CA: ca.File}, wantServer: "tls: client didn't provide a certificate"},
		"nobody looks":                {server: Files{Cert: other.Cert, Key: other.Key}, client: Files{}},
		"a server alone is looked at": {server: Files{Cert: good.Cert, Key: good.Key}, client: Files{CA: ca.File}},
	} {
		s, err := Open(c.server, nil, nil)
		if err != nil {
			t.Fatal(what, err)
		}
		k, err := Open(c.client, c.names, nil)
		if err != nil {
			t.Fatal(what, err)
		}
		listens, err := s.Server(false)
		if err != nil {
			t.Fatal(what, err)
		}
		_, serverErr, clientErr := talk(t, listens, k.Client(cmp.Or(c.host, "localhost")))
		switch {
		case c.wantServer != "" && (serverErr == nil || !strings.HasPrefix(serverErr.Error(), c.wantServer) || clientErr == nil):
			t.Errorf("%s: the server says %v, want %s; the client %v", what, serverErr, c.wantServer, clientErr)
		case c.wantClient != "" && (clientErr == nil || !strings.HasPrefix(clientErr.Error(), c.wantClient)):
			t.Errorf("%s: the client says %v, want %s", what, clientErr, c.wantClient)
		case c.wantServer == "" && c.wantClient == "" && errors.Join(serverErr, clientErr) != nil:
			t.Errorf("%s: %v, %v", what, serverErr, clientErr)
		}
	}
	k, err := Open(good, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	anybody, err := k.Server(true)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := talk(t, anybody, k.Client("localhost")); err != nil {
		t.Error("a port for anybody:", err)
	}
	bare := ca.Client("")
	bare.ServerName = "localhost"
	if _, _, err := talk(t, anybody, bare); err != nil {
		t.Error("a port for anybody, to who shows nothing:", err)
	}
	bare.MaxVersion, bare.MinVersion = tls.VersionTLS11, tls.VersionTLS10
	if _, _, err := talk(t, anybody, bare); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if _, err := mustOpen(t, Files{CA: ca.File}).Server(false); err == nil {
		t.Error("a listener without a certificate")
	}
}

func mustOpen(t *testing.T, f Files) *Keeper {
	t.Helper()
	k, err := Open(f, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Files that are changed are used, at most a second later; those that are wrong are told of once, and
// what was there before goes on.
func TestChangedFiles(t *testing.T) {
	ca := testcert.New(t, t.TempDir())
	cert, key := ca.Issue("node")
	f := Files{CA: ca.File, Cert: cert, Key: key}
	var told []error
	k, err := Open(f, nil, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	k.now = func() time.Time { return clock }
	shown := func() string { return k.current().certs[0].Leaf.SerialNumber.String() }
	first := shown()
	ca.Issue("node")
	if shown() != first || len(told) != 0 {
		t.Error("the files were looked at within a second")
	}
	clock = clock.Add(lookEach)
	second := shown()
	if second == first || len(told) != 1 || told[0] != nil {
		t.Errorf("a new certificate: in use %v, told %v", second != first, told)
	}
	ca.Issue("node", testcert.Expired)
	for range 3 {
		clock = clock.Add(lookEach)
		if shown() != second {
			t.Fatal("a certificate that has expired is in use")
		}
	}
	if len(told) != 2 || told[1] == nil || !strings.HasPrefix(told[1].Error(), cert+": the certificate of node expired at ") {
		t.Errorf("told of a wrong file: %v", told)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(lookEach)
	if shown() != second || len(told) != 3 || !errors.Is(told[2], os.ErrNotExist) && !strings.Contains(told[2].Error(), "expired") {
		t.Errorf("told of a file that is gone: %v", told)
	}
	ca.Issue("node")
	clock = clock.Add(lookEach)
	if third := shown(); third == second || len(told) != 4 || told[3] != nil {
		t.Errorf("a good one behind that: %v", told)
	}
}
