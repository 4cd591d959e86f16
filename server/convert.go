package server

import (
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xlog"
)

// The store and the core have types of their own for the same things: neither
// may import the other.

func toStore(s instance.State) xlog.State {
	out := xlog.State{VClock: s.VClock, Term: s.Term, Vote: s.Vote, Confirmed: s.Confirmed, ConfirmedOf: s.ConfirmedOf,
		VoidPromotes: s.VoidPromotes, Undecided: s.Undecided, NextGroup: s.NextGroup}
	for _, h := range s.History {
		out.History = append(out.History, xlog.TermSpan(h))
	}
	return out
}

func fromStore(s xlog.State) instance.State {
	out := instance.State{VClock: s.VClock, Term: s.Term, Vote: s.Vote, Confirmed: s.Confirmed, ConfirmedOf: s.ConfirmedOf,
		VoidPromotes: s.VoidPromotes, Undecided: s.Undecided, NextGroup: s.NextGroup}
	for _, h := range s.History {
		out.History = append(out.History, instance.TermSpan(h))
	}
	return out
}
