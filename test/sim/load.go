package sim

import (
	"bytes"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Spaces of the clients. All hold [key, op]: who wrote is the value.
const (
	spaceRegisters = 512 // synchronous; a few keys that are replaced
	spaceJournal   = 513 // synchronous; each op inserts its own key once
	spaceCache     = 514 // asynchronous; a few keys that are replaced
	spaceNotes     = 515 // local: each node has its own
	spaceLocks     = 516 // synchronous; a few keys that are inserted, swapped and deleted on conditions

	registers = 6
	admin     = 1
)

func isClientSpace(id uint32) bool {
	return id >= spaceRegisters && id <= spaceCache || id == spaceLocks
}

// opID names a client's operation, and is the value that it writes.
type opID uint64

type opKind uint8

const (
	opInsert   opKind = iota // into the journal
	opRegister               // replaces a register
	opUpdate                 // the same by UPDATE; without a tuple there it changes nothing
	opUpsert                 // the same by UPSERT
	opPair                   // a register and the journal, in one transaction
	opLock                   // inserts a lock, which fails if there is one
	opUnlock                 // deletes a lock and notes that in the journal; without a lock it changes nothing
	opSwap                   // replaces a lock if it is the one that its client saw last
	opTxn                    // the COMMIT of several requests
	opAsync                  // into the cache
	opMixed                  // the cache and the own notes, in one transaction
	opLocal                  // into the own notes, on any node
	opRead                   // of the node that is asked, confirmed state
	opLinear                 // with a quorum round
	opByHand                 // of an operator
	opStep                   // a request of a transaction before its COMMIT
)

type outcome uint8

const (
	pending outcome = iota
	acknowledged
	refused // not committed, now and for ever
	unknown
)

// op is one request of a client and what became of it.
type op struct {
	id       opID
	kind     opKind
	key      uint64
	node     *node
	life     int
	began    time.Duration
	ended    time.Duration
	outcome  outcome
	empty    bool   // it was answered that there was nothing to change
	saw      opID   // conditional: what it was answered that it found; 0: nothing
	expect   opID   // opSwap: what must be there
	conn     uint64 // of its batch
	readonly bool   // it was refused by READONLY
	do       func(*box.Txn) ([]byte, error)
	gaveUp   bool                  // the client left before the answer
	keeps    bool                  // data is wanted
	data     []byte                // of the answer
	answered func(err *xrow.Error) // called once, when the outcome is set; may be nil
}

// load is the clients.
type load struct {
	w       *World
	ops     []*op // by ID - 1
	running bool
	open    int   // ops without an answer
	acked   int   // writes acknowledged
	done    []*op // the synchronous ones among them, in the order of their answers

	lastSeen [locks + 1]opID // what clients were last told of each lock
}

// start lets a number of clients run until stop.
func (l *load) start(clients int) {
	l.running = true
	for range clients {
		l.next()
	}
}

func (l *load) stop() { l.running = false }

func (l *load) next() {
	l.w.after(l.w.plan.think.draw(l.w), func() {
		if l.running {
			l.invoke()
		}
	})
}

var kinds = [...]opKind{opInsert, opRegister, opRegister, opUpdate, opUpsert, opPair, opLock, opLock, opUnlock, opSwap,
	opAsync, opAsync, opMixed, opLocal,
	opRead, opRead, opLinear}

// draw takes one of the first n kinds.
func (l *load) draw(n int) opKind {
	k := kinds[l.w.rng.IntN(n)]
	if !l.w.plan.async && (k == opAsync || k == opMixed) {
		return opInsert
	}
	return k
}

// invoke begins one operation of a client at some node, and with it others
// that travel in the same batch.
func (l *load) invoke() {
	w := l.w
	if w.plan.txns && w.chance(2) {
		l.interact()
		return
	}
	kind := l.draw(len(kinds))
	n := l.choose(kind)
	if n == nil {
		l.next()
		return
	}
	var batch []instance.Request
	for more := true; more; more = kind < opRead && w.chance(4) {
		o := l.begin(n, kind, 1+uint64(w.rng.IntN(registers)))
		if len(batch) == 0 {
			o.answered = func(*xrow.Error) { l.next() }
		}
		o.conn = uint64(o.id)
		if len(batch) > 0 {
			o.conn = batch[0].Conn
		}
		l.limit(o)
		if kind >= opRead {
			l.read(o)
			return
		}
		batch = append(batch, l.request(o))
		kind = l.draw(len(kinds) - 3)
	}
	n.post(instance.Write{Requests: batch})
}

// limit lets the client of an operation leave after a while.
func (l *load) limit(o *op) {
	l.w.queue.afterAll(l.w.now+l.w.plan.config.WaitLimit+time.Second, leaving{l, o})
}

// leaving is the moment at which a client waits no longer.
type leaving struct {
	l *load
	o *op
}

func (e leaving) happen() {
	if e.o.outcome == pending {
		e.o.gaveUp = true
		e.l.end(e.o, unknown, nil)
	}
}

// choose is the node that a client asks: a leader for writes, mostly, anybody
// for reads.
func (l *load) choose(kind opKind) *node {
	w := l.w
	among := w.nodes
	if kind < opLocal && !w.plan.config.ForwardWrites && !w.chance(20) {
		var leaders []*node
		for _, n := range w.nodes {
			if n.running() && n.core != nil && n.shown != nil && n.shown.State == stateLeader {
				leaders = append(leaders, n)
			}
		}
		if len(leaders) > 0 {
			among = leaders
		}
	}
	n := among[w.rng.IntN(len(among))]
	if !n.running() || n.core == nil {
		return nil
	}
	return n
}

func (l *load) begin(n *node, kind opKind, key uint64) *op {
	o := &op{id: opID(len(l.ops) + 1), kind: kind, key: key, node: n, life: n.life, began: l.w.now}
	l.ops = append(l.ops, o)
	l.open++
	return o
}

func (l *load) read(o *op) {
	switch {
	case o.kind == opLinear:
		o.node.post(instance.LinearRead{Conn: 1, Sync: uint64(o.id)})
	case o.node.paused:
		l.end(o, unknown, nil)
	default:
		l.w.check.client.read(o, o.node)
		l.end(o, acknowledged, nil)
	}
}

// request is the transaction of a write.
func (l *load) request(o *op) instance.Request {
	r := instance.Request{Conn: max(o.conn, 1), Sync: uint64(o.id), User: admin}
	switch o.kind {
	case opInsert:
		r.DML = insert(spaceJournal, uint64(o.id), o.id)
	case opRegister:
		r.DML = replace(spaceRegisters, o.key, o.id)
	case opAsync:
		r.DML = replace(spaceCache, o.key, o.id)
	case opUpdate:
		r.DML = xrow.DML{Type: xrow.Update, SpaceID: spaceRegisters, Key: msgp.AppendUint64([]byte{0x91}, o.key), Tuple: assign(o.id)}
	case opUpsert:
		r.DML = xrow.DML{Type: xrow.Upsert, SpaceID: spaceRegisters, Tuple: pair(o.key, o.id), Ops: assign(o.id)}
	case opLocal:
		r.DML = insert(spaceNotes, uint64(o.id), o.id)
	case opPair:
		r.Do = both(replace(spaceRegisters, o.key, o.id), insert(spaceJournal, uint64(o.id), o.id))
	case opLock, opUnlock, opSwap:
		l.condition(o, &r)
	case opMixed:
		r.Do = both(replace(spaceCache, o.key, o.id), insert(spaceNotes, uint64(o.id), o.id))
	}
	if o.do = r.Do; o.do != nil && o.kind != opMixed && l.w.plan.forwards { // that one is about a local space, too
		r.Call = &instance.Call{Type: xrow.Call, Name: "op", Args: msgp.AppendUint64([]byte{0x91}, uint64(o.id))}
	}
	return r
}

// opOf is the operation that a call names.
func opOf(c *instance.Call) opID {
	id, _, _ := msgp.ReadUint64Bytes(c.Args[1:])
	return opID(id)
}

// both runs two statements in one transaction.
func both(first, second xrow.DML) func(*box.Txn) ([]byte, error) {
	return func(tx *box.Txn) ([]byte, error) {
		if _, err := tx.Execute(admin, &first); err != nil {
			return nil, err
		}
		_, err := tx.Execute(admin, &second)
		return nil, err
	}
}

// assign is the operations [["=", 1, op]].
func assign(id opID) []byte {
	return msgp.AppendUint64(append(msgp.AppendString([]byte{0x91, 0x93}, "="), 1), uint64(id))
}

func insert(space uint32, key uint64, id opID) xrow.DML {
	return xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: pair(key, id)}
}

