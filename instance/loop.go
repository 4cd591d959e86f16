package instance

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Journal writes groups to the log in order, each with a sync, and keeps the rows
// that a group voids by the same write. It answers by Written or WriteFailed to
// the Loop. Append never blocks: at most one group is unanswered.
type Journal interface {
	Append(no uint64, g *xrow.Group, lost []xrow.LostRow)
}

// Peers carries effects to relays and appliers. Handle is called once for each
// Step that has something for them, on the Loop's goroutine: it must not block
// and not keep e, but for what stays valid of it.
type Peers interface {
	Handle(e *Effects)
}

// Clients carries answers to connections. Reply is called once for a Step, on
// the Loop's goroutine: it must not block and not keep the slice.
type Clients interface {
	Reply(replies []Reply)
}

// Watcher is told of what the rest of the process hangs on. It must not block.
type Watcher interface {
	Changed(e *Effects) // status, schema, rights, members, lost rows, snapshots, expulsion, giving way, fatal errors
}

// LoopConfig joins a Loop to its adapters.
type LoopConfig struct {
	Journal Journal
	Peers   Peers
	Clients Clients
	Watcher Watcher
	// Stepped is told how long each Step took, of what, and with which effects. It is called on the
	// Loop's goroutine before anything is done with them, and may look at the core. It must not
	// block, and keeps nothing of events and effects. nil: nobody asks.
	Stepped func(took time.Duration, events []Event, e *Effects)
	Clock   func() Now // nil: the machine's clock
	Backlog int        // events that may wait; 1024
}

// Loop is the one goroutine that owns a Core. Adapters reach the core through
// Submit, readers through Read.
type Loop struct {
	core    *Core
	cfg     LoopConfig
	events  chan Event // of clients
	urgent  chan Event // of the journal and of peers: they go first
	quit    chan struct{}
	done    chan struct{}
	gate    sync.RWMutex // shared: an event is being handed over
	closing sync.Once
	latch   latch
	batch   []Event
	room    int // what the batch may still ask for
}

// ErrClosed is what Submit says when the Loop has ended.
var ErrClosed = errors.New("instance: the loop has ended")

// Bounds of one Step, so that deadlines are looked at often and readers and peers
// do not wait for long: events, and a measure of what they ask for, see work.
const (
	maxBatch = 256
	maxWork  = 2000 // some milliseconds
)

// work is about how many microseconds an event takes: one for each transaction or
// row, and one for each 256 bytes of them: new memory is what they cost.
func work(ev Event) (n int) {
	switch ev := ev.(type) {
	case Write:
		for i := range ev.Requests {
			d := &ev.Requests[i].DML
			n += 1 + (len(d.Tuple)+len(d.Ops)+len(d.Key))>>8
		}
	case Streams:
		n = len(ev.Requests)
	case Rows:
		for i := range ev.Rows {
			n += 1 + len(ev.Rows[i].Body)>>8
		}
	}
	return max(n, 1)
}

// NewLoop makes the Loop of a recovered core, and ends its recovery: whoever
// reads the core from now on sees where it stands.
func NewLoop(core *Core, cfg LoopConfig) *Loop {
	if cfg.Clock == nil {
		cfg.Clock = systemClock()
	}
	if cfg.Backlog == 0 {
		cfg.Backlog = 1024
	}
	core.Start(cfg.Clock())
	l := &Loop{core: core, cfg: cfg, events: make(chan Event, cfg.Backlog), urgent: make(chan Event, cfg.Backlog), quit: make(chan struct{}), done: make(chan struct{})}
	l.latch.init()
	return l
}

func systemClock() func() Now {
	start := time.Now()
	return func() Now {
		t := time.Now()
		return Now{Mono: t.Sub(start) + time.Second, Wall: float64(t.UnixNano()) / 1e9}
	}
}

// Submit hands an event over. It waits while too many are waiting, and fails
// with ErrClosed once the Loop has ended.
func (l *Loop) Submit(ev Event) error {
	to := l.urgent
	switch ev.(type) {
	case Write, LinearRead, Streams, StreamsGone:
		to = l.events
	}
	l.gate.RLock()
	defer l.gate.RUnlock()
	select {
	case <-l.done:
		return ErrClosed // though there may be room
	default:
	}
	select {
	case to <- ev:
		return nil
	case <-l.done:
		return ErrClosed
	}
}

// Nudge has the Loop do a Step soon, which changes nothing. It never waits: a Loop whose
// backlog is full has Steps to do.
func (l *Loop) Nudge() {
	select {
	case l.urgent <- StreamsGone{}: // of no connection
	default:
	}
}

