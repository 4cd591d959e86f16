package interop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// answer is what a client gets for a request.
type answer struct {
	code xrow.Code
	text string
	data string // the raw body of a good answer
}

func (a answer) String() string {
	if a.code != 0 {
		return fmt.Sprintf("%d %s", a.code, a.text)
	}
	return fmt.Sprint(decode(a.data).any)
}

// asker is a connection that sends any request at all.
type asker struct {
	t *testing.T
	*iproto.Client
}

func (r *rig) asker(n *node) asker {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 10*patience)
	r.t.Cleanup(cancel)
	var c *iproto.Client
	r.until("a connection to "+n.name, func() (err error) {
		if c, err = iproto.Dial(ctx, n.addr); err != nil {
			return err
		}
		if err = c.Login(cluster.User, cluster.Password); err != nil {
			c.Close()
		}
		return err
	})
	r.t.Cleanup(func() { c.Close() })
	return asker{r.t, c}
}

// ask sends a request of a type with a body of pairs.
func (a asker) ask(q request) answer {
	a.t.Helper()
	row, err := a.Do(q.typ, pack(q.body))
	var e *xrow.Error
	switch {
	case errors.As(err, &e):
		return answer{code: e.Code, text: e.Message}
	case err != nil:
		a.t.Fatalf("%v: %v", q, err)
	}
	n, size, _ := mp.ReadMapHeader(row.Body)
	if n == 0 {
		return answer{}
	}
	return answer{data: string(row.Body[size+1:])} // one key: DATA
}

// tuples of a space, or the text of why there are none.
func (a asker) tuples(space uint64) string {
	a.t.Helper()
	return a.ask(request{xrow.Select, fields{{xrow.KeySpaceID, space}, {xrow.KeyLimit, 1 << 30}, {xrow.KeyIterator, 2}, {xrow.KeyKey, []any{}}}}).data
}

// request is one of any type.
type request struct {
	typ  xrow.Type
	body fields
}

func (q request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v", q.typ)
	for _, f := range q.body {
		fmt.Fprintf(&b, " %v=%v", f.key, show(f.value))
	}
	return b.String()
}

func (q request) field(key xrow.Key) any {
	for _, f := range q.body {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

// duel runs one of ours and a Tarantool with the same spaces, and asks both.
type duel struct {
	t            *testing.T
	p            peer
	ours, theirs asker
	spaces       map[string]uint64
	rng          *rand.Rand
	seen         map[string]int // of the listed differences
	bad          int
}

func newDuel(t *testing.T, p peer) *duel {
	r := newRig(t)
	d := &duel{t: t, p: p, spaces: map[string]uint64{}, rng: seeded(t), seen: map[string]int{}}
	nodes := []*node{r.add(us(p), settings{first: true}), r.add(p, settings{first: true})}
	for _, n := range nodes {
		if n.isOurs() {
			n.set.env = p.profile()
		}
		n.start()
		r.up(n)
		r.arena(n)
	}
	for name := range arena {
		for _, n := range nodes {
			id, err := n.spaceID(name)
			if err != nil {
				t.Fatal(err)
			}
			if was := d.spaces[name]; was != 0 && was != uint64(id) {
				t.Fatalf("space %s has two numbers, %d and %d", name, was, id)
			}
			d.spaces[name] = uint64(id)
		}
	}
	d.ours, d.theirs = r.asker(nodes[0]), r.asker(nodes[1])
	return d
}

// seeded is the chance of a test: SEED, or always the same.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(1)
	if s := os.Getenv("SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("SEED=%d repeats this", seed)
	return rand.New(rand.NewPCG(seed, 7))
}

// both asks both, and compares the answers and all of the space.
func (d *duel) both(space string, q request) {
	d.t.Helper()
	ours, theirs := d.ours.ask(q), d.theirs.ask(q)
	id := d.spaces[space]
	mine, other := d.ours.tuples(id), d.theirs.tuples(id)
	if ours == theirs && mine == other {
		return
	}
	if name := d.listed(&clash{q, ours, theirs, mine == other, mine}); name != "" {
		d.seen[name]++
	} else if d.bad++; d.bad <= 40 {
		d.t.Errorf("%v\n ours   %v\n theirs %v", q, ours, theirs)
		if mine != other {
			d.t.Errorf(" then\n ours   %v\n theirs %v", decode(mine).any, decode(other).any)
		}
	}
	if mine != other {
		d.clear(space)
	}
}

// clear empties a space on both.
func (d *duel) clear(space string) {
	d.t.Helper()
	for _, a := range []asker{d.ours, d.theirs} {
		if got := a.ask(request{xrow.Upsert, fields{{xrow.KeySpaceID, 330}, {xrow.KeyTuple, []any{d.spaces[space], 1}}, {xrow.KeyOps, []any{[]any{"+", 1, 1}}}}}); got.code != 0 {
			d.t.Fatalf("truncate %s: %v", space, got)
		}
	}
}

// end tells which of the listed differences there were.
func (d *duel) end(asked int) {
	d.t.Helper()
	total := 0
	for _, n := range d.seen {
		total += n
	}
	d.t.Logf("%d requests, %d listed differences: %v", asked, total, d.seen)
	if d.bad > 40 {
		d.t.Errorf("%d more differences", d.bad-40)
	}
}

// listed names a difference of an older Tarantool from 3.8.
func (d *duel) listed(c *clash) string {
	for _, l := range always {
		if l.is(c) {
			return l.name
		}
	}
	if d.p.version >= "2.8.1" {
		return ""
	}
	if old, name := older(c.ours); name != "" && old == c.theirs && c.same {
		return name
	}
	for _, l := range differences {
		if l.is(c) {
			return l.name
		}
	}
	return ""
}

// TestSameAnswers: requests of every kind, right and wrong, get the same answer
// from one of ours and from a Tarantool, and leave the same tuples.
func TestSameAnswers(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		d := newDuel(t, p)
		n := amount(3000)
		begun := time.Now()
		for range n {
			space, q := d.any()
			d.both(space, q)
		}
		d.end(n)
		t.Logf("%v", time.Since(begun))
	})
}

