package xlog

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// CheckpointInfo tells of a valid checkpoint.
type CheckpointInfo struct {
	ID     uint64
	Tuples uint64
	Bytes  uint64 // of all tuples
	State  State
}

const (
	// chunkBytes is how much goes under one key: enough to make keys cheap.
	chunkBytes = 32 << 10
	// tableBytes is how much goes into one table of a checkpoint.
	tableBytes = 64 << 20
)

// CheckpointWriter writes a checkpoint while the log goes on. It belongs to one
// goroutine and ends with Finish or Abort.
type CheckpointWriter struct {
	s       *Store
	slot    *Slot
	id      uint64
	table   *tableWriter
	first   uint32 // space that the table begins with
	last    uint32 // and the last one in it so far
	done    []tablePart
	spaces  []spacePart // in the order in which they came; the last one gathers
	chunk   []byte
	inChunk uint64
	ordinal uint64 // in the space, of the next tuple
	begun   uint64 // ordinal of the chunk's first tuple
	end     endRecord
}

// tablePart is a finished table and the spaces that it reaches over.
type tablePart struct {
	path        string
	first, last uint32
}

// spacePart is the CRC32C of a space's chunks and their length.
type spacePart struct {
	id   uint32
	crc  uint32
	size uint64
}

// NewCheckpoint begins a checkpoint. Nothing of it is seen before Finish.
func (sl *Slot) NewCheckpoint() (*CheckpointWriter, error) {
	sl.s.metaMu.Lock()
	defer sl.s.metaMu.Unlock()
	if err := sl.writable(); err != nil {
		return nil, err
	}
	w := &CheckpointWriter{s: sl.s, slot: sl, id: sl.nextID}
	sl.nextID++
	return w, nil
}

// Add appends a tuple. A space comes once. Spaces come in ascending order of
// their IDs; those that come late must have their place between two tables: see
// [CheckpointWriter.Cut]. Tuples of a space stay in their order. The tuple is
// copied.
func (w *CheckpointWriter) Add(space uint32, tuple []byte) error {
	if n := len(w.spaces); n == 0 || w.spaces[n-1].id != space {
		if err := w.enter(space); err != nil {
			return err
		}
	}
	w.chunk = binary.AppendUvarint(w.chunk, uint64(len(tuple)))
	w.chunk = append(w.chunk, tuple...)
	w.inChunk++
	w.ordinal++
	w.end.tuples++
	w.end.bytes += uint64(len(tuple))
	if len(w.chunk) < chunkBytes {
		return nil
	}
	return w.flush()
}

// enter begins a space, in the table that is open where its keys may follow.
func (w *CheckpointWriter) enter(space uint32) error {
	if err := w.flush(); err != nil {
		return err
	}
	if w.table != nil && (space < w.last || w.passes(space)) {
		if err := w.Cut(); err != nil {
			return err
		}
	}
	for i := range w.done {
		if t := &w.done[i]; t.first <= space && space <= t.last {
			return fmt.Errorf("xlog: space %d comes after spaces %d to %d in a checkpoint", space, t.first, t.last)
		}
	}
	w.spaces = append(w.spaces, spacePart{id: space})
	w.ordinal, w.begun = 0, 0
	return nil
}

// passes tells whether the open table would reach over a finished one.
func (w *CheckpointWriter) passes(space uint32) bool {
	return slices.ContainsFunc(w.done, func(t tablePart) bool { return w.first < t.first && t.first <= space })
}

// Cut ends the table, so that spaces with IDs between those before and behind
// this point may come later. Tables of the store never overlap.
func (w *CheckpointWriter) Cut() error {
	if err := w.flush(); err != nil {
		return err
	}
	if w.table == nil {
		return nil
	}
	return w.closeTable()
}

// flush writes the chunk: its tuples, then their CRC32C.
func (w *CheckpointWriter) flush() error {
	if w.inChunk == 0 {
		return nil
	}
	w.chunk = binary.LittleEndian.AppendUint32(w.chunk, crc32.Checksum(w.chunk, castagnoli))
	w.end.chunks++
	part := &w.spaces[len(w.spaces)-1]
	part.crc = crc32.Update(part.crc, castagnoli, w.chunk)
	part.size += uint64(len(w.chunk))
	err := w.set(part.id, chunkKey(w.slot.number, w.id, part.id, w.begun), w.chunk)
	w.chunk, w.inChunk, w.begun = w.chunk[:0], 0, w.ordinal
	return err
}

