package xrow

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"tarragon.dev/tarragon/vclock"

	"pgregory.net/rapid"
)

// addTransaction adds rows of the given origins with the next LSNs; all but
// the last row are without flags.
func addTransaction(g *Group, flags Flags, origins ...uint32) {
	var tsn uint64
	next := g.After
	for _, o := range origins {
		next[o]++
		if tsn == 0 && o != 0 {
			tsn = next[o]
		}
	}
	if tsn == 0 {
		tsn = g.After[0] + 1
	}
	for i, o := range origins {
		row := Row{Type: Insert, ReplicaID: o, LSN: g.After[o] + 1, TSN: tsn, Timestamp: 1.5, Body: []byte{0x81, 0x10, 0x05}}
		if o == 0 {
			row.GroupID = GroupLocal
		}
		if i == len(origins)-1 {
			row.Flags = flags | FlagCommit
		}
		g.Add(&row, 5, i == 0, 0)
	}
}

// slowCut is what Cut must do: decode, filter and encode each transaction.
func slowCut(t interface {
	Helper()
	Fatal(...any)
}, g *Group, pos *vclock.VClock, skip uint32) (frames []byte) {
	t.Helper()
	for from, to := range g.Transactions() {
		var kept []Row
		var flags Flags
		for i := from; i < to; i++ {
			row, err := g.Row(i)
			if err != nil {
				t.Fatal(err)
			}
			flags = row.Flags
			if row.ReplicaID != 0 && skip&(1<<row.ReplicaID) == 0 && row.LSN > pos[row.ReplicaID] {
				row.Flags = 0
				kept = append(kept, row)
			}
		}
		for i, row := range kept {
			row.TSN = kept[0].LSN
			if i == len(kept)-1 {
				row.Flags = flags
			}
			frames = row.Append(frames)
		}
		for _, ref := range g.Table[from:to] {
			pos[ref.Origin] = max(pos[ref.Origin], ref.LSN)
		}
	}
	return frames
}

func TestCutIsItsSlowTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g Group
		mixed := rapid.Bool().Draw(t, "mixed") // also layouts that we do not write
		for range rapid.IntRange(0, 8).Draw(t, "transactions") {
			var origins []uint32
			if mixed {
				origins = rapid.SliceOfN(rapid.Uint32Range(0, 3), 1, 5).Draw(t, "origins")
			} else {
				local := rapid.IntRange(0, 2).Draw(t, "local")
				global := rapid.IntRange(0, 3).Draw(t, "global")
				origin := rapid.Uint32Range(1, 3).Draw(t, "origin")
				origins = append(make([]uint32, local), slices.Repeat([]uint32{origin}, global)...)
				if len(origins) == 0 {
					continue
				}
			}
			addTransaction(&g, Flags(rapid.SampledFrom([]int{0, 2, 4, 6}).Draw(t, "flags")), origins...)
		}
		var pos vclock.VClock
		for o := range 4 {
			pos[o] = rapid.Uint64Range(0, 6).Draw(t, "pos")
		}
		if !mixed { // a position is the end of a transaction
			for from, to := range g.Transactions() {
				for i := from; i < to; i++ {
					ref, last := g.Table[i], g.Table[to-1]
					if ref.LSN <= pos[ref.Origin] && pos[ref.Origin] < last.LSN && ref.Origin == last.Origin {
						pos[ref.Origin] = ref.LSN - 1
					}
				}
			}
		}
		skip := rapid.Uint32Range(0, 15).Draw(t, "skip")
		twinPos := pos
		runs := g.Cut(&pos, skip, nil, nil)
		want := slowCut(t, &g, &twinPos, skip)
		if got := bytes.Join(runs, nil); !bytes.Equal(got, want) {
			t.Fatalf("got  %x\nwant %x", got, want)
		}
		if pos != twinPos {
			t.Fatalf("pos is %s, want %s", pos, twinPos)
		}
		for _, run := range runs {
			if !mixed && !within(run, g.Rows) {
				t.Fatal("a row of an ordinary transaction was encoded anew")
			}
		}
	})
}

// within tells whether run is a part of all's memory.
func within(run, all []byte) bool {
	at, from := uintptr(unsafe.Pointer(unsafe.SliceData(run))), uintptr(unsafe.Pointer(unsafe.SliceData(all)))
	return at >= from && at < from+uintptr(len(all))
}

