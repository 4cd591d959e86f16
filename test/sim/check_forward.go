package sim

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// forwardChecker judges what clients are told of their writes wherever they ask for them.
//
//   - Each write is executed once at most: each operation has one row in each space, in
//     all logs there ever were.
//   - What was answered READONLY has no row, and never will.
//   - Writes of one batch that are acknowledged are logged in their order.
//   - Who is told that a write is done finds it where it was asked for, but at the limit.
//   - In a calm world no write fails at an instance that forwards.
type forwardChecker struct {
	w      *World
	rows   map[opSpace]place
	before map[uint64]*op   // by connection: the newest that is acknowledged
	led    []time.Duration  // by slot: when the process handed over last; 0: it never has
	woken  map[opID]wokenAt // what came to leaders that had slept
}

// wokenAt is a leader that slept beyond its fencing interval, and its term.
type wokenAt struct {
	id   uint32
	term uint64
}

// may tells whether an instance forwards.
func (c *forwardChecker) may(n *node) bool {
	return c.w.plan.config.ForwardWrites || c.led[n.slot] != 0
}

// slept: these requests go elsewhere, or are refused.
func (c *forwardChecker) slept(n *node, batch []instance.Event) {
	for _, ev := range batch {
		w, _ := ev.(instance.Write)
		for i := range w.Requests {
			if id := w.Requests[i].Sync; w.Requests[i].Conn < forwardConn {
				c.woken[opID(id)] = wokenAt{n.id, n.shown.Term}
			}
		}
	}
}

type opSpace struct {
	id    opID
	space uint32
}

func (c *forwardChecker) init(w *World) {
	c.w, c.rows, c.before, c.led = w, map[opSpace]place{}, map[uint64]*op{}, make([]time.Duration, len(w.hosts))
	c.woken = map[opID]wokenAt{}
}

// wrote sees the rows of an author.
func (c *forwardChecker) wrote(n *node, r *row) {
	if r.kind == xrow.Confirm && r.synchro.Move != nil {
		c.led[n.slot] = c.w.now
	}
	if r.op == 0 {
		return
	}
	if at, ok := c.woken[r.op]; ok && at.id == n.id && r.term <= at.term {
		c.w.fail("fencing", "%s takes op %d in term %d, as if it still led", n.label(), r.op, r.term)
	}
	o, k := c.w.load.ops[r.op-1], opSpace{r.op, r.space}
	if o.outcome == refused && o.readonly {
		c.w.fail("forward", "%s writes op %d, which was answered READONLY", n.label(), r.op)
	}
	if old, again := c.rows[k]; again && o.kind != opTxn && old != r.place() {
		c.w.fail("forward", "%s writes op %d as LSN %d of term %d; it was LSN %d of term %d before", n.label(), r.op, r.lsn, r.term, old.lsn, old.term)
	}
	c.rows[k] = r.place()
}

// spaceOf is where an operation leaves its name.
func (k opKind) space() uint32 {
	switch k {
	case opInsert:
		return spaceJournal
	case opRegister, opUpdate, opUpsert, opPair:
		return spaceRegisters
	case opAsync:
		return spaceCache
	}
	return 0
}

// answered sees every answer of an operation.
func (c *forwardChecker) answered(o *op, err *xrow.Error) {
	switch {
	case o.kind >= opLocal, o.kind == opTxn:
	case o.outcome == refused && o.readonly:
		if at, ok := c.rows[opSpace{o.id, o.kind.space()}]; ok {
			c.w.fail("forward", "op %d is answered READONLY at %s, and is LSN %d of term %d", o.id, o.node.label(), at.lsn, at.term)
		}
		c.failed(o, err)
	case o.outcome == unknown:
		c.failed(o, err)
	case o.outcome == acknowledged && !o.empty:
		c.inOrder(o)
		c.readsOwn(o)
	}
}

func (c *forwardChecker) inOrder(o *op) {
	at, ok := c.rows[opSpace{o.id, o.kind.space()}]
	if !ok || at.term == 0 || o.conn == 0 { // 0: no batch, an operator's
		return
	}
	before := c.before[o.conn]
	if before == nil || before.id < o.id {
		c.before[o.conn] = o
	}
	if before == nil {
		return
	}
	if was := c.rows[opSpace{before.id, before.kind.space()}]; (before.id < o.id) != was.less(at) {
		c.w.fail("forward", "ops %d and %d of one batch at %s are not in order: %v, %v", before.id, o.id, o.node.label(), was, at)
	}
}

// readsOwn looks for what was written where it was asked for.
func (c *forwardChecker) readsOwn(o *op) {
	n, space := o.node, o.kind.space()
	if space == 0 || n.life != o.life || n.core == nil || n.disk.failing || c.w.now-o.began > c.w.plan.config.WaitLimit*9/10 {
		return
	}
	key := o.key
	if o.kind == opInsert {
		key = uint64(o.id)
	}
	tuple, count, err := n.box.Select(admin, &box.Query{Space: space, Iterator: iterEq, Key: msgp.AppendUint64([]byte{0x91}, key), Limit: 1}, nil)
	seen := opID(0)
	if err == nil && count == 1 {
		_, seen, err = readTuple(tuple)
	}
	mine := c.rows[opSpace{o.id, space}]
	if o.kind == opAsync && !c.w.check.history.committed(mine) {
		return // it was lost with its leader
	}
	if at, ok := c.rows[opSpace{seen, space}]; err == nil && ok && !at.less(mine) {
		c.w.check.handover.met.ReadOwn++
		return
	}
	c.w.fail("forward", "%s acknowledges op %d (%v), and shows op %d under its key (%v)", n.label(), o.id, mine, seen, err)
}

// failed: a write failed. Where nothing goes wrong an instance that forwards fails none.
func (c *forwardChecker) failed(o *op, err *xrow.Error) {
	if !c.w.calm() || o.kind == opMixed {
		return
	}
	cfg := &c.w.plan.config
	if led := c.led[o.node.slot]; !cfg.ForwardWrites && (led == 0 || o.began < led || o.began > led+instance.DefaultGrace*9/10) { // clocks drift
		return
	}
	c.w.fail("forward", "op %d fails at %s, where nothing goes wrong: %v", o.id, o.node.label(), err)
}