func (w *CheckpointWriter) set(space uint32, key, value []byte) (err error) {
	if err := w.slot.writable(); err != nil {
		return err
	}
	if w.table == nil {
		if w.table, err = w.s.newTable(); err != nil {
			return err
		}
		w.first = space
	}
	w.last = space
	if err := w.table.set(key, value); err != nil || w.table.size < tableBytes {
		return err
	}
	return w.closeTable()
}

func (w *CheckpointWriter) closeTable() error {
	path, err := w.table.finish()
	w.table = nil
	if err == nil {
		w.done = append(w.done, tablePart{path: path, first: w.first, last: w.last})
	}
	return err
}

// checksum is that of all chunks in the order of their keys.
func (w *CheckpointWriter) checksum() (sum uint32) {
	slices.SortFunc(w.spaces, func(a, b spacePart) int { return cmp.Compare(a.id, b.id) })
	for _, part := range w.spaces {
		sum = joinCRC(sum, part.crc, part.size)
	}
	return sum
}

// Finish writes the end record and makes the checkpoint valid, all at once and
// durably. Replay goes on with group state.NextGroup; Finish waits until the
// group before it is synced. A checkpoint that came by JOIN has NextGroup =
// Last()+1, and its vclock is from then on that behind the log.
func (w *CheckpointWriter) Finish(state State) (id uint64, err error) {
	if state.NextGroup == 0 {
		return 0, fmt.Errorf("xlog: a checkpoint without NextGroup")
	}
	w.end.state = state
	if err := w.flush(); err != nil {
		return 0, err
	}
	w.end.checksum = w.checksum()
	if w.table != nil && w.passes(endSpace) {
		if err := w.Cut(); err != nil {
			return 0, err
		}
	}
	if err := w.set(endSpace, endKey(w.slot.number, w.id), appendEnd(nil, &w.end)); err != nil {
		return 0, err
	}
	if w.table != nil {
		if err := w.closeTable(); err != nil {
			return 0, err
		}
	}
	s, sl := w.s, w.slot
	if err := sl.awaitSynced(state.NextGroup - 1); err != nil {
		return 0, err
	}
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := sl.writable(); err != nil {
		return 0, err
	}
	if err := sl.keepMoves(state.History); err != nil {
		return 0, err
	}
	paths := make([]string, len(w.done))
	for i := range w.done {
		paths[i] = w.done[i].path
	}
	if err := s.ingest("take in a checkpoint", paths); err != nil {
		return 0, err
	}
	if err := s.closeTable(); err != nil {
		return 0, err
	}
	sl.ckpts = append([]CheckpointInfo{w.end.info(w.id)}, sl.ckpts...)
	sl.baseOn(&state)
	s.log(Info, nil, "checkpoint %d: %d tuples, %d bytes, vclock %s, next group %d", w.id, w.end.tuples, w.end.bytes,
		state.VClock, state.NextGroup)
	return w.id, nil
}

// closeTable has the groups in memory written to a table, in the background.
// The log goes in whole tables: on an instance that writes little, groups would
// otherwise stay in the journal, and its files with them, until 64 MiB of them
// came together, whatever retention says.
func (s *Store) closeTable() error {
	_, err := s.db.AsyncFlush()
	return s.writeError("write the log to a table", err)
}

// awaitSynced waits until group no is synced.
func (sl *Slot) awaitSynced(no uint64) error {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	for sl.last.Load() < no {
		if err := sl.writable(); err != nil {
			return err
		}
		sl.advanced.Wait()
	}
	return nil
}

// baseOn fits the end of the log to a new checkpoint: where that stands at the
// end of the log its vclock counts, and the next group has to carry it.
func (sl *Slot) baseOn(state *State) {
	sl.s.appendMu.Lock()
	defer sl.s.appendMu.Unlock()
	sl.mu.Lock()
	defer sl.mu.Unlock()
	last := sl.last.Load()
	if state.NextGroup != last+1 || state.VClock == sl.after {
		return
	}
	if sl.first > last {
		sl.before = state.VClock
	}
	sl.after, sl.end = state.VClock, state.VClock
	sl.anchored = false
}

