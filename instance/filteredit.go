package instance

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// FilterRef names a space, an index or a sequence: by its name, or where that is empty
// by its ID. A name that nothing has and that is a number stands for the ID.
type FilterRef struct {
	Name string
	ID   uint32
}

// number is the ID that the text of a ref is.
func (r FilterRef) number() (id uint32, ok bool) {
	if r.Name == "" {
		return r.ID, true
	}
	n, err := strconv.ParseUint(r.Name, 10, 31)
	return uint32(n), err == nil
}

func (r FilterRef) String() string {
	if r.Name == "" {
		return strconv.FormatUint(uint64(r.ID), 10)
	}
	return r.Name[:min(len(r.Name), 1024)]
}

// FilterIndex names an index of a space. Path, if it is set, stands for both:
// SPACE.INDEX, whose dot is where it makes sense.
type FilterIndex struct {
	Space, Index FilterRef
	Path         string
}

func (x FilterIndex) String() string {
	if x.Path != "" {
		return FilterRef{Name: x.Path}.String()
	}
	return x.Space.String() + "." + x.Index.String()
}

// FilterItems are what a change of a filter adds or removes.
type FilterItems struct {
	Spaces    []FilterRef
	Indexes   []FilterIndex
	Sequences []FilterRef
}

func (f *Filter) copy() *Filter { c := *f; return &c }

// equal tells whether two are the same, whatever their versions.
func (f *Filter) equal(o *Filter) bool {
	return f.Filter == o.Filter && f.Same(&o.Share) && slices.Equal(f.Indexes, o.Indexes) && slices.Equal(f.Sequences, o.Sequences)
}

// filterEdit is a filter while it is changed. Its lists are sets until finish.
type filterEdit struct {
	f         *Filter
	schema    *box.Schema
	sequences []box.Named
	listed    map[uint32]bool
	unbuilt   map[[2]uint32]bool
	refused   map[uint32]bool // sequences
	chosen    map[any]bool    // what the change has said about things
}

// edit begins a change of f.
func (k *catalogue) edit(f *Filter) *filterEdit {
	if k.sequences == nil {
		k.sequences = k.tx.Sequences()
	}
	return &filterEdit{f: f, schema: k.tx.Schema(), sequences: k.sequences, listed: setOf(f.Spaces), unbuilt: setOf(f.Indexes), refused: setOf(f.Sequences),
		chosen: map[any]bool{}}
}

func setOf[T comparable](list []T) map[T]bool {
	set := make(map[T]bool, len(list))
	for _, v := range list {
		set[v] = true
	}
	return set
}

// list puts an element into a set, or takes it away.
func list[T comparable](set map[T]bool, v T, in bool) {
	if in {
		set[v] = true
	} else {
		delete(set, v)
	}
}

func (e *filterEdit) has(space uint32) bool { return e.f.New != e.listed[space] }

func (e *filterEdit) give(space uint32, has bool) { list(e.listed, space, e.f.New != has) }

// fill begins with all that there is, or with nothing. Our own spaces are had by all.
func (e *filterEdit) fill(full bool) {
	for _, sp := range e.schema.NamedSpaces() {
		if sp.Own || sp.Shareable {
			e.give(sp.ID, full || sp.Own)
		}
	}
	for _, s := range e.sequences {
		list(e.refused, s.ID, !full)
	}
}

// side is one half of a change.
type side struct {
	items *FilterItems
	has   bool // these are added
}

// change adds and removes: first spaces, then indexes of those that are had by then.
func (e *filterEdit) change(add, remove *FilterItems) error {
	sides := [...]side{{add, true}, {remove, false}}
	for _, s := range sides {
		for _, ref := range s.items.Spaces {
			sp, err := e.space(ref)
			if err == nil {
				err = e.choose(sp.ID, s.has, ref)
			}
			if err != nil {
				return err
			}
			e.give(sp.ID, s.has)
		}
	}
	for _, s := range sides {
		if err := e.changeRest(s); err != nil {
			return err
		}
	}
	return nil
}

func (e *filterEdit) changeRest(s side) error {
	for _, ref := range s.items.Indexes {
		id, err := e.index(ref)
		if err == nil {
			err = e.choose(id, s.has, ref)
		}
		if err != nil {
			return err
		}
		list(e.unbuilt, id, !s.has)
	}
	for _, ref := range s.items.Sequences {
		seq, err := e.sequence(ref)
		if err == nil {
			err = e.choose(seq, s.has, ref)
		}
		if err != nil {
			return err
		}
		list(e.refused, seq.ID, !s.has)
	}
	return nil
}

// choose refuses what is both added and removed: an ID of a space or an index, or a
// sequence.
func (e *filterEdit) choose(what any, has bool, ref fmt.Stringer) error {
	if before, twice := e.chosen[what]; twice && before != has {
		return filterError("'%s' cannot be both added and removed", ref)
	}
	e.chosen[what] = has
	return nil
}

