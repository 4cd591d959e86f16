package server

import (
	"fmt"
	"os"
	"time"

	"tarragon/config"
	"tarragon/instance/proc"
	"tarragon/iproto"
	"tarragon/xrow"

	"github.com/rs/zerolog"
)

func versionNumber() uint32 {
	n, ok := iproto.VersionNumber(Version)
	if !ok {
		panic("server: bad version " + Version)
	}
	return n
}

// newProcs joins procedures to the rest of the process.
func (s *Server) newProcs(n *node) (*proc.Procs, error) {
	settings, err := s.settings()
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return proc.New(proc.Env{
		Loop: n.loop, Settings: settings, Started: n.loop.Now().Mono,
		Identity: proc.Identity{Version: Version, Name: s.in.Name, ReplicasetName: s.in.Replicaset, GroupName: s.in.Group,
			Hostname: host, PID: os.Getpid()},
		Apply:       s.applySettings,
		Broadcast:   s.events.Set,
		Snapshot:    n.keeper.ask,
		Peers:       s.peerStatus,
		Listen:      s.listenAddrs,
		OldestGroup: s.store.First,
		ShutdownTimeout: func(d time.Duration) {
			s.drain.Store(int64(d))
		},
	}), nil
}

func (s *Server) listenAddrs() (out []string) {
	for _, a := range s.clients.Addrs() {
		out = append(out, a.String())
	}
	return out
}

// settings is what box.cfg shows at the start.
func (s *Server) settings() (*proc.Settings, error) {
	st := proc.NewSettings(func(text string) (proc.Quorum, error) {
		f, err := config.Parse(text)
		if err != nil {
			return nil, err
		}
		if err := f.Check(&s.in.Replication.SynchroQuorum); err != nil {
			return nil, err
		}
		return linearizableQuorum(f), nil
	})
	r := &s.in.Replication
	for name, v := range map[string]any{
		"read_only": s.in.ReadOnly, "instance_uuid": s.identity.UUID, "wal_mode": string(s.in.WAL.Mode), "wal_dir": s.in.WAL.Dir,
		"replication_timeout": r.Timeout, "replication_synchro_quorum": r.SynchroQuorum.String(),
		"replication_synchro_timeout": r.SynchroTimeout, "txn_synchro_timeout": s.in.Database.TxnSynchroTimeout,
		"election_mode": string(r.ElectionMode), "election_timeout": r.ElectionTimeout,
		"election_fencing_mode": string(r.ElectionFencing), "net_msg_max": s.in.IProto.NetMsgMax, "listen": s.listenAddrs(),
	} {
		if err := st.Put(name, v); err != nil {
			return nil, fmt.Errorf("box.cfg: %w", err)
		}
	}
	return st, nil
}

// applySettings carries out what does not concern the core. What nobody can
// carry out while the process runs is refused, all or nothing: a setting that
// is shown but not in force is worse. So is replication_timeout for now, which
// the streams of replication take at their start.
func (s *Server) applySettings(changes []proc.Change) error {
	for _, c := range changes {
		if c.Name == "replication_timeout" || !c.IsCore() && c.Name != "log_level" {
			return xrow.Errorf(xrow.ErrReloadCfg, c.Name)
		}
	}
	for _, c := range changes {
		if c.Name == "log_level" {
			zerolog.SetGlobalLevel(logLevel(c.LogLevel()))
		}
	}
	return nil
}

// logLevel turns the original's numbers into ours.
func logLevel(n int) zerolog.Level {
	switch {
	case n <= 0:
		return zerolog.FatalLevel
	case n <= 3:
		return zerolog.ErrorLevel
	case n == 4:
		return zerolog.WarnLevel
	case n <= 6:
		return zerolog.InfoLevel
	}
	return zerolog.DebugLevel
}

func (s *Server) peerStatus() (out []proc.PeerStatus) {
	hub := s.hub.Load()
	if hub == nil {
		return nil
	}
	for _, p := range hub.Status() {
		ps := proc.PeerStatus{ID: p.ID, UUID: p.UUID}
		if u := p.Upstream; u != nil {
			ps.Upstream = &proc.Upstream{Status: string(u.Status), Idle: duration(u.Idle), Lag: duration(u.Lag), Peer: u.Peer, Message: u.Message}
		}
		if d := p.Downstream; d != nil {
			ps.Downstream = &proc.Downstream{Status: d.Status, Idle: duration(d.Idle), Lag: duration(d.Lag), VClock: d.VClock[:]}
		}
		out = append(out, ps)
	}
	return out
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func credentials(c *config.Credentials) proc.Credentials {
	var out proc.Credentials
	for _, r := range c.Roles {
		out.Roles = append(out.Roles, proc.Account{Name: r.Name, Roles: r.Roles, Privileges: privileges(r.Privileges)})
	}
	for _, u := range c.Users {
		out.Users = append(out.Users, proc.Account{Name: u.Name, Password: u.Password, HasPassword: u.HasPassword,
			Roles: u.Roles, Privileges: privileges(u.Privileges)})
	}
	return out
}

func privileges(in []config.Privilege) (out []proc.Grant) {
	for _, p := range in {
		g := proc.Grant{Permissions: p.Permissions}
		if p.Universe {
			g.Objects = append(g.Objects, proc.Object{Class: "universe"})
		}
		add := func(class string, names []string) {
			for _, name := range names {
				g.Objects = append(g.Objects, proc.Object{Class: class, Name: name})
			}
		}
		add("space", p.Spaces)
		add("function", p.Functions)
		add("sequence", p.Sequences)
		out = append(out, g)
	}
	return out
}
