package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// node is one Core of this process with all that hangs on it: its life, the way to
// its state, replication, checkpoints. What the process has once is in host.
//
// Invariant: a node waits for no other one. What it shares with them, store and
// journal, fails for all at once or for none.
type node struct {
	host
	group string // by which peers name it; empty: the replica set's
	life  life
	store *xlog.Slot

	// How this run begins.
	after    *givingWay                               // the run before gave its replica set up; nil: it did not
	mixed    bool                                     // we begin a replica set for which instances of Tarantool's kind wait
	newFront func(n *node, e *engine) (*front, error) // nil: no clients see this node

	// What there is so far. Other goroutines look at it.
	boot      atomic.Pointer[replication.Boot] // answers VOTE until the core runs
	recovered *instance.Core                   // before there is an engine
	hub       atomic.Pointer[replication.Hub]  // nil until the core runs
	engine    atomic.Pointer[engine]           // nil until the core runs
	ready     atomic.Bool                      // a member of a replica set, with its data
	leaving   atomic.Bool                      // its run is over: nobody is served any more
	rival     atomic.Pointer[givingWay]        // whom a lone founder gives way to
	troubles  troubles                         // what status shows as the last error

	stop context.CancelCauseFunc // ends the run's background work
	// endWatch ends the watch, which goes on behind that: a core that moves leadership at
	// the stop waits until its watchers know who leads. nil: it was not started.
	endWatch context.CancelFunc
	lost     chan error // the core is in doubt; capacity 1
	fail     chan error // a part that cannot go on says why
	bg       sync.WaitGroup

	counting sync.Mutex             // held by who looks at the log or at voided rows
	proofs   chan instance.Snapshot // for who holds counting; capacity 1
	over     <-chan struct{}        // closed when the run is over
}

// host is what a node knows of the process around it.
type host struct {
	in         *config.Instance
	hooks      map[string]*box.Hooks // of the program, by space
	log        zerolog.Logger
	tuning     *tuning
	patience   time.Duration           // instead of [giverPatience]; 0: that
	copyPause  time.Duration           // instance.Config.CopyPause
	feature    uint32                  // the newest level that this version reads
	procedures []xrow.Procedure        // that the program has, by name
	replies    func() instance.Clients // takes the answers of one core
	addressOf  func(uuid string) string
	secure     func(config.URI) iproto.Secure
	rights     func(user iproto.User, member bool) *xrow.Error
	registers  func()                                        // told before somebody is registered
	begins     func(ctx context.Context, group string) error // see Config
	tick       func()                                        // called once a second while the node runs
	meters     *meters                                       // of the process
	audit      func(*instance.Fact)                          // told of what the replica set's core decides
	serves     func()                                        // told once, when the node is ready
	writer     func(slot *xlog.Slot, written func(group uint64), failed func(error)) writer
}

// writer takes the groups of one core to the log.
type writer interface {
	instance.Journal
	// Close returns when all that was handed over is written, or cannot be.
	Close()
}

// engine is what there is of a node once its state is known: the core and all that
// turns it.
type engine struct {
	core    *instance.Core
	box     *box.Box
	loop    *instance.Loop
	writer  writer
	keeper  *keeper
	watch   *watch
	pulse   pulse
	front   *front      // nil: no clients see this node
	running atomic.Bool // the loop was started
}

func newNode(group string, h host, by *comeback) *node {
	l := life{conf: h.in, log: h.log, home: by.home, trusted: by.trusted, anew: by.anew}
	return &node{group: group, host: h, life: l, after: by.way, lost: make(chan error, 1), fail: make(chan error, 8), proofs: make(chan instance.Snapshot, 1)}
}

// begin makes the context of a run, which ends with ctx or by stop.
func (n *node) begin(ctx context.Context) context.Context {
	ctx, n.stop = context.WithCancelCause(ctx)
	n.over = ctx.Done()
	return ctx
}

// run brings the node into a replica set and runs it until ctx ends or a part cannot
// go on. All that it has started runs on then: see closing.
func (n *node) run(ctx context.Context) error {
	if n.begins != nil {
		if err := n.begins(ctx, n.group); err != nil {
			return err
		}
	}
	begin, err := n.settle(ctx)
	if err != nil {
		return err
	}
	e := n.engine.Load()
	loopErr := make(chan error, 1)
	e.running.Store(true)
	go func() { loopErr <- e.loop.Run(context.WithoutCancel(ctx)) }()
	n.hub.Load().Start(replication.FromLoop(e.loop))
	if begin {
		if err := n.bootstrap(e); err != nil {
			return err
		}
	}
	n.background(ctx, e)
	if n.life.doubt != nil {
		n.fatal(n.life.doubt)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err := <-n.fail:
		return err
	case err := <-loopErr:
		return err
	}
}

func (n *node) background(ctx context.Context, e *engine) {
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	n.endWatch = end
	n.bg.Go(func() { e.watch.run(watching) })
	for _, f := range []func(context.Context){e.keeper.run, func(ctx context.Context) { n.watchRivals(ctx, e) }, n.leaveWhenLost} {
		n.bg.Go(func() { f(ctx) })
	}
}

// endBackground ends what background has started, and waits for it.
func (n *node) endBackground() {
	if n.stop != nil { // its run has begun
		n.stop(errStopped)
	}
	if n.endWatch != nil {
		n.endWatch()
	}
	n.bg.Wait()
}

// broken tells the run why a part cannot go on. The first one counts.
func (n *node) broken(err error) {
	select {
	case n.fail <- err:
	default:
	}
}

// The steps of the end of a node, in their order. Each may be called before the node
// has come so far, and more than once.

// resign: a leader resigns first, the others need not wait for silence.
func (n *node) resign() {
	if e := n.engine.Load(); e != nil && e.running.Load() {
		_ = e.loop.Submit(instance.Shutdown{}) // else it has ended
	}
}

func (n *node) endReplication() {
	if hub := n.hub.Load(); hub != nil {
		hub.Close()
	}
}

// endLoop: nobody steps the core any more.
func (n *node) endLoop() {
	if e := n.engine.Load(); e != nil && e.running.Load() {
		e.loop.Close()
	}
}

// endWriter: what was handed over is written.
func (n *node) endWriter() {
	if e := n.engine.Load(); e != nil {
		e.writer.Close()
	}
}
