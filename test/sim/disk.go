package sim

import (
	"errors"
	"time"

	"tarragon/instance"
	"tarragon/vclock"
	"tarragon/xrow"
)

// disk is what outlives a process: a log of groups and checkpoints.
type disk struct {
	w           *World
	incarnation uint64 // drawn when the store was made

	// Groups first, first+1, ... of the log. Those below synced survive a crash;
	// the rest was handed over and is being written.
	first  uint64
	groups []*xrow.Group
	synced uint64 // number of the newest group that is safe

	checkpoints []*checkpoint // complete ones, oldest first

	// What the safe part says: nothing beyond it may be shown to anybody.
	vclock vclock.VClock
	term   uint64
	vote   uint32

	slow    time.Duration // added to every sync
	stalled time.Duration // no sync ends before this moment
	failing bool          // the next sync fails, and all after it
	lastEnd time.Duration // when the sync before ends; syncs end in order
}

// checkpoint is a complete copy of the state, on disk.
type checkpoint struct {
	state  instance.State
	tuples []spaceTuple
}

type spaceTuple struct {
	space uint32
	tuple []byte
}

var errDisk = errors.New("input/output error")

func newDisk(w *World) *disk { return &disk{w: w, first: 1, incarnation: w.rng.Uint64() >> 1} }

// next is the number that the next group will have.
func (d *disk) next() uint64 { return d.first + uint64(len(d.groups)) }

// at is group no, nil when the log does not have it (any more).
func (d *disk) at(no uint64) *xrow.Group {
	if no < d.first || no >= d.next() {
		return nil
	}
	return d.groups[no-d.first]
}

// append takes a group and answers, some time later, whether it is safe.
func (d *disk) append(no uint64, g *xrow.Group, done func(error)) {
	d.groups = append(d.groups, g)
	end := max(d.w.now+d.w.plan.sync.draw(d.w)+d.slow, d.lastEnd+1)
	d.lastEnd = end
	d.w.queue.push(end, func() { d.finish(no, g, done) })
}

// finish ends a sync. A stall holds it back; what a crash took away is gone.
func (d *disk) finish(no uint64, g *xrow.Group, done func(error)) {
	switch {
	case d.at(no) != g || d.synced >= no:
		// The process died meanwhile; its crash decided about the group.
	case d.failing:
		done(errDisk)
	case d.stalled > d.w.now:
		d.w.queue.push(d.stalled, func() { d.finish(no, g, done) })
	default:
		d.settle(no)
		done(nil)
	}
}

// settle makes all groups up to no safe.
func (d *disk) settle(no uint64) {
	for d.synced < no {
		d.synced++
		g := d.at(d.synced)
		d.vclock.Merge(&g.After)
		for i, ref := range g.Table {
			if ref.Origin != 0 || ref.Type != xrow.RaftState {
				continue
			}
			row, err := g.Row(i)
			if err != nil {
				d.w.fail("disk", "a row of group %d does not decode: %v", no, err)
				return
			}
			r, err := xrow.DecodeRaft(row.Body)
			if err != nil {
				d.w.fail("disk", "a RAFT row of group %d does not decode: %v", no, err)
				return
			}
			d.term, d.vote = r.Term, r.Vote
		}
	}
}

// crash decides the fate of what was not synced: a whole number of groups
// survives, mostly none. A torn group counts as absent.
func (d *disk) crash(kept func(no uint64)) (lost []*xrow.Group) {
	for d.synced+1 < d.next() {
		if d.failing || !d.w.chance(3) {
			break
		}
		d.settle(d.synced + 1)
		kept(d.synced)
	}
	keep := d.synced + 1 - d.first
	lost = append(lost, d.groups[keep:]...)
	d.groups = d.groups[:keep:keep]
	d.lastEnd = 0
	return lost
}

// newest is the checkpoint that recovery starts from; nil: from nothing.
func (d *disk) newest() *checkpoint {
	if len(d.checkpoints) == 0 {
		return nil
	}
	return d.checkpoints[len(d.checkpoints)-1]
}

// replace makes a received state the whole content of the disk: the new
// checkpoint is complete before the old store goes.
func (d *disk) replace(c *checkpoint) {
	d.checkpoints = append(d.checkpoints[:0], c)
	d.first, d.groups = c.state.NextGroup, nil
	d.synced = d.first - 1
	d.vclock, d.term, d.vote = c.state.VClock, c.state.Term, c.state.Vote
	if u := c.state.Undecided; u != nil {
		d.vclock.Merge(&u.After)
	}
}

// prune drops the log before group no, never what recovery needs.
func (d *disk) prune(no uint64) {
	if c := d.newest(); c == nil {
		return
	} else if no > c.state.NextGroup {
		no = c.state.NextGroup
	}
	if no > d.synced {
		no = d.synced
	}
	if no <= d.first {
		return
	}
	d.groups = append([]*xrow.Group(nil), d.groups[no-d.first:]...)
	d.first = no
}

// empty tells whether a process that starts here knows nothing at all.
func (d *disk) empty() bool { return d.newest() == nil && len(d.groups) == 0 }
