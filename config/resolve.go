package config

import (
	"slices"
	"strings"
	"time"

	"tarragon.dev/tarragon/audit"
	"tarragon.dev/tarragon/raft"
)

// instance resolves one instance: its own options, then what it is among the
// others of its replica set. run: this process is to be it, so what we cannot do
// matters; tools look at instances of Tarantool, too.
func (l *loader) instance(p place, run bool) *Instance {
	v, vars := l.optionsOf(p, true)
	o := &options{loader: l, v: v, vars: vars}
	in := &Instance{
		Name: p.name, Replicaset: p.replicaset, Group: p.group, Source: l.src.File,
		WorkDir:     o.text("process.work_dir"),
		Credentials: o.credentials(),
		IProto:      o.iproto(),
		Database:    o.database(),
		Replication: o.replication(),
		WAL:         WAL{Mode: WALMode(o.text("wal.mode")), Dir: o.path("wal.dir")},
		Snapshot:    o.snapshot(),
		Memtx: Memtx{
			Memory:       int(o.size("memtx.memory")),
			MaxTupleSize: int(o.size("memtx.max_tuple_size")),
		},
		Log:      o.log(),
		Metrics:  o.metrics(),
		Audit:    o.audit(),
		Tarragon: o.tarragon(),
	}
	if run {
		o.unserved()
	}
	l.replicaset(in, p, o)
	return in
}

func (o *options) iproto() IProto {
	ip := IProto{
		Listen:    o.listen(),
		AuthType:  o.text("security.auth_type"),
		NetMsgMax: int(o.integer("iproto.net_msg_max")),
		Readahead: int(o.size("iproto.readahead")),
	}
	ip.AdvertisePeer = o.peerURI()
	ip.AdvertiseClient = o.clientURI()
	return ip
}

func (o *options) database() Database {
	return Database{
		InstanceUUID:      strings.ToLower(o.text("database.instance_uuid")),
		ReplicasetUUID:    strings.ToLower(o.text("database.replicaset_uuid")),
		TxnSynchroTimeout: o.timeout("database.txn_synchro_timeout"),
		TxnTimeout:        o.timeout("database.txn_timeout"),
		TxnIsolation:      o.text("database.txn_isolation"),
	}
}

func (o *options) replication() Replication {
	r := Replication{
		Failover:           Failover(o.text("replication.failover")),
		ElectionMode:       o.electionMode(),
		ElectionTimeout:    o.timeout("replication.election_timeout"),
		ElectionFencing:    o.fencing(),
		Timeout:            o.timeout("replication.timeout"),
		ConnectTimeout:     o.timeout("replication.connect_timeout"),
		SynchroQuorum:      o.formula("replication.synchro_quorum"),
		LinearizableQuorum: o.formula("replication.linearizable_quorum"),
		SynchroTimeout:     o.timeout("replication.synchro_timeout"),
		SkipConflict:       o.boolean("replication.skip_conflict"),
		BootstrapStrategy:  BootstrapStrategy(o.text("replication.bootstrap_strategy")),
		Anon:               o.boolean("replication.anon"),
	}
	r.SynchroQueueMaxSize = o.size("replication.synchro_queue_max_size")
	r.ReconnectTimeout = r.Timeout
	if o.isSet("replication.reconnect_timeout") {
		r.ReconnectTimeout = o.duration("replication.reconnect_timeout")
	}
	if err := r.SynchroQuorum.Check(nil); err != nil {
		o.bad("replication.synchro_quorum", "%v", err)
	} else if err := r.LinearizableQuorum.Check(&r.SynchroQuorum); err != nil {
		o.bad("replication.linearizable_quorum", "%v", err)
	}
	return r
}

// electionMode is what failover makes of an election mode that is not set.
func (o *options) electionMode() raft.Mode {
	if o.isSet("replication.election_mode") {
		mode, _ := raft.ParseMode(o.text("replication.election_mode"))
		return mode
	}
	switch failover := Failover(o.text("replication.failover")); {
	case o.boolean("replication.anon"):
	case failover == FailoverElection:
		return raft.Candidate
	case failover == FailoverSupervised:
		return raft.Manual
	}
	return raft.Off
}

func (o *options) fencing() raft.Fencing {
	fencing, _ := raft.ParseFencing(o.text("replication.election_fencing_mode"))
	return fencing
}

func (o *options) snapshot() Snapshot {
	s := Snapshot{
		Dir:      o.path("snapshot.dir"),
		Interval: o.duration("snapshot.by.interval"),
		WALSize:  o.size("snapshot.by.wal_size"),
		Count:    int(o.integer("snapshot.count")),
	}
	if o.isSet("snapshot.dir") && s.Dir != o.path("wal.dir") {
		o.warn(o.where("snapshot.dir"), "snapshot.dir", "checkpoints are kept in the store of the log: in wal.dir")
	}
	return s
}

