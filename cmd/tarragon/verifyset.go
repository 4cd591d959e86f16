package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tarragon.dev/tarragon/internal/proof"
)

// verifyReport is what verify prints.
type verifyReport struct {
	Sets       []*provedSet `json:"replicasets"`
	Unanswered []string     `json:"unanswered"`
}

// provedSet is what was compared of a replica set.
type provedSet struct {
	UUID             string            `json:"uuid"`
	Name             string            `json:"name,omitempty"`
	Verdict          string            `json:"verdict"` // one of the verdicts
	Members          []provedMember    `json:"members"`
	Ranges           []provedRange     `json:"ranges"`
	Difference       *difference       `json:"difference,omitempty"`
	Spaces           *provedSpaces     `json:"spaces,omitempty"`
	SpaceDifferences []spaceDifference `json:"space_differences,omitempty"`
	Problems         []string          `json:"problems"`
	Notes            []string          `json:"notes"`

	provers  []*prover
	unproved bool // the spaces were to be compared, and were not
}

// Verdicts.
const (
	verdictEqual      = "equal"
	verdictDifferent  = "different"
	verdictIncomplete = "incomplete" // nothing differs, but a member was not compared
)

// provedMember is an instance, and why it was not compared.
type provedMember struct {
	ID       number `json:"id,omitempty"`
	Name     string `json:"name"`
	Compared uint64 `json:"rows_compared"`
	Spaces   bool   `json:"spaces_compared,omitempty"`
	Why      string `json:"not_compared,omitempty"`
}

// provedRange are rows that some instances have compared.
type provedRange struct {
	Term    number   `json:"term"`
	Origin  number   `json:"origin"`
	From    uint64   `json:"from"`
	To      uint64   `json:"to"`
	Members []string `json:"members"` // one: it was not compared
}

// difference is the first range in which instances differ.
type difference struct {
	Term   number `json:"term"`
	Origin number `json:"origin"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"` // the last of the rows behind it that differ too, as far as was looked
	Sides  []side `json:"sides"`
}

// side are instances that have the same row.
type side struct {
	Members []string `json:"members"`
	Row     *toldRow `json:"row"` // the first one of the range; nil: they do not have it
}

// verify compares all that answer.
func verify(ctx context.Context, targets []target, timeout time.Duration, spaces bool) (*verifyReport, error) {
	provers, errs := make([]*prover, len(targets)), make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { provers[i], errs[i] = newProver(ctx, t, timeout) })
	}
	wg.Wait()
	report := &verifyReport{Sets: []*provedSet{}, Unanswered: []string{}}
	for i, p := range provers {
		if p == nil {
			report.Unanswered = append(report.Unanswered, fmt.Sprintf("%s: %v", targets[i].label(), errs[i]))
			continue
		}
		defer p.conn.Close()
		report.set(p.told.Replicaset).provers = append(report.set(p.told.Replicaset).provers, p)
	}
	for _, s := range report.Sets {
		if err := s.prove(ctx, spaces); err != nil {
			return nil, err
		}
	}
	return report, ctx.Err()
}

// set is the one of a name, made where it is not there yet.
func (r *verifyReport) set(of boxSet) *provedSet {
	for _, s := range r.Sets {
		if s.UUID == of.UUID {
			return s
		}
	}
	s := &provedSet{UUID: of.UUID, Name: of.Name, Members: []provedMember{}, Ranges: []provedRange{}, Problems: []string{}, Notes: []string{}}
	r.Sets = append(r.Sets, s)
	return s
}

// outcome is the error of the command.
func (r *verifyReport) outcome() error {
	verdicts := map[string]bool{}
	for _, s := range r.Sets {
		verdicts[s.Verdict] = true
	}
	switch {
	case verdicts[verdictDifferent]:
		return errUnhealthy
	case verdicts[verdictIncomplete], len(r.Unanswered) > 0, len(r.Sets) == 0:
		return errIncomplete
	}
	return nil
}

// prove compares the histories of the instances, then their rows, then their spaces if that is
// wanted, then says who was left out.
func (s *provedSet) prove(ctx context.Context, spaces bool) error {
	var comparable, all []*prover
	for _, p := range s.provers {
		m := provedMember{ID: p.told.ID, Name: p.label()}
		switch {
		case p.told.Filter != "":
			m.Why = fmt.Sprintf("it is a replica with filter '%s': rows of other spaces were cut from its log", p.told.Filter)
		case p.told.Replicaset.UUID == "":
			m.Why = "it is of no replica set yet"
		default:
			comparable = append(comparable, p)
			if !p.isMember() {
				s.Notes = append(s.Notes, p.label()+" is no member of the replica set, by its own data: it reads along, or was expelled")
			}
		}
		s.Members = append(s.Members, m)
		if p.told.Replicaset.UUID != "" {
			all = append(all, p)
		}
	}
	s.absent()
	if len(comparable) > 0 {
		if err := s.compareRows(ctx, comparable); err != nil {
			return err
		}
	}
	if spaces {
		if err := s.compareSpaces(ctx, all); err != nil {
			return err
		}
	}
	s.judge()
	return nil
}

