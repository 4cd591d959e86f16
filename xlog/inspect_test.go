package xlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

func (f *fixture) cat(filter Filter) (entries []Entry) {
	f.t.Helper()
	if err := Cat(f.fs, f.opts.Dir, filter, func(e Entry) error {
		entries = append(entries, e)
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	return entries
}

// TestCatShowsAllRowsOnce: groups are in tables, in the journal, or in both,
// and the store is open all the time.
func TestCatShowsAllRowsOnce(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	for _, n := range []int{5, 100, 3} {
		f.fill(n, 5000)
		entries := f.cat(Filter{})
		if len(entries) != 2*len(f.groups) {
			t.Fatalf("%d rows of %d groups", len(entries), len(f.groups))
		}
		for i, e := range entries {
			if e.Group != uint64(i/2)+1 || e.Position != i%2 || e.Error != "" {
				t.Fatalf("row %d is %s", i, e)
			}
		}
		f.reopen()
	}
	f.append(realGroup(t))
	f.groups = nil
	got := map[string]int{}
	for _, e := range f.cat(Filter{Types: []xrow.Type{xrow.Promote, xrow.Confirm}, FromGroup: 109}) {
		got[e.Type]++
	}
	if got["PROMOTE"] == 0 || got["CONFIRM"] == 0 || len(got) != 2 {
		t.Fatal(got)
	}
	if n := len(f.cat(Filter{Spaces: []uint32{512}, FromLSN: 3, ToLSN: 4, ToGroup: 50, Replicas: []uint32{1}})); n != 2 {
		t.Fatal(n)
	}
}

func TestEntryAsTextAndJSON(t *testing.T) {
	f := newFixture(t)
	d := xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: someTuple()}
	g := &xrow.Group{}
	row := xrow.Row{Type: xrow.Insert, ReplicaID: 1, LSN: 1, TSN: 1, Flags: xrow.FlagCommit | xrow.FlagWaitSync,
		Timestamp: 2.25, Term: 4, Body: d.AppendBody(nil)}
	g.Add(&row, 512, true, 0)
	f.append(g)
	e := f.cat(Filter{})[0]
	const body = `{"space_id": 512, "tuple": [null, true, -1, -300, -70000, -5000000000, 1.5, 2.5, "NaN", "text \"q\"", ` +
		`"0xff00", {"1": [], "k": {}}, "00010203-0405-0607-0809-0a0b0c0d0e0f", "ext(99):10"]}`
	if want := `1.0 1:1 INSERT space=512 term=4 time=2.250000 tsn=1 flags=commit,wait_sync ` + body; e.String() != want {
		t.Fatalf("%s\nwant\n%s", e, want)
	}
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(out, &back); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"group", "position", "lsn", "replica_id", "type", "space", "term", "timestamp", "tsn", "flags", "body"} {
		if _, ok := back[key]; !ok {
			t.Errorf("no %s in %s", key, out)
		}
	}
	for name, want := range map[string]xrow.Type{"insert": xrow.Insert, "ROLLBACK": xrow.Rollback, "Confirm": xrow.Confirm} {
		if typ, ok := ParseType(name); !ok || typ != want {
			t.Fatal(name, typ, ok)
		}
	}
	if typ, ok := ParseType("insertion"); ok {
		t.Fatal(typ)
	}
}

