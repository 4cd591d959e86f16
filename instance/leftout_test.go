package instance

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// indexFilter is a version of the filter that has people and leaves its index 1 out, or not.
func (r *shareReader) indexFilter(version uint64, out bool) xrow.Row {
	f := Filter{Share: xrow.Share{Filter: "hr", Version: version, Spaces: []uint32{sharePeople}}}
	if out {
		f.Indexes = [][2]uint32{{sharePeople, 1}}
	}
	return replaceRow(r.core.box.OwnSpaces().Always[0], f.Tuple())
}

var byID = xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceIndex, Tuple: indexOn(sharePeople, 1, "again", 0)}

// by is how many tuples a client finds by index 1, or what it is told.
func (r *shareReader) by() (int, error) {
	tuples, _, err := r.core.box.Select(box.UserAdmin, &box.Query{Space: sharePeople, Index: 1, Iterator: box.ALL, Key: []byte{0x90}, Limit: 1000}, nil)
	return bytes.Count(tuples, []byte{0x91}), err
}

// manyPeople is a reader with a hundred people, and an index that is left out.
func manyPeople(t *testing.T) *shareReader {
	t.Helper()
	r := ofPeople(t)
	r.core.cfg.BuildRows, r.core.cfg.BuildPause = 10, time.Millisecond
	rows := []xrow.Row{statementRow(byID), confirmRow}
	for n := range uint64(40) {
		rows = append(rows, replaceRow(sharePeople, key(n)))
	}
	r.take(r.gen, append(rows, confirmRow)...)
	r.built()
	if n, err := r.by(); n != 40 || err != nil {
		t.Fatalf("%d by an index that is there: %v", n, err)
	}
	r.leave(2, true)
	if _, err := r.by(); !errors.Is(err, xrow.ErrIndexNotReplicated) {
		t.Fatalf("left out: %v", err)
	}
	return r
}

// leave brings a version of the filter, which is committed.
func (r *shareReader) leave(version uint64, out bool) {
	r.t.Helper()
	r.take(r.core.share.gen, r.indexFilter(version, out), confirmRow)
}

// An index that the filter gives again is formed in slices, between which rows are taken,
// committed and read, also where there is always something undecided; then it answers.
func TestIndexIsFormedUnderLoad(t *testing.T) {
	r := manyPeople(t)
	of := xrow.Synchro{ReplicaID: 2, LSN: r.lsn + 1}
	r.take(r.core.share.gen, r.indexFilter(3, false), replaceRow(sharePeople, key(100)), replaceRow(sharePeople, key(101)), xrow.Row{Type: xrow.Confirm, Body: of.AppendBody(nil)})
	if r.core.limbo.Len() != 2 || !r.core.box.Forms() {
		t.Fatalf("%d are undecided; formed: %t", r.core.limbo.Len(), r.core.box.Forms())
	}
	steps := 0
	for n := uint64(102); r.core.box.Forms(); n++ {
		if _, err := r.by(); !errors.Is(err, xrow.ErrIndexBeingBuilt) {
			t.Fatalf("in slice %d: %v", steps, err)
		}
		gen := r.core.share.gen
		r.take(gen, replaceRow(sharePeople, key(n)), confirmRow, replaceRow(sharePeople, key(n+1000)))
		if r.core.limbo.Len() == 0 || r.core.gate.build != nil {
			t.Fatal("nothing is undecided")
		}
		if steps++; r.core.Deadline() > r.now.Mono+r.core.cfg.BuildPause {
			t.Fatal("nothing goes on by itself")
		}
		r.now.Mono = r.core.Deadline()
		r.step()
	}
	if steps < 8 {
		t.Errorf("all of it was done in %d slices", steps)
	}
	r.take(r.core.share.gen, confirmRow)
	if n, err := r.by(); n != r.len(sharePeople) || n != 42+2*steps || err != nil {
		t.Errorf("%d by the index, %d there are, %d were made: %v", n, r.len(sharePeople), 42+2*steps, err)
	}
}

// A change of a filter that is void changes no index, and one whose fate is open neither.
func TestIndexFollowsConfirmed(t *testing.T) {
	r := manyPeople(t)
	r.take(r.core.share.gen, r.indexFilter(3, false))
	if _, err := r.by(); !errors.Is(err, xrow.ErrIndexNotReplicated) {
		t.Errorf("by a row whose fate is open: %v", err)
	}
	r.take(r.core.share.gen, confirmRow)
	if _, err := r.by(); !errors.Is(err, xrow.ErrIndexBeingBuilt) {
		t.Errorf("once it is confirmed: %v", err)
	}
}

// While a change of the schema is undecided that could be void nobody takes the indexes for what
// they are to be.
func TestIndexWaitsForDefinitions(t *testing.T) {
	r := manyPeople(t)
	r.take(r.core.share.gen, statementRow(xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceIndex, Key: []byte{0x92, 0xcd, 2, 0, 1}}))
	r.core.box.LeaveOut(nil)
	r.core.share.indexes.changed = true
	if r.step(); !r.core.share.indexes.changed {
		t.Error("all is taken for settled")
	}
	r.take(r.core.share.gen, confirmRow)
	if r.step(); r.core.share.indexes.changed || r.core.box.Forms() {
		t.Error("nothing is settled")
	}
}

