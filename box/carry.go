package box

import (
	"slices"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// door is how a definition comes in. What a client asks for must be served. A
// row of the log was checked by its author and is kept; what cannot be applied
// from then on is refused all the same, unless the box is told to carry it.
type door struct {
	peer   bool
	opaque bool
	knows  func(collation uint64) bool // nil: all that are asked for
}

// hasCollation tells whether there is a collation for what a client defines.
func (d door) hasCollation(id uint64) bool { return d.peer || d.knows == nil || d.knows(id) }

// lack is a part of a space's definition that the box keeps and does not act
// upon, and what clients may not do because of it.
type lack struct {
	what string // "Tarragon does not support " comes before it
	puts bool   // they store no tuple

	// fills: they give the field themselves, in Tarantool it gets a value
	// when it is nil or, with absent, not there.
	fills, absent bool
	field         uint32
	path          jsonPath

	parent  uint32 // a foreign key refers to that space
	keepsUp bool   // of the parent: tuples of it cannot go
}

// unusable is an index that is kept as a row only.
type unusable struct {
	id   uint32
	name string
	what string // that is not supported

	// def is set for an index that a filter leaves out here: see leftout.go.
	def   *index
	where *sharing
}

// lack notes what the box will not do with the space. strange: without being
// told to, the box does not even carry it.
func (sp *space) lack(d door, strange bool, l lack) error {
	if !d.peer || strange && !d.opaque {
		return unsupported(l.what)
	}
	sp.lacks = append(sp.lacks, l)
	return nil
}

// eachName goes over a map of named definitions; another value has none.
func eachName(b []byte, f func(name string, def []byte) error) error {
	_, err := eachPair(b, func(key string, v []byte) error { return f(shortName(key), v) })
	return err
}

// foreignKey is the lack of a space with a foreign key: {space, field}. Without
// space it refers to its own.
func foreignKey(name, of string, self uint32, def []byte) lack {
	l := lack{what: "foreign key '" + name + "'" + of, puts: true, parent: self}
	_, _ = eachPair(def, func(key string, v []byte) error {
		if key == "space" {
			id, _ := uintOf(v)
			l.parent = uint32(id)
		}
		return nil
	})
	return l
}

// Carried is something that the box keeps and sends on, and does not serve.
type Carried struct {
	Space    string // empty: of no space
	Feature  string
	Function Function // when it is one
}

// Carried lists what is kept without being served, by space. The list is never
// changed.
func (s *Schema) Carried() []Carried { return s.carried }

// afterDDL keeps limits right behind a change of a row that may be about them.
func (t *Txn) afterDDL(changed *space) {
	switch changed.id {
	case xrow.SpaceSpace, xrow.SpaceIndex:
		if len(t.dict.carried) == 0 && !t.dict.anyLack() {
			return
		}
	case xrow.SpaceFunc, xrow.SpaceTrigger, xrow.SpaceSequence, xrow.SpaceSpaceSequence, xrow.SpaceFkConstraint, xrow.SpaceCkConstraint:
	default:
		return
	}
	if !t.box.loading {
		t.setLimits()
	}
}

func (s *Schema) anyLack() bool {
	for _, id := range s.ids {
		if sp := s.spaces[id]; len(sp.lacks)+len(sp.unusable) > 0 {
			return true
		}
	}
	return false
}

// setLimits computes from the definitions and from the rows of system spaces
// what clients may not do, and what the box carries. The rows are few, and the
// schema changes seldom.
func (t *Txn) setLimits() {
	s := t.schema()
	s.limits, s.carried, s.procedures = nil, nil, nil
	for _, id := range s.ids {
		sp := s.spaces[id]
		for _, l := range sp.lacks {
			s.limit(id, l)
			if l.parent != 0 {
				s.limit(l.parent, lack{what: l.what, keepsUp: true})
			}
		}
		for _, ix := range sp.unusable {
			if ix.def == nil {
				s.limit(id, lack{what: ix.what, puts: true})
			}
		}
	}
	t.limitsOfRows()
	t.attachSequences()
	slices.SortStableFunc(s.carried, func(a, b Carried) int { return strings.Compare(a.Space, b.Space) })
}

func (s *Schema) limit(space uint32, l lack) {
	sp := s.spaces[space]
	if sp == nil || sp.system() {
		return
	}
	if s.limits == nil {
		s.limits = map[uint32][]lack{}
	}
	if l.puts || l.fills || l.keepsUp {
		s.limits[space] = append(s.limits[space], l)
	}
	if !l.keepsUp {
		s.carried = append(s.carried, Carried{Space: sp.name, Feature: l.what})
	}
}

// limitsOfRows reads the spaces whose rows add to the definition of others.
func (t *Txn) limitsOfRows() {
	s := t.dict
	each := func(id uint32, f func(row rowReader)) {
		if sp := s.spaces[id]; sp != nil {
			t.box.each(sp, noEnd, func(tuple []byte) { f(splitRow(tuple)) })
		}
	}
	named := func(what string, row rowReader, i int, space uint64) string {
		name := what + " '" + shortName(row.string(i)) + "'"
		if sp := s.spaces[uint32(space)]; sp != nil {
			name += " of space '" + shortName(sp.name) + "'"
		}
		return name
	}
	each(xrow.SpaceCkConstraint, func(row rowReader) {
		if row.raw(5)[0] != 0xc2 { // is_enabled
			s.limit(uint32(row.uint(0)), lack{what: named("constraint", row, 1, row.uint(0)), puts: true})
		}
	})
	each(xrow.SpaceFkConstraint, func(row rowReader) { // checked by SQL alone
		s.limit(uint32(row.uint(1)), lack{what: named("foreign key", row, 0, row.uint(1))})
	})
	each(xrow.SpaceTrigger, func(row rowReader) { // run by SQL alone
		s.limit(uint32(row.uint(1)), lack{what: named("trigger", row, 0, row.uint(1))})
	})
	each(xrow.SpaceFunc, func(row rowReader) {
		if id := row.uint(0); id == funcUserInfo || id == funcLua || row.string(4) == "SQL_BUILTIN" {
			return
		}
		f := functionOf(row)
		if f.IsGo() {
			s.procedures = append(s.procedures, f)
			return
		}
		s.carried = append(s.carried, Carried{Feature: "function '" + shortName(f.Name) + "' (" + f.Language + ")", Function: f})
		for _, event := range splitRow(row.raw(19)) {
			if space := s.spaceOfEvent(stringOf(event)); space != 0 {
				s.limit(space, lack{what: named("trigger", row, 2, uint64(space)), puts: true, keepsUp: true})
			}
		}
	})
}

// Functions of every fresh database.
const (
	funcUserInfo = 1
	funcLua      = 65
)

// spaceOfEvent finds the space in box.space.NAME.EVENT or box.space[ID].EVENT;
// 0: none.
func (s *Schema) spaceOfEvent(event string) uint32 {
	rest, ok := strings.CutPrefix(event, "box.space")
	if !ok || len(rest) < 2 {
		return 0
	}
	if rest[0] == '[' {
		end := strings.IndexByte(rest, ']')
		id := uint64(0)
		for _, c := range rest[1:max(end, 1)] {
			if c < '0' || c > '9' || id > xrow.LastSpace {
				return 0
			}
			id = id*10 + uint64(c-'0')
		}
		return uint32(id)
	}
	name := rest[1:]
	if end := strings.LastIndexByte(name, '.'); end >= 0 {
		name = name[:end]
	}
	return s.names[name]
}

// refused tells whether a client's statement needs something of the space that
// the box does not do.
func (t *Txn) refused(sp *space, d *xrow.DML) error {
	for i := range t.dict.limits[sp.id] {
		l := &t.dict.limits[sp.id][i]
		var no bool
		switch d.Type {
		case xrow.Insert:
			no = l.puts || l.isFilled(d.Tuple)
		case xrow.Replace, xrow.Upsert:
			no = l.puts || l.keepsUp || l.isFilled(d.Tuple)
		case xrow.Update:
			no = l.puts || l.keepsUp
		case xrow.Delete:
			no = l.keepsUp
		}
		if no {
			return unsupported(l.what)
		}
	}
	return nil
}

// isFilled tells whether Tarantool would give a field of the tuple a value.
func (l *lack) isFilled(tuple []byte) bool {
	if !l.fills || mp.KindOf(tuple[0]) != mp.Array {
		return false
	}
	if n, _ := mp.ArrayOf(tuple); int(l.field) >= n {
		return l.absent
	}
	w := walker{b: tuple}
	return w.part(&part{field: l.field, path: l.path})[0] == 0xc0
}

// needUsable is the error of an index that is kept as a row only.
func (sp *space) needUsable(id uint32) error {
	for i := range sp.unusable {
		switch u := &sp.unusable[i]; {
		case u.id != id:
		case u.def != nil:
			return u.isLeftOut(sp)
		default:
			return unsupported(u.what)
		}
	}
	return nil
}