func (o *options) log() Log {
	lg := Log{To: o.text("log.to"), Format: o.text("log.format")}
	lg.Level, _ = parseLevel(o.text("log.level"))
	switch lg.To {
	case "file":
		lg.File = o.path("log.file")
	case "pipe", "syslog":
		o.warn(o.where("log.to"), "log.to", "%s is not served yet: the log goes to stderr", lg.To)
		lg.To = "stderr"
	}
	return lg
}

func (o *options) audit() Audit {
	if o.text("audit_log.to") != "file" {
		return Audit{}
	}
	a := Audit{File: o.path("audit_log.file"), Filter: strs(o.get("audit_log.filter")), MaxSize: o.size("tarragon.audit_max_size"), Keep: int(o.integer("tarragon.audit_max_files"))}
	if _, err := audit.ParseFilter(a.Filter); err != nil {
		o.bad("audit_log.filter", "%v", err)
	}
	return a
}

func (o *options) router() Router {
	r := Router{
		RW: o.hostPort("tarragon.router.rw"), RO: o.hostPort("tarragon.router.ro"), HTTP: o.hostPort("tarragon.router.http"), HoldTime: o.timeout("tarragon.router.hold_time"),
		HoldBytes: o.size("tarragon.router.hold_bytes"), ReaderMaxLag: o.timeout("tarragon.router.reader_max_lag"),
		Login: o.text("tarragon.router.login"), Numbers: o.boolean("tarragon.router.numbers"), ConsensusTimeout: o.consensusTimeout(),
		OwnWrites:      o.text("tarragon.router.consistency") == "session",
		MaxConnections: int(o.integer("tarragon.router.max_connections")), MaxPerUser: int(o.integer("tarragon.router.max_connections_per_user")),
		MaxBackends: int(o.integer("tarragon.router.max_backends")),
	}
	r.TLS = o.portTLS("tarragon.router.transport")
	users := o.get("credentials.users")
	for _, name := range users.names() {
		v := users.at(name)
		if password := v.at("password"); password != nil && (name == r.Login || r.Login == "" && slices.Contains(strs(v.at("roles")), "super")) {
			r.Login, r.Password = name, password.str()
			return r
		}
	}
	if r.Login != "" {
		o.bad("tarragon.router.login", "no user of credentials.users with a password")
	}
	return r
}

// consensusTimeout is 0 where nothing is said, and negative for a 0 of the file: not at all.
func (o *options) consensusTimeout() time.Duration {
	text := o.text("tarragon.router.consensus_timeout")
	d, err := ParseDuration(text)
	if text != "" && err == nil && d == 0 {
		return -1
	}
	return d
}

// hostPort is an address to listen on; empty: none.
func (o *options) hostPort(path string) string {
	addr := o.text(path)
	if at := strings.LastIndexByte(addr, ':'); addr != "" && (at < 0 || at == len(addr)-1) {
		o.bad(path, "host:port expected, as in 0.0.0.0:3300")
	}
	return addr
}

func (o *options) tarragon() Tarragon {
	return Tarragon{
		SnapshotThreshold:   o.integer("tarragon.snapshot_threshold"),
		MaxLogEntries:       o.integer("tarragon.max_log_entries"),
		MaxLogBytes:         o.size("tarragon.max_log_bytes"),
		AnswerMemory:        o.size("tarragon.answer_memory"),
		SyncAll:             o.boolean("tarragon.sync_all"),
		TxnKeeps:            o.size("tarragon.txn_keeps"),
		ForwardWrites:       o.boolean("tarragon.forward_writes"),
		HandoverGrace:       o.timeout("tarragon.handover_grace"),
		PreferredLeader:     o.text("tarragon.preferred_leader"),
		PreferredCalm:       o.timeout("tarragon.preferred_leader_calm"),
		SessionIdle:         o.timeout("tarragon.session_idle_timeout"),
		StallTimeout:        o.timeout("tarragon.stall_timeout"),
		CopyTimeout:         o.timeout("tarragon.copy_timeout"),
		MaxCopies:           int(o.integer("tarragon.max_copies")),
		LearnerTimeout:      o.timeout("tarragon.learner_timeout"),
		MaxConnections:      int(o.integer("tarragon.max_connections")),
		MaxPerUser:          int(o.integer("tarragon.max_connections_per_user")),
		MaxBeforeLogin:      int(o.integer("tarragon.max_connections_before_login")),
		LoginTimeout:        o.timeout("tarragon.login_timeout"),
		FrameTimeout:        o.timeout("tarragon.frame_timeout"),
		AcceptLoss:          o.boolean("tarragon.accept_loss"),
		PeerNames:           o.peerNames(),
		MaxMembers:          int(o.integer("tarragon.max_members")),
		AllowTarantool:      o.boolean("tarragon.allow_tarantool"),
		Router:              o.router(),
		DebugListen:         o.debugListen(),
		HTTPTLS:             o.portTLS("tarragon.http_transport"),
		HTTPListen:          o.hostPort("tarragon.http_listen"),
		ControlSocket:       o.controlSocket(),
		FileMode:            o.mode("tarragon.file_mode"),
		DirMode:             o.mode("tarragon.dir_mode"),
		SocketMode:          o.mode("tarragon.socket_mode"),
		BootstrapProfile:    o.text("tarragon.bootstrap_profile"),
		Filter:              o.text("tarragon.filter"),
		TransferCommand:     o.transfer(),
		TransferTimeout:     o.timeout("tarragon.transfer_timeout"),
		TransferFallback:    int(o.integer("tarragon.transfer_fallback")),
		OpaqueSpaces:        o.boolean("tarragon.opaque_spaces"),
		OnRoleChange:        o.command(OnRoleChange),
		OnRoleChangeTimeout: o.timeout(OnRoleChange + "_timeout"),
	}
}

