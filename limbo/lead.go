package limbo

import (
	"math/bits"

	"tarragon.dev/tarragon/vclock"
)

// Lead begins a leadership: our PROMOTE of the term is in the log as a pending
// one.
func (l *Limbo[P]) Lead(promoteLSN uint64) {
	l.leading, l.worth, l.told = true, promoteLSN, 0
	l.acks = [vclock.Max]uint64{}
}

// Rest ends a leadership: nothing is counted any more.
func (l *Limbo[P]) Rest() { l.leading = false }

// Leading tells whether acks are counted.
func (l *Limbo[P]) Leading() bool { return l.leading }

// Ack takes a member's word on what it has synced of our own LSNs; our own
// disk is a member like any other.
func (l *Limbo[P]) Ack(id uint32, lsn uint64) { l.acks[id] = max(l.acks[id], lsn) }

// Quorum is who counts, a bit each by replica ID, and how many of them it takes.
type Quorum struct {
	Voters uint32
	Size   int
}

// Forget drops a member's word: its disk has gone back.
func (l *Limbo[P]) Forget(id uint32) { l.acks[id] = 0 }

// Count commits what a quorum has: one of the confirmed configuration and, while
// a change of it is undecided, one of the newest as well. It returns the LSN to
// confirm, 0 if nothing new is committed. term is ours.
func (l *Limbo[P]) Count(term uint64, confirmed, newest Quorum) (lsn uint64, err error) {
	if !l.leading {
		return 0, nil
	}
	lsn = min(l.quorumLSN(confirmed), l.worth)
	if newest != confirmed {
		lsn = min(lsn, l.quorumLSN(newest))
	}
	if cur := l.Current(); cur.Term == term {
		return l.by(cur.Rules).lead(lsn), nil
	}
	if i := l.find(term); i < 0 || lsn < l.pending[i].LSN {
		return 0, nil // the PROMOTE has no quorum yet
	}
	return lsn, l.effect(term)
}

// Have tells whether a quorum has synced our own rows up to an LSN.
func (l *Limbo[P]) Have(lsn uint64, q Quorum) bool {
	return l.leading && l.quorumLSN(q) >= lsn
}

// quorumLSN is the greatest own LSN that a quorum has synced.
func (l *Limbo[P]) quorumLSN(q Quorum) uint64 {
	if q.Size < 1 || bits.OnesCount32(q.Voters) < q.Size {
		return 0
	}
	var top [vclock.Max]uint64 // descending
	n := 0
	for rest := q.Voters; rest != 0; rest &= rest - 1 {
		lsn := l.acks[bits.TrailingZeros32(rest)]
		i := n
		for ; i > 0 && top[i-1] < lsn; i-- {
			top[i] = top[i-1]
		}
		top[i] = lsn
		n++
	}
	return top[q.Size-1]
}

// Tell takes down that a CONFIRM up to an LSN is written, and gives the owner and
// the LSN that it names to Tarantools.
func (l *Limbo[P]) Tell(lsn uint64) (owner uint32, named uint64) {
	l.told = max(l.told, lsn)
	return l.by(l.Current().Rules).tells(lsn)
}

// Untold is the LSN that a CONFIRM of ours has yet to tell, 0 if none.
func (l *Limbo[P]) Untold(term uint64) uint64 {
	if !l.leading || l.Current().Term != term || l.confirmed <= l.told {
		return 0
	}
	return l.confirmed
}