// Now is the Loop's clock.
func (l *Loop) Now() Now { return l.cfg.Clock() }

// Close ends Run and waits for it.
func (l *Loop) Close() {
	l.closing.Do(func() { close(l.quit) })
	<-l.done
}

// Run owns the core until Close or until ctx ends: nothing else touches it. It never blocks
// but for events, so loop and adapters cannot deadlock.
func (l *Loop) Run(ctx context.Context) error {
	defer l.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		l.batch, l.room = l.batch[:0], maxWork
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.quit:
			return nil
		case ev := <-l.urgent:
			l.add(ev)
		case ev := <-l.events:
			l.add(ev)
		case <-timer.C:
		}
		runtime.Gosched() // whoever is about to hand something over comes along
		l.drain(l.urgent)
		l.drain(l.events)
		l.step(timer)
	}
}

// end turns away all that was handed over and not looked at: its senders were
// told that it would be.
func (l *Loop) end() {
	close(l.done)
	l.gate.Lock() // whoever was within Submit has left it
	defer l.gate.Unlock()
	for {
		l.batch, l.room = l.batch[:0], maxWork
		l.drain(l.urgent)
		l.drain(l.events)
		if len(l.batch) == 0 {
			return
		}
		if replies := refusals(l.batch); len(replies) > 0 {
			l.cfg.Clients.Reply(replies)
		}
		l.release()
	}
}

// refusals answer what waits for a Reply.
func refusals(events []Event) (out []Reply) {
	add := func(conn, sync uint64) {
		if conn != 0 {
			out = append(out, Reply{Conn: conn, Sync: sync, Err: xrow.Errorf(xrow.ErrShutdown)})
		}
	}
	for _, ev := range events {
		switch ev := ev.(type) {
		case Write:
			for i := range ev.Requests {
				add(ev.Requests[i].Conn, ev.Requests[i].Sync)
			}
		case LinearRead:
			add(ev.Conn, ev.Sync)
		case Streams:
			for i := range ev.Requests {
				add(ev.Requests[i].Conn, ev.Requests[i].Sync)
			}
		case PromoteRequest:
			add(ev.Conn, ev.Sync)
		case DemoteRequest:
			add(ev.Conn, ev.Sync)
		case Configure:
			add(ev.Conn, ev.Sync)
		case SetQuorum:
			add(ev.Conn, ev.Sync)
		}
	}
	return out
}

func (l *Loop) add(ev Event) {
	l.batch = append(l.batch, ev)
	l.room -= work(ev)
}

// drain takes what waits, within the bounds: one step, one group, one sync.
func (l *Loop) drain(from <-chan Event) {
	for len(l.batch) < maxBatch && l.room > 0 {
		select {
		case ev := <-from:
			l.add(ev)
		default:
			return
		}
	}
}

func (l *Loop) step(timer *time.Timer) {
	now := l.cfg.Clock()
	l.latch.Lock()
	began := time.Now()
	e := l.core.Step(now, l.batch)
	deadline := l.core.Deadline()
	took := time.Since(began)
	l.latch.longestStep.note(took)
	l.latch.Unlock()
	if l.cfg.Stepped != nil {
		l.cfg.Stepped(took, l.batch, e)
	}
	l.release()
	l.cfg.Peers.Handle(e)
	if len(e.Replies) > 0 {
		l.cfg.Clients.Reply(e.Replies)
	}
	// Whom a goroutine has woken last runs next in its place: the journal, so that the
	// sync begins, and relays and senders run beside it and not before it.
	if e.Group != nil {
		l.cfg.Journal.Append(e.GroupNo, e.Group, e.Lost)
	}
	if e.Status || e.Schema || e.Rights || e.Members || e.Expelled || e.GaveWay || e.Fatal != nil || len(e.Lost) > 0 || len(e.Snaps) > 0 || len(e.Changes) > 0 || e.Checkpoint {
		l.cfg.Watcher.Changed(e)
	}
	timer.Reset(max(deadline-l.cfg.Clock().Mono, 0))
}

// release gives read buffers back: what the core needs longer it has copied.
func (l *Loop) release() {
	for i, ev := range l.batch {
		switch ev := ev.(type) {
		case Write:
			if ev.Release != nil {
				ev.Release()
			}
		case Rows:
			if ev.Release != nil {
				ev.Release()
			}
		case Streams:
			if ev.Release != nil {
				ev.Release()
			}
		case CopyRows:
			if ev.Release != nil {
				ev.Release()
			}
		}
		l.batch[i] = nil
	}
}
