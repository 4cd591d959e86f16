package box

import "tarragon.dev/tarragon/xrow"

// Named is an object of the schema as lists of names need it.
type Named struct {
	ID   uint32
	Name string
}

// NamedSpace is a space, and whether a filter may have it or leave it out. If not, it is
// one of the others, or keeps no tuples.
type NamedSpace struct {
	Named
	Shareable bool
	System    bool // Tarantool's own, and what no row defines
	Own       bool // Tarragon's own
	Local     bool // its rows are never replicated
	Temp      bool // its tuples are not
}

// Named finds a space by ID.
func (s *Schema) Named(id uint32) (NamedSpace, bool) {
	sp := s.shown(id)
	if sp == nil {
		return NamedSpace{}, false
	}
	return NamedSpace{Named: Named{id, sp.name}, Shareable: s.isShareable(sp), System: id < xrow.FirstUserSpace || id > xrow.LastSpace,
		Own: s.isOwn(id), Local: sp.local, Temp: sp.temp}, true
}

// NamedSpaces are all spaces that rows define, ascending by ID.
func (s *Schema) NamedSpaces() []NamedSpace {
	all := make([]NamedSpace, len(s.ids))
	for i, id := range s.ids {
		all[i], _ = s.Named(id)
	}
	return all
}

// IndexName finds an index by ID; one that is not built here too.
func (s *Schema) IndexName(space, index uint32) (name string, ok bool) {
	sp := s.spaces[space]
	if sp == nil {
		return "", false
	}
	if ix := sp.index(index); ix != nil {
		return ix.name, true
	}
	for _, u := range sp.unusable {
		if u.id == index {
			return u.name, true
		}
	}
	return "", false
}

// Sequences are the confirmed ones, ascending by ID. Safe for readers.
func (b *Box) Sequences() []Named { return b.sequences(b.dict, b.confirmed) }

// Sequences are those that there are with the transaction's own changes.
func (t *Txn) Sequences() []Named { return t.box.sequences(t.dict, noEnd) }

func (b *Box) sequences(s *Schema, bound uint64) (all []Named) {
	b.each(s.spaces[xrow.SpaceSequence], bound, func(tuple []byte) {
		row := splitRow(tuple)
		all = append(all, Named{uint32(row.uint(0)), row.string(2)})
	})
	return all
}
