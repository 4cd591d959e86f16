package config

import (
	"io/fs"
	"time"

	"tarragon.dev/tarragon/internal/tlsconf"
	"tarragon.dev/tarragon/raft"
)

// Instance is the resolved configuration of one instance. Paths are joined
// with WorkDir already.
type Instance struct {
	Name       string
	Replicaset string // name; empty without a file
	Group      string // name; empty without a file
	Source     string // the file, for messages; empty without one

	WorkDir     string
	Credentials Credentials
	IProto      IProto
	Database    Database
	Replication Replication
	WAL         WAL
	Snapshot    Snapshot
	Memtx       Memtx
	Log         Log
	Metrics     Metrics
	Audit       Audit
	Tarragon    Tarragon

	// Leader names the writable instance with failover manual; empty: none.
	Leader string
	// ReadOnly is what database.mode and the failover mode come to. With
	// failover election it is false but for members with election mode off:
	// there the election decides.
	ReadOnly bool
	// Members are all instances of the replica set by name, this one too.
	Members []Member

	Warnings []Warning
}

// Member is an instance of the replica set as the others see it.
type Member struct {
	Name         string
	UUID         string // database.instance_uuid; empty: not said
	Peer         URI    // how peers connect, with login and password; zero: no way
	Client       URI    // how clients connect; zero: as peers do
	ElectionMode raft.Mode
	ReadOnly     bool
	Anon         bool // an anonymous replica, no member
}

// Credentials are the users and roles that the file asks for, by name.
type Credentials struct {
	Users []User
	Roles []Role
}

// User is an entry of credentials.users.
type User struct {
	Name        string
	Password    string
	HasPassword bool // false: the password is left alone
	Roles       []string
	Privileges  []Privilege
}

// Role is an entry of credentials.roles.
type Role struct {
	Name       string
	Roles      []string
	Privileges []Privilege
}

// Privilege grants Permissions on everything that the other fields name.
type Privilege struct {
	Permissions []string
	Universe    bool
	Spaces      []string
	Functions   []string
	Sequences   []string
	LuaEval     bool
	LuaCall     []string
	SQL         []string
}

// IProto is how the instance is reached.
type IProto struct {
	Listen          []URI
	AdvertisePeer   URI // zero: no address that others could use
	AdvertiseClient URI
	AuthType        string // the way to log in that is announced to clients with TLS
	NetMsgMax       int    // requests in progress
	Readahead       int    // bytes
}

// Database holds identities and the limits of transactions. UUIDs are in small
// letters.
type Database struct {
	InstanceUUID      string // empty: random
	ReplicasetUUID    string // empty: the bootstrapper's
	TxnSynchroTimeout time.Duration
	TxnTimeout        time.Duration // of a transaction of a stream
	TxnIsolation      string        // read-committed, read-confirmed or best-effort
}

// Failover says who decides which instance may write.
type Failover string

// Failover modes.
const (
	FailoverOff        Failover = "off"
	FailoverManual     Failover = "manual"
	FailoverElection   Failover = "election"
	FailoverSupervised Failover = "supervised" // a coordinator outside: this instance only follows
)

// BootstrapStrategy says which instance begins a replica set that has no data.
type BootstrapStrategy string

// Bootstrap strategies.
const (
	BootstrapAuto       BootstrapStrategy = "auto"       // the instances agree
	BootstrapLegacy     BootstrapStrategy = "legacy"     // the same here
	BootstrapConfig     BootstrapStrategy = "config"     // the one that the file names
	BootstrapNative     BootstrapStrategy = "native"     // the first that may write
	BootstrapSupervised BootstrapStrategy = "supervised" // the one that an operator calls: never this one
)

// Replication is everything about the replica set.
type Replication struct {
	Failover            Failover
	ElectionMode        raft.Mode // resolved by the failover mode
	ElectionTimeout     time.Duration
	ElectionFencing     raft.Fencing
	Timeout             time.Duration // heartbeat period; a peer is dead after four
	ConnectTimeout      time.Duration
	ReconnectTimeout    time.Duration // resolved: Timeout when not set
	SynchroQuorum       Formula
	LinearizableQuorum  Formula
	SynchroTimeout      time.Duration
	SynchroQueueMaxSize int64 // bytes; 0: no limit
	SkipConflict        bool  // a foreign row whose key is taken becomes a NOP
	BootstrapStrategy   BootstrapStrategy
	Anon                bool   // an anonymous replica: read-only, no member
	BootstrapLeader     string // the instance that begins the replica set; empty with auto and legacy: they agree; else: none of ours
	Peers               []URI  // replication.peers, or else those of Members; none when alone
}

// WALMode says what an acknowledged write survives.
type WALMode string

// Modes of the log.
const (
	WALNone  WALMode = "none"
	WALWrite WALMode = "write"
	WALFsync WALMode = "fsync"
)

// WAL is the log.
type WAL struct {
	Mode WALMode
	Dir  string
}

