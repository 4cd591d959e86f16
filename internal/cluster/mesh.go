package cluster

import "time"

// Mesh is a network between nodes: a Proxy for each ordered pair. It is made
// before the cluster, and told the addresses by the cluster through Peer.
type Mesh struct {
	proxies map[pair]*Proxy
	err     error
}

// pair is the connections that node from makes to node to.
type pair struct{ from, to int }

// NewMesh returns an empty one.
func NewMesh() *Mesh { return &Mesh{proxies: map[pair]*Proxy{}} }

// Peer is for Options.Peer. Asked again for a pair it gives the same answer.
// Its errors wait for Err.
func (m *Mesh) Peer(from, to int, addr string) string {
	if from == to {
		return addr
	}
	if p := m.proxies[pair{from, to}]; p != nil {
		return p.Addr()
	}
	p, err := NewProxy(addr)
	if err != nil {
		m.err = err
		return addr
	}
	m.proxies[pair{from, to}] = p
	return p.Addr()
}

// Err is the first thing that went wrong with Peer.
func (m *Mesh) Err() error { return m.err }

// Close ends all connections between nodes.
func (m *Mesh) Close() {
	for _, p := range m.proxies {
		p.Close()
	}
}

// Cut holds all bytes that node from sends to node to, whoever connected.
func (m *Mesh) Cut(from, to int) {
	m.proxies[pair{from, to}].Cut(Forth)
	m.proxies[pair{to, from}].Cut(Back)
}

// Isolate cuts a node off from all others, both ways.
func (m *Mesh) Isolate(node int) {
	for k, p := range m.proxies {
		if k.from == node || k.to == node {
			p.Cut(Forth, Back)
		}
	}
}

// Move makes all others reach a node under another address from now on: that of
// the process which has taken its name.
func (m *Mesh) Move(node int, addr string) {
	for k, p := range m.proxies {
		if k.to == node {
			p.Move(addr)
		}
	}
}

// Heal lets everything flow again.
func (m *Mesh) Heal() {
	for _, p := range m.proxies {
		p.Heal()
	}
}

// Delay adds d to each way between two nodes.
func (m *Mesh) Delay(d time.Duration) {
	for _, p := range m.proxies {
		p.Delay(d)
	}
}
