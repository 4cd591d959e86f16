package instance

import (
	"fmt"

	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"
)

// Restore sets the state that a checkpoint or a JOIN carries; the box has its
// tuples already. Replay follows, then Start.
func (c *Core) Restore(s State) error {
	c.replay = true
	defer func() { c.replay = false }()
	c.out.vclock = s.VClock
	c.raft = raft.New(c.raftConfig(), raft.Record{Term: s.Term, Vote: s.Vote})
	c.limbo.Restore(s.History, s.Confirmed, s.ConfirmedOf)
	c.lead.restore(s.VoidPromotes)
	c.restoreShare(s.Share)
	c.share.noteKept(s.Share)
	if s.NextGroup > 0 {
		c.out.nextNo = s.NextGroup
		c.out.written = s.NextGroup - 1
		c.limbo.Written(c.out.written)
	}
	if s.Undecided == nil {
		return nil
	}
	return c.restoreUndecided(s.Undecided)
}

// restoreUndecided applies rows that the vclock counts already.
func (c *Core) restoreUndecided(g *xrow.Group) error {
	full := c.out.vclock
	c.restoring = true
	defer func() { c.out.vclock, c.restoring = full, false }()
	for i := range g.Table {
		ref := &g.Table[i]
		c.out.vclock[ref.Origin] = min(c.out.vclock[ref.Origin], ref.LSN-1)
	}
	var d Decoded
	d.Decode(g)
	return c.replayRows(&d)
}

// Replay applies one group of the own log. Its conclusions are the same as
// when the rows came; nothing is written.
func (c *Core) Replay(no uint64, g *xrow.Group) error {
	var d Decoded
	d.Decode(g)
	return c.ReplayDecoded(no, &d)
}

// ReplayDecoded is Replay for a group that was decoded before.
func (c *Core) ReplayDecoded(no uint64, d *Decoded) error {
	if no != c.out.nextNo {
		return fmt.Errorf("instance: group %d of the log follows %d", no, c.out.nextNo-1)
	}
	c.replay = true
	defer func() { c.replay = false }()
	if err := c.replayRows(d); err != nil {
		return fmt.Errorf("replay group %d: %w", no, err)
	}
	c.out.nextNo = no + 1
	c.out.written = no
	c.limbo.Written(no)
	c.settle()
	return c.out.failed
}

func (c *Core) replayRows(d *Decoded) error {
	var txn []xrow.Row
	var statements []statement // of txn
	first := 0                 // row of txn
	for i := range d.rows {
		r := &d.rows[i]
		if r.ReplicaID == 0 {
			if err := c.replayLocal(r, &d.statements[i]); err != nil {
				return err
			}
			if r.Flags&xrow.FlagCommit == 0 {
				continue // local rows go before the others of their transaction
			}
			continue
		}
		if len(txn) == 0 {
			first = i
		}
		txn, statements = append(txn, *r), append(statements, d.statements[i])
		if r.Flags&xrow.FlagCommit == 0 {
			continue
		}
		if last := &txn[len(txn)-1]; last.LSN > c.out.vclock[last.ReplicaID] {
			a := c.arrive(txn, statements)
			if i+1-first == len(txn) {
				a.frames = d.group.Frames(first, i+1)
			}
			if err := c.apply(&a); err != nil {
				return err
			}
		}
		txn, statements = txn[:0], statements[:0]
	}
	if d.err != nil {
		return d.err
	}
	if len(txn) > 0 {
		return fmt.Errorf("instance: the log ends within a transaction of instance %d", txn[0].ReplicaID)
	}
	return nil
}

// replayLocal takes {term, vote} and rows of local spaces.
func (c *Core) replayLocal(r *xrow.Row, s *statement) error {
	if r.LSN <= c.out.vclock[0] {
		return nil
	}
	c.out.vclock.Follow(0, r.LSN)
	if r.Type == xrow.RaftState {
		body, err := xrow.DecodeRaft(r.Body)
		if err != nil {
			return err
		}
		c.raft.Restore(raft.Record{Term: body.Term, Vote: body.Vote})
		return nil
	}
	if r.Type == xrow.Nop {
		return nil
	}
	if s.err != nil {
		return s.err
	}
	c.seq++
	tx := c.box.Begin(c.seq)
	if err := tx.Apply(&s.dml); err != nil {
		tx.Abort()
		return err
	}
	tx.Prepare()
	return nil
}

// Start ends the recovery. The instance is a follower, whatever it was.
func (c *Core) Start(now Now) {
	c.now = now
	c.out.onDisk = c.out.vclock
	c.beats.at = now.Mono
	c.started = true
	c.refreshMembers()
	if c.share.filter != "" {
		c.showShare()
	}
	c.stepMandate()
	c.raft.Holds(&c.out.vclock)
}

// Distrust begins in doubt about this disk: a loss is known already. It is called
// between the recovery and the first Step.
func (c *Core) Distrust(why error) { c.broken(fmt.Errorf("%w: %w", ErrLostData, why)) }
