// Package offheap hands out memory beside Go's heap: the collector neither looks
// at it nor keeps headroom for it, which for data that stays is as much again. It
// is for bytes without pointers whose owner knows when nobody uses them any more.
//
// # Invariants
//
//  1. Memory that is handed out is nobody else's until it is given back. What is in it is anything.
//  2. Address space is never given back to the system, only the memory behind it: who
//     reads what it had given back sees wrong bytes, and the process goes on.
//  3. Where the system gives no memory in this way, Go's heap does: Take never fails.
package offheap

import (
	"runtime"
	"sync"
)

const (
	regionSize = 64 << 20
	// align is where each piece begins, so that structs may lie in it and the system
	// can have it back.
	align = 4 << 10
	// warmMost is how many bytes keep their memory when they are given back: to get
	// it anew from the system costs more than to fill it.
	warmMost = 256 << 20
)

// Pages is memory of one owner. The zero value is not usable, see [New].
type Pages struct{ *pages }

// pages outlives Pages, whose end gives the regions back.
type pages struct {
	mu      sync.Mutex
	regions [][]byte
	left    []byte          // of the newest region
	free    map[int]*pieces // by size
	warm    int             // bytes of all that was given back and has its memory still

	touched  int  // so far the newest region was touched, see goAhead
	touching bool // somebody is about it
	ahead    sync.WaitGroup
}

// pieces are what was given back of a size.
type pieces struct {
	warm [][]byte
	cold [][]byte // the system has the memory
}

// New returns memory for one owner. It goes back when the Pages are garbage: they
// must be reachable from whatever uses the memory.
func New() *Pages {
	p := &Pages{&pages{free: map[int]*pieces{}}}
	runtime.AddCleanup(p, func(in *pages) { in.end() }, p.pages)
	return p
}

// Take returns n bytes, n > 0, of any content. Safe for concurrent use.
func (p *Pages) Take(n int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	whole := (n + align - 1) / align * align
	if whole > regionSize {
		return make([]byte, n)
	}
	if f := p.free[whole]; f != nil {
		if b := pop(&f.warm); b != nil {
			p.warm -= whole
			return b[:n]
		}
		if b := pop(&f.cold); b != nil {
			return b[:n]
		}
	}
	if len(p.left) < whole && !p.grow() {
		return make([]byte, n)
	}
	b := p.left[:whole:whole]
	p.left = p.left[whole:]
	p.goAhead()
	return b[:n]
}

// Give takes back what Take has returned. Nobody may use it from now on.
func (p *Pages) Give(b []byte) {
	if cap(b)%align != 0 || cap(b) > regionSize {
		return // it is of Go's heap
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b = b[:cap(b)]
	if !p.owns(b) {
		return
	}
	f := p.free[len(b)]
	if f == nil {
		f = &pieces{}
		p.free[len(b)] = f
	}
	if p.warm+len(b) > warmMost && discard(b) {
		f.cold = append(f.cold, b)
		return
	}
	f.warm = append(f.warm, b)
	p.warm += len(b)
}

func pop(list *[][]byte) (b []byte) {
	if n := len(*list); n > 0 {
		b = (*list)[n-1]
		(*list)[n-1] = nil
		*list = (*list)[:n-1]
	}
	return b
}

// idle are regions whose owner has gone, without memory.
var idle struct {
	mu      sync.Mutex
	regions [][]byte
}

// grow begins a new region; what is left of the last one is too little.
func (p *pages) grow() bool {
	idle.mu.Lock()
	r := pop(&idle.regions)
	idle.mu.Unlock()
	if r == nil {
		r = reserve(regionSize)
	}
	if r == nil {
		return false
	}
	p.regions, p.left, p.touched = append(p.regions, r), r, 0
	return true
}

// end gives the regions to the next owners.
func (p *pages) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.regions {
		if discard(r) {
			idle.mu.Lock()
			idle.regions = append(idle.regions, r)
			idle.mu.Unlock()
		}
	}
	p.regions, p.left, p.free, p.warm = nil, nil, map[int]*pieces{}, 0
}
