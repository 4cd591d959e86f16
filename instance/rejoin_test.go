package instance

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// oldLog builds the log of an old store: rows as origin:lsn/term, each a
// transaction; P and C before it make PROMOTE and CONFIRM of it, and vN/T a record.
func oldLog(t *testing.T, groups ...string) (log []*xrow.Group) {
	var clock vclock.VClock
	for _, text := range groups {
		g := &xrow.Group{Before: clock, After: clock}
		for _, word := range strings.Fields(text) {
			var origin uint32
			var lsn, term uint64
			r := xrow.Row{Type: xrow.Insert, Flags: xrow.FlagCommit | xrow.FlagWaitSync, Body: []byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x91, 1}}
			switch kind := word[0]; kind {
			case 'v':
				if _, err := fmt.Sscanf(word[1:], "%d/%d", &origin, &term); err != nil {
					t.Fatal(word, err)
				}
				body := xrow.Raft{Term: term, Vote: origin}
				r = xrow.Row{Type: xrow.RaftState, GroupID: xrow.GroupLocal, Flags: xrow.FlagCommit, Body: body.AppendBody(nil)}
				lsn, origin, term = g.After[0]+1, 0, 0
			default:
				if _, err := fmt.Sscanf(strings.TrimLeft(word, "PCO"), "%d:%d/%d", &origin, &lsn, &term); err != nil {
					t.Fatal(word, err)
				}
				body := xrow.Synchro{Term: term, Rules: xrow.RulesStrong}
				switch kind {
				case 'O':
					body.Rules = 0
					fallthrough
				case 'P':
					r.Type, r.Body = xrow.Promote, body.AppendBody(nil)
				case 'C':
					r.Type, r.Body = xrow.Confirm, body.AppendBody(nil)
				}
			}
			r.ReplicaID, r.LSN, r.TSN, r.Term = origin, lsn, lsn, term
			g.Add(&r, 0, true, term)
		}
		clock = g.After
		log = append(log, g)
	}
	return log
}

// rowsOf is the reverse; N marks a NOP.
func rowsOf(t *testing.T, groups []*xrow.Group) string {
	var words []string
	for _, g := range groups {
		for i := range g.Table {
			r, err := g.Row(i)
			if err != nil {
				t.Fatal(err)
			}
			kind := map[xrow.Type]string{xrow.Promote: "P", xrow.Confirm: "C", xrow.Nop: "N"}[r.Type]
			if r.Type == xrow.Nop && r.Flags&xrow.FlagWaitSync != 0 {
				kind = "N!"
			}
			words = append(words, fmt.Sprintf("%s%d:%d/%d", kind, r.ReplicaID, r.LSN, r.Term))
		}
	}
	return strings.Join(words, " ")
}

func lostOf(rows []xrow.LostRow) string {
	var words []string
	for _, l := range rows {
		words = append(words, fmt.Sprintf("%d:%d/%d", l.Origin, l.LSN, l.Term))
	}
	return strings.Join(words, " ")
}

func span(term uint64, owner uint32, first, last uint64) terms.Span {
	return terms.Span{Term: term, Owner: owner, First: first, Last: last, Writer: owner, Rules: terms.Strong}
}