func replace(space uint32, key uint64, id opID) xrow.DML {
	return xrow.DML{Type: xrow.Replace, SpaceID: space, Tuple: pair(key, id)}
}

func pair(key uint64, id opID) []byte {
	return msgp.AppendUint64(msgp.AppendUint64([]byte{0x92}, key), uint64(id))
}

// answer takes a Reply of a core.
func (l *load) answer(n *node, r instance.Reply) {
	l.w.mix(r.Sync, uint64(len(r.Data)))
	if r.Sync == 0 || r.Sync > uint64(len(l.ops)) {
		l.w.fail("answers", "%s answers a request that nobody sent: %d", n.label(), r.Sync)
		return
	}
	o := l.ops[r.Sync-1]
	if o.outcome != pending {
		if o.life == n.life && !o.gaveUp {
			l.w.fail("answers", "%s answers request %d twice", n.label(), o.id)
		}
		return
	}
	if o.keeps {
		o.data = bytes.Clone(r.Data)
	}
	switch {
	case r.Err == nil:
		o.empty = o.empty || o.kind == opUpdate && len(r.Data) == emptyData
		l.found(o, r.Data, nil)
		l.end(o, acknowledged, nil)
		l.w.check.client.acknowledged(o)
	case isFinal(r.Err.Code):
		o.readonly = r.Err.Code == xrow.ErrReadonly
		l.found(o, nil, r.Err)
		l.end(o, refused, r.Err)
	default:
		l.end(o, unknown, r.Err)
	}
}

// emptyData is the length of an answer without tuples: an array32 of none.
const emptyData = 5

// isFinal tells whether an error says that nothing was committed, now or ever.
func isFinal(c xrow.Code) bool {
	switch c {
	case xrow.ErrReadonly, xrow.ErrSyncRollback, xrow.ErrSyncQueueFull, xrow.ErrSyncQueueUnclaimed, xrow.ErrTupleFound, xrow.ErrTransactionConflict, xrow.ErrTransactionTimeout:
		return true
	}
	return false
}

func (l *load) end(o *op, out outcome, err *xrow.Error) {
	o.outcome, o.ended = out, l.w.now
	l.open--
	if out == acknowledged && o.kind < opRead {
		l.acked++
		if o.kind < opAsync {
			l.done = append(l.done, o)
		}
	}
	if !l.w.mixed() {
		l.w.check.forward.answered(o, err)
	}
	if o.answered != nil {
		o.answered(err)
	}
}

// connectionsLost ends what a dead process was asked: the outcome is unknown.
func (l *load) connectionsLost(n *node) {
	for _, o := range l.ops {
		if o.outcome == pending && o.node == n && o.life == n.life {
			l.end(o, unknown, nil)
		}
	}
}
