package server

import (
	"fmt"
	"os"
	"runtime/metrics"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

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
func (s *Server) newProcs(n *node, e *engine) (*proc.Procs, error) {
	settings, err := s.settings()
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	program := s.cfg.Program
	program.Started = s.started
	return proc.New(proc.Env{
		Loop: e.loop, Settings: settings, Started: e.loop.Now().Mono,
		Identity: proc.Identity{Version: Version, Name: s.in.Name, ReplicasetName: s.in.Replicaset, GroupName: s.in.Group,
			Hostname: host, PID: os.Getpid(), Anon: s.in.Replication.Anon, Filter: s.in.Tarragon.Filter, Program: program},
		Apply:        s.applySettings,
		Broadcast:    s.port.events.Set,
		Snapshot:     e.keeper.ask,
		Peers:        s.peerStatus,
		Listen:       s.listenAddrs,
		OldestGroup:  n.store.First,
		LastError:    s.lastError,
		Stats:        s.stats,
		Router:       s.routerStats,
		Heap:         heap,
		Checkpoints:  s.checkpointClocks,
		SessionPeer:  s.port.clients.Peer,
		Administered: s.auditCall,
		FromMember:   s.fromMember,
		Su:           func(conn uint64, user box.Credentials) error { return s.port.clients.Su(conn, iproto.User(user)) },
		ActAs:        func(conn uint64, user box.Credentials) error { return s.port.clients.ActAs(conn, iproto.User(user)) },
		Copies:       s.givenCopies,
		CancelCopies: s.cancelCopies,
		AcceptLoss:   n.acceptLoss,
		Voided:       n.countVoided,
		Past:         past{n},
		MaxAnswer:    s.port.clients.MaxAnswer(),
		Procedures:   s.procs,
		ShutdownTimeout: func(d time.Duration) {
			s.drain.Store(int64(d))
		},
	}), nil
}

// stats names requests as Tarantool does.
func (s *Server) stats() proc.Stats {
	st := s.port.clients.Stats()
	return proc.Stats{Requests: byName(&st), All: proc.Counter(st.All), Sent: proc.Counter(st.Sent),
		Received: proc.Counter(st.Received), Connections: proc.Counter(st.Connections), Open: st.Open, InProgress: st.InProgress,
		Streams: proc.Counter(st.Streams), Queued: proc.Counter(st.Queued),
		StreamsNow: s.streamsNow(st.UnderWay), QueuedNow: st.QueuedNow, Failed: proc.Counter(st.Failed), Delayed: proc.Counter(st.Delayed), Refused: proc.Counter(st.Refused)}
}

// byName has requests by their names, and errors among the answers as one of them.
func byName(st *iproto.Stats) map[string]proc.Counter {
	out := map[string]proc.Counter{"ERROR": proc.Counter(st.Errors)}
	for t, n := range st.Requests {
		name := t.String()
		if t == xrow.Call16 {
			name = xrow.Call.String()
		}
		was := out[name]
		out[name] = proc.Counter{Total: was.Total + n.Total, Rate: was.Rate + n.Rate}
	}
	return out
}

// streamsNow counts streams as Tarantool does: one is there while it has requests under
// way, or a transaction open.
func (s *Server) streamsNow(underWay []iproto.StreamID) (n uint64) {
	n = uint64(len(underWay))
	s.main().engine.Load().loop.Read(func(core *instance.Core) {
		n += uint64(core.OpenTxns())
		for _, id := range underWay {
			if core.InTxn(instance.TxnID{Conn: id.Conn, Stream: id.Stream}) {
				n--
			}
		}
	})
	return n
}

// heap reads what the runtime counts by itself.
func heap() proc.Heap {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}}
	metrics.Read(samples)
	return proc.Heap{Used: samples[0].Value.Uint64(), Taken: samples[1].Value.Uint64()}
}

func (s *Server) checkpointClocks() (out []vclock.VClock) {
	for _, cp := range s.main().store.Checkpoints() {
		out = append(out, cp.State.VClock)
	}
	return out
}

// shown is addresses as box.cfg has them: one stands alone, as a script of Tarantool
// sets it. Pools tell instances apart by it.
func shown(addrs []string) any {
	if len(addrs) == 1 {
		return addrs[0]
	}
	return addrs
}

