package xlog

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestDamageBehindCleanStop flips and cuts bytes of the last record of a store
// that was closed: nothing tears the tail of such a log, so it is damage, now
// and at the next attempt, and Verify and Repair know it, too.
func TestDamageBehindCleanStop(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	f.fill(5, 20)
	f.append(f.group(3, 1))
	path := f.newestJournal()
	at := f.records(path)
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	whole := f.read(path)
	last := at[len(at)-2]
	for i, change := range []func() []byte{
		func() []byte { b := bytes.Clone(whole); b[last+20] ^= 1; return b },
		func() []byte { return bytes.Clone(whole[:last+9]) },
		func() []byte { return bytes.Clone(whole[:last]) },
		func() []byte { return bytes.Clone(whole[:at[1]]) },
	} {
		fs := f.fs.CrashClone(vfs.CrashCloneCfg{})
		rewrite(t, fs, path, change())
		opts := f.opts
		opts.FS = fs
		for try := range 2 {
			s, err := Open(opts)
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("change %d, attempt %d: %v", i, try, err)
			}
			if s != nil || !strings.Contains(err.Error(), "closed with group 6") {
				t.Errorf("change %d, attempt %d: %v", i, try, err)
			}
		}
		if r, err := Verify(fs, opts.Dir); err != nil || r.OK() {
			t.Errorf("change %d: Verify: %v, %v", i, r, err)
		}
		if r, err := Repair(fs, opts.Dir); err != nil || !r.Done {
			t.Fatalf("change %d: Repair: %+v, %v", i, r, err)
		}
		s, err := Open(opts)
		if err != nil {
			t.Fatalf("change %d: behind Repair: %v", i, err)
		}
		if !s.Core(0).MayHaveLost() {
			t.Errorf("change %d: the repaired store vouches for all", i)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestStopOfAnyKind: a store that was closed, or crashed before, in or after its
// next life, opens with all that was synced.
func TestStopOfAnyKind(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	f.fill(3, 20)
	f.reopen()
	f.crash()
	f.fill(3, 20)
	f.crash()
	if f.sl.Last() != 6 {
		t.Errorf("%d groups", f.sl.Last())
	}
	if err := f.s.Close(); err != nil {
		t.Fatal(err)
	}
	f.crash() // behind a clean stop
	if f.sl.Last() != 6 {
		t.Errorf("%d groups", f.sl.Last())
	}
}

// TestWithin: the stretch of log that fits caps, against a slow count.
func TestWithin(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Log = nil })
	for range 40 {
		f.fill(10, 100)
	}
	f.reopen() // the groups go to tables
	total, bytes, err := f.sl.Size(0)
	if err != nil || total < 400 || bytes == 0 {
		t.Fatalf("%d rows, %d bytes, %v", total, bytes, err)
	}
	if no, err := f.sl.Within(0, 0); err != nil || no != 1 {
		t.Errorf("no limit: %d, %v", no, err)
	}
	if no, err := f.sl.Within(total, bytes); err != nil || no != 1 {
		t.Errorf("all fits: %d, %v", no, err)
	}
	for _, limit := range []uint64{1, total / 10, total / 2, total - 1} {
		no, err := f.sl.Within(limit, 0)
		if err != nil {
			t.Fatal(err)
		}
		rows, _, err := f.sl.Size(no)
		if err != nil || rows > limit {
			t.Errorf("limit %d: %d rows from group %d, %v", limit, rows, no, err)
		}
		if no > anchorEvery {
			if more, _, _ := f.sl.Size(no - anchorEvery); no <= f.sl.Last() && more <= limit {
				t.Errorf("limit %d: %d rows from an anchor before group %d would fit", limit, more, no)
			}
		}
	}
	if no, err := f.sl.Within(0, 1); err != nil || no <= 1 {
		t.Errorf("a byte: %d, %v", no, err)
	}
}
