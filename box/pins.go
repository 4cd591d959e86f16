package box

import "container/list"

// pin keeps the versions that drafts with one bound need, as a View does for itself.
type pin struct {
	bound, local uint64 // what was replaced above these stays
	drafts       int
	at           *list.Element // in pins
}

// pins are those in use, oldest first, and no others: one draft that stays open keeps
// nothing of those that come and go behind it. Neither number ever shrinks: bound is what
// default readers saw, which is no more than what the draft does.
type pins struct{ open list.List }

// take pins the present state.
func (p *pins) take(b *Box) *pin {
	bound, local := max(b.confirmed, b.shown), b.last
	if b.current != nil {
		local = b.current.seq - 1 // it may be aborted
	}
	if last := p.open.Back(); last != nil {
		if newest := last.Value.(*pin); newest.bound == bound && newest.local == local {
			newest.drafts++
			return newest
		}
	}
	fresh := &pin{bound: bound, local: local, drafts: 1}
	fresh.at = p.open.PushBack(fresh)
	return fresh
}

// give ends one use. What nobody needs any more is freed by [Box.Work].
func (p *pins) give(of *pin) {
	if of.drafts--; of.drafts == 0 {
		p.open.Remove(of.at)
	}
}

// need tells whether a draft may see what transaction seq replaced.
func (p *pins) need(seq uint64, byWrite bool) bool {
	first := p.open.Front()
	if first == nil {
		return false
	}
	oldest := first.Value.(*pin)
	if byWrite {
		return oldest.local < seq
	}
	return oldest.bound < seq
}