// isMember tells whether its row of _cluster is there.
func (p *prover) isMember() bool {
	return slices.ContainsFunc(p.told.Members, func(m toldMember) bool { return m.UUID == p.told.UUID && m.ID == p.told.ID })
}

// absent adds the members that were not asked, or did not answer.
func (s *provedSet) absent() {
	for _, p := range s.provers {
		for _, m := range p.told.Members {
			asked := func(o provedMember) bool { return o.ID == m.ID }
			if !slices.ContainsFunc(s.Members, asked) {
				s.Members = append(s.Members, provedMember{ID: m.ID, Name: m.label(), Why: "it was not asked, or did not answer"})
			}
		}
	}
	slices.SortStableFunc(s.Members, func(a, b provedMember) int { return cmp.Compare(a.ID, b.ID) })
}

// judge gives the verdict.
func (s *provedSet) judge() {
	s.Verdict = verdictEqual
	if s.unproved {
		s.Verdict = verdictIncomplete
	}
	for i := range s.Members {
		m := &s.Members[i]
		if m.Why == "" && m.Compared == 0 && !m.Spaces && s.Difference == nil {
			m.Why = "it has no decided row in its log that another one has, too (--spaces compares its tuples)"
		}
		if m.Why != "" {
			s.Verdict = verdictIncomplete
		}
	}
	if s.Difference != nil || len(s.SpaceDifferences) > 0 || len(s.Problems) > 0 {
		s.Verdict = verdictDifferent
	}
}

// compareRows goes from term to term, up to the first that differs.
func (s *provedSet) compareRows(ctx context.Context, all []*prover) error {
	told := make([]*toldHistory, len(all))
	for i, p := range all {
		told[i] = p.history
	}
	var h setHistory
	h.join(told)
	s.Problems = h.Problems
	if len(h.Terms) == 0 {
		return s.compareWithoutTerms(ctx, all)
	}
	for i := range h.Terms {
		t := &h.Terms[i]
		switch {
		case t.Owner == 0:
			continue
		case t.Tarantool:
			s.Notes = append(s.Notes, fmt.Sprintf("term %d was under Tarantool's rules: its rows are not compared", t.Term))
			continue
		case len(s.Problems) > 0 && !agreed(all, t):
			return nil // said already
		}
		if err := s.compareTerm(ctx, all, t); err != nil || s.Difference != nil {
			return err
		}
	}
	return nil
}

// agreed tells whether all who know a term know it alike.
func agreed(all []*prover, term *toldTerm) bool {
	for _, p := range all {
		for i := range p.history.Terms {
			t := &p.history.Terms[i]
			if t.Term == term.Term && (t.Owner != term.Owner || t.First != term.First) {
				return false
			}
		}
	}
	return true
}

// compareWithoutTerms is for replica sets without elections: what an author wrote is decided
// by that.
func (s *provedSet) compareWithoutTerms(ctx context.Context, all []*prover) error {
	for origin := number(1); s.Difference == nil && int(origin) < len(all[0].told.Synced); origin++ {
		var holds []held
		for _, p := range all {
			holds = append(holds, held{p, component(p.told.Begins, origin) + 1, component(p.told.Synced, origin)})
		}
		if err := s.compareHeld(ctx, &toldTerm{Owner: origin}, holds); err != nil {
			return err
		}
	}
	return nil
}

// held is what an instance has of a term in its log, decided.
type held struct {
	*prover
	from, to uint64
}

func (s *provedSet) compareTerm(ctx context.Context, all []*prover, t *toldTerm) error {
	var holds []held
	for _, p := range all {
		holds = append(holds, held{p, max(uint64(t.First), component(p.told.Begins, t.Owner)+1), p.decided(t)})
	}
	return s.compareHeld(ctx, t, holds)
}

