package instance

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Now is the time of a Step.
type Now struct {
	Mono time.Duration // monotonic, from any fixed start: all timing
	Wall float64       // seconds since the epoch: row timestamps and nothing else
}

// Event is something that happened outside the core. Slices in events belong
// to the core until Step returns; what it needs longer it copies.
type Event interface{ event() }

// Write is a batch of requests of one connection, in order.
type Write struct {
	Requests []Request
	Release  func() // called by the Loop after the Step; nil: nothing to give back
}

// Request is one transaction of a client.
type Request struct {
	Conn uint64          // names the connection in the Reply
	Sync uint64          // chosen by the client, echoed
	User box.Credentials // effective user
	DML  xrow.DML
	// Do, when set, stands for DML: it runs statements in one transaction, inside
	// the Step, and returns the raw DATA array of the answer. It must not block.
	Do func(*box.Txn) ([]byte, error)
	// Commit, when set, stands for DML: what it would change becomes a transaction. It is
	// for this instance alone.
	Commit  *box.Draft
	Barrier bool // Do writes system spaces: wait until nothing is undecided, hold back what comes later
	IsSync  bool // synchronous whatever its spaces are
	// Call is what Do was asked by; nil with Do: it is for this instance alone, and goes to
	// no other leader.
	Call *Call
	// Forwarded is the term in which another instance takes us for the leader, which asks in
	// the name of User; 0: it is a client's own. The answer is [data, origin, lsn].
	Forwarded uint64
	// Number makes it one of an exactly-once session; nil: it is of none. Such a request is
	// for this instance alone.
	Number *xrow.Number
	// waits is what a gate that holds it has counted; its transaction may shrink meanwhile.
	waits int
	// Internal: it is no client's, or lets a member go, so it is taken while the
	// set is being founded.
	Internal bool
}

// Rows are whole transactions from the stream of a peer, in its log order.
type Rows struct {
	From    uint32
	Gen     uint64 // of the ShareState that the stream was asked for with; 0: it has all
	Rows    []xrow.Row
	Release func()
}

// RaftMsg is what a peer shows of its election state.
type RaftMsg struct {
	From uint32
	Msg  xrow.Raft
}

// Heartbeat came from a peer's main loop. Every RaftMsg and Rows counts as one too.
type Heartbeat struct {
	From uint32
	Sync uint64 // VCLOCK_SYNC to repeat in acks to this peer
}

// UpstreamState is how our applier of a peer stands.
type UpstreamState uint8

// States of an upstream as far as elections care.
const (
	UpstreamLost    UpstreamState = iota // the stream ended or fell silent
	UpstreamFollow                       // the stream runs
	UpstreamRefused                      // it ended and a new connection was refused: the process is gone
)

// Upstream reports a change of our applier of a peer. Kind is what the peer said
// that it is.
type Upstream struct {
	Peer  uint32
	State UpstreamState
	Kind  xrow.Kind
	// Feature is the newest feature level that the peer reads; 0: not said.
	Feature uint32
	// Procedures are those that the peer has. They are the core's own.
	Procedures []xrow.Procedure
	Back       bool // the answer to our SUBSCRIBE has less than the peer had acked before we sent it
}

// Downstream reports that a peer's applier subscribed to us or left. Anonymous
// ones are not reported. Kind is as in Upstream.
type Downstream struct {
	Peer       uint32
	Up         bool
	Kind       xrow.Kind
	Feature    uint32           // as in Upstream
	Procedures []xrow.Procedure // as in Upstream
	VClock     vclock.VClock    // of its SUBSCRIBE
}

// ShownBefore is what a peer says that our present life has shown to it, in its
// answer to our SUBSCRIBE.
type ShownBefore struct {
	From  uint32
	Shown Shown
}

// Ack is a peer's word on what it has synced. Term is the peer's persisted
// term, 0: not told. It is posted as a pointer, for there are many of them, and
// is the sender's again when Step returns.
type Ack struct {
	From   uint32
	VClock vclock.VClock
	Term   uint64
	Sync   uint64
}

// Written answers Effects.Group: all groups up to this number are on disk.
type Written struct{ Group uint64 }

// WriteFailed answers Effects.Group too: nothing more will ever be written.
type WriteFailed struct{ Err error }

// PromoteRequest asks this instance to become leader (box.ctl.promote).
type PromoteRequest struct {
	Conn, Sync uint64
	By         string // who asks
	Mandate
}

