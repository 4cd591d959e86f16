package instance

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Old is the store of a member that joins anew under its own identity, as it is on
// disk: its core has stopped, and its last group is written.
type Old struct {
	Self       uint32
	Checkpoint State                 // the newest one; zero: there is none
	Before     vclock.VClock         // in front of the oldest group of the log
	Log        iter.Seq[*xrow.Group] // all of it, oldest first; may be read twice
	Lost       []xrow.LostRow        // kept so far
	Shown      Shown                 // by the core that ran on it
}

// Kept is the store that takes the place of the old one.
type Kept struct {
	State State         // of its checkpoint; where its log begins is up to the caller
	Log   []*xrow.Group // behind the checkpoint
	Lost  []xrow.LostRow
}

// What Rejoin says of a state that cannot be taken, and of a disk.
var (
	// ErrBehind: the state knows less to be committed than the old store, whose
	// log does not reach back to it. Another member may know more.
	ErrBehind = errors.New("instance: the state knows less than this instance")
	// ErrUncovered: under Tarantool's rules the state lacks rows that this
	// instance may have acked. It can come back under a new identity only.
	ErrUncovered = errors.New("instance: the state lacks rows that this instance holds")
)

// Rejoin makes the store of a member that joins anew out of a received state and
// its old store (docs/architecture.md#the-life-of-a-lost-log). What was shown to others must not be
// forgotten: LSNs, the term and vote, and all rows that the state does not
// settle, for they may have been acked and be committed by that ack. So all rows
// of the old log behind the state's vclock go into the new log, those that the
// state excludes as NOPs: its log begins where the others' vclocks are, and it
// can serve them.
//
// Where the old log does not reach back to the state, its rows between them are
// settled, if the state knows as much to be committed as the old checkpoint:
// the log is kept from the oldest row on whose fate is open. A store of an
// earlier release may have such rows in its checkpoint only.
//
// An error that wraps [ErrLostData]: the disk has less than was shown, or fewer rows
// of ours than the state.
func (s State) Rejoin(old *Old) (Kept, error) {
	end, err := old.end()
	if err != nil {
		return Kept{}, err
	}
	if err := old.Shown.check(raft.Record{Term: end.Term, Vote: end.Vote}, &end.VClock); err != nil {
		return Kept{}, fmt.Errorf("%w: %w", ErrLostData, err)
	}
	if own := s.VClock[old.Self]; old.Self != 0 && own > end.VClock[old.Self] {
		return Kept{}, fmt.Errorf("%w: the state has LSN %d of ours, the disk ends with %d", ErrLostData, own, end.VClock[old.Self])
	}
	if end.Term > s.Term || end.Term == s.Term && end.Vote != 0 {
		s.Term, s.Vote = end.Term, end.Vote
	}
	k := keeping{Kept: Kept{State: s, Lost: slices.Clone(old.Lost)}, settled: s, old: old, at: s.VClock}
	if end.mixed || mixedSpans(s.History) {
		err = k.tarantool(&end)
	} else {
		err = k.strong()
	}
	return k.Kept, err
}

// storeEnd is what a store says at the end of its log.
type storeEnd struct {
	VClock vclock.VClock
	Term   uint64
	Vote   uint32
	newest uint64 // term of the newest PROMOTE, in effect or not
	mixed  bool   // Tarantool's rules held in a term, or may hold
}

// end reads the old log.
func (o *Old) end() (end storeEnd, err error) {
	c := &o.Checkpoint
	end = storeEnd{VClock: o.Before, Term: c.Term, Vote: c.Vote, mixed: mixedSpans(c.History)}
	end.VClock.Merge(&c.VClock)
	if n := len(c.History); n > 0 {
		end.newest = c.History[n-1].Term
	}
	for g := range o.all() {
		end.VClock.Merge(&g.After)
		for i := range g.Table {
			if t := g.Table[i].Type; t != xrow.RaftState && t != xrow.Promote && t != xrow.Demote {
				continue
			}
			row, err := g.Row(i)
			if err == nil {
				err = end.note(&row)
			}
			if err != nil {
				return end, fmt.Errorf("old store: %w", err)
			}
		}
	}
	return end, nil
}

// note takes a row down that tells of a term.
func (e *storeEnd) note(r *xrow.Row) error {
	if r.Type == xrow.RaftState {
		body, err := xrow.DecodeRaft(r.Body)
		if body.Term > e.Term || body.Term == e.Term && body.Vote != 0 {
			e.Term, e.Vote = body.Term, body.Vote
		}
		return err
	}
	body, err := xrow.DecodeSynchro(r.Body)
	e.newest = max(e.newest, body.Term)
	e.mixed = e.mixed || r.Type == xrow.Demote || body.Rules != xrow.RulesStrong
	return err
}