// compareHeld cuts what the instances hold where one of them begins or ends, and compares each
// part among those that have all of it.
func (s *provedSet) compareHeld(ctx context.Context, t *toldTerm, holds []held) error {
	holds = slices.DeleteFunc(holds, func(h held) bool { return h.from > h.to })
	var cuts []uint64
	for _, h := range holds {
		cuts = append(cuts, h.from, h.to+1)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i := 0; i+1 < len(cuts) && s.Difference == nil; i++ {
		var having []*prover
		for _, h := range holds {
			if h.from <= cuts[i] && h.to >= cuts[i+1]-1 {
				having = append(having, h.prover)
			}
		}
		if len(having) == 0 {
			continue
		}
		r := provedRange{Term: t.Term, Origin: t.Owner, From: cuts[i], To: cuts[i+1] - 1, Members: labels(having)}
		if len(having) > 1 {
			if err := s.compareRange(ctx, having, &r); errors.Is(err, errCut) {
				s.Notes = append(s.Notes, fmt.Sprintf("term %d, LSN %d to %d of instance %d: %v", r.Term, r.From, r.To, r.Origin, err))
				continue
			} else if err != nil {
				return err
			}
		}
		s.Ranges = append(s.Ranges, r)
	}
	return nil
}

// compareRange compares rows among those that have them, and looks for the first that differs.
func (s *provedSet) compareRange(ctx context.Context, all []*prover, r *provedRange) error {
	from, to, step, err := narrow(ctx, all, r.Origin, r.From, r.To)
	if err != nil {
		return err
	}
	if step == 0 {
		for _, p := range all {
			i := slices.IndexFunc(s.Members, func(m provedMember) bool { return m.ID == p.told.ID && m.Name == p.label() })
			s.Members[i].Compared += r.To - r.From + 1
		}
		return nil
	}
	d := &difference{Term: r.Term, Origin: r.Origin, From: from, To: to}
	rows, sums := make([]*toldRow, len(all)), make([]proof.Window, len(all))
	err = each(all, func(i int, p *prover) error {
		list, err := p.windows(ctx, r.Origin, from, from, 1)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			sums[i] = list[0]
		}
		rows[i], err = p.row(ctx, r.Origin, from)
		return err
	})
	if err != nil {
		return err
	}
	for i, p := range all {
		at := 0
		for at < i && !sums[at].Equal(&sums[i]) {
			at++
		}
		if at == i {
			d.Sides = append(d.Sides, side{Row: rows[i], Members: []string{p.label()}})
			continue
		}
		for k := range d.Sides {
			if slices.Contains(d.Sides[k].Members, all[at].label()) {
				d.Sides[k].Members = append(d.Sides[k].Members, p.label())
			}
		}
	}
	s.Difference = d
	return nil
}

// proofWindows is into how many parts a range is cut at once.
const proofWindows = 512

// narrow halves, or rather cuts in 512, a range down to the first rows that differ. step 0: none does.
func narrow(ctx context.Context, all []*prover, origin number, from, to uint64) (first, last, step uint64, err error) {
	limit := to
	for step = stepFor(from, to); ; step = stepFor(from, to) {
		lists := make([][]proof.Window, len(all))
		err := each(all, func(i int, p *prover) (err error) {
			lists[i], err = p.windows(ctx, origin, from, to, step)
			return err
		})
		if err != nil {
			return 0, 0, 0, err
		}
		start, end, differ := firstDifference(lists, step)
		if !differ {
			return 0, 0, 0, nil
		}
		behind := min(limit, start+proofWindows-1)
		switch {
		case step > 1:
			from, to = max(from, start), min(to, start+step-1)
		case from == start && to == behind:
			return start, end, 1, nil
		default: // once more, for how many behind it differ too
			from, to = start, behind
		}
	}
}

func stepFor(from, to uint64) uint64 { return (to-from)/proofWindows + 1 }

// firstDifference is the first window that is not the same in all lists, and the end of the last
// of those behind it without a gap that are not.
func firstDifference(lists [][]proof.Window, step uint64) (start, end uint64, differ bool) {
	by := map[uint64][]proof.Window{}
	var firsts []uint64
	for i, list := range lists {
		for _, w := range list {
			if by[w.First] == nil {
				by[w.First] = make([]proof.Window, len(lists))
				firsts = append(firsts, w.First)
			}
			by[w.First][i] = w
		}
	}
	slices.Sort(firsts)
	for _, first := range firsts {
		if differ && first != end+1 {
			break
		}
		same := !slices.ContainsFunc(by[first], func(w proof.Window) bool { return !w.Equal(&by[first][0]) })
		switch {
		case same && differ:
			return start, end, true
		case same:
			continue
		case !differ:
			start, differ = first, true
		}
		end = first + step - 1
	}
	return start, end, differ
}

func labels(all []*prover) (names []string) {
	for _, p := range all {
		names = append(names, p.label())
	}
	return names
}
