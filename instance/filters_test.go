package instance

import (
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// ownFilterID is the ID that _tarragon_filter has in scripts, behind that of _tarragon_set.
const ownFilterID = ownSetID + 1

// filterLine asks for a change of a filter, prints the confirmed ones, or is a statement of
// a client on what they name.
//
//	filter create NAME full|empty [include|exclude]
//	filter alter NAME [rename=NAME] [add-space=A,B] [remove-index=A.B] [add-sequence=A] ...
//	filter drop NAME [force]
//	filter list
//	define drop space|index|sequence ID [INDEX], define make sequence ID
func (s *script) filterLine(w words) {
	if w.Verb == "filter" && w.Word(0) == "list" {
		for _, f := range s.core.Filters() {
			s.say("  %s", filterText(f))
		}
		return
	}
	s.sync++
	s.say("  #%d", s.sync)
	items := func(verb string) FilterItems {
		refs := func(kind string) (refs []FilterRef) {
			for _, name := range strings.FieldsFunc(w.Named[verb+"-"+kind], func(r rune) bool { return r == ',' }) {
				refs = append(refs, FilterRef{Name: name})
			}
			return refs
		}
		all := FilterItems{Spaces: refs("space"), Sequences: refs("sequence")}
		for _, ref := range refs("index") {
			all.Indexes = append(all.Indexes, FilterIndex{Path: ref.Name})
		}
		return all
	}
	switch w.Verb + " " + w.Word(0) {
	case "filter create":
		full := w.Has("full")
		s.step(CreateFilter{Conn: 1, Sync: s.sync, Name: w.Word(1), Full: full, New: full && !w.Has("exclude") || w.Has("include")})
	case "filter alter":
		s.step(AlterFilter{Conn: 1, Sync: s.sync, Name: w.Word(1), Rename: w.Named["rename"], Add: items("add"), Remove: items("remove")})
	case "filter drop":
		s.step(DropFilter{Conn: 1, Sync: s.sync, Name: w.Word(1), Force: w.Has("force")})
	default:
		s.step(Write{Requests: []Request{{Conn: 1, Sync: s.sync, User: box.UserAdmin, DML: w.definition()}}})
	}
}

// definition is a statement on a system space, as any client may send it.
func (w words) definition() xrow.DML {
	id := w.At(2)
	d := xrow.DML{Type: xrow.Delete, Key: msgp.AppendUint64([]byte{0x91}, id)}
	switch w.Word(0) + " " + w.Word(1) {
	case "drop space":
		d.SpaceID = xrow.SpaceSpace
	case "drop index":
		d.SpaceID, d.Key = xrow.SpaceIndex, msgp.AppendUint64(msgp.AppendUint64([]byte{0x92}, id), w.At(3))
	case "drop sequence":
		d.SpaceID = xrow.SpaceSequence
	case "make sequence":
		row := msgp.AppendString(append(msgp.AppendUint64([]byte{0x99}, id), 1), fmt.Sprint("q", id))
		d = xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceSequence, Tuple: append(row, 1, 1, 9, 1, 0, 0xc2)}
	default:
		w.T.Fatalf("unknown definition: %s", w.Line)
	}
	return d
}

func filterText(f *Filter) string {
	text := fmt.Sprintf("filter %s/%d", f.Filter, f.Version)
	if f.New {
		text += " new"
	}
	for _, part := range []struct {
		name string
		list any
	}{{"spaces", f.Spaces}, {"indexes", f.Indexes}, {"sequences", f.Sequences}} {
		if list := fmt.Sprint(part.list); list != "[]" {
			text += " " + part.name + " " + list
		}
	}
	for i := range f.Former {
		o := &f.Former[i]
		text += fmt.Sprintf(", was %d %t %v", o.Version, o.New, o.Spaces)
	}
	return text
}

// ownFilterText is a row about _tarragon_filter; empty: it is none.
func ownFilterText(d *xrow.DML, raw []byte) string {
	key, _, _ := mp.ReadUint(raw[1:])
	switch {
	case d.SpaceID == xrow.SpaceSchema && strings.Contains(string(raw), "tarragon.space._tarragon_filter"):
		return "filter-mark"
	case strings.Contains(string(raw), "_tarragon_filter"):
		return "filter-space"
	case d.SpaceID == xrow.SpaceIndex && key == ownFilterID:
		return "filter-index"
	case d.SpaceID != uint32(ownFilterID):
		return ""
	case d.Type == xrow.Delete:
		name, _, _ := mp.ReadString(raw[1:])
		return "delete filter " + string(name)
	}
	if f := readFilter(raw); f != nil {
		return filterText(f)
	}
	_, version := filterHead(raw)
	return fmt.Sprintf("versions up to %d are used", version)
}