// finish makes ascending lists of the sets, without what is not there any more, and
// without indexes of spaces that are left out.
func (e *filterEdit) finish() {
	e.f.Spaces, e.f.Indexes, e.f.Sequences = nil, nil, nil
	for _, id := range slices.Sorted(maps.Keys(e.listed)) {
		if _, ok := e.schema.Named(id); ok {
			e.f.Spaces = append(e.f.Spaces, id)
		}
	}
	for _, ix := range slices.SortedFunc(maps.Keys(e.unbuilt), compareIndexes) {
		if _, ok := e.schema.IndexName(ix[0], ix[1]); ok && e.has(ix[0]) {
			e.f.Indexes = append(e.f.Indexes, ix)
		}
	}
	for _, s := range e.sequences { // ascending
		if e.refused[s.ID] {
			e.f.Sequences = append(e.f.Sequences, s.ID)
		}
	}
}

func compareIndexes(a, b [2]uint32) int {
	return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
}

// find resolves the name of a space.
func (e *filterEdit) find(ref FilterRef) (sp box.NamedSpace, ok bool) {
	if ref.Name != "" {
		if id, err := e.schema.FindSpace(ref.Name); err == nil {
			return e.schema.Named(id)
		}
	}
	if id, isID := ref.number(); isID {
		return e.schema.Named(id)
	}
	return sp, false
}

// space resolves one of which a filter decides.
func (e *filterEdit) space(ref FilterRef) (box.NamedSpace, error) {
	sp, ok := e.find(ref)
	switch {
	case !ok:
		return sp, xrow.Errorf(xrow.ErrNoSuchSpace, ref)
	case sp.System:
		return sp, filterError("Space '%s' is a system space: every replica has it", sp.Name)
	case sp.Own:
		return sp, filterError("Space '%s' is Tarragon's own: every replica has it", sp.Name)
	case sp.Local:
		return sp, filterError("Space '%s' is local: no replica gets its rows", sp.Name)
	case sp.Temp:
		return sp, filterError("Space '%s' is temporary: no replica gets its tuples", sp.Name)
	case !sp.Shareable:
		return sp, filterError("Space '%s' keeps no tuples that a replica could have", sp.Name)
	}
	return sp, nil
}

// index resolves one of which a filter decides: a secondary one of a space that it has.
func (e *filterEdit) index(ref FilterIndex) (id [2]uint32, err error) {
	if ref.Path != "" {
		if ref, err = e.split(ref.Path); err != nil {
			return id, err
		}
	}
	sp, err := e.space(ref.Space)
	if err != nil {
		return id, err
	}
	index, ok := e.findIndex(sp.ID, ref.Index)
	name, _ := e.schema.IndexName(sp.ID, index)
	switch {
	case !ok:
		return id, xrow.Errorf(xrow.ErrNoSuchIndexName, ref.Index, sp.Name)
	case index == 0:
		return id, filterError("Index '%s' is the primary one of space '%s', which has it or is left out as a whole: add or remove the space", name, sp.Name)
	case !e.has(sp.ID):
		return id, filterError("Index '%s' cannot be without its space: filter '%s' leaves space '%s' out", name, e.f.Filter, sp.Name)
	}
	return [2]uint32{sp.ID, index}, nil
}

func (e *filterEdit) findIndex(space uint32, ref FilterRef) (id uint32, ok bool) {
	if ref.Name != "" {
		if id, err := e.schema.FindIndex(space, ref.Name); err == nil {
			return id, true
		}
	}
	id, ok = ref.number()
	if ok {
		_, ok = e.schema.IndexName(space, id)
	}
	return id, ok
}

// split finds the dot of SPACE.INDEX: names may have some, too.
func (e *filterEdit) split(path string) (found FilterIndex, err error) {
	fit := 0
	first := FilterIndex{}
	for at := range len(path) {
		if path[at] != '.' || at == 0 || at == len(path)-1 {
			continue
		}
		ref := FilterIndex{Space: FilterRef{Name: path[:at]}, Index: FilterRef{Name: path[at+1:]}}
		sp, ok := e.find(ref.Space)
		if !ok {
			continue
		}
		first = ref
		if _, ok := e.findIndex(sp.ID, ref.Index); ok {
			found = ref
			fit++
		}
	}
	switch {
	case fit == 1:
		return found, nil
	case fit > 1:
		return found, filterError("'%s' names %d indexes: give the space and the index of one as a pair", FilterIndex{Path: path}, fit)
	case first.Space.Name != "":
		return first, nil // there is no such index
	}
	space, _, dotted := strings.Cut(path, ".")
	if !dotted || space == "" {
		return found, filterError("Index '%s' is given without its space: SPACE.INDEX", FilterIndex{Path: path})
	}
	return found, xrow.Errorf(xrow.ErrNoSuchSpace, FilterRef{Name: space})
}

func (e *filterEdit) sequence(ref FilterRef) (box.Named, error) {
	at := slices.IndexFunc(e.sequences, func(s box.Named) bool { return ref.Name != "" && s.Name == ref.Name })
	if id, isID := ref.number(); at < 0 && isID {
		at = slices.IndexFunc(e.sequences, func(s box.Named) bool { return s.ID == id })
	}
	if at < 0 {
		return box.Named{}, xrow.Errorf(xrow.ErrNoSuchSequence, ref)
	}
	return e.sequences[at], nil
}