// TestSameSums: '+' and '-' of all numbers with all numbers.
func TestSameSums(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		d := newDuel(t, p)
		all := append(slices.Clone(numbers), odd...)
		if p.version >= "3.5" {
			all = append(all, 5e-324)
		}
		id := d.spaces["loose"]
		n := 0
		for _, a := range all {
			for _, b := range all {
				old := request{xrow.Replace, fields{{xrow.KeySpaceID, id}, {xrow.KeyTuple, []any{1, a, a}}}}
				d.ours.ask(old)
				d.theirs.ask(old)
				for field, op := range []string{"+", "-"} {
					n++
					d.both("loose", request{xrow.Update, fields{{xrow.KeySpaceID, id}, {xrow.KeyKey, []any{1}}, {xrow.KeyTuple, []any{[]any{op, field + 1, b}}}}})
				}
			}
		}
		d.end(n)
	})
}

// TestSameOrder: of any two numbers, and of two values of any type, the same one
// comes first, or they are one key.
func TestSameOrder(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		d := newDuel(t, p)
		id := d.spaces["numbers"]
		all := slices.Clone(numbers)
		if p.version >= "3" {
			all = append(all, odd...) // of a decimal and a number that has none, an older one makes anything
		}
		n := 0
		for i, a := range all {
			for j, b := range all {
				if (i+j)%2 == 0 && i < j || (i+j)%2 != 0 && i > j {
					continue // the other way round is enough
				}
				for _, q := range []request{
					{xrow.Replace, fields{{xrow.KeyTuple, []any{a, 1}}}},
					{xrow.Insert, fields{{xrow.KeyTuple, []any{b, a}}}},
					{xrow.Select, fields{{xrow.KeyIterator, 6}, {xrow.KeyLimit, 9}, {xrow.KeyKey, []any{a}}}},
					{xrow.Select, fields{{xrow.KeyIterator, 4}, {xrow.KeyLimit, 9}, {xrow.KeyIndexID, 1}, {xrow.KeyKey, []any{b}}}},
					{xrow.Delete, fields{{xrow.KeyKey, []any{b}}}},
					{xrow.Delete, fields{{xrow.KeyKey, []any{a}}}},
				} {
					n++
					q.body = append(fields{{xrow.KeySpaceID, id}}, q.body...)
					d.both("numbers", q)
				}
			}
		}
		d.end(n)
	})
}

// amount is how many requests a test sends: REQUESTS, or what it says.
func amount(n int) int {
	if s := os.Getenv("REQUESTS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	return n
}
