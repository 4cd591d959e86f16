package xlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2"
)

// anchorEvery is the distance of groups that carry the whole vclock before them.
const anchorEvery = 64

// Append writes groups behind the last one, with one batch and one sync. They
// may not change before it returns. After an error nothing more is written.
func (s *Store) Append(groups []*xrow.Group) error {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	return s.appendLocked(s.last.Load()+1, groups, nil)
}

// appendAt is Append for a caller that numbers groups itself. A log that never
// held a group may begin with any number. lost are the rows that these groups
// void: they are kept by the same write, so that no crash comes in between.
func (s *Store) appendAt(no uint64, groups []*xrow.Group, lost []xrow.LostRow) error {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	return s.appendLocked(no, groups, lost)
}

func (s *Store) appendLocked(no uint64, groups []*xrow.Group, lost []xrow.LostRow) error {
	if err := s.writable(); err != nil {
		return err
	}
	if last := s.last.Load(); no != last+1 && (last != 0 || no == 0) {
		return fmt.Errorf("xlog: group %d cannot follow group %d", no, last)
	}
	if len(groups) == 0 {
		return nil
	}
	s.mu.Lock()
	after := s.after
	s.mu.Unlock()
	before := groups[0].Before
	b := s.db.NewBatchWithSize(batchSize(groups))
	for i, g := range groups {
		at := no + uint64(i)
		full := !s.anchored || at%anchorEvery == 0 || g.Before != after
		if err := s.set(b, at, g, full); err != nil {
			return err
		}
		s.anchored, after = true, clockBehind(g)
	}
	if err := s.setLost(b, lost); err != nil { // behind the groups: see groupsOf
		return err
	}
	if err := s.commit(b); err != nil {
		return err
	}
	for _, g := range groups {
		s.appended.Add(uint64(len(g.Rows)))
	}
	s.publish(no, no+uint64(len(groups))-1, before, after)
	return nil
}

// set puts a group into the batch. The rows are copied once, into the bytes
// that go to the journal file.
func (s *Store) set(b *pebble.Batch, no uint64, g *xrow.Group, full bool) error {
	s.scratch = appendHead(s.scratch[:0], g, full)
	op := b.SetDeferred(logKeyLen, len(s.scratch)+len(g.Rows)+crcLen)
	binary.BigEndian.PutUint64(appendPrefix(op.Key[:0], spaceLog)[:logKeyLen][prefixLen:], no)
	n := copy(op.Value, s.scratch)
	n += copy(op.Value[n:], g.Rows)
	binary.LittleEndian.PutUint32(op.Value[n:], crc32.Checksum(op.Value[:n], castagnoli))
	return s.writeError("encode a group", op.Finish())
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

// publish shows synced groups to readers.
func (s *Store) publish(first, last uint64, before, after vclock.VClock) {
	s.mu.Lock()
	if s.first > s.last.Load() { // the log was empty
		s.first, s.before = first, before
	}
	s.after = after
	s.last.Store(last)
	s.advanced.Broadcast()
	s.mu.Unlock()
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
func batchSize(groups []*xrow.Group) int {
	n := 0
	for _, g := range groups {
		n += len(g.Rows) + len(g.Table)*8 + maxHead + logKeyLen + 32
	}
	return n
}
