package box

import (
	"fmt"

	"tarragon.dev/tarragon/xrow"
)

// Txn is a transaction of the owner's. It is valid until the box has confirmed
// it or rolled it back; after Abort, and after Prepare of a local one, until the
// next Begin.
type Txn struct {
	box  *Box
	seq  uint64
	open bool // Prepare has not come yet

	stmts []stmt
	rows  []LogRow // global ones
	local []LogRow
	all   []LogRow // local, then rows: what Rows returns
	buf   []byte   // what rows point to where no version holds it
	work  []byte   // the tuple that a statement builds

	saw    sight
	hooked *hooked // the functions that the present statement runs; nil: none
	draft  *Draft  // whose statements it runs; nil: it is a transaction of the log

	client  bool // some statement is a client's
	sealed  bool // see Seal
	bounded bool // the one that runs counts against Config.Memory

	sync   bool
	ddl    bool
	global bool // a row is of a space that is neither local nor temporary

	// base is the writers' dictionary before the transaction, dict the one with
	// its changes; the same as long as it has none.
	base, dict *Schema
	baseBy     uint64    // who made base; see Box.headBy
	schemaOps  uint64    // changes that the schema version counts
	built      []*index  // trees made here, to be freed when it vanishes
	dropped    []garbage // what to free once it is confirmed
	walks      []*walk   // what Build has to do before Prepare, oldest first
	failed     error     // of Build: the transaction can only be aborted
}

// LogRow is one change to log.
type LogRow struct {
	DML   xrow.DML
	Local bool // of a local space: logged with replica ID 0, never sent
}

// stmt is a change of one tuple: what undoes it, and what it leaves behind.
type stmt struct {
	sp       *space
	old, new ref // old: the live version before; 0: none
}

// Begin starts a transaction. seq is chosen by the caller and strictly grows;
// one transaction is open at a time.
func (b *Box) Begin(seq uint64) *Txn {
	if b.loading || b.current != nil || seq <= b.last || seq >= noEnd {
		panic(fmt.Sprintf("box: transaction %d begins behind %d", seq, b.last))
	}
	var t *Txn
	if n := len(b.unused); n > 0 {
		t = b.unused[n-1]
		b.unused = b.unused[:n-1]
	} else {
		t = new(Txn)
	}
	*t = Txn{box: b, seq: seq, open: true, base: b.head, baseBy: b.headBy, dict: b.head,
		stmts: t.stmts[:0], rows: t.rows[:0], local: t.local[:0], all: t.all[:0], buf: t.buf[:0], work: t.work[:0]}
	b.current, b.last = t, seq
	return t
}

// Execute runs a client's statement: existence, rights and shape are checked in
// Tarantool's order. result is the raw tuple of the reply (new for INSERT,
// REPLACE and UPDATE, old for DELETE; nil: none), valid until the next
// statement. After an error the statement is undone and the transaction usable.
// The slices of d passed mp.Scan and are not kept.
func (t *Txn) Execute(user Credentials, d *xrow.DML) (result []byte, err error) {
	sp, err := t.dict.needShown(d.SpaceID)
	if err != nil {
		return nil, err
	}
	if err := t.rights().allowedSpace(user, sp, PrivWrite); err != nil {
		return nil, err
	}
	return t.run(sp, d, actor{user: user, client: true, log: true})
}

// rights is the dictionary that says what a user may do. A draft may stand at an older
// moment, but a right that is gone is gone.
func (t *Txn) rights() *Schema {
	if t.draft != nil {
		return t.box.dict
	}
	return t.dict
}

// ExecuteInternal is Execute for the node itself: no rights are checked. No number
// of a user stands for it, so no request can ask for it.
func (t *Txn) ExecuteInternal(d *xrow.DML) error {
	sp, err := t.dict.needSpace(d.SpaceID)
	if err == nil {
		_, err = t.run(sp, d, actor{log: true})
	}
	return err
}

// Apply runs the statement of a replicated or recovered row: no rights are
// checked and nothing is added to Rows.
func (t *Txn) Apply(d *xrow.DML) error {
	sp, err := t.dict.needSpace(d.SpaceID)
	if err == nil {
		_, err = t.run(sp, d, actor{})
	}
	return err
}

// actor is who makes a change: a client with rights, or a row of the log.
type actor struct {
	user   Credentials
	client bool // rights count
	log    bool // Rows is to have it
}