// Abort drops what was written.
func (w *CheckpointWriter) Abort() {
	if w.table != nil {
		w.table.abort()
		w.table = nil
	}
	for _, t := range w.done {
		_ = w.s.fs.Remove(t.path) // what stays is removed by the next Open
	}
	w.done = nil
}

func (e *endRecord) info(id uint64) CheckpointInfo {
	return CheckpointInfo{ID: id, Tuples: e.tuples, Bytes: e.bytes, State: e.state}
}

// Checkpoints lists the valid ones, newest first.
func (sl *Slot) Checkpoints() []CheckpointInfo {
	sl.s.metaMu.Lock()
	defer sl.s.metaMu.Unlock()
	return slices.Clone(sl.ckpts)
}

// loadCheckpoints reads the end records.
func (sl *Slot) loadCheckpoints() error {
	it, err := sl.s.newIter(chunkKey(sl.number, 0, 0, 0), dataKey(sl.number, dataCheckpoint+1))
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.First() {
		_, id, _, _, _ := parseChunkKey(it.Key())
		sl.nextID = id + 1
		if it.SeekGE(endKey(sl.number, id)) && string(it.Key()) == string(endKey(sl.number, id)) {
			value, err := it.ValueAndErr()
			if err != nil {
				return sl.s.readError("a checkpoint", err)
			}
			end, err := decodeEnd(value)
			if err != nil {
				return fmt.Errorf("checkpoint %d: %w", id, err)
			}
			if err := sl.addMoves(end.state.History); err != nil {
				return err
			}
			sl.ckpts = append(sl.ckpts, end.info(id))
		} else if err := it.Error(); err != nil { // First forgets it
			return sl.s.readError(fmt.Sprintf("checkpoint %d", id), err)
		} else {
			sl.s.log(Warn, nil, "checkpoint %d has no end record: ignored", id)
		}
		it.SetBounds(chunkKey(sl.number, id+1, 0, 0), dataKey(sl.number, dataCheckpoint+1))
	}
	slices.Reverse(sl.ckpts)
	if err := it.Error(); err != nil {
		return sl.s.readError("checkpoints", err)
	}
	return nil
}

// DropCheckpoint removes a checkpoint. One that is being read stays readable.
func (sl *Slot) DropCheckpoint(id uint64) error {
	sl.s.metaMu.Lock()
	defer sl.s.metaMu.Unlock()
	if err := sl.writable(); err != nil {
		return err
	}
	i := slices.IndexFunc(sl.ckpts, func(c CheckpointInfo) bool { return c.ID == id })
	if i < 0 {
		return fmt.Errorf("%w: checkpoint %d", ErrNotFound, id)
	}
	sl.ckpts = slices.Delete(slices.Clone(sl.ckpts), i, i+1)
	return sl.s.excise("remove a checkpoint", chunkKey(sl.number, id, 0, 0), successor(endKey(sl.number, id)))
}

// CheckpointReader reads the tuples of a checkpoint in order. It belongs to one
// goroutine and must be closed before the store.
type CheckpointReader struct {
	slot  *Slot
	id    uint64
	end   []byte // key of the end record
	it    *pebble.Iterator
	want  endRecord
	got   endRecord
	space uint32
	chunk []byte // tuples of the current chunk that are left
}

// OpenCheckpoint starts reading a checkpoint.
func (sl *Slot) OpenCheckpoint(id uint64) (*CheckpointReader, error) {
	if err := sl.usable(); err != nil {
		return nil, err
	}
	it, err := sl.s.newIter(chunkKey(sl.number, id, 0, 0), successor(endKey(sl.number, id)))
	if err != nil {
		return nil, err
	}
	r := &CheckpointReader{slot: sl, id: id, end: endKey(sl.number, id), it: it}
	if !it.SeekGE(endKey(sl.number, id)) {
		err := it.Error()
		r.Close()
		if err != nil {
			return nil, sl.s.readError(fmt.Sprintf("checkpoint %d", id), err)
		}
		return nil, fmt.Errorf("%w: checkpoint %d", ErrNotFound, id)
	}
	value, err := it.ValueAndErr()
	if err == nil {
		r.want, err = decodeEnd(value)
	}
	if err == nil {
		err = sl.addMoves(r.want.state.History)
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("checkpoint %d: %w", id, err)
	}
	it.First()
	return r, nil
}

