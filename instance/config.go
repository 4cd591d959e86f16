package instance

import (
	"errors"
	"math/rand/v2"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Mode is how an instance takes part in elections (docs/protocol/election.md#modes).
type Mode = raft.Mode

// Election modes.
const (
	ModeOff       = raft.Off       // no Raft: rows are not stamped; votes, and leads only after box.ctl.promote
	ModeVoter     = raft.Voter     // votes, never leads
	ModeManual    = raft.Manual    // votes, leads only after box.ctl.promote
	ModeCandidate = raft.Candidate // votes and starts elections itself
)

// Fencing is when a leader without a quorum resigns.
type Fencing = raft.Fencing

// Fencing modes.
const (
	FencingSoft   = raft.FencingSoft
	FencingStrict = raft.FencingStrict
	FencingOff    = raft.FencingOff
)

// Config is what a Core is told. A zero field means its default.
type Config struct {
	UUID     string // own instance uuid; required
	Name     string // own instance name; empty: none
	Mode     Mode
	Fencing  Fencing
	ReadOnly bool // database.mode ro, or not the leader under failover manual
	// Supervised: an agent says who leads (failover supervised). Nobody campaigns by itself.
	Supervised bool

	// Preferred is the name of the member that gets leadership back once it has been well
	// for PreferredCalm; empty: none.
	Preferred     string
	PreferredCalm time.Duration // [DefaultCalm]

	Heartbeat             time.Duration // between heartbeats; DeathTimeout / 4
	DeathTimeout          time.Duration // silence after which a leader counts as gone; 1s
	TarantoolDeathTimeout time.Duration // the same for a leader of Tarantool's kind; 4 * DeathTimeout
	ElectionTimeout       time.Duration // how long to wait for votes; 5s
	StallTimeout          time.Duration // a group unsynced for so long makes a leader resign; 2s

	// SynchroQuorum is what the instance's own configuration says: of n voters;
	// n/2+1. Quorum is the same as text, a number or a formula. They hold where the
	// replica set has no quorum of its own, see quorumKey.
	SynchroQuorum func(n int) int
	Quorum        string
	ParseQuorum   func(text string) (func(n int) int, error) // reads the quorum of the replica set; nil: it has none

	LearnerTimeout     time.Duration            // a learner that gives no word for so long is deleted; 1h
	LinearizableQuorum func(n, q int) int       // n-q+1
	WaitLimit          time.Duration            // a writer waits so long for its outcome, then learns "unknown"; 5s
	PromoteTimeout     time.Duration            // box.ctl.promote waits so long; 5s
	QueueMaxSize       int                      // bytes undecided at which writes are refused; 16 MiB
	BuildRows          int                      // tuples and index entries of a schema change that one Step looks at; 2000, a few ms
	BuildPause         time.Duration            // between two such Steps; 100us: what else waits gets its turn
	BacklogMaxSize     int                      // bytes of rows that wait behind a schema change, beyond which streams end; 64 MiB
	Memory             int                      // what Configure makes of box.Config.Memory; 0: it stays as it is
	GatherMaxSize      int                      // bytes that wait for the disk, beyond which peers' rows wait, see gather.go; 16 MiB, as QueueMaxSize
	TxnTimeout         time.Duration            // a transaction of a stream is ended so late; 0: never
	TxnIsolation       box.Isolation            // of those that ask for none; best-effort
	TxnMemory          int                      // bytes that all of them may take, beside their tuples; 512 MiB
	SessionIdle        time.Duration            // an exactly-once session without requests lives so long; 10min
	TxnKeeps           int                      // bytes of replaced tuples that one may keep alive; 256 MiB
	SyncAll            bool                     // every transaction is synchronous
	ForwardWrites      bool                     // what a client asks of us and another leader can take goes to that
	HandoverGrace      time.Duration            // the same for so long behind a handover of ours; 5s, negative: not at all
	SkipConflict       bool                     // a foreign row that finds its key taken becomes a NOP (replication_skip_conflict)
	Members            []string                 // names of those that may be registered; nil: all, and those without one
	MaxMembers         int                      // who would be one more is not registered; 31
	AllowTarantool     bool                     // register members of Tarantool's kind where the strong rules are in effect
	Address            func(uuid string) string // where clients reach a member, for READONLY errors; nil: not told

	Feature    uint32           // the newest feature level that this version reads; [FeatureLevel], another one in tests
	Procedures []xrow.Procedure // that this program has

	CopyPause time.Duration // behind a base copy that failed, doubled each time; 1s, another one in tests

	// Filter is the name of the filter that says which spaces this anonymous replica has;
	// empty: all.
	Filter string

	Trusted bool // an operator says that this disk is to be believed, whatever others say of it

	Rand  *rand.Rand // source of shifts and delays; required, seeded by the caller
	Trace func(Fact) // told of every decision; nil: nobody

	// Kind is the kind of program that the core is: Tarragon, which is the default.
	// A Tarantool stands for one in test/sim: it stamps nothing and believes no stamps,
	// each PROMOTE takes effect where it is written, and nobody's kind matters to it.
	Kind xrow.Kind
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.UUID == "" {
		errs = append(errs, errors.New("instance: no uuid"))
	}
	if c.Rand == nil {
		errs = append(errs, errors.New("instance: no source of chance"))
	}
	t := TimingsOf(c.DeathTimeout)
	setDefault(&c.DeathTimeout, t.Death)
	setDefault(&c.Heartbeat, t.Heartbeat)
	setDefault(&c.TarantoolDeathTimeout, t.Tarantool)
	setDefault(&c.ElectionTimeout, 5*time.Second)
	setDefault(&c.StallTimeout, 2*time.Second)
	setDefault(&c.WaitLimit, 5*time.Second)
	setDefault(&c.PromoteTimeout, 5*time.Second)
	setDefault(&c.LearnerTimeout, time.Hour)
	setDefault(&c.CopyPause, copyPause)
	setDefault(&c.HandoverGrace, DefaultGrace)
	setDefault(&c.SessionIdle, DefaultSessionIdle)
	setDefault(&c.PreferredCalm, DefaultCalm)
	if c.MaxMembers == 0 {
		c.MaxMembers = vclock.MaxID
	}
	if c.Feature == 0 {
		c.Feature = FeatureLevel
	}
	if c.Quorum == "" {
		c.Quorum = "N / 2 + 1"
	}
	if c.QueueMaxSize == 0 {
		c.QueueMaxSize = 16 << 20
	}
	if c.BuildRows == 0 {
		c.BuildRows = 2000
	}
	setDefault(&c.BuildPause, 100*time.Microsecond)
	if c.BacklogMaxSize == 0 {
		c.BacklogMaxSize = 64 << 20
	}
	if c.TxnMemory == 0 {
		c.TxnMemory = 512 << 20
	}
	if c.TxnKeeps == 0 {
		c.TxnKeeps = 256 << 20
	}
	if c.GatherMaxSize == 0 {
		c.GatherMaxSize = 16 << 20
	}
	if c.SynchroQuorum == nil {
		c.SynchroQuorum = majority
	}
	if c.LinearizableQuorum == nil {
		c.LinearizableQuorum = func(n, q int) int { return n - q + 1 }
	}
	if c.Trace == nil {
		c.Trace = func(Fact) {}
	}
	if c.Heartbeat >= c.DeathTimeout {
		errs = append(errs, errors.New("instance: the heartbeat interval is not below the death timeout"))
	}
	return c, errors.Join(errs...)
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}
