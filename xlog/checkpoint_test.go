package xlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func tupleOf(space uint32, i int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0x92, 0xce}, uint32(i)), []byte(fmt.Sprint(space, strings.Repeat("x", i%300)))...)
}

// checkpoint writes n tuples into each of two spaces.
func (f *fixture) checkpoint(n int, state State) uint64 {
	f.t.Helper()
	w, err := f.sl.NewCheckpoint()
	if err != nil {
		f.t.Fatal(err)
	}
	f.addTuples(w, n)
	id, err := w.Finish(state)
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

func (f *fixture) addTuples(w *CheckpointWriter, n int) {
	f.t.Helper()
	for _, space := range []uint32{280, 512} {
		for i := range n {
			if err := w.Add(space, tupleOf(space, i)); err != nil {
				f.t.Fatal(err)
			}
		}
	}
}

func (f *fixture) checkCheckpoint(id uint64, n int) State {
	f.t.Helper()
	r, err := f.sl.OpenCheckpoint(id)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	for i := 0; ; i++ {
		space, tuple, ok, err := r.Next()
		if err != nil {
			f.t.Fatal(err)
		}
		if !ok {
			if i != 2*n {
				f.t.Fatalf("%d tuples of %d", i, 2*n)
			}
			return r.State()
		}
		want := []uint32{280, 512}[i/n]
		if space != want || string(tuple) != string(tupleOf(want, i%n)) {
			f.t.Fatalf("tuple %d of space %d is %q", i, space, tuple)
		}
	}
}

func TestCheckpointComesBack(t *testing.T) {
	f := newFixture(t)
	f.fill(70, 10)
	state := State{VClock: f.clock, Term: 7, Vote: 2, Confirmed: 12, NextGroup: 71, Undecided: f.groups[68],
		ConfirmedOf: vclock.VClock{2: 12}, VoidPromotes: []uint64{3, 1 << 33},
		History: []terms.Span{{Term: 5, Owner: 1, First: 1, Last: 9, Writer: 1, Rules: terms.Strong}, {Term: 7, First: 4, Last: 1 << 40, Writer: 2, Rules: terms.Tarantool}}}
	id := f.checkpoint(5000, state)
	empty := f.checkpoint(0, State{VClock: f.clock, NextGroup: 71})
	for range 2 {
		got := f.checkCheckpoint(id, 5000)
		sameGroup(t, got.Undecided, state.Undecided)
		got.Undecided = nil
		want := state
		want.Undecided = nil
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%+v\nwant %+v", got, want)
		}
		f.checkCheckpoint(empty, 0)
		list := f.sl.Checkpoints()
		if len(list) != 2 || list[0].ID != empty || list[1].ID != id || list[1].Tuples != 10000 || list[1].State.Term != 7 {
			t.Fatalf("%+v", list)
		}
		f.crash()
	}
	if err := f.sl.DropCheckpoint(id); err != nil {
		t.Fatal(err)
	}
	f.crash()
	if _, err := f.sl.OpenCheckpoint(id); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	f.checkCheckpoint(empty, 0)
	if next := f.checkpoint(1, State{NextGroup: 71, VClock: f.clock}); next != empty+1 {
		t.Fatal(next)
	}
}