// all goes over the rows that were open at the checkpoint, then the log.
func (o *Old) all() iter.Seq[*xrow.Group] {
	return func(yield func(*xrow.Group) bool) {
		if u := o.Checkpoint.Undecided; u != nil && !yield(u) {
			return
		}
		o.Log(yield)
	}
}

func mixedSpans(spans []terms.Span) bool {
	return slices.ContainsFunc(spans, func(s terms.Span) bool { return s.Rules == terms.Tarantool })
}

// keeping is a Rejoin under way.
type keeping struct {
	Kept
	settled State // as it was received
	old     *Old
	at      vclock.VClock // behind what was taken so far
	names   map[lostName]bool
}

type lostName struct {
	term   uint64
	origin uint32
	lsn    uint64
}

// strong keeps rows by the strong rules.
func (k *keeping) strong() error {
	if !k.at.Covers(&k.old.Before) {
		if err := k.reachBack(); err != nil {
			return err
		}
	}
	if err := k.keepVoid(); err != nil {
		return err
	}
	for g := range k.old.Log {
		out, err := k.take(g, nil)
		if err != nil {
			return err
		}
		if len(out.Table) > 0 {
			k.Log = append(k.Log, out)
		}
	}
	return nil
}

// reachBack goes to where the old log begins.
func (k *keeping) reachBack() (err error) {
	c := &k.old.Checkpoint
	if !k.settled.knows(c, &k.old.Before) {
		return fmt.Errorf("%w: it has %s, and the log of this instance begins behind %s", ErrBehind, &k.at, &k.old.Before)
	}
	open := &xrow.Group{Before: k.at, After: k.at}
	if c.Undecided != nil {
		if open, err = k.take(c.Undecided, &k.old.Before); err != nil {
			return err
		}
	}
	k.at.Merge(&k.old.Before)
	k.at[0] = 0
	open.After = k.at
	k.State.VClock, k.State.Undecided = k.at, open
	k.State.holdLast()
	return nil
}

// knows tells whether the state knows as much to be committed as another one,
// and holds all of it up to a vclock: what else there is of that is of terms in
// which its writers led, and a term in effect has judged it.
func (s *State) knows(o *State, upTo *vclock.VClock) bool {
	if len(o.History) == 0 || len(s.History) == 0 {
		return false
	}
	theirs, ours := s.History[len(s.History)-1].Term, o.History[len(o.History)-1].Term
	if theirs < ours || theirs == ours && s.Confirmed < o.Confirmed {
		return false
	}
	for id := uint32(1); id < vclock.Max; id++ {
		led := func(span terms.Span) bool { return span.Owner == id && span.First <= s.VClock[id]+1 }
		if upTo[id] > s.VClock[id] && !slices.ContainsFunc(o.History, led) && !slices.ContainsFunc(s.History, led) &&
			!o.opens(id, s.VClock[id]+1) {
			return false
		}
	}
	return true
}

// opens tells whether a row is among those whose fate is open.
func (s *State) opens(origin uint32, lsn uint64) bool {
	return s.Undecided != nil && slices.ContainsFunc(s.Undecided.Table, func(r xrow.Ref) bool { return r.Origin == origin && r.LSN == lsn })
}

// take cuts out of a group what is behind the state; what that excludes becomes
// NOPs. open: it is what was open at a checkpoint, of which the log has nothing
// up to there; excluded rows go.
func (k *keeping) take(g *xrow.Group, open *vclock.VClock) (*xrow.Group, error) {
	out := &xrow.Group{Before: k.at, After: k.at}
	for i := range g.Table {
		ref := &g.Table[i]
		if ref.Origin == 0 || ref.LSN <= k.at[ref.Origin] || open != nil && ref.LSN > open[ref.Origin] {
			continue
		}
		row, err := g.Row(i)
		if err != nil {
			return nil, fmt.Errorf("old store: row %d of instance %d: %w", ref.LSN, ref.Origin, err)
		}
		k.at.Follow(row.ReplicaID, row.LSN)
		space, term := ref.SpaceID, ref.Term
		if row.Type != xrow.Confirm && k.settled.excludes(&row) {
			if open != nil {
				continue
			}
			row, space, term = voidNop(&row), 0, 0
		}
		out.Add(&row, space, row.TSN == row.LSN, term)
	}
	out.After = k.at
	return out, nil
}