// Snapshot says when checkpoints are made and how many are kept.
type Snapshot struct {
	Dir      string
	Interval time.Duration // 0: never by time
	WALSize  int64         // bytes of log since the last one
	Count    int
}

// Memtx is the limits of the storage engine.
type Memtx struct {
	Memory       int // bytes for tuples and indexes; less than 64 MiB counts as that
	MaxTupleSize int // bytes
}

// Log is where the log of the process goes.
type Log struct {
	To     string // stderr or file
	File   string
	Level  int    // 0 fatal, 1 syserror, 2 error, 3 crit, 4 warn, 5 info, 6 verbose, 7 debug
	Format string // plain or json; empty: plain on a terminal, else json
}

// Audit is where the audit log goes.
type Audit struct {
	File    string // empty: there is none
	Filter  []string
	MaxSize int64 // bytes of a file
	Keep    int   // earlier files
}

// Tarragon is the section of our own.
type Tarragon struct {
	SnapshotThreshold   int64         // rows of log since the last checkpoint that start one; 0: no limit
	MaxLogEntries       int64         // rows of log kept for slow replicas; 0: no limit
	MaxLogBytes         int64         // the same in bytes
	AnswerMemory        int64         // bytes of answers that clients have not read, all together; one may have half of it
	SyncAll             bool          // every transaction is synchronous
	ForwardWrites       bool          // a write that another leader can take goes to that
	HandoverGrace       time.Duration // the same for so long behind a handover of ours; 0: not at all
	PreferredLeader     string        // gets leadership back when it has been well; empty: nobody
	PreferredCalm       time.Duration // for so long
	TxnKeeps            int64         // bytes that one transaction of a stream may keep alive
	StallTimeout        time.Duration // a leader whose disk is silent for longer resigns
	CopyTimeout         time.Duration // a base copy of which a replica takes nothing for longer is closed
	MaxCopies           int           // base copies that are given at once
	LearnerTimeout      time.Duration // a member that does not count yet and is silent for longer is deleted
	AcceptLoss          bool          // go on with what the disk still has after a stop that may have lost rows
	Members             []string      // names of instances that may be registered; nil: all, and those without one
	PeerNames           []string      // a peer's certificate has one of these; none: it is for the host that is dialed, and any that the CA has signed may come
	MaxMembers          int           // who would be one more is not registered
	AllowTarantool      bool          // register Tarantool instances where the strong rules are in effect
	SessionIdle         time.Duration // an exactly-once session without requests lives so long
	Router              Router
	DebugListen         string         // host:port of net/http/pprof; empty: off
	HTTPTLS             *tlsconf.Files // of HTTPListen and of the router's port for HTTP; nil: without TLS
	HTTPListen          string         // host:port of metrics and health checks; empty: off
	MaxConnections      int            // of clients; 0: what file descriptors leave
	MaxPerUser          int            // logged in as one user; 0: no limit
	MaxBeforeLogin      int            // that have not logged in; 0: half of all
	LoginTimeout        time.Duration  // for the first request of a connection
	FrameTimeout        time.Duration  // for the rest of a request
	ControlSocket       string         // of the local administrator; empty: none
	FileMode            fs.FileMode    // of files that are made: stores, logs
	DirMode             fs.FileMode    // of directories that are made
	SocketMode          fs.FileMode    // of unix sockets of iproto.listen
	BootstrapProfile    string         // schema version of a new replica set: 3.8.0 or 2.10.4
	OnRoleChange        []string       // program and arguments, run when the role changes; empty: none
	OnRoleChangeTimeout time.Duration  // it is killed then
	Filter              string         // of this anonymous replica, by its name; empty: it has all spaces
	TransferCommand     []string       // program and arguments that bring base copies; empty: none
	TransferTimeout     time.Duration  // it is killed then
	TransferFallback    int            // failures in a row before a copy comes over the connection; 0: it never does
	OpaqueSpaces        bool           // carry what peers define and cannot be indexed here
}

// Router is the router in the instance.
type Router struct {
	RW, RO, HTTP string         // host:port; empty: off
	TLS          *tlsconf.Files // of RW and RO; nil: without TLS
	Login        string         // user of the credentials; empty: that of members
	Password     string
	HoldTime     time.Duration // for which a request waits
	HoldBytes    int64         // of all that wait
	ReaderMaxLag time.Duration
	Numbers      bool // writes get numbers of exactly-once sessions

	OwnWrites        bool          // readers show what the user has written
	ConsensusTimeout time.Duration // ports lead nowhere without a leader that most believe in for so long; 0: they always do; negative: at once
	MaxConnections   int           // of clients to each port; 0: as to the instance
	MaxPerUser       int           // of these as one user; 0: as to the instance
	MaxBackends      int           // of connections to instances
}

// Warning is something that works and is probably not meant.
type Warning struct {
	Where string // file:line, variable or flag; may be empty
	Path  string
	Text  string
	// Unserved: it is an option of Tarantool that has no effect here. A file of
	// one of its clusters may have dozens.
	Unserved bool
}

// String is the warning in one line.
func (w Warning) String() string { return location(w.Where, w.Path, w.Text) }
