package main

import (
	"context"
	"fmt"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/internal/testcert"
)

const (
	tlsPart   = "tls"
	encrypted = "TLS"
)

// tlsLoads are what is asked of one leader by both of its addresses.
var tlsLoads = []wayLoad{
	{"select, one client", load.Select, 1, 1, []string{byItself, encrypted}},
	{"select", load.Select, 1, 512, []string{byItself, encrypted}},
	{"sync replace, one client", load.Replace, 1, 1, []string{byItself, encrypted}},
	{"sync replace", load.Replace, 1, 512, []string{byItself, encrypted}},
	{"sync replace, 4 clients", load.Replace, 4, 512, []string{byItself, encrypted}},
}

var tlsGoals = []wayGoal{{"with TLS, beside plaintext at the same leader", encrypted, byItself}}

// halting is what a certificate that cannot be made does to the benchmark.
type halting struct{}

func (halting) Helper()           {}
func (halting) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// certs makes certificates for nodes and for the load, which is one of theirs.
func certs(dir string, nodes int) *testcert.CA {
	ca := testcert.New(halting{}, dir)
	for i := range nodes {
		ca.Issue(fmt.Sprintf("i-%03d", i+1))
	}
	return ca
}

// printTLS measures what TLS takes of requests: nodes speak plaintext among themselves, so that only
// the way of the client is another one.
func printTLS(ctx context.Context, b *bench) error {
	s := shape{nodes: b.f.nodes, wal: b.f.wal, tls: true}
	rs, err := startShape(ctx, b.f, b.f.binary, s, nil, nil)
	if err != nil {
		return err
	}
	defer rs.stop()
	fmt.Fprintf(b.out, "\nTLS 1.3 with certificates of both sides, in turns with plaintext\n")
	if err := b.place(s); err != nil {
		return err
	}
	w := &ways{t: newTarragonTarget(rs), addrs: map[string]string{}}
	conn, addr, err := w.t.leader(ctx)
	if err != nil {
		return rs.blame(err)
	}
	_ = conn.Close()
	w.addrs[byItself], w.addrs[encrypted] = addr, rs.ByAddr(addr).SSL
	w.tls = rs.ca.Client("i-001")
	w.tls.ServerName = "localhost"
	return rs.blame(w.measure(ctx, b, tlsPart, tlsLoads, tlsGoals))
}
