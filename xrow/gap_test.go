package xrow

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"tarragon.dev/tarragon/vclock"
)

// A filtered stream has each row that the peer has, as it lies in the log wherever its
// transaction is whole, and names every other one in a gap: nothing is missing, nothing
// is told twice.
func TestCutByShare(t *testing.T) {
	share := &Share{Filter: "f", Spaces: []uint32{600}}
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		groups := randomGroups(rng)
		var pos, told vclock.VClock
		gap := NewGap(share)
		for len(groups) > 0 {
			n := 1 + rng.IntN(len(groups)) // of one write
			gap.Reset()
			var out [][]byte
			for i, g := range groups[:n] {
				if i%2 == 0 {
					out = g.Cut(&pos, 0, gap, out)
				} else {
					out = g.CutAt(g.Places(), &pos, 0, gap, out)
				}
			}
			rows := framesOf(t, gap.Flush(out))
			checkStream(t, seed, groups[:n], rows, &told)
			groups = groups[n:]
		}
		pos[0] = 0 // our own local rows
		if told != pos {
			t.Fatalf("seed %d: told up to %s, the stream stands at %s", seed, told, pos)
		}
	}
}

// randomGroups are groups of transactions on spaces 600, which the peer has, and 601.
func randomGroups(rng *rand.Rand) (all []*Group) {
	var lsn vclock.VClock
	for range 1 + rng.IntN(6) {
		g := &Group{Before: lsn, After: lsn}
		for range rng.IntN(6) {
			origin := uint32(1 + rng.IntN(2))
			n := 1
			if rng.IntN(3) == 0 {
				n += rng.IntN(4)
			}
			kind := Insert
			if rng.IntN(5) == 0 {
				kind, n = Confirm, 1
			}
			first := lsn[origin] + 1
			for i := range n {
				lsn[origin]++
				r := Row{Type: kind, ReplicaID: origin, LSN: lsn[origin], TSN: first, Term: 3, Timestamp: float64(lsn[origin])}
				if i == n-1 {
					r.Flags = FlagCommit | FlagWaitSync
				}
				space := uint32(600 + rng.IntN(2))
				if kind == Confirm {
					space = 0
				}
				g.Add(&r, space, i == 0, 0)
			}
		}
		all = append(all, g)
	}
	return all
}

func framesOf(t *testing.T, runs [][]byte) (rows []Row) {
	b := bytes.Join(runs, nil)
	for len(b) > 0 {
		n := FrameHead + int(b[3])<<8 + int(b[4])
		r, err := Decode(b[FrameHead:n])
		if err != nil {
			t.Fatal(err)
		}
		rows, b = append(rows, r), b[n:]
	}
	return rows
}

// checkStream looks at the rows of one write, told is up to where rows were told before.
func checkStream(t *testing.T, seed uint64, groups []*Group, rows []Row, told *vclock.VClock) {
	var open *Row // first row of the transaction
	for i := range rows {
		r := &rows[i]
		if r.First() != told[r.ReplicaID]+1 {
			t.Fatalf("seed %d: row %d of %d stands for those from %d on, %d were told", seed, r.LSN, r.ReplicaID, r.First(), told[r.ReplicaID])
		}
		told[r.ReplicaID] = r.LSN
		if open == nil {
			open = r
		}
		if r.TSN != open.LSN {
			t.Fatalf("seed %d: row %d has TSN %d in a transaction that begins with %d", seed, r.LSN, r.TSN, open.LSN)
		}
		for _, g := range groups {
			for k, ref := range g.Table {
				if ref.Origin != r.ReplicaID || ref.LSN < r.First() || ref.LSN > r.LSN {
					continue
				}
				was, err := g.Row(k)
				if err != nil {
					t.Fatal(err)
				}
				stands := ref.LSN == r.LSN && r.Type != Nop
				if has := ref.SpaceID != 601; has != stands {
					t.Fatalf("seed %d: row %d of space %d came as %d..%d, %v", seed, ref.LSN, ref.SpaceID, r.First(), r.LSN, r.Type)
				}
				if was.Term != r.Term || ref.LSN == r.LSN && was.Timestamp != r.Timestamp {
					t.Fatalf("seed %d: row %d is of term %d and time %v, it came as of %d and %v", seed, ref.LSN, was.Term, was.Timestamp, r.Term, r.Timestamp)
				}
				if ref.LSN == r.LSN && r.Type != Nop && r.Flags != 0 && was.Flags != 0 && r.Flags != was.Flags {
					t.Fatalf("seed %d: row %d has flags %d, not %d", seed, ref.LSN, r.Flags, was.Flags)
				}
			}
		}
		if r.Flags&FlagCommit != 0 {
			open = nil
		}
	}
	if open != nil {
		t.Fatalf("seed %d: the transaction that begins with %d has no end", seed, open.LSN)
	}
}