// State is what the checkpoint carries besides tuples.
func (r *CheckpointReader) State() State { return r.want.state }

// Info tells of the checkpoint.
func (r *CheckpointReader) Info() CheckpointInfo { return r.want.info(r.id) }

// Next reads a tuple, which is valid until the next call. ok is false behind
// the last one, when all that was promised has been there and was whole.
func (r *CheckpointReader) Next() (space uint32, tuple []byte, ok bool, err error) {
	if len(r.chunk) == 0 {
		if more, err := r.nextChunk(); err != nil || !more {
			return 0, nil, false, err
		}
	}
	size, n := binary.Uvarint(r.chunk)
	if n <= 0 || size > uint64(len(r.chunk)-n) {
		return 0, nil, false, r.damaged("bad tuple")
	}
	tuple = r.chunk[n : n+int(size)]
	r.chunk = r.chunk[n+int(size):]
	r.got.tuples++
	r.got.bytes += size
	return r.space, tuple, true, nil
}

// nextChunk moves to the next chunk, or checks the totals behind the last.
func (r *CheckpointReader) nextChunk() (more bool, err error) {
	if err := r.slot.usable(); err != nil {
		return false, err
	}
	if r.got.chunks > 0 {
		r.it.Next()
	}
	if err := r.it.Error(); err != nil {
		return false, r.slot.s.readError(fmt.Sprintf("checkpoint %d", r.id), err)
	}
	if !r.it.Valid() || string(r.it.Key()) == string(r.end) {
		if r.got.chunks != r.want.chunks || r.got.tuples != r.want.tuples || r.got.bytes != r.want.bytes ||
			r.got.checksum != r.want.checksum {
			return false, r.damaged("%d of %d chunks, %d of %d tuples", r.got.chunks, r.want.chunks, r.got.tuples, r.want.tuples)
		}
		return false, nil
	}
	value, err := r.it.ValueAndErr()
	if err != nil {
		return false, r.slot.s.readError(fmt.Sprintf("checkpoint %d", r.id), err)
	}
	if r.chunk, err = checkChunk(value); err != nil {
		return false, r.damaged("%v", err)
	}
	_, _, r.space, _, _ = parseChunkKey(r.it.Key())
	r.got.chunks++
	r.got.checksum = crc32.Update(r.got.checksum, castagnoli, value)
	return true, nil
}

// checkChunk cuts the checksum off.
func checkChunk(value []byte) ([]byte, error) {
	n := len(value) - crcLen
	if n <= 0 || crc32.Checksum(value[:n], castagnoli) != binary.LittleEndian.Uint32(value[n:]) {
		return nil, damaged("bad checksum of a chunk")
	}
	return value[:n], nil
}

// eachTuple goes over the tuples of a chunk without its checksum.
func eachTuple(tuples []byte, f func(tuple []byte) error) error {
	for len(tuples) > 0 {
		size, n := binary.Uvarint(tuples)
		if n <= 0 || size > uint64(len(tuples)-n) {
			return damaged("bad tuple in a chunk")
		}
		if err := f(tuples[n : n+int(size)]); err != nil {
			return err
		}
		tuples = tuples[n+int(size):]
	}
	return nil
}

func (r *CheckpointReader) damaged(format string, args ...any) error {
	return fmt.Errorf("checkpoint %d: %w", r.id, damaged("space %d: "+format, append([]any{r.space}, args...)...))
}

// Close gives the reader's resources back.
func (r *CheckpointReader) Close() {
	if r.it != nil {
		_ = r.it.Close() // its error was seen by nextChunk
		r.it = nil
	}
}

// newIter opens an iterator over [start, end).
func (s *Store) newIter(start, end []byte) (*pebble.Iterator, error) {
	it, err := s.db.NewIterWithContext(context.Background(), &pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, s.readError("the store", err)
	}
	return it, nil
}
