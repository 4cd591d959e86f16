package instance

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Info is what an operator sees of the core. It is read under the shared side
// of the Loop's latch.
type Info struct {
	ID            uint32
	UUID          string
	RO            bool   // to clients; see Registers
	ROReason      string // empty when writable
	ROCfg         bool   // read_only is configured, whatever else keeps it from writing
	VClock        vclock.VClock
	Synced        vclock.VClock
	Term          uint64
	Vote          uint32
	Mode          raft.Mode
	State         raft.State
	Leader        uint32 // 0: none known
	LeaderSeen    bool   // it is this instance, or was heard within the death timeout
	LeaderIdle    time.Duration
	QueueOwner    uint32
	QueueTerm     uint64
	QueueLen      int
	QueueSize     int
	QueueAge      time.Duration // of the oldest undecided transaction
	NewestPromote uint64        // term of the newest PROMOTE in the log, in effect or not
	Quorum        int           // synchronous, of the confirmed voters
	QuorumText    string        // the replica set's, a number or a formula; empty: it has none
	QuorumFile    string        // what this instance's configuration asks for
	Voters        uint32        // confirmed, a bit each
	Members       []box.Member
	History       []TermSpan
	Confirmed     uint64 // LSN of the queue's owner up to which all is committed
	GroupsWritten uint64
	Failed        error
	Doubted       string // what a member claims to have seen of this disk, which has no voice until that is settled; empty: nothing
	Stalled       bool
	Expelled      bool
	SplitBrains   []SplitBrain // peers whose rows contradict ours
	Tarantool     bool         // Tarantool's rules hold in the term in effect
	Tarantools    uint32       // members that are not known to take the strong rules, a bit each
	Founding      Founding     // zero: the set is complete
}

// Info describes the state at a moment of monotonic time.
func (c *Core) Info(now time.Duration) Info {
	cur := c.limbo.Current()
	i := Info{ID: c.members.self, UUID: c.cfg.UUID, RO: !c.writable() || c.members.founding > 0, Founding: c.foundingInfo(), ROCfg: c.cfg.ReadOnly, VClock: c.out.vclock, Synced: c.out.onDisk, Term: c.raft.Saved().Term,
		Vote: c.raft.Saved().Vote, Mode: c.cfg.Mode, State: c.raft.State(), Leader: c.raft.Leader(), LeaderIdle: c.raft.LeaderIdle(now), LeaderSeen: c.raft.SeesLeader(),
		QueueOwner: cur.Owner, QueueTerm: cur.Term, QueueLen: c.limbo.Len(), QueueSize: c.limbo.Size(), Quorum: c.members.confirmed.synchroQuorum, QuorumFile: c.cfg.Quorum, Voters: c.members.confirmed.voters,
		Members: c.members.ids, History: toSpans(c.limbo.History()), Confirmed: c.limbo.Confirmed(), GroupsWritten: c.out.written,
		Failed: c.out.failed, Doubted: c.doubtText(), Stalled: c.out.stalled, Expelled: c.members.expelled,
		SplitBrains: slices.Clone(c.gate.splits), Tarantool: cur.Rules == limbo.Tarantool, Tarantools: c.tarantools()}
	i.NewestPromote, _, _ = c.limbo.Newest()
	if c.SharesQuorum() {
		i.QuorumText, _ = readQuorum(c.box.Setting(quorumKey))
	}
	if c.limbo.Len() > 0 {
		i.QueueAge = now - c.limbo.Oldest().P.since
	}
	if i.RO {
		i.ROReason, _ = c.roReason()
	}
	return i
}

// Registers tells whether this instance writes what it must by itself: it leads
// a set that is being founded, or takes writes of anybody.
func (i *Info) Registers() bool { return !i.RO || i.ROReason == reasonFounding }

// HasAll tells whether this instance holds all that is committed: it leads in effect,
// by the strong rules. Rows of others that it lacks are void.
func (i *Info) HasAll() bool {
	return i.State == raft.StateLeader && i.QueueOwner == i.ID && i.QueueTerm == i.Term && !i.Tarantool
}

// Acked is what a member says it has on disk; false: nothing since our start.
func (c *Core) Acked(id uint32) (v vclock.VClock, ok bool) {
	v = c.peers.acked[id]
	return v, v != (vclock.VClock{})
}

// Box is the spaces. Readers hold the shared side of the Loop's latch.
func (c *Core) Box() *box.Box { return c.box }

