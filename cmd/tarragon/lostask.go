package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// lostName names a voided transaction.
type lostName struct {
	term, origin, lsn uint64
}

func (n lostName) String() string { return fmt.Sprintf("%d:%d:%d", n.term, n.origin, n.lsn) }

// MarshalText makes it a text in JSON.
func (n lostName) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

func (n lostName) compare(o lostName) int {
	return cmp.Or(cmp.Compare(n.term, o.term), cmp.Compare(n.origin, o.origin), cmp.Compare(n.lsn, o.lsn))
}

func parseLostNames(names []string) (all []lostName, err error) {
	for _, text := range names {
		parts := strings.Split(text, ":")
		var n [3]uint64
		ok := len(parts) == len(n)
		for i := 0; ok && i < len(n); i++ {
			n[i], err = strconv.ParseUint(parts[i], 10, 64)
			ok = err == nil
		}
		if !ok || n[1] > vclock.MaxID {
			return nil, usagef("%q is no name of a transaction: it has to be TERM:INSTANCE:LSN, as 'tarragon lost list' prints it", text)
		}
		all = append(all, lostName{n[0], n[1], n[2]})
	}
	return all, nil
}

// lostTxn is a voided transaction.
type lostTxn struct {
	Name    lostName  `json:"name"`
	Term    uint64    `json:"term"`
	Origin  uint64    `json:"origin"`
	LSN     uint64    `json:"lsn"`
	Written float64   `json:"written"` // seconds since 1970, by the clock of who wrote it
	By      *voidedBy `json:"voided_by"`
	Kept    []string  `json:"kept_at"`
	Rows    []lostRow `json:"rows"`
	Damage  string    `json:"damage,omitempty"` // why the rows behind these cannot be read
}

// voidedBy is the term that left it out.
type voidedBy struct {
	Term     number `json:"term"`
	LeaderID number `json:"leader_id"`
	Leader   string `json:"leader,omitempty"`
	When     string `json:"when,omitempty"`
}

// lostRow is a row of it.
type lostRow struct {
	toldRow
	dml xrow.DML // what is written again; Type 0: nothing is
	raw []byte   // its body
}

// keptLost is what instances keep, by name.
type keptLost struct {
	all    []*lostTxn
	failed []string // who did not answer, and why
}

// lostPage is an answer of tarragon.lost.list.
type lostPage struct {
	List []struct {
		Term   number `msgpack:"term"`
		Origin number `msgpack:"origin"`
		LSN    number `msgpack:"lsn"`
		Rows   []byte `msgpack:"rows"`
	} `msgpack:"list"`
	More   bool              `msgpack:"more"`
	Spaces map[uint32]string `msgpack:"spaces"`
}

// lostOf is what one instance keeps.
type lostOf struct {
	name  string
	set   boxSet
	terms *toldHistory
	all   []*lostTxn
}

// askLost asks all targets. They are of one replica set.
func askLost(ctx context.Context, targets []target, timeout time.Duration) (*keptLost, error) {
	all, errs := make([]*lostOf, len(targets)), make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { all[i], errs[i] = t.lost(ctx, timeout) })
	}
	wg.Wait()
	k := &keptLost{}
	var answered []*lostOf
	for i, of := range all {
		if of == nil {
			k.failed = append(k.failed, fmt.Sprintf("%s: %v", targets[i].label(), errs[i]))
			continue
		}
		if answered = append(answered, of); of.set.UUID != answered[0].set.UUID {
			return nil, usagef("%s is of another replica set than %s: choose the instances of one with --addr", of.name, answered[0].name)
		}
	}
	if len(answered) == 0 {
		return nil, fmt.Errorf("no instance answers: %s", strings.Join(k.failed, "; "))
	}
	k.join(answered)
	return k, ctx.Err()
}