// By their places the same rows are cut as by a look at each.
func TestCutAtIsCut(t *testing.T) {
	looked := 0
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		spaces := uint32(1 + rng.IntN(8))
		g := &Group{}
		lsn := uint64(rng.IntN(5))
		for range 1 + rng.IntN(30) {
			n := 1 + rng.IntN(4)*rng.IntN(2)
			first := lsn + 1
			for i := range n {
				lsn++
				r := Row{Type: Insert, ReplicaID: 1, LSN: lsn, TSN: first, Term: 3}
				if rng.IntN(4) == 0 {
					r.Body = append([]byte{0x81, 0x21, 0x91, 0xc5, smallRun >> 8, 0}, make([]byte, smallRun)...)
				}
				if i == n-1 {
					r.Flags = FlagCommit
				}
				space := 600 + rng.Uint32N(spaces)*maxPlaces*rng.Uint32N(2) // some meet by their last bits
				switch rng.IntN(20) {
				case 0:
					r.Type, r.Body, space = Nop, nil, 0
				case 1:
					space = 280
				}
				g.Add(&r, space, i == 0, 0)
			}
		}
		share := &Share{Filter: "f", New: rng.IntN(2) == 0, Spaces: []uint32{600, 600 + maxPlaces, 600 + 3*maxPlaces}[:1+rng.IntN(3)]}
		var pos, posAt vclock.VClock
		if rng.IntN(3) == 0 {
			pos[1] = uint64(rng.IntN(int(lsn) + 1))
		}
		posAt = pos
		skip := uint32(rng.IntN(8)) / 6 << 1
		gap, gapAt := NewGap(share), NewGap(share)
		p := g.Places()
		if _, few := p.sent(gapAt, nil); few && skip == 0 && pos[1] < g.Table[0].LSN {
			looked++
		}
		want := gap.Flush(g.Cut(&pos, skip, gap, nil))
		got := gapAt.Flush(g.CutAt(p, &posAt, skip, gapAt, nil))
		if !bytes.Equal(bytes.Join(got, nil), bytes.Join(want, nil)) || len(got) != len(want) || pos != posAt {
			t.Fatalf("seed %d: %d pieces and %s, want %d and %s", seed, len(got), posAt, len(want), pos)
		}
	}
	if looked < 300 {
		t.Errorf("%d groups were cut by their places", looked)
	}
}

// Where more than one origin has written, and where there are many spaces, each row is looked at.
func TestNoPlaces(t *testing.T) {
	group := func(n int, change func(i int, r *Row) (space uint32)) *Group {
		g := &Group{}
		for i := range n {
			r := Row{Type: Insert, ReplicaID: 1, LSN: uint64(i + 1), TSN: uint64(i + 1), Flags: FlagCommit}
			g.Add(&r, change(i, &r), true, 0)
		}
		return g
	}
	for name, g := range map[string]*Group{
		"of two origins": group(2, func(i int, r *Row) uint32 { r.ReplicaID += uint32(i); return 600 }),
		"of local rows":  group(2, func(_ int, r *Row) uint32 { r.ReplicaID = 0; return 600 }),
		"of many spaces": group(maxPlaces+1, func(i int, _ *Row) uint32 { return 600 + uint32(i) }),
		"without rows":   {},
	} {
		if g.Places() != nil {
			t.Errorf("a group %s has places", name)
		}
	}
	if group(maxPlaces, func(i int, _ *Row) uint32 { return 600 + uint32(i) }).Places() == nil {
		t.Errorf("a group of %d spaces has no places", maxPlaces)
	}
}