// TestRejoin: what a member that joins anew keeps of its old store.
func TestRejoin(t *testing.T) {
	settled := State{VClock: vclock.VClock{1: 5, 2: 3, 3: 2}, Term: 3, Confirmed: 2, History: []terms.Span{span(2, 1, 1, 4), span(3, 3, 1, 2)}}
	for _, c := range []struct {
		name   string
		self   uint32 // 0: 4, which has no rows
		state  State
		log    []string
		from   int    // groups before it were dropped
		before State  // the checkpoint
		lost   string // kept in the old store
		shown  Shown
		want   string // rows of the new log
		void   string // kept in the new store
		clock  vclock.VClock
		term   uint64
		vote   uint32
		err    error
	}{
		{name: "nothing more", state: settled, log: []string{"P1:1/2 C1:2/2 1:3/2 1:4/2"}, term: 3},
		{name: "void rows of ours are NOPs, and kept", state: settled, log: []string{"P1:1/2 C1:2/2 1:3/2 1:4/2", "1:5/2 1:6/2", "1:7/2"},
			want: "N1:6/2 N1:7/2", void: "1:5/2 1:6/2 1:7/2", term: 3},
		{name: "what was kept stays, once", state: settled, log: []string{"P1:1/2 1:2/2 1:3/2 1:4/2 1:5/2 1:6/2"}, lost: "1:5/2 2:9/1",
			want: "N1:6/2", void: "1:5/2 2:9/1 1:6/2", term: 3},
		{name: "what the state does not settle is kept", state: settled, log: []string{"P3:1/3 C3:2/3 3:3/3 C3:4/3", "3:5/3 P2:4/4"},
			want: "3:3/3 C3:4/3 3:5/3 P2:4/4", term: 3},
		{name: "a PROMOTE that the state leaves out", state: settled, log: []string{"P1:1/2 1:2/2 P2:4/1"}, want: "N2:4/1", term: 3},
		{name: "the vote of the same term", state: settled, log: []string{"v2/3"}, term: 3, vote: 2},
		{name: "a greater term, without a vote", state: settled, log: []string{"v2/3 v0/9"}, term: 9},
		{name: "a lesser term", state: settled, log: []string{"v1/2"}, term: 3},
		{name: "the vote of the checkpoint", state: settled, before: State{Term: 3, Vote: 1}, term: 3, vote: 1},
		{name: "less term on disk than was shown", state: settled, log: []string{"v2/3"}, shown: Shown{Term: 4}, err: ErrLostData},
		{name: "less vote on disk than was shown", state: settled, log: []string{"v0/3"}, shown: Shown{Term: 3, Vote: 2}, err: ErrLostData},
		{name: "less on disk than was acked", state: settled, log: []string{"1:1/2"}, shown: Shown{Ack: vclock.VClock{1: 2}}, err: ErrLostData},
		{name: "the log does not reach back, and the state knows less", state: settled, log: []string{"P3:1/3 C3:2/3 3:3/3", "3:4/3"}, from: 1,
			before: State{VClock: vclock.VClock{3: 3}, Term: 3, Confirmed: 3, History: []terms.Span{span(3, 3, 1, 3)}}, err: ErrBehind},
		{name: "the log does not reach back, and the state knows more", state: settled, log: []string{"P1:1/2 C1:2/2 1:3/2 1:4/2 1:5/2 1:6/2", "1:7/2"}, from: 1,
			before: State{VClock: vclock.VClock{1: 6}, Term: 2, Confirmed: 2, History: []terms.Span{span(2, 1, 1, 6)}},
			want:   "N1:7/2", void: "1:7/2", clock: vclock.VClock{1: 6, 2: 3, 3: 2}, term: 3},
		{name: "rows of somebody who never led are missing", state: settled, log: []string{"2:1/0 2:2/0 2:3/0 2:4/0 2:5/0", "2:6/0"}, from: 1,
			before: State{VClock: vclock.VClock{2: 5}, Term: 2, Confirmed: 2, History: []terms.Span{span(2, 1, 1, 2)}}, err: ErrBehind},
		{name: "Tarantool's rules: all is covered", state: settled, log: []string{"O1:1/2 1:2/2"}, term: 3},
		{name: "the state has rows of ours that the disk lacks", self: 2, state: settled, log: []string{"2:1/0 2:2/0"}, err: ErrLostData},
		{name: "Tarantool's rules: a newer term leaves our rows out", self: 1, state: settled, log: []string{"O1:1/2 1:2/2 1:3/2 1:4/2 1:5/2 1:6/2 2:4/0"},
			want: "N1:6/2", void: "1:6/2", term: 3},
		{name: "Tarantool's rules: our rows may be committed", state: settled, log: []string{"O1:6/3"}, err: ErrUncovered},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := oldLog(t, c.log...)
			old := &Old{Self: cmp.Or(c.self, 4), Checkpoint: c.before, Log: slices.Values(log[c.from:]), Shown: c.shown}
			if c.from > 0 {
				old.Before = log[c.from].Before
			}
			for _, word := range strings.Fields(c.lost) {
				var l xrow.LostRow
				if _, err := fmt.Sscanf(word, "%d:%d/%d", &l.Origin, &l.LSN, &l.Term); err != nil {
					t.Fatal(err)
				}
				old.Lost = append(old.Lost, l)
			}
			kept, err := c.state.Rejoin(old)
			if c.err != nil || err != nil {
				if !errors.Is(err, c.err) {
					t.Fatalf("%v, want %v", err, c.err)
				}
				return
			}
			if got := rowsOf(t, kept.Log); got != c.want {
				t.Errorf("log %s, want %s", got, c.want)
			}
			if got := lostOf(kept.Lost); got != c.void {
				t.Errorf("kept %s, want %s", got, c.void)
			}
			if kept.State.Term != c.term || kept.State.Vote != c.vote {
				t.Errorf("term %d vote %d, want %d and %d", kept.State.Term, kept.State.Vote, c.term, c.vote)
			}
			if c.clock == (vclock.VClock{}) {
				c.clock = c.state.VClock
			}
			if kept.State.VClock != c.clock {
				t.Errorf("the checkpoint is at %s, want %s", &kept.State.VClock, &c.clock)
			}
			after := kept.State.VClock
			for _, g := range kept.Log {
				if g.Before != after {
					t.Errorf("a group goes on from %s, not %s", &g.Before, &after)
				}
				after = g.After
			}
		})
	}
}

// TestRejoinTakesWhatWasOpen: rows that were open at the checkpoint of an earlier
// release, and are no longer in its log, go into the new checkpoint.
func TestRejoinTakesWhatWasOpen(t *testing.T) {
	log := oldLog(t, "P1:1/2 C1:2/2 1:3/2 C1:4/2 1:5/2", "1:6/2")
	open := oldLog(t, "1:3/2 1:5/2 1:6/2")[0]
	old := &Old{Self: 3, Before: log[1].Before, Log: slices.Values(log[1:]),
		Checkpoint: State{VClock: vclock.VClock{1: 6}, Term: 2, Confirmed: 1, History: []terms.Span{span(2, 1, 1, 6)}, Undecided: open}}
	s := State{VClock: vclock.VClock{1: 2}, Term: 2, Confirmed: 1, History: []terms.Span{span(2, 1, 1, 2)}}
	kept, err := s.Rejoin(old)
	if err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(t, []*xrow.Group{kept.State.Undecided}) + " | " + rowsOf(t, kept.Log); got != "1:3/2 1:5/2 | 1:6/2" {
		t.Error(got)
	}
	if last := kept.State.History[0].Last; last != 5 || kept.State.VClock[1] != 5 || s.History[0].Last != 2 {
		t.Errorf("the term ends with %d at %s; that of the received state with %d", last, &kept.State.VClock, s.History[0].Last)
	}
}
