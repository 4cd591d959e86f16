package server

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"syscall"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xlog"
)

// Descriptors that are set apart before clients get any: a client that comes is
// turned away, a file of the store that cannot be opened ends all writes.
const (
	ownFiles      = 64   // what a process has anyway, listeners, the control socket and its sixteen, the debug listener, sixteen spools of slow joiners, connections that are being closed
	filesPerPeer  = 4    // of a node: a stream each way, a ballot, a connection that is about to replace one
	peersAtLeast  = 4    // instances that join, whatever the file says
	storeFiles    = 1000 // for tables of the log, where there are enough
	clientsAtMost = 1 << 20 / 2
	clientsLeast  = 8
)

// descriptors is how the file descriptors of the process are shared.
type descriptors struct {
	limit   int // of the process (ulimit -n)
	store   int
	peers   int
	clients int // connections, those without a login among them
}

// fileLimit is the limit of the process. The Go runtime has raised it to the
// hard one already.
func fileLimit() (int, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("limit of file descriptors: %w", err)
	}
	return int(min(uint64(r.Cur), math.MaxInt32)), nil
}

// share divides the descriptors of the process for an instance with some nodes.
func share(limit int, in *config.Instance, nodes int) (descriptors, error) {
	d := descriptors{limit: limit, peers: nodes * filesPerPeer * max(len(in.Members)-1, peersAtLeast)}
	d.store = max(xlog.MinOpenFiles, min(storeFiles, limit/4))
	d.clients = min(limit-ownFiles-d.store-d.peers, clientsAtMost)
	if d.clients < clientsLeast {
		return d, fmt.Errorf("the process may open %d files (ulimit -n), and needs %d: %d for the store, %d for peers, %d of its own, and %d for clients",
			limit, d.store+d.peers+ownFiles+clientsLeast, d.store, d.peers, ownFiles, clientsLeast)
	}
	if most := in.Tarragon.MaxConnections; most > 0 {
		d.clients = min(d.clients, most)
	}
	return d, nil
}

// shareFiles says what the process was given.
func (s *Server) shareFiles() error {
	limit, err := fileLimit()
	if err != nil {
		return err
	}
	if s.cfg.fileLimit > 0 {
		limit = s.cfg.fileLimit
	}
	if s.files, err = share(limit, s.in, 1+len(s.beside)); err != nil {
		return err
	}
	l := s.clientLimits()
	s.log.Info().Int("files", limit).Int("store", s.files.store).Int("peers", s.files.peers).Int("connections", l.Connections).
		Int("before_login", l.BeforeLogin).Msg("file descriptors")
	return nil
}

// clientLimits leaves what the store and the peers need.
func (s *Server) clientLimits() iproto.Limits {
	t := &s.in.Tarragon
	before := t.MaxBeforeLogin
	if before == 0 {
		before = s.files.clients / 2
	}
	before = min(max(before, 1), s.files.clients-1)
	peers := map[string]bool{}
	for _, m := range s.in.Members {
		if m.Peer.Login != "" {
			peers[m.Peer.Login] = true
		}
	}
	return iproto.Limits{Connections: s.files.clients, PerUser: t.MaxPerUser, BeforeLogin: before, Reserve: s.files.peers,
		LoginSeconds: seconds(t.LoginTimeout), FrameSeconds: seconds(t.FrameTimeout), Reserved: func(user string) bool { return peers[user] },
		Member: s.memberAt, LoginPause: min(loginPause, s.in.Replication.Timeout/4)}
}

// loginPause is the longest that the answer to a login is held back: a member that
// must wait for it takes silence for death after replication.timeout.
const loginPause = 500 * time.Millisecond

// memberAt tells whether a configured member was found at an address.
func (s *Server) memberAt(site netip.Addr) bool {
	hub := s.main().hub.Load()
	return hub != nil && hub.PeerAt(site)
}

// fromMember tells whether a connection comes from an address of a configured member, or
// over a unix socket, which its mode guards, or from this process.
func (s *Server) fromMember(conn uint64) bool {
	site, local := s.port.clients.From(conn)
	return local || s.memberAt(site)
}

// seconds rounds up: 0 would be the default.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

var errTooMany = errors.New("there are too many connections, and all are logged in")

// turnedAway tells of a connection that was closed to protect the others.
func (s *Server) turnedAway(from string, cause error) {
	log, level := s.port.turned.rated(s.log)
	log.WithLevel(level).Str("from", from).Err(cause).Msg("connection turned away")
}
