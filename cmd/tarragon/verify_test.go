package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/proof"
	"tarragon.dev/tarragon/xrow"
)

// fakeMember holds rows of instance 1 in term 2 and of instance 2 in term 5, by LSN.
type fakeMember struct {
	id        int
	filter    string
	set       string
	stranger  bool
	begins    [3]uint64            // vclock in front of the log
	rows      [3]map[uint64]string // by origin
	terms     []toldTerm
	confirmed uint64
	page      uint64 // most rows of an answer; 0: all

	tuples map[int]string // by space: what it has
	busy   int            // how often it is asked for its spaces until nothing is undecided
	lsn    uint64         // on its disk
}

func newFakeMember(id int) *fakeMember {
	m := &fakeMember{id: id, set: "a-set", confirmed: 3000, lsn: 3005, tuples: map[int]string{272: "schema", 512: "orders"},
		terms: []toldTerm{{Term: 2, Owner: 1, Kind: "bootstrap", First: 11, Last: 2000}, {Term: 5, Owner: 2, Kind: "election", First: 1, Last: 3005}}}
	for origin, last := range map[int]uint64{1: 2000, 2: 3005} {
		m.rows[origin] = map[uint64]string{}
		for lsn := uint64(1); lsn <= last; lsn++ {
			m.rows[origin][lsn] = fmt.Sprint("row ", lsn)
		}
	}
	return m
}

func (m *fakeMember) row(origin int, lsn uint64) *xrow.Row {
	return &xrow.Row{Type: xrow.Replace, ReplicaID: uint32(origin), LSN: lsn, Term: 7, Body: []byte(m.rows[origin][lsn])}
}

func numbersOf(arguments any) map[string]uint64 {
	out := map[string]uint64{}
	for name, v := range arguments.([]any)[0].(map[string]any) {
		var n uint64
		_, _ = fmt.Sscan(fmt.Sprint(v), &n)
		out[name] = n
	}
	return out
}

func (m *fakeMember) digests(arguments any) any {
	q := numbersOf(arguments)
	w, h, rows := proof.Windows{Step: q["step"]}, proof.NewHasher(), uint64(0)
	begins, next := max(q["from"], m.begins[q["origin"]]+1), q["to"]+1
	for lsn := begins; lsn <= q["to"]; lsn++ {
		if m.page != 0 && rows == m.page {
			next = lsn
			break
		}
		if _, ok := m.rows[q["origin"]][lsn]; ok {
			rows++
			w.Add(lsn, h.Row(m.row(int(q["origin"]), lsn)))
		}
	}
	list := []any{}
	for _, win := range w.List {
		list = append(list, map[string]any{"first": win.First, "rows": win.Rows, "sum": win.Sum.Bytes()})
	}
	return map[string]any{"begins": begins, "next": next, "windows": list}
}

// spaces is asked by one at a time.
func (m *fakeMember) spaces(arguments any) any {
	list := []any{}
	if m.busy--; m.busy < 0 && fmt.Sprint(arguments) == "[[0 2000 3005]]" {
		for id, text := range m.tuples {
			list = append(list, map[string]any{"id": id, "name": fmt.Sprint("space", id), "rows": 1, "sum": proof.NewHasher().Tuple(uint32(id), []byte(text)).Bytes()})
		}
	}
	return map[string]any{"vclock": []any{0, 2000, 3005}, "open": max(m.busy, 0), "spaces": list}
}

func (m *fakeMember) serve(t *testing.T) string {
	members := []any{map[string]any{"id": 1, "uuid": "u1", "name": "i1"}, map[string]any{"id": 2, "uuid": "u2", "name": "i2"}}
	if !m.stranger && m.id > 2 {
		members = append(members, map[string]any{"id": m.id, "uuid": fmt.Sprint("u", m.id), "name": fmt.Sprint("i", m.id)})
	}
	var terms []any
	for _, s := range m.terms {
		terms = append(terms, map[string]any{"term": s.Term, "owner": s.Owner, "kind": s.Kind, "first": s.First, "last": s.Last, "tarantool": s.Tarantool})
	}
	set := map[string]any{"uuid": m.set, "name": "a set"}
	return serveFake(t, map[string]any{
		"tarragon.history": map[string]any{"replicaset": set, "term": 5, "confirmed": m.confirmed, "terms": terms},
		"tarragon.verify.standing": map[string]any{"id": m.id, "uuid": fmt.Sprint("u", m.id), "name": fmt.Sprint("i", m.id), "replicaset": set, "filter": m.filter,
			"begins": m.begins[:], "synced": []any{m.id, 2000, m.lsn}, "members": members},
		"tarragon.verify.spaces":  m.spaces,
		"tarragon.verify.digests": m.digests,
		"tarragon.verify.rows": func(arguments any) any {
			q := numbersOf(arguments)
			text, ok := m.rows[q["origin"]][q["from"]]
			if !ok {
				return []any{}
			}
			return []any{map[string]any{"origin": q["origin"], "lsn": q["from"], "term": 5, "type": "REPLACE", "space_id": 512, "space": "orders", "timestamp": 1.5e9, "body": `{"tuple":["` + text + `"]}`}}
		},
	}).address
}

