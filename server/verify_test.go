package server

import (
	"fmt"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/internal/proof"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// pastLog is a log with rows of two authors in turns, ten to a group, and what its digests have
// to be.
type pastLog struct {
	*xlog.Store
	slot  *xlog.Slot
	clock vclock.VClock
	want  [3][]proof.Sum // by author and LSN
}

func newPastLog(t *testing.T) *pastLog {
	store, err := xlog.Open(xlog.Options{Dir: "d", FS: vfs.NewMem(), MemTableSize: 64 << 10, Log: func(xlog.Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &pastLog{Store: store, slot: store.Core(0), want: [3][]proof.Sum{1: {{}}, 2: {{}}}}
}

func (l *pastLog) append(t *testing.T, origin uint32, groups, size int) {
	t.Helper()
	h := proof.NewHasher()
	for range groups {
		g := &xrow.Group{Before: l.clock, After: l.clock}
		for range 10 {
			lsn := g.After[origin] + 1
			row := xrow.Row{Type: xrow.Replace, ReplicaID: origin, LSN: lsn, TSN: lsn, Flags: xrow.FlagCommit, Term: 5, Timestamp: float64(lsn),
				Body: append([]byte("\x82\x10\xcd\x02\x00\x21"), mp.Tuple(fmt.Sprintf("%*d", size, lsn))...)}
			g.Add(&row, 512, true, 0)
			l.want[origin] = append(l.want[origin], h.Row(&row))
		}
		l.clock = g.After
		if err := l.slot.Append([]*xrow.Group{g}); err != nil {
			t.Fatal(err)
		}
	}
}

// sums asks until it has all, and tells in how many answers.
func (l *pastLog) sums(t *testing.T, r proc.DigestRange) (got map[uint64]proof.Window, answers int) {
	t.Helper()
	got = map[uint64]proof.Window{}
	for r.From <= r.To {
		page, err := digestPage(l.slot, r)
		if err != nil || page.Next <= r.From {
			t.Fatalf("%+v: on to %d, %v", r, page.Next, err)
		}
		answers++
		for _, w := range page.Windows {
			sum, _ := proof.Parse(w.Sum)
			all := got[w.First]
			all.Rows += w.Rows
			all.Sum.Add(sum)
			got[w.First] = all
		}
		r.From = page.Next
	}
	return got, answers
}

// Whatever range is asked for, and in whatever steps, its digests are those of its rows; one
// answer looks at so many bytes at most.
func TestDigests(t *testing.T) {
	l := newPastLog(t)
	for range 3 {
		l.append(t, 1, 70, 100)
		l.append(t, 2, 70, 100)
	}
	l.append(t, 1, 20, 60<<10)
	for _, r := range []proc.DigestRange{
		{Origin: 1, From: 1, To: 2300, Step: 1}, {Origin: 1, From: 1, To: 2300, Step: 2300}, {Origin: 2, From: 1, To: 2100, Step: 64}, {Origin: 2, From: 701, To: 703, Step: 2},
		{Origin: 1, From: 2101, To: 2300, Step: 50}, {Origin: 2, From: 2099, To: 4000, Step: 1000}, {Origin: 3, From: 1, To: 9, Step: 1},
	} {
		got, answers := l.sums(t, r)
		if big := r.Origin == 1; big != (answers > 1) {
			t.Errorf("%+v: %d answers", r, answers)
		}
		want := map[uint64]proof.Window{}
		for lsn := r.From; r.Origin < 3 && lsn <= r.To && lsn < uint64(len(l.want[r.Origin])); lsn++ {
			w := want[lsn-lsn%r.Step]
			w.Rows++
			w.Sum.Add(l.want[r.Origin][lsn])
			want[lsn-lsn%r.Step] = w
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v: other digests", r)
		}
	}
}

// What is not in the log any more is said, and is no part of a digest.
func TestDigestsOfCutLog(t *testing.T) {
	l := newPastLog(t)
	l.append(t, 2, 10, 100)
	l.append(t, 1, 300, 1000)
	if err := l.slot.Prune(200); err != nil {
		t.Fatal(err)
	}
	oldest := l.slot.Oldest()
	if oldest[1] == 0 || oldest[2] != 100 {
		t.Fatalf("the log begins behind %s", oldest)
	}
	page, err := digestPage(l.slot, proc.DigestRange{Origin: 1, From: 1, To: 3000, Step: 3000})
	if err != nil || page.Begins != oldest[1]+1 || page.Next != 3001 {
		t.Fatalf("from %d, on to %d: %v", page.Begins, page.Next, err)
	}
	rows := uint64(0)
	for _, w := range page.Windows {
		rows += w.Rows
	}
	if rows != 3000-oldest[1] {
		t.Errorf("%d rows, the log begins behind %s", rows, oldest)
	}
	if page, err := digestPage(l.slot, proc.DigestRange{Origin: 2, From: 1, To: 100, Step: 10}); err != nil || page.Begins != 101 || len(page.Windows) != 0 {
		t.Errorf("%+v, %v", page, err)
	}
}

// The digests of all spaces are those of the vclock that is asked for; what is local to an instance is
// in none, and at another vclock there are none.
func TestSpaceDigests(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	n := s.leader()
	n.call("box.schema.space.create", "mine", map[string]any{"is_local": true})
	n.call("box.space.mine:create_index", "pk")
	n.call("box.space.mine:insert", []any{1})
	for _, c := range []struct {
		text string
		want uint64 // tuples of t
	}{{"a", 1}, {"b", 1}, {"", 0}} {
		if n.call("box.space.t:delete", 1); c.text != "" {
			n.call("box.space.t:insert", []any{1, c.text})
		}
		var synced []any
		spaces := map[any]map[any]any{}
		s.until("nothing is undecided", func() bool {
			synced, _ = n.call("tarragon.verify.standing")[0].(map[any]any)["synced"].([]any)
			list, _ := n.call("tarragon.verify.spaces", synced)[0].(map[any]any)["spaces"].([]any)
			for _, sp := range list {
				spaces[sp.(map[any]any)["name"]] = sp.(map[any]any)
			}
			return len(list) > 0
		})
		sum := proof.Sum{}
		if c.want > 0 {
			sum = proof.NewHasher().Tuple(512, mp.Tuple(1, c.text))
		}
		if got := spaces["t"]; c.want == 0 && got != nil || c.want > 0 && (fmt.Sprint(got["rows"]) != fmt.Sprint(c.want) || fmt.Sprint(got["sum"]) != fmt.Sprint(sum.Bytes()) || fmt.Sprint(got["id"]) != "512") {
			t.Errorf("%q: %v", c.text, got)
		}
		if spaces["mine"] != nil || spaces["_space"] == nil {
			t.Errorf("%q: spaces %v", c.text, spaces)
		}
		other := append([]any{}, synced...)
		other[2] = 1
		if list := n.call("tarragon.verify.spaces", other)[0].(map[any]any)["spaces"]; list != nil {
			t.Errorf("%q: at another vclock: %v", c.text, list)
		}
	}
}