// excludes tells whether a row is void by what the state knows to be in effect.
func (s *State) excludes(r *xrow.Row) bool {
	n := len(s.History)
	if r.Term == 0 || n == 0 || r.Term >= s.History[n-1].Term {
		return false
	}
	i := slices.IndexFunc(s.History, func(span terms.Span) bool { return span.Term == r.Term })
	return i < 0 || s.History[i].Owner != r.ReplicaID || r.LSN > s.History[i].Last
}

// keepVoid keeps the transactions of the old store that the state excludes.
func (k *keeping) keepVoid() error {
	for g := range k.old.all() {
		err := eachTransaction(g, func(rows []xrow.Row, frames []byte) {
			last := &rows[len(rows)-1]
			if !allNop(rows) && last.Type.IsDML() && k.settled.excludes(last) {
				k.keepLost(last, frames)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *keeping) keepLost(last *xrow.Row, frames []byte) {
	if k.names == nil {
		k.names = map[lostName]bool{}
		for _, l := range k.Lost {
			k.names[lostName{l.Term, l.Origin, l.LSN}] = true
		}
	}
	name := lostName{last.Term, last.ReplicaID, last.LSN}
	if !k.names[name] {
		k.names[name] = true
		k.Lost = append(k.Lost, xrow.LostRow{Term: last.Term, Origin: last.ReplicaID, LSN: last.LSN, Frame: frames})
	}
}

// eachTransaction calls f with the replicated rows of each transaction.
func eachTransaction(g *xrow.Group, f func(rows []xrow.Row, frames []byte)) error {
	var rows []xrow.Row
	var frames []byte
	for i := range g.Table {
		if g.Table[i].Origin == 0 {
			continue
		}
		row, err := g.Row(i)
		if err != nil {
			return fmt.Errorf("old store: %w", err)
		}
		rows, frames = append(rows, row), append(frames, g.Frame(i)...)
		if row.Flags&xrow.FlagCommit != 0 {
			f(rows, slices.Clone(frames))
			rows, frames = rows[:0], frames[:0]
		}
	}
	return nil
}

// Tarantool keeps what Tarantool's rules allow: a state in which a newer term
// than all of ours is in effect voids what it leaves out of our own rows; those
// of others come again. Any other state must have all rows.
func (k *keeping) tarantool(end *storeEnd) error {
	n := len(k.settled.History)
	if n == 0 || k.settled.History[n-1].Term <= end.newest {
		if !k.at.Covers(&end.VClock) {
			return fmt.Errorf("%w: it has %s, here is %s", ErrUncovered, &k.at, &end.VClock)
		}
		return nil
	}
	self, last := k.old.Self, end.VClock[k.old.Self]
	out := &xrow.Group{Before: k.at, After: k.at}
	for g := range k.old.all() {
		if err := eachTransaction(g, func(rows []xrow.Row, frames []byte) {
			if rows[0].ReplicaID != self || rows[0].LSN != k.at[self]+1 {
				return
			}
			for i := range rows {
				k.at.Follow(self, rows[i].LSN)
				nop := voidNop(&rows[i])
				out.Add(&nop, 0, i == 0, 0)
			}
			if r := &rows[len(rows)-1]; !allNop(rows) && r.Type.IsDML() {
				k.keepLost(r, frames)
			}
		}); err != nil {
			return err
		}
	}
	if k.at[self] < last {
		return fmt.Errorf("%w: the old log has our rows up to %d of %d", ErrUncovered, k.at[self], last)
	}
	if out.After = k.at; len(out.Table) > 0 {
		k.Log = append(k.Log, out)
	}
	return nil
}

// holdLast makes the newest term in effect end where its owner's undecided
// rows do: a PROMOTE may follow a CONFIRM, which is not among them.
func (s *State) holdLast() {
	n := len(s.History)
	if n == 0 {
		return
	}
	s.History = slices.Clone(s.History)
	span := &s.History[n-1]
	last := s.Undecided.After[span.Owner]
	for _, ref := range s.Undecided.Table {
		if ref.Origin == span.Owner && ref.Term > span.Term {
			last = min(last, ref.LSN-1)
		}
	}
	span.Last = max(span.Last, last)
}

func allNop(rows []xrow.Row) bool {
	return !slices.ContainsFunc(rows, func(r xrow.Row) bool { return r.Type != xrow.Nop })
}
