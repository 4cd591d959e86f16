package xlog

import (
	"slices"
	"sync"

	"tarragon.dev/tarragon/xrow"
)

// Journal is the goroutine that appends and syncs, for all Cores of a store.
// Groups that wait are written as one batch with one sync: while one batch
// syncs, the next gathers.
type Journal struct {
	store *Store

	mu      sync.Mutex
	moved   *sync.Cond // groups wait, or a writer's were told, or the end has come
	queue   []item
	writers []*Writer
	closed  bool
	err     error         // nothing more will be written
	done    chan struct{} // the goroutine has ended
	gone    chan struct{} // err is set, and all were told
}

// Writer is the end of the journal for one Core.
type Writer struct {
	j       *Journal
	slot    *Slot
	written func(group uint64)
	failed  func(error)

	tellMu sync.Mutex // one callback at a time
	dead   bool       // there are no more of them; guarded by tellMu

	newest uint64 // group of the batch that is being written; the goroutine's
	next   uint64 // number of the next group, 0: any; guarded by j.mu
	left   int    // groups that were not told of; guarded by j.mu
}

// NewJournal starts the goroutine.
func NewJournal(s *Store) *Journal {
	j := &Journal{store: s, done: make(chan struct{}), gone: make(chan struct{})}
	j.moved = sync.NewCond(&j.mu)
	s.fail.tell(j.fail)
	go j.run()
	return j
}

// Writer makes the end for the Core that has a slot. It calls written with the number
// of the newest group of each batch, in order, and failed at most once, after
// which written is never called again. Neither may block. failed may come from
// another goroutine, while a write hangs.
func (j *Journal) Writer(sl *Slot, written func(group uint64), failed func(error)) *Writer {
	w := &Writer{j: j, slot: sl, written: written, failed: failed}
	j.mu.Lock()
	j.writers = append(j.writers, w)
	err := j.err
	j.mu.Unlock()
	if err != nil {
		w.fail(err)
	}
	return w
}

// Append queues group no, which must follow the last one, with the rows that it
// voids: they are kept by the write that writes the group. It never blocks.
func (w *Writer) Append(no uint64, g *xrow.Group, lost []xrow.LostRow) {
	j := w.j
	j.mu.Lock()
	defer j.mu.Unlock()
	if w.next != 0 && no != w.next {
		panic("xlog: groups are not in order")
	}
	w.next = no + 1
	w.left++
	j.queue = append(j.queue, item{slot: w.slot, no: no, g: g, lost: lost, w: w})
	j.moved.Broadcast()
}

// Close waits until what is queued is written; behind it there are no callbacks.
// It does not wait for a write that hangs in a store that has failed.
func (w *Writer) Close() {
	j := w.j
	j.mu.Lock()
	for w.left > 0 && j.err == nil {
		j.moved.Wait()
	}
	j.writers = slices.DeleteFunc(j.writers, func(o *Writer) bool { return o == w })
	j.mu.Unlock()
	w.tellMu.Lock()
	w.dead = true
	w.tellMu.Unlock()
}

func (w *Writer) tellWritten() {
	w.tellMu.Lock()
	defer w.tellMu.Unlock()
	if !w.dead {
		w.written(w.newest)
	}
}

func (w *Writer) fail(err error) {
	w.tellMu.Lock()
	defer w.tellMu.Unlock()
	if !w.dead {
		w.dead = true
		w.failed(err)
	}
}

// Close writes what is queued and stops the goroutine. It does not wait for a
// write that hangs in a store that has failed.
func (j *Journal) Close() {
	j.mu.Lock()
	j.closed = true
	j.moved.Broadcast()
	j.mu.Unlock()
	select {
	case <-j.done:
	case <-j.gone:
	}
}

func (j *Journal) run() {
	defer close(j.done)
	var batch []item
	for {
		var ok bool
		if batch, ok = j.take(batch); !ok {
			return
		}
		if err := j.store.append(batch); err != nil {
			j.fail(err)
			return
		}
		j.told(batch)
		clear(batch)
	}
}

// take waits for groups and takes all there are; spare becomes the next queue.
func (j *Journal) take(spare []item) (batch []item, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.queue) == 0 && !j.closed && j.err == nil {
		j.moved.Wait()
	}
	batch, j.queue = j.queue, spare[:0]
	return batch, len(batch) > 0 && j.err == nil
}

// told tells each writer of its newest group in a batch that was written.
func (j *Journal) told(batch []item) {
	for i := range batch {
		batch[i].w.newest = batch[i].no
	}
	for i := range batch {
		if w := batch[i].w; w.newest == batch[i].no {
			w.tellWritten()
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range batch {
		batch[i].w.left--
	}
	j.moved.Broadcast()
}

func (j *Journal) fail(err error) {
	j.mu.Lock()
	if j.err != nil {
		j.mu.Unlock()
		return
	}
	j.err = err
	writers := slices.Clone(j.writers)
	j.moved.Broadcast()
	j.mu.Unlock()
	for _, w := range writers {
		w.fail(err)
	}
	close(j.gone)
}
