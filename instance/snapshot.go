package instance

import (
	"encoding/binary"
	"fmt"
	"slices"

	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// pendingSnap is a checkpoint whose log is not on disk yet.
type pendingSnap struct {
	snap  Snapshot
	group uint64
}

// startCheckpoint takes the confirmed state of this moment, and all that goes
// with it from the same moment. It may be used once the log before it is
// on disk.
func (c *Core) startCheckpoint(ev StartCheckpoint) {
	if c.out.failed != nil {
		c.eff.Snaps = append(c.eff.Snaps, Snapshot{Tag: ev.Tag, Err: &xrow.Error{Code: xrow.ErrWALIO, Message: c.out.failed.Error()}})
		return
	}
	if err := c.refuseCheckpoint(); err != nil {
		c.eff.Snaps = append(c.eff.Snaps, Snapshot{Tag: ev.Tag, Err: err})
		return
	}
	// More rows may join the group that gathers. So replay begins with that
	// group; what the vclock covers of it is passed over.
	last := c.out.nextNo
	if c.out.open == nil {
		last--
	}
	s := State{VClock: c.out.vclock, Term: c.raft.Term(), Vote: c.raft.Vote(), History: slices.Clone(c.limbo.History()),
		Confirmed: c.limbo.Confirmed(), ConfirmedOf: c.limbo.ConfirmedOf(), VoidPromotes: slices.Clone(c.lead.voidPromotes),
		NextGroup: c.out.nextNo, Share: c.share.complete()}
	snap := pendingSnap{snap: Snapshot{Tag: ev.Tag, View: c.box.OpenView(), State: s, undecided: undecided(&c.limbo)}, group: last}
	if snap.group <= c.out.written {
		c.eff.Snaps = append(c.eff.Snaps, snap.snap)
		return
	}
	c.waits.snaps = append(c.waits.snaps, snap)
}

// failSnaps turns away those who wait for a checkpoint.
func (w *waits) failSnaps(err *xrow.Error, eff *Effects) {
	for _, s := range w.snaps {
		eff.Snaps = append(eff.Snaps, Snapshot{Tag: s.snap.Tag, View: s.snap.View, Err: err})
	}
	w.snaps = nil
}

// pendingFrame is the row of a PROMOTE that is not in effect.
func pendingFrame(p *limbo.Promote) []byte {
	body := promoteBody(p)
	r := xrow.Row{Type: xrow.Promote, ReplicaID: p.Owner, LSN: p.LSN, TSN: p.LSN, Timestamp: terms.Seconds(p.Began.At), Flags: xrow.FlagCommit,
		Term: p.Term, Body: body.AppendBody(nil)}
	return r.Append(nil)
}

// Complete is the State with its Undecided. That is put together here and not by
// the core: it takes as long as there is much of it.
func (s *Snapshot) Complete() State {
	g := &xrow.Group{}
	for _, txn := range s.undecided {
		first := true
		for _, frame := range splitFrames(txn) {
			r, err := xrow.Decode(frame[xrow.FrameHead:])
			if err != nil {
				panic(fmt.Sprintf("instance: a row of ours does not decode: %v", err))
			}
			if r.ReplicaID == 0 {
				continue // rows of local spaces are decided: the view has them
			}
			term := uint64(0)
			if r.Type == xrow.Promote {
				term = r.Term
			}
			g.Add(&r, 0, first, term)
			first = false
		}
	}
	st := s.State
	st.Undecided = g
	return st
}

// Decided is in front of all rows whose fate is open. The log is kept from there
// on: who takes the state by JOIN gets them by the stream, and nowhere else.
func (c *Core) Decided() vclock.VClock {
	v := c.out.vclock
	v[c.members.self] = min(v[c.members.self], c.out.onDisk[c.members.self])
	for origin := range v {
		if e := c.limbo.OldestOf(uint32(origin)); e != nil {
			v[origin] = min(v[origin], beforeEntry(e))
		}
	}
	for _, p := range c.limbo.Pending() {
		v[p.Owner] = min(v[p.Owner], p.LSN-1)
	}
	return v.Global()
}

// splitFrames cuts encoded rows.
func splitFrames(b []byte) (frames [][]byte) {
	for len(b) > 0 {
		n := xrow.FrameHead + int(binary.BigEndian.Uint32(b[1:]))
		frames = append(frames, b[:n])
		b = b[n:]
	}
	return frames
}

// beforeEntry is the LSN in front of an undecided transaction's first row.
// Rows of local spaces are numbered apart.
func beforeEntry(e *entry) uint64 {
	before := e.LSN
	for _, frame := range splitFrames(e.P.frames) {
		if r, err := xrow.Decode(frame[xrow.FrameHead:]); err == nil && r.ReplicaID != 0 {
			return min(before, r.LSN-1)
		}
	}
	return before
}

// undecided gathers the frames of rows whose fate is open: the log before a
// checkpoint may go, they must not. They are in groups, which never change.
func undecided(q *limbo.Limbo[payload]) (frames [][]byte) {
	frames = make([][]byte, 0, q.Len())
	pending := q.Pending()
	for i := range q.Len() {
		e := q.At(i)
		for len(pending) > 0 && pending[0].Term <= e.Behind {
			frames = append(frames, pendingFrame(&pending[0]))
			pending = pending[1:]
		}
		frames = append(frames, e.P.frames)
	}
	for i := range pending {
		frames = append(frames, pendingFrame(&pending[i]))
	}
	return frames
}