// What verify says of members that hold the same, that differ, that have less, that cannot
// be compared or are not there.
func TestVerify(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(all []*fakeMember)
		others  func(t *testing.T) []string // further addresses
		spaces  bool
		exit    int
		want    []string
		without []string
	}{
		"equal":                  {want: []string{"replica set a set: equal", "2     1         11-2000  1990  i1, i2, i3", "5     2         1-3000   3000  i1, i2, i3"}, without: []string{"not compared"}},
		"in small pages":         {change: func(all []*fakeMember) { all[1].page = 7 }, want: []string{": equal"}},
		"undecided rows differ":  {change: func(all []*fakeMember) { all[1].rows[2][3001] = "void" }, want: []string{": equal"}},
		"rows of no term differ": {change: func(all []*fakeMember) { all[1].rows[1][10] = "x" }, want: []string{": equal"}},
		"one knows less to be decided": {change: func(all []*fakeMember) { all[1].confirmed = 2000 },
			want: []string{": equal", "1-2000     2000  i1, i2, i3", "2001-3000  1000  i1, i3"}},
		"one row": {change: func(all []*fakeMember) { all[2].rows[2][1234] = "other" }, exit: exitUnhealthy,
			want: []string{": different", "different from here on: term 5, instance 2, LSN 1234\n", "at i1, i2: REPLACE term 5", `["row 1234"]`, "at i3: REPLACE", `space orders {"tuple":["other"]}`, "DIFFERENT at i1, i2, i3"}},
		"the first of two": {change: func(all []*fakeMember) { all[2].rows[2][1234], all[1].rows[1][77] = "other", "other" }, exit: exitUnhealthy,
			want: []string{"term 2, instance 1, LSN 77\n", "at i1, i3: "}},
		"some rows": {change: func(all []*fakeMember) {
			for lsn := uint64(50); lsn < 60; lsn++ {
				all[0].rows[2][lsn] = "other"
			}
		}, exit: exitUnhealthy, want: []string{"LSN 50 to 59 at least"}},
		"a row is missing": {change: func(all []*fakeMember) { delete(all[1].rows[1], 1999) }, exit: exitUnhealthy,
			want: []string{"term 2, instance 1, LSN 1999\n", "at i2: no such row"}},
		"three sides": {change: func(all []*fakeMember) { all[1].rows[1][100], all[2].rows[1][100] = "b", "c" }, exit: exitUnhealthy,
			want: []string{"at i1: ", "at i2: ", "at i3: "}},
		"one has joined anew": {change: func(all []*fakeMember) { all[2].begins = [3]uint64{0, 2000, 100} },
			want: []string{": equal", "11-2000   1990  i1, i2", "1-100     100   i1, i2", "101-3000  2900  i1, i2, i3"}},
		"one has joined anew and has nothing yet": {change: func(all []*fakeMember) { all[2].begins = [3]uint64{0, 2000, 3005} }, exit: exitFailed,
			want: []string{": incomplete", "not compared: i3: it has no decided row in its log that another one has, too (--spaces"}},
		"old rows are at one alone": {change: func(all []*fakeMember) {
			all[1].begins, all[2].begins = [3]uint64{0, 500}, [3]uint64{0, 700}
		}, want: []string{"11-500    490   not compared: only i1 has them in its log", "501-700   200   i1, i2"}},
		"histories differ": {change: func(all []*fakeMember) { all[2].terms[1].Owner = 1; all[2].terms[1].First = 2001 }, exit: exitUnhealthy,
			want: []string{": different", "different: i1 and i3 tell different histories from term 5 on", "11-2000"}},
		"a replica with a filter": {change: func(all []*fakeMember) { all[2].filter = "hr" }, exit: exitFailed,
			want: []string{": incomplete", "not compared: i3: it is a replica with filter 'hr'"}},
		"no member":      {change: func(all []*fakeMember) { all[2].stranger = true }, want: []string{": equal", "note: i3 is no member"}},
		"of another set": {change: func(all []*fakeMember) { all[2].set = "b-set" }, exit: exitFailed, want: []string{": equal", ": incomplete"}},
		"a term of Tarantool's rules": {change: func(all []*fakeMember) {
			for _, m := range all {
				m.terms[0].Tarantool = true
			}
		}, want: []string{": equal", "note: term 2 was under Tarantool's rules"}, without: []string{"11-2000"}},
		"without terms": {change: func(all []*fakeMember) {
			for _, m := range all {
				m.terms = nil
			}
			all[1].rows[1][10] = "x"
		}, exit: exitUnhealthy, want: []string{"term 0, instance 1, LSN 10\n"}},
		"a Tarantool": {others: func(t *testing.T) []string { return []string{serveFake(t, nil).address} }, exit: exitFailed,
			want: []string{": equal", errNoProof.Error()}},
		"one is down":                       {others: func(*testing.T) []string { return []string{"127.0.0.1:1"} }, exit: exitFailed, want: []string{": equal", "not compared: 127.0.0.1:1: "}},
		"spaces":                            {spaces: true, want: []string{": equal", "spaces: 2 with 2 tuples, equal at i1, i2, i3"}},
		"spaces, when the last one is calm": {spaces: true, change: func(all []*fakeMember) { all[1].busy = 2 }, want: []string{": equal", "spaces: 2 with"}},
		"spaces, but never at one vclock": {spaces: true, change: func(all []*fakeMember) { all[1].lsn = 3004 }, exit: exitFailed,
			want: []string{": incomplete", "note: the spaces were not compared: the instances do not come to stand at one vclock"}, without: []string{"spaces: "}},
		"a space differs": {spaces: true, change: func(all []*fakeMember) { all[1].tuples[512] = "other" }, exit: exitUnhealthy,
			want: []string{": different", "different: space space512\n  at i1, i3: 1 tuples", "\n  at i2: 1 tuples"}},
		"a space is missing": {spaces: true, change: func(all []*fakeMember) { delete(all[1].tuples, 512) }, exit: exitUnhealthy,
			want: []string{": different", "at i2: 0 tuples"}},
		"spaces of a replica with a filter": {spaces: true, change: func(all []*fakeMember) { all[2].filter = "hr"; delete(all[2].tuples, 512) },
			want: []string{": equal", "equal at i1, i2, i3"}, without: []string{"not compared"}},
		"spaces of one that has joined anew": {spaces: true, change: func(all []*fakeMember) { all[2].begins = [3]uint64{0, 2000, 3005} },
			want: []string{": equal"}, without: []string{"not compared"}},
		"a member was not asked": {change: func(all []*fakeMember) { all[2].id = 7 }, want: []string{": equal"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := []*fakeMember{newFakeMember(1), newFakeMember(2), newFakeMember(3)}
			if c.change != nil {
				c.change(all)
			}
			arguments := []string{"verify"}
			if c.spaces {
				arguments = append(arguments, "--spaces")
			}
			for _, m := range all {
				arguments = append(arguments, "--addr", m.serve(t))
			}
			if c.others != nil {
				for _, addr := range c.others(t) {
					arguments = append(arguments, "--addr", addr)
				}
			}
			var out bytes.Buffer
			err := run(context.Background(), arguments, process{out: &out})
			if got := exitCode(err); got != c.exit {
				t.Errorf("exit %d, want %d: %v", got, c.exit, err)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("printed\n%s\nwant %q", out.String(), want)
				}
			}
			for _, never := range c.without {
				if strings.Contains(out.String(), never) {
					t.Errorf("printed\n%s\nand should not: %q", out.String(), never)
				}
			}
		})
	}
}

// A member that answers nothing is missed by those that know it.
func TestVerifyAbsent(t *testing.T) {
	m := newFakeMember(1)
	var out bytes.Buffer
	err := run(context.Background(), []string{"verify", "--addr", m.serve(t)}, process{out: &out})
	if exitCode(err) != exitFailed || !strings.Contains(out.String(), "not compared: i2: it was not asked, or did not answer") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// The log of a member may be cut while it is compared: what went is not compared, and that is no
// difference.
func TestVerifyCut(t *testing.T) {
	m := newFakeMember(1)
	targets, err := addressTargets([]string{m.serve(t)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProver(t.Context(), targets[0], time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer p.conn.Close()
	m.begins[1] = 500 // nobody asks meanwhile
	if _, err := p.windows(t.Context(), 1, 11, 2000, 100); !errors.Is(err, errCut) {
		t.Errorf("%v", err)
	}
	if list, err := p.windows(t.Context(), 1, 501, 2000, 500); err != nil || len(list) != 4 || slices.ContainsFunc(list, func(w proof.Window) bool { return w.Rows == 0 }) {
		t.Errorf("%+v, %v", list, err)
	}
}