// What happens to the index, or to its space, while it is formed: it is there in the end, or
// gone with what it belongs to, and left out where the filter says so again.
func TestIndexIsFormedThroughChanges(t *testing.T) {
	for name, c := range map[string]struct {
		rows []xrow.DML
		want int // tuples by the index; -1: it is not there
	}{
		"dropped":     {[]xrow.DML{{Type: xrow.Delete, SpaceID: xrow.SpaceIndex, Key: []byte{0x92, 0xcd, 2, 0, 1}}}, -1},
		"made again":  {[]xrow.DML{{Type: xrow.Delete, SpaceID: xrow.SpaceIndex, Key: []byte{0x92, 0xcd, 2, 0, 1}}, byID}, 40},
		"another one": {[]xrow.DML{{Type: xrow.Insert, SpaceID: xrow.SpaceIndex, Tuple: indexOn(sharePeople, 2, "more", 0)}}, 40},
		"truncated":   {[]xrow.DML{{Type: xrow.Replace, SpaceID: xrow.SpaceTruncate, Tuple: []byte{0x92, 0xcd, 2, 0, 1}}}, 0},
		"the space is dropped": {[]xrow.DML{{Type: xrow.Delete, SpaceID: xrow.SpaceIndex, Key: []byte{0x92, 0xcd, 2, 0, 1}},
			{Type: xrow.Delete, SpaceID: xrow.SpaceIndex, Key: []byte{0x92, 0xcd, 2, 0, 0}}, {Type: xrow.Delete, SpaceID: xrow.SpaceSpace, Key: []byte{0x91, 0xcd, 2, 0}}}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			r := manyPeople(t)
			r.leave(3, false)
			if !r.core.box.Forms() {
				t.Fatal("nothing is formed")
			}
			for _, d := range c.rows {
				r.take(r.core.share.gen, statementRow(d), confirmRow)
				r.built()
			}
			for range 100 {
				r.now.Mono = max(r.now.Mono, r.core.Deadline())
				r.step()
			}
			if r.core.box.Forms() || r.core.box.Misaligned() {
				t.Error("it never ends")
			}
			n, err := r.by()
			switch {
			case c.want < 0 && err == nil:
				t.Errorf("%d tuples by what is not there", n)
			case c.want >= 0 && (n != c.want || err != nil):
				t.Errorf("%d tuples by the index: %v", n, err)
			}
		})
	}
}

// A crash while an index is formed, or left out, begins with what the filter says: nothing is
// built that it leaves out, and what it gives is built with the load.
func TestIndexAfterARestart(t *testing.T) {
	for _, out := range []bool{true, false} {
		f := Filter{Share: shareFilter(1).Share}
		if out {
			f.Indexes = [][2]uint32{{sharePeople, 1}}
		}
		people := make([]xrow.DML, 0, 41)
		for n := range uint64(40) {
			people = append(people, xrow.DML{SpaceID: sharePeople, Tuple: key(n)})
		}
		rows := shareRows(t)
		for i := range rows {
			if len(rows[i].Tuple) > 3 && bytes.Contains(rows[i].Tuple[:4], []byte("hr")) {
				rows[i].Tuple = f.Tuple()
			}
		}
		rows = append(rows, xrow.DML{SpaceID: xrow.SpaceIndex, Tuple: byID.Tuple})
		r := startShareReader(t, State{Share: &f.Share}, append(rows, people...))
		if r.loaded != out {
			t.Errorf("left out %t: the load leaves it out: %t", out, r.loaded)
		}
		r.promoted()
		n, err := r.by()
		if out != errors.Is(err, xrow.ErrIndexNotReplicated) || !out && n != 40 || r.core.box.Forms() {
			t.Errorf("left out %t: %d by it, %v", out, n, err)
		}
		if out {
			if i := r.core.shareInfo(r.now.Mono); len(i.Indexes) != 1 || i.Indexes[0].Index != "again" || i.Indexes[0].Building {
				t.Errorf("%+v", i.Indexes)
			}
		}
	}
}

// A base copy of the space builds those of its indexes that are not left out.
func TestIndexLeftOutOfACopy(t *testing.T) {
	r := manyPeople(t)
	none := Filter{Share: xrow.Share{Filter: "hr", Version: 3}}
	r.take(r.core.share.gen, replaceRow(r.core.box.OwnSpaces().Always[0], none.Tuple()), confirmRow)
	if r.len(sharePeople) != -1 {
		t.Fatal("people are here")
	}
	r.leave(4, true)
	if len(r.orders) != 1 {
		t.Fatalf("%d orders", len(r.orders))
	}
	r.step(CopyBegins{Order: 1, VClock: r.core.Decided(), Tuples: 2})
	r.step(CopyRows{Order: 1, Space: sharePeople, Tuples: [][]byte{key(1), key(2)}})
	r.step(CopyEnds{Order: 1})
	if _, err := r.by(); r.len(sharePeople) != 2 || !errors.Is(err, xrow.ErrIndexNotReplicated) {
		t.Errorf("%d people; by the index: %v", r.len(sharePeople), err)
	}
}

// The next value of a sequence that the filter leaves out is refused by name, and of others not.
func TestSequenceLeftOut(t *testing.T) {
	r := ofPeople(t)
	f := shareFilter(1)
	f.Version, f.Sequences = 2, []uint32{3, 7}
	r.take(r.gen, replaceRow(r.core.box.OwnSpaces().Always[0], f.Tuple()), confirmRow)
	err := r.core.SequenceLeftOut(&box.Named{ID: 7, Name: "bills"})
	if !errors.Is(err, xrow.ErrSequenceNotReplicated) || err.Error() != "Sequence 'bills' is not replicated to instance 'reader' (filter 'hr')" {
		t.Errorf("%v", err)
	}
	if err := r.core.SequenceLeftOut(&box.Named{ID: 4, Name: "other"}); err != nil {
		t.Errorf("another one: %v", err)
	}
}