// filterBox has a space of an engine that keeps nothing, beside those of the bootstrap.
func filterBox(t testing.TB) *box.Box {
	t.Helper()
	b := box.New(box.Config{})
	for _, r := range box.BootstrapRows(box.Profile3_8_0, uuidOf(99), uuidOf(1), "", "") {
		if err := b.Load(r.SpaceID, r.Tuple); err != nil {
			t.Fatal(err)
		}
	}
	hole := msgp.AppendString(append(msgp.AppendUint64([]byte{0x97}, 600), 1), "hole")
	if err := b.Load(xrow.SpaceSpace, append(msgp.AppendString(hole, "blackhole"), 0, 0x80, 0x90)); err != nil {
		t.Fatal(err)
	}
	if err := b.LoadDone(); err != nil {
		t.Fatal(err)
	}
	return b
}

// Of a space that keeps no tuples, as a Tarantool may have one, no filter decides.
func TestFilterNoTuples(t *testing.T) {
	k := openCatalogue(filterBox(t).Begin(1))
	f := &Filter{Share: xrow.Share{Filter: "hr"}}
	e := k.edit(f)
	e.fill(true)
	if e.finish(); len(f.Spaces) != 0 {
		t.Errorf("a full one lists %v", f.Spaces)
	}
	if _, err := e.space(FilterRef{Name: "hole"}); err == nil || err.Error() != "Space 'hole' keeps no tuples that a replica could have" {
		t.Error(err)
	}
}

// The list of former versions ends where the tuple would be too large, and a filter that
// is too large without them is an error: it takes no tuple that a Tarantool could not have.
func TestFilterTooLarge(t *testing.T) {
	b := filterBox(t)
	k := openCatalogue(b.Begin(1))
	f := &Filter{Share: xrow.Share{Filter: "hr"}}
	for id := range uint32(20000) {
		f.Spaces = append(f.Spaces, xrow.FirstUserSpace+id)
	}
	if err := k.put(f, nil); err != nil {
		t.Fatal(err)
	}
	next := f.copy()
	if err := k.put(next, f); err != nil || len(next.Former) != 1 || next.Version != 2 {
		t.Fatalf("%v: version %d, %d former ones", err, next.Version, len(next.Former))
	}
	last := next.copy()
	if err := k.put(last, next); err != nil || len(last.Former) != 1 || last.Former[0].Version != 2 || len(last.Tuple()) > maxFilterSize {
		t.Fatalf("%v: version %d, %d former ones in %d bytes", err, last.Version, len(last.Former), len(last.Tuple()))
	}
	for id := range uint32(30000) {
		last.Spaces = append(last.Spaces, xrow.FirstUserSpace+20000+id)
	}
	if err := k.put(last, next); err == nil || !strings.Contains(err.Error(), "Filter 'hr' names too much: 50000 spaces, 0 indexes and 0 sequences take") {
		t.Errorf("50000 spaces: %v", err)
	}
}

// A version is given once, whatever else stands in the catalogue; what no version may be
// is none.
func TestFilterHead(t *testing.T) {
	row := func(version uint64) []byte {
		return (&Filter{Share: xrow.Share{Filter: "hr", Version: version}}).Tuple()
	}
	for _, c := range []struct {
		tuple   []byte
		version uint64
		reads   bool
	}{{row(7), 7, true}, {row(maxFilterVersion), maxFilterVersion, true}, {row(maxFilterVersion + 1), 0, false}, {[]byte{0x91, 0xa1, 'x'}, 0, false},
		{(&Filter{Share: xrow.Share{Version: 9}}).Tuple(), 9, false}} {
		if _, version := filterHead(c.tuple); version != c.version || (readFilter(c.tuple) != nil) != c.reads {
			t.Errorf("%x: version %d, read %v", c.tuple, version, readFilter(c.tuple) != nil)
		}
	}
}