func TestUnfinishedCheckpointIsNotThere(t *testing.T) {
	f := newFixture(t)
	w, err := f.sl.NewCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	f.addTuples(w, 1000)
	if err := w.closeTable(); err != nil {
		t.Fatal(err)
	}
	f.crash()
	if list := f.sl.Checkpoints(); len(list) != 0 {
		t.Fatalf("%+v", list)
	}
	if names, _ := f.fs.List("store/" + ingestDir); len(names) != 0 {
		t.Fatal(names)
	}
	// The same tables, taken in without an end record.
	w, _ = f.sl.NewCheckpoint()
	f.addTuples(w, 1000)
	if err := errors.Join(w.flush(), w.closeTable(), f.s.ingest("test", []string{w.done[0].path})); err != nil {
		t.Fatal(err)
	}
	id := w.id
	f.crash()
	if list := f.sl.Checkpoints(); len(list) != 0 {
		t.Fatalf("%+v", list)
	}
	if _, err := f.sl.OpenCheckpoint(id); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if next := f.checkpoint(1, State{NextGroup: 1}); next <= id {
		t.Fatalf("number %d is used again", next)
	}
	f.crash() // the valid one behind it does not lend it its end record
	if list := f.sl.Checkpoints(); len(list) != 1 || list[0].ID == id {
		t.Fatalf("%+v", list)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	f := newFixture(t)
	w, err := f.sl.NewCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	f.addTuples(w, 1000)
	w.Abort()
	if names, _ := f.fs.List("store/" + ingestDir); len(names) != 0 {
		t.Fatal(names)
	}
}

// TestMissingChunkIsDamage removes a chunk: the counts of the end record tell.
func TestMissingChunkIsDamage(t *testing.T) {
	f := newFixture(t)
	id := f.checkpoint(3000, State{NextGroup: 1})
	it, err := f.s.newIter(chunkKey(f.sl.number, id, 512, 1), endKey(f.sl.number, id))
	if err != nil {
		t.Fatal(err)
	}
	it.First()
	key := append([]byte(nil), it.Key()...)
	if err := errors.Join(it.Close(), f.s.db.Delete(key, pebble.Sync)); err != nil {
		t.Fatal(err)
	}
	r, err := f.sl.OpenCheckpoint(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for ok := true; ok && err == nil; {
		_, _, ok, err = r.Next()
	}
	if !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

func TestCheckpointOfAJoinBasesTheLog(t *testing.T) {
	f := newFixture(t)
	f.clock = vclock.VClock{0: 1, 1: 100, 2: 7}
	f.checkpoint(10, State{VClock: f.clock, NextGroup: 1})
	for range 2 {
		if f.sl.VClock() != f.clock || f.sl.Last() != 0 || f.sl.First() != 1 {
			t.Fatal(f.sl.VClock(), f.sl.First(), f.sl.Last())
		}
		if _, err := f.sl.Seek(&vclock.VClock{1: 99, 2: 7}); !errors.Is(err, ErrGap) {
			t.Fatal(err)
		}
		f.crash()
	}
	f.fill(100, 10)
	f.crash()
	f.check(1)
	if no, err := f.sl.Seek(&vclock.VClock{1: 100, 2: 7}); err != nil || no != 1 {
		t.Fatal(no, err)
	}
}

// TestFinishWaitsForTheSync: a checkpoint may be taken while the last group it
// stands for is on its way to the disk.
func TestFinishWaitsForTheSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := newStore(Options{Dir: "store", FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		sl := s.newSlot(0)
		publish := func(no uint64) { (&item{slot: sl, no: no, g: &xrow.Group{}}).publish() }
		waiting := func() (answer chan error) {
			answer = make(chan error, 1)
			go func() { answer <- sl.awaitSynced(4) }()
			synctest.Wait()
			return answer
		}
		a := waiting()
		publish(3)
		synctest.Wait()
		if len(a) != 0 {
			t.Fatal("did not wait for group 4")
		}
		publish(4)
		if err := <-a; err != nil {
			t.Fatal(err)
		}
		sl.last.Store(0)
		a = waiting()
		s.fail.set(errors.New("the disk is gone"))
		if err := <-a; !errors.Is(err, ErrFailed) {
			t.Fatal(err)
		}
	})
	f := newFixture(t)
	f.fill(4, 10)
	f.checkpoint(1, State{VClock: f.clock, NextGroup: 5})
}

func lostRow(term uint64, origin uint32, lsn uint64) xrow.LostRow {
	return xrow.LostRow{Term: term, Origin: origin, LSN: lsn, Frame: fmt.Appendf(nil, "row %d", lsn)}
}

func TestLostRows(t *testing.T) {
	f := newFixture(t)
	rows := []xrow.LostRow{lostRow(3, 2, 9), lostRow(2, 1, 7), lostRow(3, 2, 8), lostRow(3, 2, 8)}
	for range 3 {
		if err := f.sl.PutLost(rows); err != nil {
			t.Fatal(err)
		}
		f.crash()
	}
	var got []string
	if err := f.sl.EachLost(func(r xrow.LostRow) bool {
		got = append(got, fmt.Sprintf("%d %d:%d %s", r.Term, r.Origin, r.LSN, r.Frame))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if strings.Join(got, ", ") != "2 1:7 row 7, 3 2:8 row 8, 3 2:9 row 9" {
		t.Fatal(got)
	}
}

// TestLogThatLostItsEndIsDropped: the checkpoint is on disk, the groups before
// it are not (mode Write, the machine went down before they got into a table).
func TestLogThatLostItsEndIsDropped(t *testing.T) {
	var held atomic.Bool
	down := make(chan struct{})
	hold := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if held.Load() && op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") && !strings.Contains(op.Path, ingestDir) {
			<-down
		}
		return nil
	})
	f := newFixture(t, func(o *Options) { o.Mode, o.FS = Write, errorfs.Wrap(o.FS, hold) })
	f.fill(50, 10000)
	if err := f.s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	f.fill(10, 10)
	held.Store(true)
	f.checkpoint(10, State{VClock: f.clock, NextGroup: 61})
	f.fs = f.fs.CrashClone(vfs.CrashCloneCfg{})
	close(down)
	f.opts.FS, f.opts.BootID = f.fs, "second"
	f.open()
	if f.sl.First() != 61 || f.sl.Last() != 60 || f.sl.VClock() != f.clock || !f.sl.MayHaveLost() {
		t.Fatal(f.sl.First(), f.sl.Last(), f.sl.VClock())
	}
	f.fill(1, 10)
	f.reopen()
	f.check(61)
}

// TestCheckpointClosesATable: an instance that writes little gets rid of its
// log, too.
func TestCheckpointClosesATable(t *testing.T) {
	f := newFixture(t)
	for range 2 {
		f.fill(2*anchorEvery, 10)
		f.checkpoint(1, State{VClock: f.clock, NextGroup: f.sl.Last() + 1})
	}
	// Tables are written in the background.
	for limit := time.Now().Add(10 * time.Second); f.sl.First() == 1; runtime.Gosched() {
		if err := f.sl.Prune(f.sl.Last()); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(limit) {
			t.Fatal("the log was kept")
		}
	}
}

// Spaces that come late have a place where the writer was told to leave one.
func TestCheckpointLateSpaces(t *testing.T) {
	f := newFixture(t)
	w, err := f.sl.NewCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	put := func(space uint32, n int) {
		t.Helper()
		for i := range n {
			if err := w.Add(space, tupleOf(space, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(280, 10)
	put(512, 700) // several chunks
	if err := w.Cut(); err != nil {
		t.Fatal(err)
	}
	put(515, 3)
	put(517, 3)
	if err := w.Cut(); err != nil {
		t.Fatal(err)
	}
	put(520, 3)
	put(513, 500)
	put(514, 1)
	put(518, 400) // behind a table that is finished
	put(600, 2)
	for _, bad := range []uint32{516, 300, 512, 520} {
		if err := w.Add(bad, tupleOf(bad, 1)); err == nil {
			t.Fatalf("space %d was taken a second time, or into a table", bad)
		}
	}
	id, err := w.Finish(State{NextGroup: 1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.sl.OpenCheckpoint(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	at, n := uint32(0), 0
	for {
		space, tuple, ok, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if space != at || !ok {
			if at != 0 {
				got = append(got, fmt.Sprint(at, ":", n))
			}
			at, n = space, 0
		}
		if !ok {
			break
		}
		if string(tuple) != string(tupleOf(space, n)) {
			t.Fatalf("space %d, tuple %d: %x", space, n, tuple)
		}
		n++
	}
	if want := "280:10 512:700 513:500 514:1 515:3 517:3 518:400 520:3 600:2"; strings.Join(got, " ") != want {
		t.Errorf("got %s", got)
	}
}

func TestJoinCRC(t *testing.T) {
	piece := []byte(strings.Repeat("tarragon", 40))
	for _, cut := range []int{0, 1, 2, 3, 64, 200, len(piece)} {
		a, b := piece[:cut], piece[cut:]
		got := joinCRC(crc32.Checksum(a, castagnoli), crc32.Checksum(b, castagnoli), uint64(len(b)))
		if want := crc32.Checksum(piece, castagnoli); got != want {
			t.Errorf("cut at %d: %08x, want %08x", cut, got, want)
		}
	}
}
