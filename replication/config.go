package replication

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// Config is fixed before the first connection. A zero field means its default.
type Config struct {
	Group       string // whose Core this is, see group.go; empty: the replica set's
	UUID        string // own instance UUID; required
	Name        string // own instance name; empty: none
	Incarnation uint64 // of our store, see instance.JoinRequest
	Feature     uint32 // the newest feature level that we read; instance.FeatureLevel
	// Procedures are those that we have, by name.
	Procedures []xrow.Procedure
	// TakesMark: a Tarantool may have registered us in the row of a former life, whose
	// incarnation it leaves there. It is ours until the next start makes it so.
	TakesMark bool
	Process   uint64 // drawn when the process starts, see doubles; 0: it is not told
	Anon      bool   // an anonymous replica: it follows, and is no member
	Filter    string // the name of our filter, on a filtered replica; empty: we have all
	Version   uint32 // SERVER_VERSION of our requests: major<<16 | minor<<8 | patch; required
	Peers     []Peer // all members as configured; ourselves may be among them

	// NameSelf makes the ballot of a writable instance name it as the bootstrap
	// leader: with the strategies supervised and native of Tarantool, joiners
	// wait for one that does.
	NameSelf bool

	DeathTimeout time.Duration // silence after which a connection is given up; 1s
	// TarantoolTimeout is the same for peers of Tarantool's kind, which speak
	// less often; 4 * DeathTimeout.
	TarantoolTimeout time.Duration
	Heartbeat        time.Duration // as the core has it; DeathTimeout / 4
	ReconnectMax     time.Duration // longest pause between attempts to connect; DeathTimeout
	JoinTimeout      time.Duration // longest silence within a JOIN, and wait for a registration; 30s
	CopyTimeout      time.Duration // longest for which a replica takes nothing of a base copy; JoinTimeout
	MaxCopies        int           // base copies at once; 4
	ViewTime         time.Duration // a joiner has a view open for so long, see spool.go; 1m
	ViewBytes        int           // and until that much is pinned by it; 64 MiB
	SpoolDir         string        // where the rest of its state is kept for it then; the system's for temporary files
	CopyDir          string        // for files of base copies, and nothing else; empty: none are written or taken
	FileMode         fs.FileMode   // of these files; 0: see perm
	DirMode          fs.FileMode   // of CopyDir
	Transfer         *Transfer     // has a command bring base copies; nil: the connection does
	RingBytes        int           // of recent groups kept in memory for relays; 64 MiB

	Log    Log  // the log on disk; required for SUBSCRIBE
	CanLog bool // the log survives the process: without that nobody may join (wal.mode none)
	// Rights tells whether a user may read all, as an anonymous replica does, and
	// for a member whether it may be one: come, ack and vote. nil: everybody may.
	Rights func(user iproto.User, member bool) *xrow.Error
	// Registers is told before a registration is asked of the core; nil: nobody is.
	// It may read the configuration anew, and blocks for no longer than that.
	Registers func()
	// Line tells where this instance stands, see compare; nil: it does not compare itself.
	Line func() instance.Line
	// Memory is what this anonymous replica takes, told with its acks to members of ours; nil:
	// it is not told.
	Memory func() xrow.MemoryUse
	// AddressOf is where clients reach a member; nil: it is not told.
	AddressOf func(uuid string) string
	// MustJoin is told once that no peer has the rows that we need any more, and that we do not lead:
	// this instance has to join anew. It must not block.
	MustJoin func(cause error)
	// Forwarded is told how long a leader took to answer a request that was sent to it for a
	// client; it must not block. nil: nobody asks.
	Forwarded func(took time.Duration)
	Logger    zerolog.Logger
}

// Peer is where a member is reached and as whom.
type Peer struct {
	Addr     string // host:port, or the path of a Unix socket
	User     string // empty: guest
	Password string
	Name     string // instance name, for people; empty: unknown
	Secure   iproto.Secure
}

// dial connects to it.
func (p *Peer) dial(ctx context.Context) (*iproto.Client, error) {
	return iproto.DialSecure(ctx, p.Addr, p.Secure)
}

// label names it to people.
func (p *Peer) label() string { return cmp.Or(p.Name, p.Addr) }

// Log reads the synced groups of the log.
type Log interface {
	// Seek is the greatest group with nothing in front of it but what v covers.
	// An error that wraps ErrGap says that rows beyond v are gone.
	Seek(v *vclock.VClock) (group uint64, err error)
	// Read starts a reader at a group.
	Read(from uint64) LogReader
	// Oldest is the vclock in front of the oldest group.
	Oldest() vclock.VClock
}

// LogReader goes over groups in order. It belongs to one goroutine.
type LogReader interface {
	// Next answers io.EOF at the end of what is synced; more may follow later.
	// An error that wraps ErrGap says that the group is gone.
	Next() (no uint64, g *xrow.Group, err error)
	Close()
}

// ErrGap is wrapped by errors of a Log: what is asked for is no longer there.
var ErrGap = errors.New("replication: rows are no longer in the log")

