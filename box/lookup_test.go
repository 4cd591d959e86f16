package box

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// lookupWorld has a space with a tall tree and indexes of every kind, undecided
// versions, tuples of all sizes, and a user who may read nothing.
func lookupWorld(t testing.TB, rng *rand.Rand) *world {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}),
		[]any{1, "few", "tree", m{"unique": false}, []any{[]any{1, "unsigned"}}},
		[]any{2, "text", "tree", m{"unique": true}, []any{[]any{2, "string"}, []any{0, "unsigned"}}},
		[]any{3, "any", "tree", m{"unique": false}, []any{[]any{3, "scalar"}}},
		[]any{4, "hash", "hash", m{"unique": true}, []any{[]any{2, "string"}, []any{0, "unsigned"}}})
	w.space(513, "empty", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.space(514, "temp", m{"temporary": true}, nil, pkIndex([]any{0, "string"}))
	w.must(insert(xrow.SpaceUser, 40, 1, "nobody", "user", m{}, []any{}, 0))
	for k := range lookupKeys {
		w.must(w.lookupRow(rng, k))
		if k < 50 {
			w.must(replace(514, fmt.Sprint(k), k))
		}
	}
	return w
}

const lookupKeys = 5000

// lookupRow is another tuple under a key.
func (w *world) lookupRow(rng *rand.Rand, k int) xrow.DML {
	size := 10
	if rng.IntN(100) == 0 {
		size = sliceSizes[rng.IntN(8)]
	}
	scalars := []any{k % 7, float64(k%7) + 0.5, fmt.Sprint(k % 7), 1e15, true, k, dec("0.1"), 0.1}
	return replace(512, k, k%20+k/4500*k, strings.Repeat("x", k%3), scalars[rng.IntN(len(scalars))], strings.Repeat("y", size))
}

// someLookup is one that may be answered, or not.
func (w *world) someLookup(rng *rand.Rand) Lookup {
	k := rng.IntN(lookupKeys + 20)
	q := Lookup{User: UserAdmin, Space: 512, Key: arr(k), Limit: uint32(rng.IntN(3))}
	switch rng.IntN(14) {
	case 0:
		q.Index, q.Key, q.Limit = 1, arr(k), 1000
	case 1:
		q.Index, q.Key, q.Limit = 2, arr(strings.Repeat("x", k%3), k), 5
	case 2:
		q.Index, q.Key = 2, arr(strings.Repeat("x", k%3))
	case 3:
		q.Index, q.Key = 3, arr([]any{k, 1e15, "3", 2.5, true, nil, 0.1}[rng.IntN(7)])
		q.Limit = 1 + uint32(rng.IntN(100))
	case 4:
		q.Index, q.Key = 4, arr(strings.Repeat("x", k%3), k)
	case 5:
		q.Index, q.Key = 4, arr("x")
	case 6:
		q.Key = [][]byte{arr(), arr("x"), arr(nil), arr(1, 2), {0x91, 0xd3, 0xff, 0, 0, 0, 0, 0, 0, 0}}[rng.IntN(5)]
	case 7:
		q.Space = []uint32{511, 513, 280, 281, 305, 380}[rng.IntN(6)]
	case 8:
		q.Index = 9
	case 9:
		q.User = w.creds(40)
	case 10:
		q.Space, q.Key, q.Limit = 514, arr(fmt.Sprint(k%60)), 10
	}
	return q
}

// What Lookups answers is what Select does, in any company and with what is
// undecided; it answers lookups by whole keys that hold, and nothing that fails.
func TestLookupsAreSelects(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	w := lookupWorld(t, rng)
	room := make([]byte, SliceBytes)
	done, left, plain := 0, 0, 0
	for round := range 2000 {
		w.stir(rng)
		qs := make([]Lookup, rng.IntN(70))
		for i := range qs {
			qs[i] = w.someLookup(rng)
		}
		w.b.Lookups(qs, room)
		for i := range qs {
			q := &qs[i]
			want, n, err := w.b.Select(q.User, &Query{Space: q.Space, Index: q.Index, Key: q.Key, Limit: q.Limit}, nil)
			if q.Done && q.N > lookupRows {
				t.Fatalf("round %d: %d tuples for one lookup", round, q.N)
			}
			if q.Done && (err != nil || int(q.N) != n || !bytes.Equal(q.Tuples, want)) {
				t.Fatalf("round %d: of space %d index %d key %x limit %d: %d tuples %x, want %d %x, %v", round, q.Space, q.Index, q.Key, q.Limit, q.N, q.Tuples, n, want, err)
			}
			if q.Done {
				done++
				continue
			}
			left++
			if err == nil && q.Index != 1 && q.Index != 3 && n <= 1 && len(want) < 100 && q.User == UserAdmin && q.Space >= 512 && len(q.Key) > 2 && !(q.Index == 2 && len(q.Key) < 5) {
				plain++
			}
		}
	}
	if plain > 0 || left == 0 || done < left {
		t.Errorf("%d answered, %d left, %d of them for no reason", done, left, plain)
	}
}

// stir writes, and decides what was written before or takes it back.
func (w *world) stir(rng *rand.Rand) {
	w.prepare(func(x *Txn) error {
		k := rng.IntN(lookupKeys)
		d := w.lookupRow(rng, k)
		if rng.IntN(3) == 0 {
			d = del(512, k)
		}
		if rng.IntN(4) == 0 {
			d = replace(514, fmt.Sprint(k%60), k)
		}
		_, err := x.Execute(UserAdmin, &d)
		return err
	})
	switch rng.IntN(6) {
	case 0:
		w.b.Confirm(w.seq - uint64(rng.IntN(3)))
	case 1:
		w.b.Rollback(max(w.seq-uint64(rng.IntN(3)), w.b.confirmed+1))
	case 2:
		w.b.Show(w.seq)
	}
	w.b.Work(100)
}

// A lookup whose tuples have no room is left, and those behind it are not.
func TestLookupsWithoutRoom(t *testing.T) {
	w := newWorld(t)
	w.space(512, "t", nil, nil, pkIndex([]any{0, "unsigned"}))
	for k := range 5 {
		w.must(replace(512, k, strings.Repeat("z", []int{10, 200, 10, 16 << 10, 10}[k])))
	}
	qs := make([]Lookup, 5)
	for k := range qs {
		qs[k] = Lookup{User: UserAdmin, Space: 512, Key: arr(k), Limit: 1}
	}
	for size, want := range map[int]string{100: "[true false true false true]", 14: "[true false false false false]", 0: "[false false false false false]", 40 << 10: "[true true true false true]"} {
		room := make([]byte, size, size+100)
		w.b.Lookups(qs, room)
		var done []bool
		for i := range qs {
			done = append(done, qs[i].Done)
		}
		if fmt.Sprint(done) != want {
			t.Errorf("with %d bytes: %v, want %s", size, done, want)
		}
		for _, b := range room[size : size+100] {
			if b != 0 {
				t.Fatal("written behind the room")
			}
		}
	}
}
