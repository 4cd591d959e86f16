package instance

import (
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// A filter is a tuple of _tarragon_filter, [name, version, new, spaces, indexes,
// sequences, former]: what a replica has (docs/protocol/filters.md). Its rows are a
// barrier, so at most one is undecided, and all members read the same ones.

const (
	// maxFormer is how many earlier versions a filter keeps: a replica that was away for
	// longer joins anew.
	maxFormer = 16
	// maxFilterVersion is the greatest version, which Lua's numbers have exactly.
	maxFilterVersion = 1 << 53
)

// Filter is one as its tuple tells it.
type Filter struct {
	xrow.Share
	Indexes   [][2]uint32  // [space, index], ascending: not built at the replica
	Sequences []uint32     // IDs, ascending: their next is refused there
	Former    []xrow.Share // earlier versions, the newest first
}

// Filter is the confirmed filter of a name; nil: there is none, or this version cannot
// read it.
func (c *Core) Filter(name string) *Filter { return readFilter(c.box.Own(&box.OwnFilter, name)) }

// Gives tells whether the filter gives or gave this share: its newest version or a
// former one, or is that of a replica that has not heard of the filter yet and begins with
// nothing. behind: it is of a version that is not known here yet.
func (f *Filter) Gives(s *xrow.Share) (gives, behind bool) {
	if s.Version == 0 && !s.New && len(s.Spaces) == 0 {
		return true, false
	}
	if s.Version > f.Version {
		return false, true
	}
	if s.Version == f.Version {
		return f.Same(s), false
	}
	return slices.ContainsFunc(f.Former, func(o xrow.Share) bool { return o.Version == s.Version && o.Same(s) }), false
}

// Tuple is the row of a filter.
func (f *Filter) Tuple() []byte {
	b := msgp.AppendString([]byte{0x97}, f.Filter)
	b = appendShare(b, &f.Share)
	b = msgp.AppendArrayHeader(b, uint32(len(f.Indexes)))
	for _, ix := range f.Indexes {
		b = msgp.AppendUint32(msgp.AppendUint32(append(b, 0x92), ix[0]), ix[1])
	}
	b = xrow.AppendSpaces(b, f.Sequences)
	b = msgp.AppendArrayHeader(b, uint32(len(f.Former)))
	for i := range f.Former {
		b = appendShare(append(b, 0x93), &f.Former[i])
	}
	return b
}

// appendShare appends version, new and spaces.
func appendShare(b []byte, s *xrow.Share) []byte {
	return xrow.AppendSpaces(msgp.AppendBool(msgp.AppendUint64(b, s.Version), s.New), s.Spaces)
}

// readFilter reads what Tuple wrote. What we cannot read is none: it is of a newer
// version, or a Tarantool let somebody write it.
func readFilter(tuple []byte) *Filter {
	r := filterReader{b: tuple}
	if r.array() < 7 {
		return nil
	}
	name := r.string()
	f := &Filter{Share: r.share(name)}
	for range r.array() {
		if r.array() != 2 {
			return nil
		}
		f.Indexes = append(f.Indexes, [2]uint32{r.id(), r.id()})
	}
	f.Sequences = r.ids()
	for range r.array() {
		if r.array() < 3 {
			return nil
		}
		f.Former = append(f.Former, r.share(name))
	}
	if r.bad || name == "" || f.Version > maxFilterVersion || len(f.Former) > maxFormer {
		return nil
	}
	return f
}

// filterReader reads values one after the other; bad: one was something else.
type filterReader struct {
	b   []byte
	bad bool
}

// took moves on behind a value.
func (r *filterReader) took(n int, ok bool) {
	if r.bad = r.bad || !ok; !r.bad {
		r.b = r.b[n:]
	}
}

func (r *filterReader) array() int {
	n, used, ok := mp.ReadArrayHeader(r.b)
	if r.took(used, ok); r.bad || int(n) > len(r.b) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *filterReader) string() string {
	s, used, ok := mp.ReadString(r.b)
	r.took(used, ok)
	return string(s)
}

func (r *filterReader) uint() uint64 {
	v, used, ok := mp.ReadUint(r.b)
	r.took(used, ok)
	return v
}

func (r *filterReader) id() uint32 {
	v := r.uint()
	r.bad = r.bad || v > xrow.LastSpace
	return uint32(v)
}

func (r *filterReader) bool() bool {
	v, used, ok := mp.ReadBool(r.b)
	r.took(used, ok)
	return v
}

func (r *filterReader) ids() []uint32 {
	ids, used, ok := xrow.ReadSpaces(r.b)
	r.took(used, ok)
	return ids
}

func (r *filterReader) share(name string) xrow.Share {
	return xrow.Share{Filter: name, Version: r.uint(), New: r.bool(), Spaces: r.ids()}
}
