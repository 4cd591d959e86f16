package sim

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// interactive is a transaction of several requests, of a client that has a connection for
// itself. Its value is the op that its COMMIT is.
type interactive struct {
	l     *load
	o     *op
	id    instance.TxnID
	level box.Isolation
	left  int // requests before its end
	reads []txnRead
	wrote []uint64 // registers
	noted bool     // it has written into the journal
}

// txnRead is a register and whose value was there; 0: none.
type txnRead struct {
	key       uint64
	saw       opID
	confirmed bool // what is undecided may not be seen
}

// interact begins a transaction at some node.
func (l *load) interact() {
	w := l.w
	n := l.choose(opTxn)
	if n == nil {
		l.next()
		return
	}
	o := l.begin(n, opTxn, 0)
	t := &interactive{l: l, o: o, id: instance.TxnID{Conn: uint64(o.id), Stream: 1}, level: box.Isolation(w.rng.IntN(5)), left: 1 + w.rng.IntN(5)}
	o.answered = func(*xrow.Error) {
		w.check.txn.all = append(w.check.txn.all, t)
		l.next()
	}
	ev := &instance.StreamRequest{Op: instance.StreamBegin, Isolation: t.level, IsSync: w.chance(5)}
	if w.chance(8) {
		ev.Timeout = w.between(time.Millisecond, 50*time.Millisecond)
	}
	t.ask(ev, t.goOn)
}

// ask sends a request, and goes on when that was done.
func (t *interactive) ask(ev *instance.StreamRequest, then func()) {
	s := t.l.begin(t.o.node, opStep, 0)
	s.answered = func(err *xrow.Error) {
		switch {
		case s.outcome == acknowledged:
			then()
		case err != nil && err.Code == xrow.ErrTupleFound:
			t.goOn()
		default:
			t.leave()
		}
	}
	t.l.limit(s)
	t.send(ev, s)
}

func (t *interactive) send(ev *instance.StreamRequest, o *op) {
	ev.ID, ev.Conn, ev.Sync, ev.User = t.id, t.id.Conn, uint64(o.id), admin
	t.o.node.post(instance.Streams{Requests: []instance.StreamRequest{*ev}})
}

// goOn thinks, and makes the next request.
func (t *interactive) goOn() {
	w := t.l.w
	w.after(w.between(0, 4*time.Millisecond), func() {
		if t.left--; t.left < 0 {
			t.end()
			return
		}
		key := 1 + uint64(w.rng.IntN(registers))
		switch w.rng.IntN(10) {
		case 0, 1, 2, 3:
			t.ask(&instance.StreamRequest{Op: instance.StreamRead, DML: xrow.DML{SpaceID: spaceRegisters}}, func() { t.read(msgp.AppendUint64([]byte{0x91}, key), key) })
		case 4:
			t.ask(&instance.StreamRequest{Op: instance.StreamRead, DML: xrow.DML{SpaceID: spaceRegisters}}, func() { t.read([]byte{0x90}, 0) })
		case 5:
			if !t.noted {
				t.noted = true
				t.write(insert(spaceJournal, uint64(t.o.id), t.o.id), func() {})
				return
			}
			fallthrough
		default:
			t.write(replace(spaceRegisters, key, t.o.id), func() { t.wrote = append(t.wrote, key) })
		}
	})
}

func (t *interactive) write(d xrow.DML, done func()) {
	t.ask(&instance.StreamRequest{Op: instance.StreamWrite, DML: d}, func() {
		done()
		t.goOn()
	})
}

// read looks at one register, or at all of them, some time behind the answer that lets it.
func (t *interactive) read(key []byte, only uint64) {
	w, n := t.l.w, t.o.node
	w.after(w.between(0, 2*time.Millisecond), func() {
		if n.life != t.o.life || n.core == nil {
			t.leave()
			return
		}
		q := box.Query{Space: spaceRegisters, Iterator: iterAll, Key: key, Limit: 100, MaxRows: 1 + w.rng.IntN(4)}
		if only != 0 {
			q.Iterator = iterEq
		}
		var tuples []byte
		for q.More = true; q.More; {
			var err error
			if tuples, _, err = n.core.StreamSelect(t.id, admin, &q, tuples); err != nil {
				t.leave() // it has ended meanwhile
				return
			}
		}
		t.saw(tuples, only)
		t.goOn()
	})
}

// saw notes what a read has shown. What is not there counts too.
func (t *interactive) saw(tuples []byte, only uint64) {
	var shown [registers + 1]opID
	for len(tuples) > 0 {
		key, id, err := readTuple(tuples)
		if err != nil || key == 0 || key > registers {
			t.l.w.fail("reads", "%s has a strange tuple in register %d: %v", t.o.node.label(), key, err)
			return
		}
		shown[key] = id
		tuples, _ = msgp.Skip(tuples)
	}
	confirmed := t.level != box.ReadCommitted && len(t.wrote) == 0 && !t.noted
	for key := uint64(1); key <= registers; key++ {
		if only == 0 || only == key {
			t.reads = append(t.reads, txnRead{key, shown[key], confirmed})
		}
	}
}

// end commits, mostly.
func (t *interactive) end() {
	w := t.l.w
	switch w.rng.IntN(10) {
	case 0:
		t.leave()
	case 1:
		t.ask(&instance.StreamRequest{Op: instance.StreamRollback}, t.leave)
	default:
		t.o.empty = len(t.wrote) == 0 && !t.noted
		t.l.limit(t.o)
		t.send(&instance.StreamRequest{Op: instance.StreamCommit}, t.o)
	}
}

// leave ends it without a COMMIT: nothing of it may ever be there.
func (t *interactive) leave() {
	t.o.node.post(instance.StreamsGone{Conn: t.id.Conn})
	if t.o.outcome == pending {
		t.l.end(t.o, refused, nil)
	}
}
