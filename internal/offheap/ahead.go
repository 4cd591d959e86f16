package offheap

// aheadStep is how much is touched at a time: a huge page, as large as most systems have
// them.
const aheadStep = 2 << 20

// goAhead gives the step behind the one that is being handed out its memory, once half of
// that is gone: the system clears what is touched for the first time, and whoever takes pages
// has others waiting. The caller has the lock. Who takes less than half a step costs
// nothing here, and the first step of a region is its taker's own.
func (p *pages) goAhead() {
	taken := regionSize - len(p.left)
	at := (taken + aheadStep/2) / aheadStep * aheadStep
	if p.touching || at == 0 || at < p.touched || at == regionSize {
		return
	}
	step := p.regions[len(p.regions)-1][at : at+aheadStep]
	p.touching, p.touched = true, at+aheadStep
	p.ahead.Go(func() {
		touch(step) // by now it may be the next owner's: nothing in it changes
		p.mu.Lock()
		defer p.mu.Unlock()
		p.touching = false
	})
}
