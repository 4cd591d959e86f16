package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

const (
	// writeBytes is about how much one write sends: enough to make system calls
	// cheap, little enough that a heartbeat never waits long behind rows.
	writeBytes = 512 << 10
	// writeGroups bounds the groups of a write: each is at least one piece.
	writeGroups = 512
	// gatherTime is how long rows of a stream that is cut gather for its next write, once it has all:
	// nothing waits for the acks of who has a filter, and of few rows a write and an ack cost the most.
	// What is no row, and the first row behind a rest, goes at once.
	gatherTime = 10 * time.Millisecond
)

// relay sends the log to one subscribed peer, a member or an anonymous one. It runs on the goroutine that
// brought the SUBSCRIBE; its ack reader is another one.
type relay struct {
	hub  *Hub
	link *iproto.Link
	subscriber
	self   uint32        // our replica ID
	beat0  uint64        // see syncOut
	wake   chan struct{} // capacity 1
	more   chan struct{} // capacity 1; the same for rows that may gather
	cutter               // owned by the relay's goroutine
	heard                // guarded by the hub's lock
}

// subscriber is the one that asked for a stream, as it has told.
type subscriber struct {
	peer    uint32 // 0: anonymous
	uuid    string
	process uint64           // of the peer; 0: not told
	kind    xrow.Kind        // of the peer
	feature uint32           // the newest feature level that it reads; 0: not told
	procs   []xrow.Procedure // that it has
	version uint32           // of the peer
	sync    uint64           // of the SUBSCRIBE
	from    vclock.VClock
	share   *xrow.Share // what it has; nil: all
}

// cutter is where a stream stands in the log, and what the next write sends.
//
// Invariant: pos covers all that was sent, so no row is sent twice.
type cutter struct {
	filter   uint32        // origins never sent, a bit each
	ownUpTo  uint64        // rows of the peer itself up to here are sent: it may have lost them
	pos      vclock.VClock // what the peer holds or was sent
	next     uint64        // group to be sent next
	reader   LogReader     // nil: from the ring
	groups   []recent      // to be sent by this write
	void     []uint64      // LSNs of PROMOTEs that a Tarantool must not get
	gap      *xrow.Gap     // what the share of the peer cuts; nil: it has all
	out      [][]byte
	bufs     net.Buffers
	scratch  []byte
	sentRaft uint64 // number of the RAFT message sent last
	sentBeat uint64 // number of the heartbeat sent last
}

// heard is what a peer has answered, and whether it is to be heard any more.
type heard struct {
	acked  vclock.VClock  // newest ack
	ackAt  time.Duration  // when it came; 0: none yet
	ackLag float64        // seconds from an origin's write to its ack
	memory xrow.MemoryUse // newest that was told; zero: none was
	hold   holdBack
	end    *xrow.Error // why the hub ends this stream; nil: it does not
}

// errSilent is why a connection ends on which nothing comes.
var errSilent = errors.New("replication: nothing was heard for the death timeout")

func (r *relay) wakeUp() { signal(r.wake) }

// wakeForRows is wakeUp where there are more rows, and nothing else.
func (r *relay) wakeForRows() {
	if r.share != nil {
		signal(r.more)
		return
	}
	r.wakeUp()
}