// run executes a statement; on an error all is as before it.
func (t *Txn) run(sp *space, d *xrow.DML, who actor) (result []byte, err error) {
	if !t.open {
		panic("box: statement after Prepare")
	}
	if t.NeedsWork() {
		if err := t.settleWork(); err != nil {
			return nil, err
		}
	}
	if who.log && len(t.dict.limits) > 0 {
		if err := t.refused(sp, d); err != nil {
			return nil, err
		}
	}
	if !who.log && sp.engine == engineBlackhole {
		return nil, nil
	}
	if who.client {
		if err := t.refuseSealed(sp); err != nil {
			return nil, err
		}
	}
	if t.draft != nil && sp.id < xrow.FirstUserSpace && sp.stored() {
		return nil, xrow.Errorf(xrow.ErrMultistatementTransaction, "a change of space '"+sp.name+"'")
	}
	t.client = t.client || who.client
	t.bounded = who.client && !sp.system()
	mark := t.mark()
	if len(t.dict.autos) > 0 && (d.Type == xrow.Insert || d.Type == xrow.Replace) {
		if a := t.dict.autos[sp.id]; a != nil {
			filled := *d
			if err = t.autoFill(sp, a, &filled, who); err == nil {
				d = &filled
			}
		}
	}
	var s stmt
	if t.box.config.Hooks != nil {
		t.hooked = nil
		if who.client {
			t.hook(sp)
		}
	}
	if err == nil {
		s, result, err = t.statement(sp, d)
	}
	if t.hooked != nil && err == nil {
		if t.draft == nil && (s.old != 0 || s.new != 0) {
			err = t.onReplace(sp, s.old, s.new)
		}
		if t.hooked.instead != nil {
			d = t.hooked.instead
		}
	}
	if err == nil && (s.old != 0 || s.new != 0) && sp.id < xrow.FirstUserSpace {
		if err = t.trigger(&s, who); err == nil {
			t.afterDDL(sp)
		}
	}
	if err != nil {
		t.undoTo(mark)
		return nil, err
	}
	switch {
	case s.old == 0 && s.new == 0 && d.Type != xrow.Upsert:
		return nil, nil
	case t.draft != nil:
		t.draft.note(d)
	default:
		t.note(&s, d, who)
	}
	return result, nil
}

// mark is how far a transaction has come.
type mark struct{ stmts int }

func (t *Txn) mark() mark { return mark{len(t.stmts)} }

// undoTo takes statements back, newest first.
func (t *Txn) undoTo(m mark) {
	for i := len(t.stmts) - 1; i >= m.stmts; i-- {
		t.box.undo(&t.stmts[i])
	}
	t.stmts = t.stmts[:m.stmts]
}

// note adds the row to log and what the transaction has become by it.
func (t *Txn) note(s *stmt, d *xrow.DML, who actor) {
	sp := s.sp
	if sp.temp || t.tempDefinition(s) {
		return
	}
	t.global = t.global || !sp.local
	t.sync = t.sync || sp.sync
	t.ddl = t.ddl || t.box.IsDDLSpace(sp.id) && !sp.local
	if !who.log {
		return
	}
	row := LogRow{DML: xrow.DML{Type: d.Type, SpaceID: sp.id, IndexBase: d.IndexBase}, Local: sp.local}
	switch d.Type {
	case xrow.Insert, xrow.Replace:
		row.DML.Tuple = t.box.mem.tuple(s.new)
		row.DML.IndexBase = 0
	case xrow.Update:
		row.DML.Key = t.keep(t.primaryKey(sp, s.old))
		row.DML.Tuple = t.keep(d.Tuple)
	case xrow.Delete:
		row.DML.Key = t.keep(t.primaryKey(sp, s.old))
		row.DML.IndexBase = 0
	case xrow.Upsert:
		row.DML.Tuple, row.DML.Ops = t.keep(d.Tuple), t.keep(d.Ops)
	}
	if sp.local {
		t.local = append(t.local, row)
	} else {
		t.rows = append(t.rows, row)
	}
}

// tempDefinition tells whether a row of _space, _index or _truncate belongs to
// a space of type temporary, whose definition is neither logged nor sent.
func (t *Txn) tempDefinition(s *stmt) bool {
	r := s.new
	if r == 0 {
		r = s.old
	}
	if r == 0 || s.sp.id != xrow.SpaceSpace && s.sp.id != xrow.SpaceIndex && s.sp.id != xrow.SpaceTruncate {
		return false
	}
	id, _ := uintOf((&walker{b: t.box.mem.tuple(r)}).field(0))
	return t.dict.isTempType(uint32(id)) || t.base.isTempType(uint32(id))
}

// keep copies b to memory that lives as long as the transaction.
func (t *Txn) keep(b []byte) []byte {
	at := len(t.buf)
	t.buf = append(t.buf, b...)
	return t.buf[at:len(t.buf):len(t.buf)]
}

