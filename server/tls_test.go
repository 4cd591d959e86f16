package server

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/testcert"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/router"
)

func (n *node1) flag(path, value string) {
	n.flags = append(n.flags, config.Flag{Name: "--set", Path: path, Value: value})
}

// The router's ports ask for certificates, the ports for HTTP show theirs to everybody; a node whose files are
// wrong does not start, and says which.
func TestTLSPorts(t *testing.T) {
	ca := testcert.New(t, t.TempDir())
	cert, key := ca.Issue("node")
	ca.Issue("app")
	s := newSet(t, 1, "")
	n := s.nodes[0]
	n.listensHTTP()
	n.flag("iproto.ssl.ca_file", ca.File)
	n.flag("iproto.ssl.ssl_cert", cert)
	n.flag("iproto.ssl.ssl_key", key)
	n.flag("tarragon.router.rw", "127.0.0.1:0")
	n.flag("tarragon.router.http", "127.0.0.1:0")
	n.flag("tarragon.router.transport", "ssl")
	n.flag("tarragon.http_transport", "ssl")
	s.startAll()
	s.leader()

	web := http.Client{Transport: &http.Transport{TLSClientConfig: ca.Client("")}}
	defer web.CloseIdleConnections()
	get := func(url string) string {
		t.Helper()
		resp, err := web.Get(url)
		if err != nil {
			t.Error(err)
			return ""
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	at := n.server().port.http.Addrs()[0]
	if text := get("https://" + at + "/metrics"); !strings.Contains(text, "tarragon_tls_handshakes_total{") {
		t.Errorf("over HTTPS: %s", text)
	}
	if text := get("http://" + at + "/livez"); !strings.Contains(text, "HTTP request to an HTTPS server") {
		t.Errorf("without TLS: %s", text)
	}
	if text := get("https://" + n.server().port.router.HTTPAddrs()[0] + "/status"); !strings.Contains(text, "{") {
		t.Errorf("the router's over HTTPS: %s", text)
	}
	rw := n.server().port.router.Addrs(router.RW)[0]
	dial := func(name string) error {
		conf := ca.Client(name)
		conf.ServerName = "localhost"
		c, err := iproto.DialSecure(context.Background(), rw, func(string) *tls.Config { return conf })
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Login("admin1", "a"); err != nil {
			return err
		}
		_, err = c.Call("box.info", nil)
		return err
	}
	if err := dial("app"); err != nil {
		t.Error("by the router:", err)
	}
	if err := dial(""); err == nil {
		t.Error("the router takes clients without a certificate")
	}

	other, _ := ca.Issue("other")
	bad := newSet(t, 1, "").nodes[0]
	bad.flag("iproto.ssl.ssl_cert", other)
	bad.flag("iproto.ssl.ssl_key", key)
	bad.flag("tarragon.router.rw", "127.0.0.1:0")
	bad.flag("tarragon.router.transport", "ssl")
	err := Run(t.Context(), Config{Instance: bad.load()})
	if want := "tarragon.router: TLS: " + key + ": the key is not that of the certificate " + other; err == nil || err.Error() != want {
		t.Errorf("files that do not fit: %v, want %s", err, want)
	}
}
