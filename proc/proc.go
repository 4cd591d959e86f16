package proc

import (
	"strconv"
	"sync"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Node is the part of [instance.Loop] that procedures use.
type Node interface {
	Submit(instance.Event) error
	Read(func(*instance.Core))
	Longest() (step, scan time.Duration)
	StreamSelect(id instance.TxnID, user box.Credentials, q *box.Query, to instance.Sink) (n int, err error)
	Now() instance.Now
}

// Env joins procedures to the rest of the process. A nil function means that
// the procedures which need it are not defined, unless the field says more.
type Env struct {
	Loop     Node      // required
	Settings *Settings // what box.cfg shows and sets; required
	Identity Identity
	Started  time.Duration // monotonic time of the start, on the Loop's clock

	// Apply carries changed settings out before they count. Procedures hand those
	// of the core (see Change.IsCore) to it themselves. An error refuses them
	// all. It must not block. nil: nothing but the core needs to know.
	Apply func([]Change) error
	// Broadcast sets the value of a watchable key; nil: the raw value nil.
	Broadcast func(key string, value []byte)
	// Snapshot writes a checkpoint and calls done once, on any goroutine.
	Snapshot func(done func(error))
	// Peers tells how replication stands, one entry for each instance known.
	Peers func() []PeerStatus
	// Listen is the addresses bound; nil: not told.
	Listen func() []string
	// OldestGroup is the number of the first group in the log; nil: not told.
	OldestGroup func() uint64
	// LastError is a trouble that the core does not know of; nil: none is told.
	LastError func() string
	// Stats counts what clients ask for.
	Stats func() Stats
	// Router is how the router in this instance stands; nil: there is none.
	Router func() any
	// Heap tells of the runtime's memory.
	Heap func() Heap
	// Checkpoints are the vclocks of those there are, the newest first.
	Checkpoints func() []vclock.VClock
	// SessionPeer is the address of a connection's other end.
	SessionPeer func(conn uint64) string
	// Administered is told of each call of an administrative procedure that may be made,
	// before it is; nil: nobody asks.
	Administered func(conn uint64, user box.Credentials, name string)
	// FromMember tells whether a connection comes from where a member is; nil: each does.
	FromMember func(conn uint64) bool
	// Su changes the user of a connection.
	Su func(conn uint64, user box.Credentials) error
	// ActAs is Su as if the user had logged in: the connection ends when he may not any more.
	ActAs func(conn uint64, user box.Credentials) error
	// Voided counts what the store keeps of voided transactions, and calls done once, on
	// any goroutine; nil: not told.
	Voided func(done func([]Voided, error))
	// Past is the log, for those who compare instances.
	Past Past
	// Copies lists the base copies that this instance gives; CancelCopies ends those of a
	// replica, or the one of an ID, and tells how many.
	Copies       func() GivenCopies
	CancelCopies func(who string) int
	// AcceptLoss ends the doubt about this instance's disk, see tarragon.accept_loss. It
	// ends the connections with it: answer is called before.
	AcceptLoss func(answer func()) error
	// ShutdownTimeout sets how long a shutdown waits for clients.
	ShutdownTimeout func(time.Duration)
	// Procedures are those of the program that the instance is part of; nil: it has none.
	Procedures Procedures
	// MaxAnswer bounds the bytes of tuples in one answer; 0: nothing does.
	MaxAnswer int
	// After calls f once d has passed, unless stop was called; nil: the
	// machine's timers.
	After func(d time.Duration, f func()) (stop func() bool)
}

// Identity is what box.info tells of the instance and what never changes.
type Identity struct {
	Version        string // in the form 3.8.0-0-gdce7be8a79
	Name           string // instance name; empty: none
	ReplicasetName string
	ClusterName    string
	GroupName      string
	Hostname       string
	Anon           bool   // an anonymous replica: it has no ID, and needs none
	Filter         string // its filter; empty: it has all
	PID            int
	Program        Program
}

// Program is what runs the instance.
type Program struct {
	Version string    // its release; empty: it does not say
	Commit  string    // that it was built from; empty: not known
	Changed bool      // with changes that are in no commit
	Built   time.Time // of the commit; zero: not known
	Started time.Time // of the process
}

// PeerStatus is how replication with another instance stands.
type PeerStatus struct {
	ID         uint32 // 0: not known
	UUID       string
	Kind       string      // Tarragon or Tarantool; empty: not told
	Upstream   *Upstream   // our applier of it; nil: none
	Downstream *Downstream // its applier of us; nil: there never was one
}

// Upstream is an applier, in the words of box.info.
type Upstream struct {
	Status        string
	Idle, Lag     time.Duration
	Peer          string // user@host:port
	Message       string
	SystemMessage string
}

// Downstream is a relay, in the words of box.info.
type Downstream struct {
	Status        string // follow, stopped, or sync while it joins
	Idle, Lag     time.Duration
	VClock        []uint64 // acked, by instance ID; component 0 is not shown
	Message       string
	SystemMessage string
	Address       string         // where its connection comes from
	FilterVersion uint64         // of its filter, by which it asked for the stream; 0: it has none
	Memory        xrow.MemoryUse // of an anonymous replica, as it told last; zero: it did not
}

// Call is a CALL, CALL_16 or EVAL request.
type Call struct {
	Conn, Sync uint64          // name the request in the Loop's Reply
	Session    Session         // whose it is
	Txn        *Txn            // the transaction that it is in; nil: none
	User       box.Credentials // effective user
	Type       xrow.Type
	Name       string // of the function; the text of EVAL
	Args       []byte // raw array that passed mp.Scan; must stay valid until the answer
	// Number is that of an exactly-once session; nil: it has none.
	Number *xrow.Number
	// Reply answers a call that needs no turn of the Loop: data is the raw
	// DATA array, nil with an error. It is called at most once, on any goroutine,
	// and not at all when the Loop replies.
	Reply func(data []byte, err *xrow.Error)
	// Large is called before an answer of more than LargeAnswer is made, at most
	// once, and waits until there is room for one. done is called behind the Reply.
	// nil: there always is.
	Large func() (done func(), err error)
	// Later is Large for an answer that is made when Procs.Call has returned.
	Later func() (done func(), err error)
	// Push sends a raw value out of band, before the Reply (box.session.push). It waits until
	// the client has read enough of what was sent before. nil: there is nobody to send it to.
	Push func(v []byte) error
}

// Session is the connection that a call came by, and its SYNC there.
type Session struct{ Conn, Sync uint64 }

// Txn is an open transaction of a stream.
type Txn struct {
	ID instance.TxnID
	// Forward waits until the transaction may read in a space, which the user does.
	Forward func(user box.Credentials, space uint32) *xrow.Error
	// Gone is closed when nobody can commit it any more; nil: it is not told.
	Gone <-chan struct{}
}

// Procs serves procedures. It is safe for concurrent use.
type Procs struct {
	env Env

	mu      sync.Mutex
	waiters map[*waiter]struct{} // of wait_rw and wait_ro
}

// New makes procedures over an instance.
func New(env Env) *Procs {
	if env.After == nil {
		env.After = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	return &Procs{env: env, waiters: map[*waiter]struct{}{}}
}

// Call serves a call. It does not block, but for the time that the Loop's
// backlog is full, or that Call.Large takes.
func (p *Procs) Call(c Call) {
	call := &call{Call: c, p: p}
	if err := call.serve(); err != nil {
		call.failed(err)
	}
	if call.done != nil {
		call.done()
	}
}

// QuorumIs makes box.cfg show the synchronous quorum of the replica set; empty: it
// has none.
func (p *Procs) QuorumIs(formula string) {
	if formula == "" {
		return
	}
	if n, err := strconv.Atoi(formula); err == nil {
		_ = p.env.Settings.Put(synchroQuorum, n)
		return
	}
	_ = p.env.Settings.Put(synchroQuorum, formula)
}

// StatusChanged releases those who wait for a change of read-only state. The
// Loop's Watcher calls it for Effects.Status; it does not block.
func (p *Procs) StatusChanged() { p.releaseWaiters() }

// do is the function of a request: it runs inside the core's Step.
type do func(t *txn) (values, error)

// write hands a transaction to the Loop. barrier: it changes system spaces.
func (c *call) write(barrier bool, f do) error { return c.submit(c.transaction(barrier, f)) }

// writeFounding is write for what may be done while the set is being founded.
func (c *call) writeFounding(barrier bool, f do) error {
	w := c.transaction(barrier, f)
	w.Requests[0].Internal = true
	return c.submit(w)
}

func (c *call) transaction(barrier bool, f do) instance.Write {
	now := uint64(c.p.env.Loop.Now().Wall)
	typ, user := c.Type, c.User
	return instance.Write{Requests: []instance.Request{{
		Conn: c.Conn, Sync: c.Sync, User: user, Barrier: barrier, Call: c.travels(), Forwarded: c.forwarded, Number: c.Number,
		Do: func(tx *box.Txn) ([]byte, error) {
			if err := c.mayRun(tx.Schema()); err != nil {
				return nil, err
			}
			v, err := f(&txn{tx: tx, user: user, now: now})
			if err != nil {
				return nil, err
			}
			return data(typ, v), nil
		},
	}}}
}

// submit hands an event over; the core answers it. What it does is not done in a
// transaction of a client.
func (c *call) submit(ev instance.Event) error {
	if err := c.outside(); err != nil {
		return err
	}
	return c.hand(ev)
}

// outside is the error of what a transaction of a client cannot have in it.
func (c *call) outside() error {
	if c.Txn == nil {
		return nil
	}
	return unsupported(c.Name + " in a transaction of a stream")
}

func (c *call) hand(ev instance.Event) error {
	if err := c.p.env.Loop.Submit(ev); err != nil {
		return xrow.Errorf(xrow.ErrShutdown)
	}
	return nil
}

// values are the returned values of a procedure, raw.
type values [][]byte

// one is a single returned value.
func one(v []byte) values { return values{v} }

func (c *call) reply(v values) { c.Reply(data(c.Type, v), nil) }

func (c *call) fail(err error) { c.Reply(nil, clientError(err)) }
