package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"tarragon/vclock"
	"tarragon/xlog"
	"tarragon/xrow"
)

// leftovers are what goes from the old store into the one that takes its place:
// a NOP for each of our own rows that the received state leaves out, and what is
// kept for the operator.
//
// Without the NOPs the new log would begin behind LSNs that nobody else has:
// every peer would find a gap in it, and could follow us only by joining anew
// itself.
type leftovers struct {
	nops *xrow.Group // nil: none
	lost []xrow.LostRow
}

// leftovers reads them behind a received state; see [rejoin.keep].
func (s *Server) leftovers(state *vclock.VClock) (l leftovers, err error) {
	r := s.anew
	if r == nil || r.newLife {
		return l, nil
	}
	old, err := s.openStore(storeDir(s.in))
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	if err := old.EachLost(func(row xrow.LostRow) bool {
		row.Frame = bytes.Clone(row.Frame)
		l.lost = append(l.lost, row)
		return true
	}); err != nil {
		return l, err
	}
	if r.vclock[r.self] <= state[r.self] {
		return l, nil
	}
	return l, l.void(old, r.self, r.vclock[r.self], state)
}

// void adds our rows behind the state, up to an LSN.
func (l *leftovers) void(old *xlog.Store, self uint32, last uint64, state *vclock.VClock) error {
	l.nops = &xrow.Group{Before: *state, After: *state}
	err := eachGroup(old, func(g *xrow.Group) error {
		for i := range g.Table {
			if ref := &g.Table[i]; ref.Origin != self || ref.LSN != l.nops.After[self]+1 || ref.LSN > last {
				continue
			}
			row, err := g.Row(i)
			if err != nil {
				return err
			}
			l.lost = append(l.lost, xrow.LostRow{Term: row.Term, Origin: self, LSN: row.LSN, Frame: bytes.Clone(g.Frame(i))})
			l.nops.Add(&xrow.Row{Type: xrow.Nop, ReplicaID: self, LSN: row.LSN, TSN: row.LSN, Term: row.Term,
				Timestamp: row.Timestamp, Flags: xrow.FlagCommit}, 0, true, 0)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("old store: %w", err)
	}
	if have := l.nops.After[self]; have != last {
		return fmt.Errorf("%w: the old log has our rows up to %d of %d", errBehind, have, last)
	}
	return nil
}

// eachGroup goes over all rows of a store: those that were open at its newest
// checkpoint, then the log.
func eachGroup(old *xlog.Store, f func(*xrow.Group) error) error {
	if all := old.Checkpoints(); len(all) > 0 && all[0].State.Undecided != nil {
		if err := f(all[0].State.Undecided); err != nil {
			return err
		}
	}
	reader := old.Read(old.First())
	defer reader.Close()
	for {
		_, g, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f(g)
		}
		if err != nil {
			return err
		}
	}
}

// putLeftovers writes them behind the checkpoint that holds the state.
func (s *Server) putLeftovers(l leftovers) error {
	if l.nops != nil {
		if err := s.store.Append([]*xrow.Group{l.nops}); err != nil {
			return err
		}
	}
	return s.store.PutLost(l.lost)
}
