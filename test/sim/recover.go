package sim

import (
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
)

// restore builds a core from the newest checkpoint and the log behind it.
func (n *node) restore() error {
	if err := n.newCore(); err != nil {
		return err
	}
	from := uint64(1)
	if p := n.disk.newest(); p != nil {
		for _, t := range p.tuples {
			if err := n.box.Load(t.space, t.tuple); err != nil {
				return fmt.Errorf("load space %d: %w", t.space, err)
			}
		}
		if err := n.box.LoadDone(); err != nil {
			return fmt.Errorf("load: %w", err)
		}
		if err := n.core.Restore(p.state); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		from = p.state.NextGroup
	}
	for no := from; no <= n.disk.synced; no++ {
		if err := n.core.Replay(no, n.disk.at(no)); err != nil {
			return err
		}
	}
	return nil
}

// newCore makes a core over an empty box.
func (n *node) newCore() (err error) {
	n.box = box.New(box.Config{BuildAtOnce: n.w.plan.once})
	n.core, err = instance.New(n.config(), n.box)
	return err
}

// merge makes the store of a joiner out of what it received and of its store, if
// it still has one.
func (j *joiner) merge(s instance.State) (instance.Kept, error) {
	if !j.keeps {
		return instance.Kept{State: s}, nil
	}
	d := j.n.disk
	old := instance.Old{Self: j.id, Before: d.vclock, Log: d.log(), Lost: d.keptRows(), Shown: j.shown}
	if p := d.newest(); p != nil {
		old.Checkpoint = p.state
	}
	if len(d.groups) > 0 {
		old.Before = d.groups[0].Before
	}
	return s.Rejoin(&old)
}

// giveSnapshot hands the answer to a JoinRequest or StartCheckpoint on.
func (n *node) giveSnapshot(s instance.Snapshot) {
	give := n.snaps[s.Tag]
	if give == nil {
		n.w.fail("snapshots", "%s answers tag %d, which nobody waits for", n.label(), s.Tag)
		return
	}
	delete(n.snaps, s.Tag)
	give(s)
}

// saver writes a checkpoint down while writes go on.
type saver struct {
	n      *node
	snap   instance.Snapshot
	cursor box.Cursor
	got    checkpoint
}

// checkpoint starts one, unless one is being made.
func (n *node) checkpoint() {
	if !n.active() || n.saving || n.disk.failing {
		return
	}
	n.saving = true
	if len(n.served) > 0 {
		n.w.count(JoinRacedCheckpoint)
	}
	n.tag++
	n.snaps[n.tag] = func(s instance.Snapshot) {
		if s.Err != nil {
			n.saving = false
			if s.View != nil {
				n.post(instance.CloseView{View: s.View})
			}
			return
		}
		c := &saver{n: n, snap: s, got: checkpoint{state: s.Complete()}}
		c.saveSoon()
	}
	n.post(instance.StartCheckpoint{Tag: n.tag})
}

func (c *saver) saveSoon() {
	w, life := c.n.w, c.n.life
	w.after(w.plan.sync.draw(w), func() {
		switch {
		case c.n.life != life || !c.n.running():
		case c.n.paused:
			c.saveSoon()
		default:
			c.save()
		}
	})
}

// save takes the next slice; the last one makes the checkpoint valid.
func (c *saver) save() {
	n := c.n
	part, more, err := slice(c.snap.View, &c.cursor, n.w.plan.slice, true)
	if err != nil {
		n.w.fail("checkpoint", "%s reads its view: %v", n.label(), err)
		return
	}
	c.got.tuples = append(c.got.tuples, part...)
	if more {
		c.saveSoon()
		return
	}
	n.saving = false
	n.post(instance.CloseView{View: c.snap.View})
	if n.disk.failing {
		return
	}
	n.disk.checkpoints = append(n.disk.checkpoints, &c.got)
	n.w.check.vote.saved(n, &c.got.state)
	if len(n.disk.checkpoints) > 2 {
		n.disk.checkpoints = n.disk.checkpoints[1:]
	}
	n.w.ambush.saved(n)
	n.w.tell(n, "has a checkpoint before group %d: %v", c.got.state.NextGroup, c.got.state.VClock)
}

// prune drops log: what peers need stays, unless they are to be left behind.
func (n *node) prune(leaveBehind bool) {
	p := n.disk.newest()
	if p == nil || n.core == nil {
		return
	}
	to := p.state.NextGroup
	decided := n.core.Decided()
	if no, ok := n.seek(&decided); ok {
		to = min(to, no)
	} else {
		return
	}
	if !leaveBehind {
		var least vclock.VClock
		for i := range least {
			least[i] = ^uint64(0)
		}
		for _, peer := range n.w.nodes {
			least.Min(&peer.disk.vclock)
		}
		if no, ok := n.seek(&least); ok {
			to = min(to, no)
		} else {
			return
		}
	}
	before := n.disk.first
	n.disk.prune(to)
	if n.disk.first > before {
		n.w.count(LogPruned)
		n.w.tell(n, "drops its log before group %d", n.disk.first)
	}
}