// Node is the instance as this package sees it.
type Node interface {
	Submit(ev instance.Event) error
	Now() instance.Now
	Info() Info
	// Filter is the confirmed filter of a name; nil: there is none.
	Filter(name string) *instance.Filter
	// Read runs f while the core does not change.
	Read(f func())
	// Scan is Read for one slice of many.
	Scan(f func())
}

// Info is a consistent look at the instance.
type Info struct {
	ID             uint32 // 0: not registered
	ReplicasetUUID string // empty: not booted
	ReplicasetName string // empty: none
	Synced         vclock.VClock
	Term           uint64
	RO             bool // it registers nobody now
	ROCfg          bool // read-only by configuration
	CanLead        bool
	HasAll         bool                 // that is committed, for it leads: see instance.Info.HasAll
	Raft           bool                 // elections are on
	Readonly       *xrow.Error          // what a registration gets; nil: it may be made
	Share          *instance.ShareState // what our streams are to have; nil: all
	Feature        uint32               // level of the replica set, also where the row of it is undecided
	Founding       int                  // voters that the set needs before it is complete; 0: it is
	InEffect       uint64               // term in effect
	Leader         string               // UUID of its leader; empty: none is heard
	Members        []Member
	Undecided      []Member // by rows of the log whose fate is open, as far as no committed row has that life
}

// Member is a registered instance.
type Member struct {
	ID   uint32
	UUID string
	Name string // empty: none

	Incarnation uint64         // see xrow.KindOf
	Shown       instance.Shown // what it has shown to us
}

// FromLoop is the Node behind a Loop.
func FromLoop(l *instance.Loop) Node { return loopNode{l} }

type loopNode struct{ *instance.Loop }

func (n loopNode) Read(f func()) { n.Loop.Read(func(*instance.Core) { f() }) }

func (n loopNode) Filter(name string) (f *instance.Filter) {
	n.Loop.Read(func(c *instance.Core) { f = c.Filter(name) })
	return f
}

func (n loopNode) Scan(f func()) { n.Loop.Scan(func(*instance.Core) { f() }) }

func (n loopNode) Info() (i Info) {
	now := n.Loop.Now().Mono
	n.Loop.Read(func(c *instance.Core) {
		in := c.Info(now)
		i = Info{ID: in.ID, ReplicasetUUID: c.Box().ReplicasetUUID(), ReplicasetName: c.Box().ReplicasetName(), Synced: in.Synced.Global(), Term: in.Term, RO: !in.Registers(),
			ROCfg: in.ROCfg, HasAll: in.HasAll(), CanLead: in.Mode == instance.ModeCandidate || in.Mode == instance.ModeManual,
			Share: c.ShareState(), Raft: in.Mode != instance.ModeOff, Readonly: c.ReadonlyError(), Feature: max(in.Feature.Level, in.Feature.Newest), Founding: in.Founding.Need, InEffect: in.QueueTerm}
		for _, m := range c.UndecidedMembers() {
			i.Undecided = append(i.Undecided, Member{ID: m.ID, UUID: m.UUID, Name: m.Name, Incarnation: m.Incarnation})
		}
		i.Members = make([]Member, len(in.Members))
		for k, m := range in.Members {
			i.Members[k] = Member{ID: m.ID, UUID: m.UUID, Name: m.Name, Incarnation: m.Incarnation, Shown: c.ShownBy(m.ID)}
			if m.ID == in.LeaderInEffect() {
				i.Leader = m.UUID
			}
		}
	})
	return i
}

// member finds a registered instance by its UUID.
func (i *Info) member(uuid string) (m Member, ok bool) {
	for _, m := range i.Members {
		if m.UUID == uuid {
			return m, true
		}
	}
	return m, false
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if len(c.UUID) != len(xrow.NilUUID) {
		errs = append(errs, fmt.Errorf("replication: instance UUID %q", c.UUID))
	}
	if c.Version == 0 {
		errs = append(errs, errors.New("replication: no version"))
	}
	if c.Log == nil {
		errs = append(errs, errors.New("replication: no log"))
	}
	t := instance.TimingsOf(c.DeathTimeout)
	setDefault(&c.DeathTimeout, t.Death)
	setDefault(&c.TarantoolTimeout, t.Tarantool)
	setDefault(&c.Heartbeat, t.Heartbeat)
	setDefault(&c.ReconnectMax, c.DeathTimeout)
	setDefault(&c.JoinTimeout, 30*time.Second)
	setDefault(&c.CopyTimeout, c.JoinTimeout)
	setDefault(&c.ViewTime, time.Minute)
	if c.MaxCopies <= 0 {
		c.MaxCopies = 4
	}
	if c.Feature == 0 {
		c.Feature = instance.FeatureLevel
	}
	if c.ViewBytes <= 0 {
		c.ViewBytes = 64 << 20
	}
	if c.RingBytes <= 0 {
		c.RingBytes = 64 << 20
	}
	if c.Rights == nil {
		c.Rights = func(iproto.User, bool) *xrow.Error { return nil }
	}
	if c.Registers == nil {
		c.Registers = func() {}
	}
	if c.MustJoin == nil {
		c.MustJoin = func(error) {}
	}
	return c, errors.Join(errs...)
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d <= 0 {
		*d = v
	}
}
