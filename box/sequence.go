package box

import (
	"math"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// autoField is the field of a space that a sequence gives values to.
type autoField struct {
	part // where; only field and path count

	id        uint32
	owner     uint32
	name      string
	generated bool // made with the space, so that the rights on it are enough

	step, min, max, start int64
	cycle                 bool
}

// attachSequences reads which sequence belongs to which space.
func (t *Txn) attachSequences() {
	s := t.dict
	s.autos = nil
	clear(t.box.drawn)
	t.box.each(s.spaces[xrow.SpaceSpaceSequence], noEnd, func(tuple []byte) {
		row := splitRow(tuple)
		r, _ := s.spaces[xrow.SpaceSequence].primary().find(row.raw(1))
		if r == 0 {
			return
		}
		seq := splitRow(t.box.mem.tuple(r))
		a := &autoField{part: part{field: uint32(row.uint(3))}, id: uint32(seq.uint(0)), owner: uint32(seq.uint(1)), name: seq.string(2),
			generated: row.raw(2)[0] == 0xc3, cycle: seq.raw(8)[0] == 0xc3}
		a.path, _, _ = compilePath(row.string(4))
		for i, dst := range [...]*int64{&a.step, &a.min, &a.max, &a.start} {
			*dst, _ = int64Of(seq.raw(3 + i))
		}
		if s.autos == nil {
			s.autos = map[uint32]*autoField{}
		}
		s.autos[uint32(row.uint(0))] = a
	})
}

// int64Of reads an integer that fits.
func int64Of(b []byte) (v int64, ok bool) {
	if k := mp.KindOf(b[0]); k != mp.Uint && k != mp.Int {
		return 0, false
	}
	u, neg := mp.IntOf(b)
	return int64(u), neg || u <= math.MaxInt64
}

// autoFill does for an INSERT or REPLACE what the space's sequence is for: nil
// becomes the next value, and a value that was given moves the sequence. Rows
// of the log carry values only. What the sequence becomes is a change of
// _sequence_data that nobody logs: whoever applies the row comes to it by itself.
func (t *Txn) autoFill(sp *space, a *autoField, d *xrow.DML, who actor) error {
	if who.client && !a.generated {
		if err := t.rights().CheckDDL(who.user, classSequence, a.id, a.name, a.owner, PrivWrite); err != nil {
			return err
		}
	}
	if n, _ := mp.ArrayOf(d.Tuple); mp.KindOf(d.Tuple[0]) != mp.Array || int(a.field) >= n {
		return nil
	}
	w := walker{b: d.Tuple}
	v, there := a.find(w.field(a.field))
	switch {
	case !there:
		return nil
	case v[0] != 0xc0:
		given, ok := int64Of(v)
		if !ok || sp.decidedByWrite() {
			return nil
		}
		return t.moveSequence(a, given)
	case !who.log:
		return nil
	case sp.decidedByWrite():
		return unsupported("sequence '" + a.name + "' of local or temporary space '" + sp.name + "'")
	}
	t.saw.look(t, sp, 0) // the row of the sequence is one of the space's, as it were
	next, err := t.nextValue(a)
	if err != nil {
		return err
	}
	at := len(d.Tuple) - len(v)
	filled := append(make([]byte, 0, len(d.Tuple)+9), d.Tuple[:at]...)
	filled = append(appendInt(filled, next), v[1:]...)
	d.Tuple = filled
	return nil
}

// find goes from the field to the value.
func (a *autoField) find(v []byte) (inner []byte, there bool) {
	for path := a.path; len(path) > 0; {
		if !path.container().accepts(v) {
			return nil, false
		}
		if v, path, there = path.enter(v); !there {
			return nil, false
		}
	}
	return v, true
}

func appendInt(dst []byte, v int64) []byte {
	if v >= 0 {
		return msgp.AppendUint64(dst, uint64(v))
	}
	return msgp.AppendInt64(dst, v)
}

// sequenceValue is the last value; ok is false for a sequence not yet begun.
func (t *Txn) sequenceValue(id uint32) (v int64, ok bool) {
	data := t.dict.spaces[xrow.SpaceSequenceData]
	r, by := data.primary().find(appendUint(nil, uint64(id)))
	t.saw.look(t, data, by)
	if r == 0 {
		return 0, false
	}
	return int64Of(splitRow(t.box.mem.tuple(r)).raw(1))
}

func (t *Txn) setSequence(id uint32, v int64) error {
	row := appendInt(appendUint([]byte{0x92}, uint64(id)), v)
	_, err := t.put(t.dict.spaces[xrow.SpaceSequenceData], row, false)
	return err
}

// moveSequence takes a given value into account: a sequence only moves in its
// own direction. A draft passes it for good, as if it had drawn it, so its own next
// value lies behind; the sequence itself moves at its COMMIT.
func (t *Txn) moveSequence(a *autoField, given int64) error {
	last, begun := t.sequenceValue(a.id)
	if t.draft != nil {
		last, begun = t.passed(a)
	}
	switch {
	case begun && (a.step > 0 && given <= last || a.step < 0 && given >= last):
		return nil
	case t.draft != nil:
		t.draw(a, given)
		return nil
	}
	return t.setSequence(a.id, given)
}

// drawn is how far drafts have come with a sequence. Values are drawn for good,
// whatever becomes of the draft: two that are open get different ones.
type drawn struct {
	from  int64 // what the sequence had come to
	begun bool
	value int64 // the newest one that was drawn
}

// passed is the last value of a sequence, those that drafts have drawn among them.
func (t *Txn) passed(a *autoField) (last int64, begun bool) {
	last, begun = t.sequenceValue(a.id)
	d, ok := t.box.drawn[a.id]
	if !ok {
		return last, begun
	}
	same := d.from == last && d.begun == begun
	further := !begun || a.step > 0 && d.value > last || a.step < 0 && d.value < last
	if same || further && !a.cycle {
		return d.value, true
	}
	delete(t.box.drawn, a.id)
	return last, begun
}

// draw takes the value for a draft.
func (t *Txn) draw(a *autoField, next int64) {
	last, begun := t.sequenceValue(a.id)
	if t.box.drawn == nil {
		t.box.drawn = map[uint32]drawn{}
	}
	t.box.drawn[a.id] = drawn{from: last, begun: begun, value: next}
}

// nextValue moves the sequence by one step.
func (t *Txn) nextValue(a *autoField) (int64, error) {
	next, err := a.after(t.passed(a))
	if err != nil {
		return 0, err
	}
	if t.draft != nil {
		t.draw(a, next)
		return next, nil
	}
	return next, t.setSequence(a.id, next)
}

// after is the value behind the last one.
func (a *autoField) after(last int64, begun bool) (next int64, err error) {
	next = last + a.step
	switch {
	case !begun:
		next = a.start
	case a.step > 0 && last < a.min:
		next = a.min
	case a.step < 0 && last > a.max:
		next = a.max
	case a.step > 0 && (next < last || next > a.max):
		if !a.cycle {
			return 0, xrow.Errorf(xrow.ErrSequenceOverflow, a.name)
		}
		next = a.min
	case a.step < 0 && (next > last || next < a.min):
		if !a.cycle {
			return 0, xrow.Errorf(xrow.ErrSequenceOverflow, a.name)
		}
		next = a.max
	}
	return next, nil
}
