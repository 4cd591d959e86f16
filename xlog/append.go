package xlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2"
)

// anchorEvery is the distance of groups that carry the whole vclock before them.
const anchorEvery = 64

// item is a group on its way into the log.
type item struct {
	slot *Slot
	no   uint64
	g    *xrow.Group
	lost []xrow.LostRow // what the group voids
	pos  uint64         // in the log, once it is encoded
	w    *Writer        // whom to tell; nil: the caller of Append
}

// Append writes groups behind the last one, with one batch and one sync. They
// may not change before it returns. After an error nothing more is written. It is for a
// slot that no [Writer] appends to.
func (sl *Slot) Append(groups []*xrow.Group) error {
	return sl.appendAt(sl.last.Load()+1, groups, nil)
}

// appendAt is Append for a caller that numbers groups itself. A log that never
// held a group may begin with any number. lost are the rows that these groups
// void: they are kept by the same write, so that no crash comes in between.
func (sl *Slot) appendAt(no uint64, groups []*xrow.Group, lost []xrow.LostRow) error {
	s := sl.s
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	s.items = s.items[:0]
	for i, g := range groups {
		s.items = append(s.items, item{slot: sl, no: no + uint64(i), g: g})
	}
	if len(groups) > 0 {
		s.items[0].lost = lost
	}
	defer clear(s.items)
	return s.appendLocked(s.items)
}

// append writes groups of several Cores with one batch and one sync. They come to
// the log in this order, which for each Core is that of its numbers.
func (s *Store) append(items []item) error {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	return s.appendLocked(items)
}

func (s *Store) appendLocked(items []item) error {
	if err := s.writable(); err != nil {
		return err
	}
	if len(items) == 0 {
		return nil
	}
	b := s.db.NewBatchWithSize(batchSize(items))
	if err := s.encode(b, items); err != nil {
		for i := range items {
			items[i].slot.rewind()
		}
		return err
	}
	began := time.Now()
	if err := s.commit(b); err != nil {
		return err
	}
	if s.opts.Synced != nil {
		s.opts.Synced(time.Since(began))
	}
	for i := range items {
		items[i].publish()
	}
	return nil
}

// encode puts groups into the batch, and what they void behind them: see groupsOf.
func (s *Store) encode(b *pebble.Batch, items []item) error {
	for i := range items {
		if err := items[i].follow(); err != nil {
			return err
		}
	}
	for i := range items {
		if err := s.set(b, &items[i]); err != nil {
			return err
		}
	}
	for i := range items {
		if err := items[i].slot.setLost(b, items[i].lost); err != nil {
			return err
		}
	}
	return nil
}

// follow checks the number of a group.
func (e *item) follow() error {
	sl := e.slot
	if err := sl.writable(); err != nil {
		return err
	}
	if e.no != sl.tail+1 && (sl.tail != 0 || e.no == 0) {
		return fmt.Errorf("xlog: group %d cannot follow group %d", e.no, sl.tail)
	}
	sl.tail = e.no
	return nil
}

// set puts a group into the batch. The rows are copied once, into the bytes
// that go to the journal file.
func (s *Store) set(b *pebble.Batch, e *item) error {
	sl, g := e.slot, e.g
	full := !sl.anchored || e.no%anchorEvery == 0 || g.Before != sl.end
	sl.end, sl.anchored = clockBehind(g), true
	s.tail++
	e.pos = s.tail
	x := extras{full: full, pos: e.pos, list: s.owners.add(sl.number, e.no, e.pos, len(g.Rows))}
	s.scratch = appendHead(s.scratch[:0], owner{sl.core, sl.number, e.no}, g, x)
	op := b.SetDeferred(logKeyLen, len(s.scratch)+len(g.Rows)+crcLen)
	appendLogKey(op.Key[:0], e.pos)
	n := copy(op.Value, s.scratch)
	n += copy(op.Value[n:], g.Rows)
	binary.LittleEndian.PutUint32(op.Value[n:], crc32.Checksum(op.Value[:n], castagnoli))
	return s.writeError("encode a group", op.Finish())
}

// rewind forgets what was encoded and not written.
func (sl *Slot) rewind() {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.tail, sl.end, sl.anchored = sl.last.Load(), sl.after, false
}

// commit applies the batch and waits as the mode asks.
//
// Pebble's own Set with Sync reports success after a failed sync when its
// logger returns from Fatalf, so the wait is asked for by hand and the latch
// looked at behind it.
func (s *Store) commit(b *pebble.Batch) error {
	if s.opts.Mode == None {
		return s.writeError("append", s.db.Apply(b, pebble.NoSync))
	}
	err := s.db.ApplyNoSyncWait(b, pebble.Sync)
	if err == nil && s.fail.get() == nil {
		err = b.SyncWait()
	}
	if err := s.writeError("append", err); err != nil {
		return err
	}
	return s.writeError("append", b.Close())
}

// publish shows a synced group to readers.
func (e *item) publish() {
	sl := e.slot
	sl.appended.Add(uint64(len(e.g.Rows)))
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if sl.first > sl.last.Load() { // the log was empty
		sl.first, sl.before = e.no, e.g.Before
	}
	sl.after = clockBehind(e.g)
	sl.where.add(run{sl.number, e.no, e.pos, 1})
	sl.last.Store(e.no)
	sl.s.last.Store(e.pos)
	sl.advanced.Broadcast()
}

// clockBehind is the vclock that a reader of the value would get behind the group.
func clockBehind(g *xrow.Group) vclock.VClock {
	v := g.Before
	for i := range g.Table {
		ref := &g.Table[i]
		v[ref.Origin] = max(v[ref.Origin], ref.LSN)
	}
	return v
}

// batchSize is a bound on the bytes that the groups take.
func batchSize(items []item) int {
	n := 0
	for i := range items {
		g := items[i].g
		n += len(g.Rows) + len(g.Table)*8 + maxHead + logKeyLen + 32
	}
	return n
}