// lost is what an instance keeps, and its history.
func (t target) lost(ctx context.Context, timeout time.Duration) (of *lostOf, err error) {
	of = &lostOf{}
	if of.terms, err = t.history(ctx, timeout); err != nil {
		return nil, err
	}
	of.set, of.name = of.terms.Replicaset, cmp.Or(of.terms.Name, t.name, t.uri.Address())
	var from lostName
	for more := true; more; {
		var page lostPage
		if err := t.call(ctx, timeout, &page, "tarragon.lost.list", map[string]any{"term": from.term, "origin": from.origin, "lsn": from.lsn, "limit": 1000}); err != nil {
			return nil, err
		}
		if more = page.More; more && len(page.List) == 0 {
			return nil, fmt.Errorf("what it keeps does not go on behind %v", from)
		}
		for _, l := range page.List {
			of.all = append(of.all, newLostTxn(&xrow.LostRow{Term: uint64(l.Term), Origin: uint32(l.Origin), LSN: uint64(l.LSN), Frame: l.Rows}, page.Spaces))
			from = lostName{uint64(l.Term), uint64(l.Origin), uint64(l.LSN) + 1}
		}
	}
	return of, nil
}

func newLostTxn(l *xrow.LostRow, spaces map[uint32]string) *lostTxn {
	t := &lostTxn{Name: lostName{l.Term, uint64(l.Origin), l.LSN}, Term: l.Term, Origin: uint64(l.Origin), LSN: l.LSN, Rows: []lostRow{}}
	rows, err := l.Rows()
	if err != nil {
		t.Damage = err.Error()
	}
	for i := range rows {
		r := lostRow{raw: rows[i].Body, toldRow: toldRow{Origin: number(rows[i].ReplicaID), LSN: number(rows[i].LSN), Term: number(rows[i].Term), Type: rows[i].Type.String(), Timestamp: rows[i].Timestamp}}
		if rows[i].Body != nil {
			r.Body = rawJSON(xrow.RenderBody(rows[i].Type, rows[i].Body))
		}
		if rows[i].Type.IsDML() && rows[i].Type != xrow.Nop {
			if r.dml, err = xrow.DecodeDML(rows[i].Type, rows[i].Body); err != nil {
				t.Damage = err.Error()
			}
			r.SpaceID = number(r.dml.SpaceID)
			r.Space = spaces[r.dml.SpaceID]
		}
		t.Written = rows[i].Timestamp
		t.Rows = append(t.Rows, r)
	}
	return t
}

// join puts what several keep under its name, and says who voided it.
func (k *keptLost) join(of []*lostOf) {
	var told []*toldHistory
	by := map[lostName]*lostTxn{}
	for _, o := range of {
		told = append(told, o.terms)
		for _, l := range o.all {
			if by[l.Name] == nil {
				by[l.Name] = l
				k.all = append(k.all, l)
			}
			by[l.Name].Kept = append(by[l.Name].Kept, o.name)
		}
	}
	slices.SortFunc(k.all, func(a, b *lostTxn) int { return a.Name.compare(b.Name) })
	var h setHistory
	h.join(told)
	for _, l := range k.all {
		l.By = h.voided(l.Name)
	}
}

// voided is the term that voided a transaction: the first one in effect behind its own. nil: the
// history has none, or the transaction is within its term, which a ROLLBACK has voided then.
func (s *setHistory) voided(n lostName) *voidedBy {
	for i := range s.Terms {
		t := &s.Terms[i]
		if uint64(t.Term) == n.term && uint64(t.Owner) == n.origin && n.lsn <= uint64(t.Last) && i+1 < len(s.Terms) {
			return nil
		}
		if uint64(t.Term) > n.term {
			by := &voidedBy{Term: t.Term, LeaderID: t.Owner, Leader: t.Name}
			if t.At > 0 {
				by.When = wallTime(t.At)
			}
			return by
		}
	}
	return nil
}

// choose leaves those of some names, all without one.
func (k *keptLost) choose(names []lostName) error {
	if len(names) == 0 {
		return nil
	}
	for _, n := range names {
		if !slices.ContainsFunc(k.all, func(l *lostTxn) bool { return l.Name == n }) {
			why := ""
			if len(k.failed) > 0 {
				why = "; no answer: " + strings.Join(k.failed, "; ")
			}
			return fmt.Errorf("no instance keeps a voided transaction %v: 'tarragon lost list' prints those that there are%s", n, why)
		}
	}
	k.all = slices.DeleteFunc(k.all, func(l *lostTxn) bool { return !slices.Contains(names, l.Name) })
	return nil
}
