package instance

import (
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// peers are what others say of themselves and of us, by replica ID. A set has a
// bit for each.
//
// Invariant: all of it was said in the life that has the ID now. What one said whose
// bit is in back counts for no vote and no commit.
type peers struct {
	acked    [vclock.Max]vclock.VClock
	shown    [vclock.Max]Shown            // election states, without Ack: acked has that
	wishes   [vclock.Max]string           // the quorum that the files of each member ask for
	reads    [vclock.Max]uint32           // newest feature level that each said it reads; 0: not said
	procs    [vclock.Max][]xrow.Procedure // that each said it has
	unfit    [vclock.Max]*string          // why each may not lead, as it says; empty: it may. nil: it has not said, see xrow.Raft
	back     uint32                       // whose disk shows less than before
	claims   claims                       // what members say of our disk
	silenced bool                         // by claims, as the election machine was told
}

// synced are those who have an origin's rows up to an LSN on their disks.
func (p *peers) synced(origin uint32, lsn uint64) (who uint32) {
	for id := range p.acked {
		if p.acked[id][origin] >= lsn {
			who |= 1 << id
		}
	}
	return who
}

// covering are those who have all up to a vclock on their disks.
func (p *peers) covering(v *vclock.VClock) (who uint32) {
	for id := range p.acked {
		if p.acked[id].Covers(v) {
			who |= 1 << id
		}
	}
	return who
}

// forget: an ID begins a new life.
func (p *peers) forget(id uint32) {
	p.acked[id], p.shown[id] = vclock.VClock{}, Shown{}
	p.unfit[id], p.procs[id] = nil, nil
	p.back &^= 1 << id
	p.claims.forget(id)
}