// OnRoleChange is the path of that option, for those who speak of it.
const OnRoleChange = "tarragon.on_role_change"

// TransferCommand is the path of that option, for those who speak of it.
const TransferCommand = "tarragon.transfer_command"

// transfer is the command that brings base copies. What is put in the place of words from
// elsewhere does not name the program.
func (o *options) transfer() []string {
	argv := o.command(TransferCommand)
	if len(argv) == 0 {
		return nil
	}
	for _, word := range []string{"%source%", "%target%"} {
		if !strings.Contains(strings.Join(argv[1:], "\x00"), word) {
			o.bad(TransferCommand, "no argument has %s", word)
		}
	}
	if strings.Contains(argv[0], "%source%") || strings.Contains(argv[0], "%target%") || strings.Contains(argv[0], "%host%") {
		o.bad(TransferCommand, "the program itself cannot be told by the sender")
	}
	return argv
}

// command is a program and its arguments; nil: none.
func (o *options) command(path string) (argv []string) {
	argv = strs(o.get(path))
	if len(argv) > 0 && argv[0] == "" {
		o.bad(path, "a program expected")
	}
	return argv
}

// controlSocket is a file; empty: there is none.
func (o *options) controlSocket() string {
	name := o.text("tarragon.control_socket")
	if name == "" {
		return ""
	}
	return inDir(o.text("process.work_dir"), name)
}

// debugListen is an address of this machine: who reaches it reads the memory
// of the process.
func (o *options) debugListen() string {
	addr := o.text("tarragon.debug_listen")
	if addr == "" {
		return ""
	}
	at := strings.LastIndexByte(addr, ':')
	if at <= 0 || at == len(addr)-1 {
		o.bad("tarragon.debug_listen", "host:port expected, as in 127.0.0.1:6060")
		return addr
	}
	if host := addr[:at]; host != "localhost" && host != "[::1]" && !strings.HasPrefix(host, "127.") {
		o.warn(o.where("tarragon.debug_listen"), "tarragon.debug_listen", "profiles show what is in memory, and whoever reaches %s gets them", addr)
	}
	return addr
}

// unserved reports values that are known and mean something we do not do.
func (o *options) unserved() {
	if o.boolean("isolated") {
		o.bad("isolated", "the isolated mode is not served yet")
	}
	if o.text("replication.bootstrap_strategy") == "legacy" {
		o.warn(o.where("replication.bootstrap_strategy"), "replication.bootstrap_strategy", "legacy is not served: this instance does as with auto")
	}
	if t := o.text("security.auth_type"); t == "pap-sha256" && o.listenerOf(func(item *value) bool { return item.at("params", "transport").str() == "ssl" }) == nil {
		o.bad("security.auth_type", "%s sends passwords as they are, and no listener has TLS (iproto.listen[].params.transport)", t)
	}
	if o.text("compat.replication_synchro_timeout") == "old" {
		o.warn(o.where("compat.replication_synchro_timeout"), "compat.replication_synchro_timeout",
			"no timer rolls a transaction back here: the behaviour is always \"new\"")
	}
	if o.text("compat.box_consider_system_spaces_synchronous") == "old" {
		o.warn(o.where("compat.box_consider_system_spaces_synchronous"), "compat.box_consider_system_spaces_synchronous",
			"system spaces are always synchronous under elections: the behaviour is \"new\"")
	}
}
