package xlog

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func (f *fixture) lost() (names []string) {
	f.t.Helper()
	if err := f.sl.EachLost(func(r xrow.LostRow) bool {
		names = append(names, fmt.Sprintf("%d %d:%d %s", r.Term, r.Origin, r.LSN, r.Frame))
		return true
	}); err != nil {
		f.t.Fatal(err)
	}
	return names
}

// appendLost appends a group that voids so many rows.
func (f *fixture) appendLost(n int) {
	f.t.Helper()
	g := f.group(40, 1)
	var rows []xrow.LostRow
	for i := range n {
		rows = append(rows, lostRow(2, 3, uint64(100*len(f.groups)+i)))
	}
	if err := f.sl.appendAt(uint64(len(f.groups)), []*xrow.Group{g}, rows); err != nil {
		f.t.Fatal(err)
	}
}

// TestLostRowsGoWithTheirGroup cuts the journal at every byte of a group that
// voids rows: they are there with it, and only with it.
func TestLostRowsGoWithTheirGroup(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	f.fill(3, 40)
	f.appendLost(2)
	path, whole := f.newestJournal(), f.read(f.newestJournal())
	at := f.records(path)
	for cut := at[len(at)-2]; cut <= int64(len(whole)); cut++ {
		fs := f.fs.CrashClone(vfs.CrashCloneCfg{})
		rewrite(t, fs, path, whole[:cut])
		g := &fixture{t: t, fs: fs, opts: f.opts}
		g.opts.FS = fs
		g.open()
		if n := len(g.lost()); n != 2*int(g.sl.Last()-3) {
			t.Fatalf("cut at %d of %d: %d rows kept, the log ends with group %d", cut, len(whole), n, g.sl.Last())
		}
		if err := g.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if f.reopen(); len(f.lost()) != 2 {
		t.Fatal(f.lost())
	}
}

// TestGroupsOfARecord: voided rows behind the groups of a record do not pass for
// groups, or a break behind it would pass for a torn tail.
func TestGroupsOfARecord(t *testing.T) {
	f := newFixture(t)
	b := f.s.db.NewBatch()
	defer func() { _ = b.Close() }()
	f.s.tail = 6
	for no := uint64(7); no <= 8; no++ {
		if err := f.s.set(b, &item{slot: f.sl, no: no, g: f.group(40, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	whole := len(b.Repr())
	if err := f.sl.setLost(b, []xrow.LostRow{lostRow(2, 3, 9), lostRow(2, 3, 10)}); err != nil {
		t.Fatal(err)
	}
	if first, last := groupsOf(b.Repr()); first != 7 || last != 8 {
		t.Errorf("groups %d to %d", first, last)
	}
	if first, last := groupsOf(b.Repr()[:whole-30]); first != 7 || last != 7 { // the head of a long record
		t.Errorf("groups %d to %d", first, last)
	}
}

// tableBytes is what all tables take on disk.
func (f *fixture) tableBytes() (size int64) {
	f.t.Helper()
	names, err := f.fs.List(f.opts.Dir)
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			info, e := f.fs.Stat(f.fs.PathJoin(f.opts.Dir, name))
			if err = errors.Join(err, e); e == nil {
				size += info.Size()
			}
		}
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return size
}

// TestLostRowsOutliveTheirGroup: the log is dropped in whole tables all the same,
// and what it voided stays.
func TestLostRowsOutliveTheirGroup(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	for range 12 {
		f.appendLost(3)
		for range 40 {
			f.append(f.group(10000, 1))
		}
		if err := errors.Join(f.sl.SetMeta("m", []byte{1}), f.sl.Prune(f.sl.Last()-10)); err != nil {
			t.Fatal(err)
		}
	}
	f.checkpoint(1, State{VClock: f.clock, NextGroup: f.sl.Last() + 1})
	if n := f.sl.Last() - f.sl.First(); n > 120 {
		t.Errorf("%d groups are left", n)
	}
	if n := len(f.lost()); n != 36 {
		t.Errorf("%d voided rows", n)
	}
	if n := f.s.db.Metrics().Compact.Count; n != 0 {
		t.Errorf("%d compactions", n)
	}
	f.reopen()
	if size := f.tableBytes(); size > 2e6 {
		t.Errorf("%d bytes of tables", size)
	}
	f.check(f.sl.First())
	if r := f.verify(); !r.OK() || r.Cores[0].Lost != 36 || len(f.lost()) != 36 {
		t.Error(r, len(f.lost()))
	}
}

// TestVoidedRowsWaitInAnyNumber: none is dropped, however many groups that void
// some wait behind a write.
func TestVoidedRowsWaitInAnyNumber(t *testing.T) {
	f := newFixture(t)
	written := make(chan uint64) // nobody takes it before all others wait
	j := NewJournal(f.s)
	w := j.Writer(f.sl, func(no uint64) { written <- no }, func(err error) { t.Error(err) })
	const groups, each = 200, 3
	first := f.sl.Last() + 1
	for no := first; no < first+groups; no++ {
		var rows []xrow.LostRow
		for i := range uint64(each) {
			rows = append(rows, lostRow(2, 3, 100*no+i))
		}
		w.Append(no, f.group(40, 1), rows)
	}
	for no := uint64(0); no < first+groups-1; {
		no = <-written
	}
	j.Close()
	if n := len(f.lost()); n != groups*each {
		t.Errorf("%d voided rows are kept of %d", n, groups*each)
	}
}

// TestEachLostFrom goes on from any name, whether a row has it or not.
func TestEachLostFrom(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	var rows []xrow.LostRow
	for _, n := range [][3]uint64{{2, 1, 5}, {2, 1, 300}, {2, 3, 4}, {256, 1, 1}} {
		rows = append(rows, lostRow(n[0], uint32(n[1]), n[2]))
	}
	if err := f.sl.PutLost(rows); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		term   uint64
		origin uint32
		lsn    uint64
		want   int
	}{{0, 0, 0, 4}, {2, 1, 5, 4}, {2, 1, 6, 3}, {2, 2, 0, 2}, {2, 3, 5, 1}, {256, 1, 1, 1}, {256, 1, 2, 0}} {
		n := 0
		if err := f.sl.EachLostFrom(c.term, c.origin, c.lsn, func(r xrow.LostRow) bool { n++; return true }); err != nil || n != c.want {
			t.Errorf("%+v: %d, %v", c, n, err)
		}
	}
}
