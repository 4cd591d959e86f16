package sim

import (
	"errors"
	"iter"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// disk is what outlives a process: a log of groups and checkpoints.
type disk struct {
	w           *World
	incarnation uint64 // drawn when the store was made

	// Groups first, first+1, ... of the log. Those below synced survive a crash;
	// the rest was handed over and is being written.
	first  uint64
	groups []logged
	synced uint64 // number of the newest group that is safe

	lost map[*xrow.Group][]xrow.LostRow // voided by groups that are not safe yet
	kept map[lostName]int               // how often each voided row was kept
	late []xrow.LostRow                 // plan.lostApart: to be kept with the next group

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

// lostName is the name under which a voided transaction is kept.
type lostName struct {
	term   uint64
	origin uint32
	lsn    uint64
}

func newDisk(w *World) *disk {
	return &disk{w: w, first: 1, incarnation: w.rng.Uint64() >> 1, lost: map[*xrow.Group][]xrow.LostRow{}, kept: map[lostName]int{}}
}

// next is the number that the next group will have.
func (d *disk) next() uint64 { return d.first + uint64(len(d.groups)) }

// at is group no, nil when the log does not have it (any more).
func (d *disk) at(no uint64) *xrow.Group { return d.logged(no).Group }

// logged is group no with what the checkers know of it.
func (d *disk) logged(no uint64) logged {
	if no < d.first || no >= d.next() {
		return logged{}
	}
	return d.groups[no-d.first]
}

// append takes a group, with the rows that it voids, and answers, some time
// later, whether they are safe.
func (d *disk) append(no uint64, g logged, lost []xrow.LostRow, done func(error)) {
	d.groups = append(d.groups, g)
	if d.w.plan.lostApart {
		lost, d.late = d.late, lost
	}
	if len(lost) > 0 {
		d.lost[g.Group] = lost
	}
	end := max(d.w.now+d.w.plan.sync.draw(d.w)+d.slow, d.lastEnd+1)
	d.lastEnd = end
	d.w.queue.push(end, doing(func() { d.finish(no, g, done) }))
}

// finish ends a sync. A stall holds it back; what a crash took away is gone.
func (d *disk) finish(no uint64, g logged, done func(error)) {
	switch {
	case d.at(no) != g.Group || d.synced >= no:
		// The process died meanwhile; its crash decided about the group.
	case d.failing:
		done(errDisk)
	case d.stalled > d.w.now:
		d.w.queue.push(d.stalled, doing(func() { d.finish(no, g, done) }))
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
		for _, l := range d.lost[g] {
			d.kept[lostName{l.Term, l.Origin, l.LSN}]++
		}
		delete(d.lost, g)
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
func (d *disk) crash(kept func(no uint64)) (lost []logged) {
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
	d.late = nil
	clear(d.lost)
	return lost
}

// newest is the checkpoint that recovery starts from; nil: from nothing.
func (d *disk) newest() *checkpoint {
	if len(d.checkpoints) == 0 {
		return nil
	}
	return d.checkpoints[len(d.checkpoints)-1]
}

// replace makes a received state, and what was kept of the old store, the whole
// content of the disk: the new store is complete before the old one goes.
func (d *disk) replace(c *checkpoint, kept *instance.Kept) {
	d.checkpoints = append(d.checkpoints[:0], c)
	d.first, d.groups = c.state.NextGroup, nil
	for _, g := range kept.Log {
		d.groups = append(d.groups, d.w.check.read(g))
	}
	d.synced = d.next() - 1
	d.vclock, d.term, d.vote = c.state.VClock, c.state.Term, c.state.Vote
	for _, g := range kept.Log {
		d.vclock.Merge(&g.After)
	}
	clear(d.kept)
	for _, l := range kept.Lost {
		d.kept[lostName{l.Term, l.Origin, l.LSN}]++
	}
}

// log goes over the groups of the log.
func (d *disk) log() iter.Seq[*xrow.Group] {
	return func(yield func(*xrow.Group) bool) {
		for _, g := range d.groups {
			if !yield(g.Group) {
				return
			}
		}
	}
}

// keptRows are the voided rows on the disk; what they changed is not modelled.
func (d *disk) keptRows() (rows []xrow.LostRow) {
	for name, times := range d.kept {
		for range times {
			rows = append(rows, xrow.LostRow{Term: name.term, Origin: name.origin, LSN: name.lsn})
		}
	}
	return rows
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
	d.groups = append([]logged(nil), d.groups[no-d.first:]...)
	d.first = no
}

// empty tells whether a process that starts here knows nothing at all.
func (d *disk) empty() bool { return d.newest() == nil && len(d.groups) == 0 }
