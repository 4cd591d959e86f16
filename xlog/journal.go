package xlog

import (
	"sync"

	"tarragon.dev/tarragon/xrow"
)

// Journal is the goroutine that appends and syncs. Groups that wait are
// written as one batch with one sync: while one batch syncs, the next gathers.
type Journal struct {
	store   *Store
	written func(group uint64)
	failed  func(error)

	tellMu sync.Mutex // one callback at a time
	dead   bool       // failed was called; guarded by tellMu

	mu     sync.Mutex
	wake   *sync.Cond
	first  uint64 // number of queue[0]
	queue  []*xrow.Group
	lost   []xrow.LostRow // what the groups of the queue void
	closed bool
	done   chan struct{} // the goroutine has ended
	gone   chan struct{} // failed was called
}

// NewJournal starts the goroutine. It calls written with the number of the
// newest group of each batch, in order, and failed at most once, after which
// written is never called again. Neither may block. failed may come from
// another goroutine, while a write hangs.
func NewJournal(s *Store, written func(group uint64), failed func(error)) *Journal {
	j := &Journal{store: s, written: written, failed: failed, done: make(chan struct{}),
		gone: make(chan struct{})}
	j.wake = sync.NewCond(&j.mu)
	s.fail.tell(j.fail)
	go j.run()
	return j
}

// Append queues group no, which must follow the last one, with the rows that it
// voids: they are kept by the write that writes the group. It never blocks.
func (j *Journal) Append(no uint64, g *xrow.Group, lost []xrow.LostRow) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) == 0 {
		j.first = no
	} else if no != j.first+uint64(len(j.queue)) {
		panic("xlog: groups are not in order")
	}
	j.queue = append(j.queue, g)
	j.lost = append(j.lost, lost...)
	j.wake.Signal()
}

// Close writes what is queued and stops the goroutine. It does not wait for a
// write that hangs in a store that has failed.
func (j *Journal) Close() {
	j.mu.Lock()
	j.closed = true
	j.wake.Signal()
	j.mu.Unlock()
	select {
	case <-j.done:
	case <-j.gone:
	}
}

func (j *Journal) run() {
	defer close(j.done)
	var batch []*xrow.Group
	for {
		first, lost, ok := uint64(0), []xrow.LostRow(nil), false
		if batch, first, lost, ok = j.take(batch); !ok {
			return
		}
		if err := j.store.appendAt(first, batch, lost); err != nil {
			j.fail(err)
			return
		}
		if !j.tellWritten(first + uint64(len(batch)) - 1) {
			return
		}
		clear(batch)
	}
}

func (j *Journal) tellWritten(last uint64) (alive bool) {
	j.tellMu.Lock()
	defer j.tellMu.Unlock()
	if !j.dead {
		j.written(last)
	}
	return !j.dead
}

// take waits for groups and takes all there are; spare becomes the next queue.
func (j *Journal) take(spare []*xrow.Group) (batch []*xrow.Group, first uint64, lost []xrow.LostRow, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.queue) == 0 && !j.closed {
		j.wake.Wait()
	}
	batch, j.queue = j.queue, spare[:0]
	lost, j.lost = j.lost, nil
	return batch, j.first, lost, len(batch) > 0
}

func (j *Journal) fail(err error) {
	j.tellMu.Lock()
	defer j.tellMu.Unlock()
	if !j.dead {
		j.dead = true
		j.failed(err)
		close(j.gone)
	}
}