// Rows of a transaction that the peer has as a whole are the bytes of the log, also behind a gap: small
// ones are copied into one piece, large ones are not; and what was cut is told before a row that acts on the queue.
func TestCutKeepsBytes(t *testing.T) {
	for _, large := range []bool{false, true} {
		g := &Group{}
		add := func(lsn uint64, kind Type, space uint32) {
			r := Row{Type: kind, ReplicaID: 1, LSN: lsn, TSN: lsn, Flags: FlagCommit, Term: 2, Body: []byte{0x80}}
			if large {
				r.Body = append([]byte{0x81, 0x21, 0xc5, smallRun >> 8, 0}, make([]byte, smallRun)...)
			}
			g.Add(&r, space, true, 0)
		}
		add(1, Insert, 601)
		add(2, Insert, 601)
		add(3, Insert, 600)
		add(4, Insert, 600)
		add(5, Insert, 601)
		add(6, Confirm, 0)
		var pos vclock.VClock
		gap := NewGap(&Share{Filter: "f", Spaces: []uint32{600}})
		out := gap.Flush(g.Cut(&pos, 0, gap, nil))
		sent := bytes.Join(out, nil)
		if !bytes.Contains(sent, g.Frames(2, 4)) || !bytes.HasSuffix(sent, g.Frame(5)) {
			t.Error("rows are not as they lie in the log")
		}
		if large && (len(out) != 4 || !within(out[1], g.Rows) || !within(out[3], g.Rows)) || !large && len(out) != 1 {
			t.Errorf("large: %v, %d pieces", large, len(out))
		}
		var got [][2]uint64
		for _, r := range framesOf(t, out) {
			got = append(got, [2]uint64{r.First(), r.LSN})
		}
		if want := [][2]uint64{{1, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}}; !slices.Equal(got, want) {
			t.Errorf("large: %v: %v, want %v", large, got, want)
		}
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		share *Share
		has   map[uint32]bool
	}{
		{nil, map[uint32]bool{0: true, 280: true, 512: true}},
		{&Share{New: true, Spaces: []uint32{513, 600}}, map[uint32]bool{0: true, 280: true, 512: true, 513: false, 600: false, 601: true}},
		{&Share{Spaces: []uint32{513, 600}}, map[uint32]bool{0: true, 511: true, 512: false, 513: true, 600: true, 601: false}},
	} {
		for space, want := range c.has {
			if c.share.Has(space) != want {
				t.Errorf("%+v: space %d is had: %v", c.share, space, !want)
			}
		}
	}
	want := Share{Filter: "hr", Version: 7, New: true, Spaces: []uint32{512, 70000}}
	s := SubscribeRequest{InstanceUUID: "11111111-1111-4111-8111-111111111111", Anon: true, Share: &want}
	got, err := DecodeSubscribe(s.AppendBody(nil))
	if err != nil || got.Share == nil || got.Share.Filter != want.Filter || got.Share.Version != want.Version || !got.Share.Same(&want) {
		t.Fatalf("%+v, %v", got.Share, err)
	}
	for name, spaces := range map[string][]uint32{"twice": {512, 512}, "descending": {513, 512}, "too large": {LastSpace + 1}} {
		s.Share = &Share{Filter: "hr", Spaces: spaces}
		if _, err := DecodeSubscribe(s.AppendBody(nil)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	s.Share = &Share{}
	if _, err := DecodeSubscribe(s.AppendBody(nil)); err == nil {
		t.Error("a share without a name is taken")
	}
}