// someTuple has a value of each kind.
func someTuple() []byte {
	b := msgp.AppendArrayHeader(nil, 14)
	b = msgp.AppendNil(b)
	b = msgp.AppendBool(b, true)
	for _, n := range []int64{-1, -300, -70000, -5e9} {
		b = msgp.AppendInt64(b, n)
	}
	b = msgp.AppendFloat32(b, 1.5)
	b = msgp.AppendFloat64(b, 2.5)
	b = msgp.AppendFloat64(b, math.NaN())
	b = msgp.AppendString(b, `text "q"`)
	b = msgp.AppendBytes(b, []byte{0xff, 0})
	b = append(b, 0x82, 1, 0x90, 0xa1, 'k', 0x80)
	b = append(b, 0xd8, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
	return append(b, 0xc7, 1, 99, 0x10)
}

func (f *fixture) verify() *Report {
	f.t.Helper()
	r, err := Verify(f.fs, f.opts.Dir)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// story fills a store with all that there is.
func story(f *fixture) {
	f.fill(100, 5000)
	f.checkpoint(2000, State{VClock: f.clock, Term: 3, NextGroup: 101})
	if err := errors.Join(f.sl.SetMeta("uuid", []byte("u1")), f.sl.SetMeta("uuid", []byte("u2")),
		f.sl.appendAt(101, []*xrow.Group{f.group(500, 1, 2)}, []xrow.LostRow{{Term: 1, Origin: 2, LSN: 3, Frame: []byte("frame")}})); err != nil {
		f.t.Fatal(err)
	}
	f.fill(19, 500)
}

func TestVerifyOfAWholeStore(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	story(f)
	check := func(inUse bool) {
		t.Helper()
		r := f.verify()
		c := &r.Cores[0]
		if !r.OK() || r.InUse != inUse || len(r.Cores) != 1 || c.ID != 0 || c.Groups != 120 || c.First != 1 || c.Last != 120 || c.Rows != 240 ||
			c.VClock != f.clock.String() || c.Lost != 1 || len(c.Checkpoints) != 1 || c.Checkpoints[0].Tuples != 4000 ||
			!strings.Contains(r.String(), "no damage") {
			t.Fatal(r)
		}
	}
	check(true)
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	check(false)
	f.open()
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	check(false)
	if _, err := Verify(f.fs, "nowhere"); err == nil {
		t.Fatal("verified nothing")
	}
	if r, err := Repair(f.fs, f.opts.Dir); err != nil || r.Done {
		t.Fatal(r, err)
	}
}

// TestRepairOfADamagedJournal: what is before the damage stays, the rest goes
// to the backup, and the store says that it may have lost something.
func TestRepairOfADamagedJournal(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	story(f)
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	path := f.newestJournal()
	at, b := f.records(path), f.read(path)
	b[at[len(at)-4]+30] ^= 1
	rewrite(t, f.fs, path, b)
	if _, err := Open(f.opts); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	r := f.verify()
	if r.OK() || !strings.Contains(r.String(), fmt.Sprintf("offset %d", at[len(at)-4])) {
		t.Fatal(r)
	}
	rep, err := Repair(f.fs, f.opts.Dir)
	if err != nil || !rep.Done || rep.Cores[0].First != 1 || rep.Cores[0].Last != 117 || rep.Cores[0].Checkpoints != 1 {
		t.Fatal(rep, err)
	}
	f.groups = f.groups[:117]
	f.open()
	f.check(1)
	f.checkCheckpoint(f.sl.Checkpoints()[0].ID, 2000)
	value, _, err := f.sl.Meta("uuid")
	lost := 0
	err = errors.Join(err, f.sl.EachLost(func(xrow.LostRow) bool { lost++; return true }))
	if err != nil || string(value) != "u2" || lost != 1 || !f.sl.MayHaveLost() {
		t.Fatal(string(value), lost, err)
	}
	if r := f.verify(); !r.OK() {
		t.Fatal(r)
	}
	if b, err := readFile(f.fs, f.fs.PathJoin(rep.Backup, cardName)); err != nil || len(b) == 0 {
		t.Fatal(err)
	}
}

// TestRepairWithoutManifest: tables and journals are enough.
func TestRepairWithoutManifest(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	story(f)
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := f.fs.List(f.opts.Dir)
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST") || strings.HasPrefix(name, "marker") {
			if err := f.fs.Remove(f.fs.PathJoin(f.opts.Dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Open(f.opts); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	if n := len(f.cat(Filter{})); n != 240 {
		t.Fatal(n)
	}
	if rep, err := Repair(f.fs, f.opts.Dir); err != nil || !rep.Done {
		t.Fatal(rep, err)
	}
	f.open()
	f.check(1)
	if !f.sl.MayHaveLost() {
		t.Fatal("nothing said")
	}
}

// TestRepairGoesOnFromTheCheckpoint: groups that the checkpoint stands for are
// damaged; nothing behind it is.
func TestRepairGoesOnFromTheCheckpoint(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	f.fill(100, 5000)
	f.reopen() // groups 1 to 100 are in tables now
	f.fill(20, 500)
	f.checkpoint(100, State{VClock: f.clock, NextGroup: 111})
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := openRaw(f.fs, f.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	raw.live = nil
	tables, err := raw.newTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if no, ok := parseLogKey(table.first); ok && no > 1 {
			path := f.fs.PathJoin(f.opts.Dir, table.name)
			b := f.read(path)
			rewrite(t, f.fs, path, b[:len(b)-1])
			break
		}
	}
	if r := f.verify(); r.OK() {
		t.Fatal(r)
	}
	rep, err := Repair(f.fs, f.opts.Dir)
	if err != nil || !rep.Done || rep.Cores[0].Last != 120 || rep.Cores[0].First < 2 || rep.Cores[0].Checkpoints != 1 {
		t.Fatalf("%+v %v", rep, err)
	}
	f.open()
	f.check(rep.Cores[0].First)
}

// Voided transactions are printed row by row, also from a store in use.
func TestCatLost(t *testing.T) {
	f := newFixture(t)
	f.fill(3, 10)
	body := []byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x91, 7} // space 512, tuple [7]
	var frames []byte
	for lsn := uint64(8); lsn <= 9; lsn++ {
		row := xrow.Row{Type: xrow.Replace, ReplicaID: 2, LSN: lsn, TSN: 8, Timestamp: 1, Term: 3, Body: body}
		if lsn == 9 {
			row.Flags = xrow.FlagCommit
		}
		frames = row.Append(frames)
	}
	err := errors.Join(f.sl.appendAt(4, []*xrow.Group{f.group(10, 1)}, []xrow.LostRow{{Term: 3, Origin: 2, LSN: 9, Frame: frames}}),
		f.s.db.Flush(),
		f.sl.appendAt(5, []*xrow.Group{f.group(10, 1)}, []xrow.LostRow{{Term: 2, Origin: 1, LSN: 4, Frame: []byte("junk")}}))
	if err != nil {
		t.Fatal(err)
	}
	cat := func(filter Filter) string {
		var lines []string
		if err = CatLost(f.fs, f.opts.Dir, filter, func(e Entry) error {
			lines = append(lines, e.String())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	const first = `lost 2:8 REPLACE space=512 term=3 time=1.000000 tsn=8 {"space_id": 512, "tuple": [7]}`
	const last = `lost 2:9 REPLACE space=512 term=3 time=1.000000 tsn=8 flags=commit {"space_id": 512, "tuple": [7]}`
	if got := cat(Filter{}); got != "lost 1:4 DAMAGED short frame\n"+first+"\n"+last {
		t.Error(got)
	}
	if got := cat(Filter{Spaces: []uint32{512}, ToLSN: 8}); got != first {
		t.Error(got)
	}
	if got := cat(Filter{Types: []xrow.Type{xrow.Insert}}); got != "" {
		t.Error(got)
	}
}