func TestCut(t *testing.T) {
	var g Group
	addTransaction(&g, 0, 1)       // 1:1
	addTransaction(&g, 6, 0, 1, 1) // 0:1, 1:2, 1:3
	addTransaction(&g, 0, 0)       // 0:2
	addTransaction(&g, 0, 2)       // 2:1
	addTransaction(&g, 2, 1, 1, 0) // 1:4, 1:5, 0:3
	addTransaction(&g, 0, 1)       // 1:6
	for _, c := range []struct {
		pos  string
		skip uint32
		want string // origin:lsn(tsn)flags, | between runs
		end  string
	}{
		{"{}", 0, "1:1(1)1 | 1:2(2)0 1:3(2)7 | 2:1(1)1 | 1:4(4)0 1:5(4)3 | 1:6(6)1", "{0: 3, 1: 6, 2: 1}"},
		{"{1: 3}", 0, "2:1(1)1 | 1:4(4)0 1:5(4)3 | 1:6(6)1", "{0: 3, 1: 6, 2: 1}"},
		{"{1: 1}", 1 << 2, "1:2(2)0 1:3(2)7 | 1:4(4)0 1:5(4)3 | 1:6(6)1", "{0: 3, 1: 6, 2: 1}"},
		{"{}", 1 << 1, "2:1(1)1", "{0: 3, 1: 6, 2: 1}"},
		{"{1: 2, 2: 7}", 0, "1:3(3)7 | 1:4(4)0 1:5(4)3 | 1:6(6)1", "{0: 3, 1: 6, 2: 7}"},
		{"{1: 6, 2: 1}", 0, "", "{0: 3, 1: 6, 2: 1}"},
	} {
		pos := clock(t, c.pos)
		got := ""
		for i, run := range g.Cut(&pos, c.skip, nil, nil) {
			if i > 0 {
				got += "| "
			}
			for len(run) > 0 {
				n := FrameHead + int(run[4])
				row, err := Decode(run[FrameHead:n])
				if err != nil {
					t.Fatal(err)
				}
				got += fmt.Sprintf("%d:%d(%d)%d ", row.ReplicaID, row.LSN, row.TSN, row.Flags)
				run = run[n:]
			}
		}
		if len(got) > 0 {
			got = got[:len(got)-1]
		}
		if got != c.want || pos.String() != c.end {
			t.Errorf("at %s without %b: %s, then at %s, want %s", c.pos, c.skip, got, pos, c.want)
		}
	}
}

func TestTransactions(t *testing.T) {
	var g Group
	addTransaction(&g, 0, 1)
	addTransaction(&g, 0, 0, 1, 1)
	addTransaction(&g, 0, 2)
	got := ""
	for from, to := range g.Transactions() {
		got += fmt.Sprintf("%d-%d ", from, to)
	}
	if got != "0-1 1-4 4-5 " {
		t.Errorf("transactions %s", got)
	}
	for range g.Transactions() {
		break
	}
	if g.After != clock(t, "{0: 1, 1: 3, 2: 1}") {
		t.Errorf("After is %s", g.After)
	}
	if row, err := g.Row(3); err != nil || row.LSN != 3 || row.TSN != 2 {
		t.Errorf("row 3 is %+v, %v", row, err)
	}
}

func TestAddAndCutDoNotAllocate(t *testing.T) {
	g := Group{Rows: make([]byte, 0, 4096), Table: make([]Ref, 0, 64)}
	out := make([][]byte, 0, 64)
	row := Row{Type: Replace, ReplicaID: 1, Timestamp: 1.5, Body: []byte{0x81, 0x10, 0x05}, Flags: FlagCommit, Term: 3}
	pos := new(vclock.VClock)
	if n := testing.AllocsPerRun(100, func() {
		g.Rows, g.Table = g.Rows[:0], g.Table[:0]
		for range 20 {
			row.LSN++
			row.TSN = row.LSN
			g.Add(&row, 512, true, 0)
		}
		*pos = vclock.VClock{}
		for from, to := range g.Transactions() {
			pos[2] += uint64(to - from)
		}
		if out = g.Cut(pos, 1<<2, nil, out[:0]); len(out) != 1 {
			t.Fatalf("%d runs", len(out))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	var g Group
	row := hotRow()
	b.ReportAllocs()
	for b.Loop() {
		if len(g.Table) == 512 {
			g.Rows, g.Table = g.Rows[:0], g.Table[:0]
		}
		row.LSN++
		row.TSN = row.LSN
		g.Add(&row, 512, true, 0)
	}
}

func BenchmarkCut512(b *testing.B) {
	var g Group
	row := hotRow()
	for range 512 {
		row.LSN++
		row.TSN = row.LSN
		g.Add(&row, 512, true, 0)
	}
	var pos vclock.VClock
	var out [][]byte
	b.ReportAllocs()
	for b.Loop() {
		pos = vclock.VClock{}
		out = g.Cut(&pos, 1<<2, nil, out[:0])
	}
}

// BenchmarkCutByShare512 cuts all rows but those of one space in ten, which is every tenth: by a look
// at each row, and by their places.
func BenchmarkCutByShare512(b *testing.B) {
	var g Group
	row := hotRow()
	for i := range uint32(512) {
		row.LSN++
		row.TSN = row.LSN
		g.Add(&row, 512+i%10, true, 0)
	}
	for name, places := range map[string]*Places{"each": nil, "places": g.Places()} {
		b.Run(name, func(b *testing.B) {
			var pos vclock.VClock
			var out [][]byte
			gap := NewGap(&Share{Filter: "one", Spaces: []uint32{515}})
			b.ReportAllocs()
			for b.Loop() {
				pos = vclock.VClock{}
				gap.Reset()
				out = gap.Flush(g.CutAt(places, &pos, 0, gap, out[:0]))
			}
		})
	}
}

// BenchmarkPlaces512 is what a group costs once, for all streams.
func BenchmarkPlaces512(b *testing.B) {
	var g Group
	row := hotRow()
	for i := range uint32(512) {
		row.LSN++
		row.TSN = row.LSN
		g.Add(&row, 512+i%10, true, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		g.Places()
	}
}