// roReason is the word of box.info.ro_reason and the text behind it.
func (c *Core) roReason() (reason, state string) {
	cur := c.limbo.Current()
	switch {
	case errors.Is(c.out.failed, ErrLostData):
		return "disk", c.out.failed.Error()
	case c.out.failed != nil:
		return "disk", "its disk failed: " + c.out.failed.Error()
	case c.members.expelled:
		return "expelled", "it was expelled from the replica set"
	case c.closing:
		return "shutdown", "it is shutting down"
	case c.cfg.ReadOnly: // an anonymous replica, too
		return "config", "box.cfg.read_only is true"
	case c.members.self == 0:
		return "orphan", "it is an orphan"
	case c.members.founding > 0 && c.writable():
		return reasonFounding, c.foundingText()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "state is election %s with term %d", c.raft.State(), c.raft.Term())
	if l := c.raft.Leader(); l != 0 {
		fmt.Fprintf(&b, ", leader is %d (%s)", l, c.members.uuidOf(l))
	}
	fmt.Fprintf(&b, ", synchro queue with term %d belongs to %d", cur.Term, cur.Owner)
	if cur.Owner != 0 {
		fmt.Fprintf(&b, " (%s)", c.members.uuidOf(cur.Owner))
	}
	if cur.Owner == c.members.self {
		b.WriteString(" and is frozen until promotion")
	}
	return "synchro", b.String()
}

// ReadonlyError is what a registration gets now; nil: it may be made.
func (c *Core) ReadonlyError() *xrow.Error {
	if c.writable() {
		return nil
	}
	return c.readonly()
}

// readonly is ER_READONLY with all that a client needs to find the leader
// (Tarantool, box_check_writable). leader_uri is ours.
func (c *Core) readonly() *xrow.Error {
	reason, state := c.roReason()
	e := &xrow.Error{Code: xrow.ErrReadonly, Message: xrow.Errorf(xrow.ErrReadonly).Message + " - " + state}
	f := fields{b: []byte{0x80}}
	f.str("name", "READONLY")
	f.str("reason", reason)
	if reason == "synchro" {
		f.str("state", c.raft.State().String())
		f.num("term", c.raft.Term())
		if l := c.raft.Leader(); l != 0 {
			f.num("leader_id", uint64(l))
			f.uuid("leader_uuid", c.members.uuidOf(l))
		}
		cur := c.limbo.Current()
		f.num("queue_owner_id", uint64(cur.Owner))
		f.num("queue_term", cur.Term)
		if cur.Owner != 0 {
			f.uuid("queue_owner_uuid", c.members.uuidOf(cur.Owner))
		}
		if l := c.raft.Leader(); l != 0 && c.cfg.Address != nil {
			if uri := c.cfg.Address(c.members.uuidOf(l)); uri != "" {
				f.str("leader_uri", uri)
			}
		}
	}
	e.Fields = f.b
	return e
}

// fields builds a small map with string keys.
type fields struct{ b []byte }

func (f *fields) key(name string) {
	f.b[0]++
	f.b = msgp.AppendString(f.b, name)
}

func (f *fields) str(name, v string) {
	f.key(name)
	f.b = msgp.AppendString(f.b, v)
}

func (f *fields) num(name string, v uint64) {
	f.key(name)
	f.b = msgp.AppendUint64(f.b, v)
}

// uuid appends an extension of type 2; what is no uuid is left out.
func (f *fields) uuid(name, text string) {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != 16 {
		return
	}
	f.key(name)
	f.b = append(append(f.b, 0xd8, 0x02), raw...)
}

// statusKey is what box.status, box.election and tarragon.leader depend on.
type statusKey struct {
	ro       bool
	term     uint64
	state    raft.State
	leader   uint32
	seen     bool
	owner    uint32
	inEffect uint64
	id       uint32
	splits   int
	founding bool
}

// watched is what the adapters were told last.
type watched struct {
	status statusKey
	schema uint64
	rights uint64 // version of users and rights
}

// noteStatus tells whether something that is watched has changed.
func (c *Core) noteStatus() {
	cur := c.limbo.Current()
	k := statusKey{ro: !c.writable(), term: c.raft.Saved().Term, state: c.raft.State(), leader: c.raft.Leader(), seen: c.raft.SeesLeader(),
		owner: cur.Owner, inEffect: cur.Term, id: c.members.self, splits: len(c.gate.splits), founding: c.members.founding > 0}
	if k != c.watched.status {
		c.watched.status = k
		c.eff.Status = true
	}
	if v := c.box.SchemaVersion(); v != c.watched.schema {
		c.watched.schema = v
		c.eff.Schema = true
	}
	if v := c.box.Schema().RightsVersion(); v != c.watched.rights {
		c.watched.rights = v
		c.eff.Rights = true
	}
}
