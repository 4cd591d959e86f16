package sim

import (
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// checks are all checkers of a world. The hooks below are called by the model
// of the outside world; a checker never looks into a core.
type checks struct {
	w       *World
	rows    rowChecker
	promise promiseChecker
	leader  leaderChecker
	history historyChecker
	config  configTracker
	client  clientChecker
	reader  readerChecker
	vote    voteChecker
	prevote prevoteChecker
	sick    sickChecker
	void    lostChecker
	barrier barrierChecker
	pause   pauseChecker
	fence   fenceChecker
	mandate mandateChecker

	preferred preferredChecker

	handover handoverChecker
	forward  forwardChecker
	line     lineChecker
	filtered filteredChecker

	conditional conditionalChecker
	txn         txnChecker
	numbered    numberedChecker
}

func newChecks(w *World) *checks {
	c := &checks{w: w}
	c.rows.init(w)
	c.promise.init(w)
	c.leader.init(w)
	c.history.init(w)
	c.config.init(w)
	c.client.init(w)
	c.reader.init(w)
	c.vote.init(w)
	c.prevote.init(w)
	c.sick.init(w)
	c.void.init(w)
	c.barrier.init(w)
	c.pause.init(w)
	c.fence.init(w)
	c.mandate.init(w)
	c.preferred.init(w)
	c.handover.init(w)
	c.forward.init(w)
	c.numbered = numberedChecker{w: w, rows: map[numberKey][]numberRow{}, slots: map[numberKey][]slotStep{}, ends: map[numberKey]bool{}, leads: map[*node]time.Duration{}}
	c.conditional.w, c.txn.w, c.line.w, c.filtered.w = w, w, w, w
	return c
}

// logged is a group as it is on a disk, and what the checkers read in it once:
// its rows but for local ones.
type logged struct {
	*xrow.Group
	rows []loggedRow
}

// loggedRow is a row as it is in one log: flags differ.
type loggedRow struct {
	*row
	flags xrow.Flags
	first bool // of its transaction
}

// row is what the checkers keep of a logged row. A NOP stands for a row whose
// content its writer did not have any more. It never changes: all logs that have
// the row share it.
type row struct {
	origin uint32
	lsn    uint64
	term   uint64
	kind   xrow.Type
	sum    uint64 // of type and body

	synchro xrow.Synchro // CONFIRM, PROMOTE, ...
	system  bool         // of a system space

	space uint32 // of a client's write; else 0
	key   uint64
	op    opID
}

// place is where a row stands among all committed rows.
type place struct{ term, lsn uint64 }

func (p place) less(q place) bool {
	return p.term < q.term || p.term == q.term && p.lsn < q.lsn
}

func (r *row) place() place { return place{r.term, r.lsn} }

// readRows decodes the rows of a group for the checkers.
func (c *checks) readRows(g *xrow.Group) (rows []loggedRow, err error) {
	rows = make([]loggedRow, 0, len(g.Table))
	for i, ref := range g.Table {
		if ref.Origin == 0 {
			continue
		}
		r, flags, err := c.readRow(g, i)
		if err != nil {
			return nil, err
		}
		rows = append(rows, loggedRow{r, flags, ref.First})
	}
	return rows, nil
}

// read takes down a group that is written without a core.
func (c *checks) read(g *xrow.Group) logged {
	rows, err := c.readRows(g)
	if err != nil {
		c.w.fail("rows", "a row that was kept does not decode: %v", err)
	}
	return logged{g, rows}
}

// readRow decodes one row. A row that is known already is not read twice.
func (c *checks) readRow(g *xrow.Group, i int) (*row, xrow.Flags, error) {
	x, err := g.Row(i)
	if err != nil {
		return nil, 0, err
	}
	sum := sumOf(x.Type, x.Body)
	if r := c.rows.named(x.ReplicaID, x.LSN); r != nil && r.kind == x.Type && r.term == x.Term && r.sum == sum {
		return r, x.Flags, nil
	}
	r := &row{origin: x.ReplicaID, lsn: x.LSN, term: x.Term, kind: x.Type, sum: sum}
	switch {
	case x.Type.IsSynchro():
		r.synchro, err = xrow.DecodeSynchro(x.Body)
	case x.Type.IsDML():
		var d xrow.DML
		if d, err = xrow.DecodeDML(x.Type, x.Body); err == nil && isClientSpace(d.SpaceID) {
			r.space = d.SpaceID
			if err = r.readWrite(&d); err == nil && d.Type == xrow.Delete {
				r.op, err = c.deleter(g, i+1)
			}
		}
		r.system = d.SpaceID < spaceRegisters
	}
	return r, x.Flags, err
}

// readWrite finds out which op wrote what under which key.
func (r *row) readWrite(d *xrow.DML) (err error) {
	if d.Type == xrow.Delete {
		r.key, _, err = msgp.ReadUint64Bytes(d.Key[1:])
		return err
	}
	if d.Type != xrow.Update {
		r.key, r.op, err = readTuple(d.Tuple)
		return err
	}
	if r.key, _, err = msgp.ReadUint64Bytes(d.Key[1:]); err != nil {
		return err
	}
	rest := d.Tuple[2:] // [["=", 1, op]]
	for range 2 {
		if rest, err = msgp.Skip(rest); err != nil {
			return err
		}
	}
	id, _, err := msgp.ReadUint64Bytes(rest)
	r.op = opID(id)
	return err
}

// readTuple reads [key, op, ...].
func readTuple(tuple []byte) (key uint64, op opID, err error) {
	_, rest, err := msgp.ReadArrayHeaderBytes(tuple)
	if err != nil {
		return 0, 0, err
	}
	if key, rest, err = msgp.ReadUint64Bytes(rest); err != nil {
		return 0, 0, err
	}
	value, _, err := msgp.ReadUint64Bytes(rest)
	return key, opID(value), err
}

// sumOf is FNV-1a over a row's type and body.
func sumOf(t xrow.Type, body []byte) uint64 {
	h := uint64(0xcbf29ce484222325) ^ uint64(t)
	h *= 0x100000001b3
	for _, b := range body {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	return h
}

// logged is called when a core hands a group to its disk. Rows of others are
// facts from now on: they left their author.
func (c *checks) logged(n *node, g *xrow.Group) logged {
	c.sick.logged(n)
	c.prevote.logged(n, g)
	c.pause.logged(n, g)
	c.fence.logged(n, g)
	c.numbered.logged(n, g)
	rows, err := c.readRows(g)
	if err != nil {
		c.w.fail("rows", "%s logs a row that does not decode: %v", n.label(), err)
		return logged{Group: g}
	}
	if c.w.mixed() {
		for _, r := range rows {
			if r.origin == n.id {
				c.handover.wrote(n, r.row)
			}
		}
		return logged{g, rows} // rows come without stamps: what they decide is checked at the end
	}
	c.rows.logged(n, rows)
	c.config.wrote(n, g)
	for _, r := range rows {
		c.mandate.wrote(n, r.row)
		if r.origin == n.id {
			c.leader.wrote(n, r.row)
			c.history.wrote(n, r.row)
			c.handover.wrote(n, r.row)
			c.forward.wrote(n, r.row)
			c.barrier.wrote(n, r)
		}
	}
	return logged{g, rows}
}

// synced is called when a group is safe on the disk of n.
func (c *checks) synced(n *node, g logged) {
	c.vote.synced(n, g.Group)
	c.sick.synced(n)
	c.prevote.answered(n)
	if c.w.mixed() {
		return
	}
	c.rows.synced(n, g.rows)
	c.history.held(n)
	c.handover.synced(n, g.rows)
	c.reader.synced(n)
	c.void.synced(n, g.rows)
}

// died is called when a process ends, after its disk settled.
func (c *checks) died(n *node) {
	c.sick.died(n)
	c.rows.died(n)
	c.void.compare(n)
}

// joined is called when a received state became the content of a disk.
func (c *checks) joined(n *node, p *checkpoint) {
	c.vote.joined(n, &p.state)
	if c.w.mixed() {
		c.promise.joinedMixed(n)
		return
	}
	c.rows.joined(n, p)
	c.void.joined(n, p)
	c.client.joined(n)
	c.history.held(n)
}

// wiped is called when a disk loses everything.
func (c *checks) wiped(n *node) {
	c.rows.wiped(n)
	c.promise.wiped(n)
	c.vote.wiped(n)
	c.void.wiped(n)
}

// wentBack is called when a disk is as it was before: it promises anew, and
// what was held of its log since then is as good as wiped.
func (c *checks) wentBack(n *node, old *image) {
	c.wiped(n)
	c.rows.safe[n.slot], c.rows.logs[n.slot] = old.rows, old.rows.clone()
	c.vote.disk[n.slot] = record{old.disk.term, old.disk.vote}
	c.void.logs[n.slot] = old.void
}

// shown is called when an instance shows its election state.
func (c *checks) shown(n *node, r *xrow.Raft) {
	c.vote.shown(n, r)
	c.promise.shown(n, r)
	c.leader.shown(n, r)
	c.handover.shown(n, r)
	c.w.ambush.shown(n, r)
}

// acked is called when an instance says what it has on disk.
func (c *checks) acked(n *node, s *instance.AckState) { c.promise.acked(n, s) }

// mayRelay is called when groups are released to the relays.
func (c *checks) mayRelay(n *node, no uint64) { c.promise.relayed(n, no) }