// primaryKey builds the raw key of a version in the work buffer.
func (t *Txn) primaryKey(sp *space, r ref) []byte {
	pk := sp.primary()
	t.work = appendArrayHead(t.work[:0], len(pk.parts))
	t.work = pk.appendKey(t.work, t.box.mem.tuple(r), len(pk.parts))
	return t.work
}

// Schema is the dictionary with the transaction's own changes.
func (t *Txn) Schema() *Schema { return t.dict }

// Rows is what to log, local rows first; valid as long as the Txn.
func (t *Txn) Rows() []LogRow {
	if len(t.local) == 0 {
		return t.rows
	}
	t.all = append(append(t.all[:0], t.local...), t.rows...)
	return t.all
}

// IsSync tells whether a synchronous space was written.
func (t *Txn) IsSync() bool { return t.sync }

// IsDDL tells whether a system space that is logged was written.
func (t *Txn) IsDDL() bool { return t.ddl }

// Changes tells of the tuples of system spaces that were written, before and behind each
// statement; nil: there is none. They are valid until Prepare.
func (t *Txn) Changes(tell func(space uint32, old, new []byte)) {
	for i := range t.stmts {
		s := &t.stmts[i]
		if !t.box.IsDDLSpace(s.sp.id) {
			continue
		}
		var old, new []byte
		if s.old != 0 {
			old = t.box.mem.tuple(s.old)
		}
		if s.new != 0 {
			new = t.box.mem.tuple(s.new)
		}
		tell(s.sp.id, old, new)
	}
}

// IsLocal tells whether all rows are of local or temporary spaces, or there are
// none. Such a transaction is decided by Prepare: neither Confirm nor Rollback
// touches it.
func (t *Txn) IsLocal() bool { return !t.global }

// TouchesLocal tells whether something of a local or temporary space was changed. That
// stays, whatever becomes of the transaction.
func (t *Txn) TouchesLocal() bool {
	for i := range t.stmts {
		if t.stmts[i].sp.decidedByWrite() {
			return true
		}
	}
	return false
}

// Prepare ends the statements; the transaction is undecided from now on. What
// it did in local and temporary spaces is decided by this. No work of Build may
// be left.
func (t *Txn) Prepare() {
	b := t.box
	if t.NeedsWork() {
		panic("box: Prepare before the end of Build")
	}
	t.close()
	if t.IsLocal() {
		t.decide()
		b.unused = append(b.unused, t)
		return
	}
	kept := t.stmts[:0]
	for _, s := range t.stmts {
		if s.sp.decidedByWrite() {
			b.settle(&s, t.seq, true)
		} else {
			kept = append(kept, s)
		}
	}
	t.stmts = kept
	if b.head = t.dict; t.dict != t.base {
		b.headBy = t.seq
	}
	b.pending.Push(t)
}

// decide makes a transaction without global rows final. Rows that define a
// temporary space are dated back to what readers see already; no view shows them.
func (t *Txn) decide() {
	b := t.box
	for i := range t.stmts {
		s := &t.stmts[i]
		if s.sp.decidedByWrite() {
			b.settle(s, t.seq, true)
			continue
		}
		if s.new != 0 {
			b.mem.setBegin(s.new, b.confirmed)
		}
		if s.old != 0 {
			b.mem.setEnd(s.old, b.confirmed)
		}
		b.settle(s, b.confirmed, false)
	}
	if t.dict == t.base {
		return
	}
	if b.head != b.dict {
		panic("box: DDL behind an undecided change of the dictionary")
	}
	b.head, b.dict = t.dict, t.dict
	b.version += t.schemaOps
	for _, g := range t.dropped {
		b.garbage.add(b, g, t.seq)
	}
}

// Abort undoes all, as if it never had begun.
func (t *Txn) Abort() {
	t.close()
	t.vanish()
	t.box.unused = append(t.box.unused, t)
}

func (t *Txn) close() {
	if !t.open {
		panic("box: transaction has ended")
	}
	t.open = false
	t.box.current = nil
}

// vanish undoes the statements and forgets the changes of the dictionary.
func (t *Txn) vanish() {
	t.undoTo(mark{})
	for _, ix := range t.built {
		t.box.garbage.dropNodes(t.box, ix)
	}
	if t.dict != t.base {
		t.box.head, t.box.headBy = t.base, t.baseBy
	}
}

func appendArrayHead(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x90|byte(n))
	case n < 1<<16:
		return append(dst, 0xdc, byte(n>>8), byte(n))
	}
	return append(dst, 0xdd, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}