func (s *Server) listenAddrs() (out []string) {
	for _, a := range s.port.clients.Addrs() {
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
	for name, v := range s.startValues() {
		if err := st.Put(name, v); err != nil {
			return nil, fmt.Errorf("box.cfg: %w", err)
		}
	}
	return st, nil
}

// startValues are the options that the configuration decides; the others have
// Tarantool's defaults.
func (s *Server) startValues() map[string]any {
	in, r := s.in, &s.in.Replication
	m := map[string]any{
		"read_only": in.ReadOnly, "instance_uuid": s.main().life.UUID, "wal_mode": string(in.WAL.Mode), "wal_dir": in.WAL.Dir,
		"replication_timeout": r.Timeout, "replication_synchro_quorum": r.SynchroQuorum.String(),
		"replication_linearizable_quorum": r.LinearizableQuorum.String(), "replication_synchro_queue_max_size": int(r.SynchroQueueMaxSize),
		"replication_synchro_timeout": r.SynchroTimeout, "txn_synchro_timeout": in.Database.TxnSynchroTimeout,
		"election_mode": r.ElectionMode.String(), "election_timeout": r.ElectionTimeout,
		"election_fencing_mode": r.ElectionFencing.String(), "net_msg_max": in.IProto.NetMsgMax, "listen": shown(s.listenAddrs()),
		"checkpoint_interval": in.Snapshot.Interval, "checkpoint_count": max(in.Snapshot.Count, 1),
		"checkpoint_wal_threshold": float64(in.Snapshot.WALSize), "memtx_max_tuple_size": in.Memtx.MaxTupleSize, "memtx_memory": in.Memtx.Memory,
		"log_level": in.Log.Level, "readahead": in.IProto.Readahead, "memtx_dir": in.Snapshot.Dir, "work_dir": in.WorkDir,
		"replication_anon": r.Anon, "replication_connect_timeout": r.ConnectTimeout, "replication": peerAddrs(r.Peers),
	}
	m["replication_skip_conflict"], m["bootstrap_strategy"] = r.SkipConflict, string(r.BootstrapStrategy)
	if r.BootstrapStrategy == config.BootstrapNative {
		m["bootstrap_strategy"] = string(config.BootstrapSupervised) // as Tarantool's box.cfg has it
	}
	m["txn_timeout"], m["txn_isolation"] = in.Database.TxnTimeout, in.Database.TxnIsolation
	m["tarragon_copy_timeout"], m["tarragon_max_copies"] = in.Tarragon.CopyTimeout, in.Tarragon.MaxCopies
	m["tarragon_forward_writes"], m["tarragon_handover_grace"] = in.Tarragon.ForwardWrites, in.Tarragon.HandoverGrace
	if r.ReconnectTimeout > 0 {
		m["replication_reconnect_timeout"] = r.ReconnectTimeout
	}
	for name, text := range map[string]string{"instance_name": in.Name, "replicaset_name": in.Replicaset,
		"replicaset_uuid": in.Database.ReplicasetUUID, "log_format": in.Log.Format} {
		if text != "" {
			m[name] = text
		}
	}
	return m
}

// peerAddrs are the addresses of peers, without logins.
func peerAddrs(peers []config.URI) []string {
	addrs := make([]string, len(peers))
	for i := range peers {
		addrs[i] = peers[i].Address()
	}
	return addrs
}

// applySettings carries out what does not concern the core. Every dynamic option
// is either here or in the core's Configure.
func (s *Server) applySettings(changes []proc.Change) error {
	for _, c := range changes {
		switch c.Name {
		case "log_level":
			SetLogLevel(c.Level())
		case "net_msg_max":
			s.port.clients.SetMaxInFlight(int(min(toInt(c.Number()), 1<<30)))
		case "checkpoint_interval":
			s.tuning.checkpointEvery.Store(int64(c.Duration()))
		case "checkpoint_count":
			s.tuning.checkpointCount.Store(toInt(c.Number()))
		case "checkpoint_wal_threshold":
			s.tuning.checkpointBytes.Store(toInt(c.Number()))
		case "replication_timeout":
			s.tuning.deathTimeout.Store(int64(c.Duration()))
			s.applyTimes()
		case "replication_reconnect_timeout":
			s.tuning.reconnect.Store(int64(c.Duration()))
			s.applyTimes()
		case "tarragon_copy_timeout":
			s.tuning.copyTimeout.Store(int64(c.Duration()))
			s.applyCopies()
		case "tarragon_max_copies":
			s.tuning.maxCopies.Store(toInt(c.Number()))
			s.applyCopies()
		}
		s.log.Info().Str("option", c.Name).Str("value", c.String()).Msg("box.cfg")
	}
	return nil
}

func (s *Server) applyTimes() {
	if hub := s.main().hub.Load(); hub != nil {
		hub.SetTimes(s.tuning.death(), time.Duration(s.tuning.reconnect.Load()))
	}
}

func (s *Server) applyCopies() {
	if hub := s.main().hub.Load(); hub != nil {
		hub.SetCopies(s.tuning.copies())
	}
}

// logLevels stand for Tarantool's eight levels.
var logLevels = [config.Levels]zerolog.Level{
	0: zerolog.FatalLevel,
	1: zerolog.ErrorLevel, // syserror
	2: zerolog.ErrorLevel,
	3: zerolog.ErrorLevel, // crit
	4: zerolog.WarnLevel,
	5: zerolog.InfoLevel,
	6: zerolog.DebugLevel, // verbose
	7: zerolog.TraceLevel, // debug
}

// SetLogLevel makes one of Tarantool's levels the one of the process.
func SetLogLevel(n int) { zerolog.SetGlobalLevel(logLevels[min(max(n, 0), len(logLevels)-1)]) }

func (s *Server) peerStatus() (out []proc.PeerStatus) {
	hub := s.main().hub.Load()
	if hub == nil {
		return nil
	}
	for _, p := range hub.Status() {
		ps := proc.PeerStatus{ID: p.ID, UUID: p.UUID, Kind: p.Kind}
		if u := p.Upstream; u != nil {
			ps.Upstream = &proc.Upstream{Status: string(u.Status), Idle: duration(u.Idle), Lag: duration(u.Lag), Peer: u.Peer, Message: u.Message}
		}
		if d := p.Downstream; d != nil {
			ps.Downstream = &proc.Downstream{Status: d.Status, Idle: duration(d.Idle), Lag: duration(d.Lag), VClock: d.VClock[:], Message: d.Message, Address: d.Address, FilterVersion: d.Version, Memory: d.Memory}
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
		if p.LuaEval {
			g.Objects = append(g.Objects, proc.Object{Class: "lua_eval"})
		}
		add := func(class string, names []string) {
			for _, name := range names {
				if name == "all" { // all objects of the class
					name = ""
				}
				g.Objects = append(g.Objects, proc.Object{Class: class, Name: name})
			}
		}
		add("space", p.Spaces)
		add("function", p.Functions)
		add("sequence", p.Sequences)
		add("lua_call", p.LuaCall)
		add("sql", p.SQL)
		out = append(out, g)
	}
	return out
}