// run sends until the connection or the hub ends. It never returns nil.
func (r *relay) run() error {
	ctx, cancel := context.WithCancelCause(r.hub.ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { _ = r.link.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		cancel(r.readAcks(ctx))
	}()
	err := r.send(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // what made the write fail
	}
	cancel(err)
	_ = r.link.SetReadDeadline(time.Unix(1, 0))
	<-done
	r.closeReader()
	return err
}

func (r *relay) closeReader() {
	if r.reader != nil {
		r.reader.Close()
		r.reader = nil
	}
}

func (r *relay) send(ctx context.Context) error {
	var gathered <-chan time.Time
	for {
		n, all, err := r.sendSome()
		if err != nil {
			return err
		}
		more := r.more
		switch {
		case n == 0:
			gathered = nil
		case all && r.share != nil:
			more, gathered = nil, time.After(gatherTime)
		default:
			continue
		}
		select {
		case <-r.wake:
		case <-more:
		case <-gathered:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sendSome writes what there is, up to a limit, and tells whether that was all. N is 0 when there was
// nothing.
func (r *relay) sendSome() (n int64, all bool, err error) {
	todo := r.take()
	if todo.end != nil {
		return 0, false, r.say(todo.end)
	}
	r.out = r.out[:0]
	r.gap.Reset()
	if todo.raft.seq != r.sentRaft {
		if r.takesRaft() {
			r.out = append(r.out, r.raftFrame(&todo.raft))
		}
		r.sentRaft = todo.raft.seq
	}
	if todo.fromLog {
		err := r.readLog(&todo)
		if r.reader != nil {
			r.reader.Close() // a write may take long, and what it holds of the store must not
		}
		if err != nil {
			return 0, false, r.sayGap(err)
		}
	}
	if len(r.groups) > 0 && !todo.fromLog {
		r.closeReader() // it stands where the log was left
	}
	for i := range r.groups {
		r.cut(&r.groups[i])
		r.groups[i] = recent{}
	}
	r.out = r.gap.Flush(r.out)
	if todo.beats != r.sentBeat {
		r.out = append(r.out, r.heartbeat(todo.beatSync, r.next > todo.upTo))
		r.sentBeat = todo.beats
	}
	all = r.next > todo.upTo
	if len(r.out) == 0 {
		return int64(len(r.groups)), all, nil
	}
	r.bufs = r.out
	n, err = r.link.WriteBuffers(&r.bufs)
	return n, all, err
}

// todo is what one look at the hub has found.
type todo struct {
	raft     raftState
	beats    uint64
	beatSync uint64
	upTo     uint64 // last group that may be sent now
	fromLog  bool   // group next is no longer in the ring
	end      *xrow.Error
}

// take looks at the hub: groups out of the ring go to r.groups.
func (r *relay) take() (t todo) {
	h := r.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	t = todo{raft: h.feed.raft, beats: h.feed.beats, beatSync: h.feed.beatSync, upTo: h.feed.upTo, end: r.end}
	if t.beats != r.sentBeat {
		r.hold.tick(h.node.Now().Mono, h.times.Load().heartbeat, h.feed.upTo)
	}
	if t.raft.seq == 0 {
		t.upTo = 0 // the core has not begun: what it shows goes first
	}
	if h.holdsBack(r) {
		t.upTo = min(t.upTo, r.hold.due)
	}
	r.pos.Merge(&r.acked)
	r.void = h.feed.void
	r.gap.Own(h.feed.own)
	r.groups = r.groups[:0]
	bytes := 0
	for r.next <= t.upTo && bytes < writeBytes && len(r.groups) < writeGroups {
		e, ok := h.feed.ring.at(r.next)
		if !ok {
			t.fromLog = len(r.groups) == 0
			break
		}
		if e.term > t.raft.term && r.takesRaft() {
			break // wait for the RAFT that goes before it
		}
		r.next++
		r.groups = append(r.groups, e)
		bytes += e.size
	}
	return t
}

// readLog fills r.groups from the log.
func (r *relay) readLog(t *todo) error {
	if r.reader == nil {
		r.reader = r.hub.cfg.Log.Read(r.next)
	}
	bytes := 0
	for r.next <= t.upTo && bytes < writeBytes && len(r.groups) < writeGroups {
		no, g, err := r.reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if no != r.next {
			return fmt.Errorf("replication: the log gave group %d, not %d", no, r.next)
		}
		e := newRecent(g)
		r.groups = append(r.groups, e)
		r.next++
		bytes += e.size
	}
	return nil
}

// cut appends what the peer lacks of a group to out.
func (r *relay) cut(e *recent) {
	g := e.g
	if r.kind == xrow.Tarantool && e.term != 0 {
		g = withoutVoid(g, r.self, r.void)
	}
	skip := r.filter
	if r.pos[r.peer] >= r.ownUpTo {
		skip |= 1 << r.peer
	}
	var at *xrow.Places
	if r.gap != nil { // which no peer of Tarantool's kind has: g is the group in the log
		at = e.places.at(g)
	}
	r.out = g.CutAt(at, &r.pos, skip, r.gap, r.out)
}

// heartbeat encodes one. Within a backlog it has no time: the peer would take
// itself for caught up.
func (r *relay) heartbeat(sync uint64, caughtUp bool) []byte {
	row := xrow.Row{Type: xrow.OK, Sync: r.sync, ReplicaID: r.self}
	if caughtUp {
		row.Timestamp = r.hub.wall()
	}
	row.Body = xrow.AppendHeartbeatBody(nil, r.syncOut(sync))
	r.scratch = row.Append(r.scratch[:0])
	return r.scratch
}

// takesRaft tells whether the peer gets RAFT messages: anonymous ones take no
// part, and old releases do not know them.
func (r *relay) takesRaft() bool { return r.peer != 0 && takesRaft(r.version) }

func (r *relay) raftFrame(s *raftState) []byte {
	switch {
	case wantsRaftLocal(r.version):
		return s.local
	case r.kind == xrow.Tarantool:
		return s.plain
	}
	return s.frame
}

// syncOut is what a heartbeat says as VCLOCK_SYNC. To Tarantool it is a
// count that begins with 1 at each subscription and is always there.
func (r *relay) syncOut(core uint64) uint64 {
	if r.kind == xrow.Tarragon {
		return core
	}
	return core - r.beat0 + 1
}

// syncIn undoes syncOut in an ack; 0: it answers no heartbeat.
func (r *relay) syncIn(told uint64) uint64 {
	if r.kind == xrow.Tarragon || told == 0 {
		return told
	}
	return told - 1 + r.beat0
}

// patience is how long the peer may be silent.
func (r *relay) patience() time.Duration {
	if r.kind == xrow.Tarantool {
		return r.hub.times.Load().tarantool
	}
	return r.hub.times.Load().death
}

// sayGap tells the peer that the log cannot serve it, in the class that its
// applier waits for; the caller closes the connection behind it.
func (r *relay) sayGap(err error) error {
	if !errors.Is(err, ErrGap) {
		return err
	}
	if werr := r.say(gapError(err)); !errors.Is(werr, ErrGap) {
		return werr
	}
	return fmt.Errorf("replication: %s is beyond the log: %w", r.name(), err)
}

// say sends an error as the last word of the stream, and returns it, or why it
// cannot be sent.
func (r *relay) say(e *xrow.Error) error {
	row := e.Row(0, 0)
	if err := r.link.WriteRow(&row); err != nil {
		return err
	}
	return e
}

func gapError(err error) *xrow.Error {
	e := xrow.Errorf(xrow.ErrXlogGap, err.Error())
	e.Err = err
	return e
}

// readAcks takes the peer's acks down until the connection ends. Of acks that
// arrive together only the newest counts.
func (r *relay) readAcks(ctx context.Context) error {
	var rows []xrow.Row
	var buf []byte
	var ack xrow.Ack
	for {
		if err := r.link.SetReadDeadline(time.Now().Add(r.patience())); err != nil {
			return err
		}
		if ctx.Err() != nil { // the deadline may have undone what ended us
			return context.Cause(ctx)
		}
		var err error
		rows, buf, err = r.link.ReadRows(rows[:0], buf[:0])
		if err != nil {
			return silence(err)
		}
		for i := range rows {
			if e := rows[i].AsError(); e != nil {
				return fmt.Errorf("replication: %s says: %w", r.name(), e)
			}
			if rows[i].Body == nil {
				return xrow.Errorf(xrow.ErrInvalidMsgpack, "an ack without a body")
			}
		}
		if err := ack.Decode(rows[len(rows)-1].Body); err != nil {
			return err
		}
		counts, err := r.noteAck(&ack, rows)
		if err != nil {
			return err
		}
		if !counts {
			continue
		}
		ev := &instance.Ack{From: r.peer, VClock: ack.VClock, Term: ack.Term, Sync: r.syncIn(ack.Sync)}
		if err := r.hub.node.Submit(ev); err != nil {
			return err
		}
	}
}

// noteAck tells whether an ack counts: nothing waits for that of a reader, and a
// stream that the hub ends is not listened to any more, though its last write may
// take long.
func (r *relay) noteAck(ack *xrow.Ack, rows []xrow.Row) (counts bool, err error) {
	now := r.hub.node.Now()
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	if !ack.VClock.Covers(&r.acked) {
		return false, xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("the vclock of acks goes back from %s to %s", r.acked, ack.VClock))
	}
	r.acked = ack.VClock
	r.ackAt = now.Mono
	if ack.Memory != (xrow.MemoryUse{}) {
		r.memory = ack.Memory
	}
	for i := range rows {
		if t := rows[i].Timestamp; t != 0 {
			r.ackLag = max(now.Wall-t, 0)
		}
	}
	if r.hold.acked() {
		r.wakeUp()
	}
	return r.peer != 0 && r.end == nil, nil
}

// name tells people who the peer is.
func (r *relay) name() string {
	if r.peer == 0 {
		return "anonymous instance " + r.uuid
	}
	return fmt.Sprintf("instance %d", r.peer)
}

// silence names a read that ran into its deadline.
func silence(err error) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return errSilent
	}
	return err
}