// DemoteRequest asks this instance to give leadership up (box.ctl.demote). A token has to be
// the one that it leads by; 0: whatever that is.
type DemoteRequest struct {
	Conn, Sync uint64
	Token      uint64
}

// AdoptTerm is an operator's word that a term is right although it is further than
// elections go.
type AdoptTerm struct {
	Conn, Sync uint64
	Term       uint64
}

// RaiseFeature raises the feature level of the replica set (tarragon.feature_raise).
type RaiseFeature struct {
	Conn, Sync uint64
	Level      uint32 // 0: the newest that this instance reads
}

// Trust is an operator's word that this disk is to be believed, whatever others
// claim to have seen of it, until the process ends.
type Trust struct{ Conn, Sync uint64 }

// LinearRead asks when a read may run that must see all that was acknowledged
// before it. The answer is a Reply with no data.
type LinearRead struct {
	Conn, Sync uint64
	Timeout    time.Duration // 0: the wait limit of writes
}

// StartCheckpoint asks for a consistent state to write down.
type StartCheckpoint struct{ Tag uint64 }

// CloseView gives a view of a Snapshot back. Goes: the transfer that it was for goes
// on without it, and another CloseView ends that.
type CloseView struct {
	View *box.View
	Goes bool
}

// JoinRequest asks for the state, as a new member or as one that joins anew.
type JoinRequest struct {
	Tag  uint64
	UUID string
	Name string
	// Kind says what is asked for.
	Kind JoinKind
	// Incarnation is of the joiner's store: drawn at random when it was made,
	// and written into its _cluster row. A member that comes with another one has
	// lost its disk and gets a new replica ID. An instance of Tarantool's kind
	// has 0.
	Incarnation uint64
	Feature     uint32 // the newest feature level that the joiner reads; 0: not said
	Filter      string // the name of an anonymous joiner's filter; empty: it has all
}

// JoinKind is the request that a JoinRequest stands for.
type JoinKind uint8

// Kinds of requests for a state.
const (
	JoinMember  JoinKind = iota // JOIN: be registered, and have the state
	JoinAnon                    // FETCH_SNAPSHOT: have the state, without being registered
	JoinID                      // REGISTER: be registered; the answer has the State's VClock and ID, and no View
	JoinReplica                 // SUBSCRIBE with a filter: be registered as a replica; the answer has no View
)

// anonymous tells whether the joiner becomes no member.
func (j *JoinRequest) anonymous() bool { return j.Kind == JoinAnon || j.Kind == JoinReplica }

// BootstrapRows makes an empty instance the first of a replica set.
type BootstrapRows struct {
	Rows []xrow.DML // inserts into system spaces, the own _cluster row among them
	ID   uint32     // own replica ID in those rows
}

// Configure changes what is dynamic. Nil fields stay.
type Configure struct {
	Apply func(*Config)
	Conn  uint64
	Sync  uint64
}

// SetQuorum changes the synchronous quorum of the replica set, or where it has
// none that of this instance. Text is a number or a formula, Rule what it
// says for n voters.
type SetQuorum struct {
	Conn, Sync uint64
	Text       string
	Rule       func(n int) int
}

// Removed: a peer that knows all that makes us a member knows no such member any
// more. We were away when that was decided. Nothing to a lone founder (GiveWay).
type Removed struct{}

// LeaderTold answers Effects.Tell: whoever watches was told who leads in a term.
type LeaderTold struct{ Term uint64 }

// Shutdown makes a leader resign and refuses writes from then on.
type Shutdown struct{}

// GiveWay makes a lone founder give its replica set up for another one; anybody
// else goes on. Effects.GaveWay tells that it has.
type GiveWay struct{}

func (Write) event()           {}
func (Rows) event()            {}
func (RaftMsg) event()         {}
func (Heartbeat) event()       {}
func (Upstream) event()        {}
func (Downstream) event()      {}
func (ShownBefore) event()     {}
func (AdoptTerm) event()       {}
func (RaiseFeature) event()    {}
func (Trust) event()           {}
func (*Ack) event()            {}
func (Written) event()         {}
func (WriteFailed) event()     {}
func (PromoteRequest) event()  {}
func (DemoteRequest) event()   {}
func (LinearRead) event()      {}
func (StartCheckpoint) event() {}
func (CloseView) event()       {}
func (JoinRequest) event()     {}
func (BootstrapRows) event()   {}
func (SetQuorum) event()       {}
func (Configure) event()       {}
func (Removed) event()         {}
func (LeaderTold) event()      {}
func (Shutdown) event()        {}
func (GiveWay) event()         {}
