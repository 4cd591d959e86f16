package xlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Former is a slot that a Core has left and that is kept, since nobody else may have
// what is in it. It has all that the slot had, its groups apart from the log: so the log
// goes as if it was not there. Nothing ends it but DropFormer.
type Former struct {
	Core uint32    `json:"core"`
	Slot uint32    `json:"slot"`
	Left time.Time `json:"left"` // to the second
	Why  string    `json:"why"`
}

// maxWhy is how much of a reason is kept, in bytes.
const maxWhy = 1000

// String is the former slot as a line for people.
func (f Former) String() string {
	return fmt.Sprintf("slot %d of Core %d, left %s: %s", f.Slot, f.Core, f.Left.UTC().Format(time.RFC3339), f.Why)
}

// Formers lists the former slots of all Cores, by Core and from the oldest on.
func (s *Store) Formers() (all []Former) {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	for i := range s.cores {
		all = append(all, s.cores[i].formers...)
	}
	return all
}

func (s *Store) isFormer(slot uint32) bool {
	return slices.ContainsFunc(s.cores, func(c core) bool { return c.hasFormer(slot) })
}

func (c *record) hasFormer(slot uint32) bool {
	return slices.ContainsFunc(c.formers, func(f Former) bool { return f.Slot == slot })
}

// DropFormer removes a former slot, with all that is in it.
func (s *Store) DropFormer(slot uint32) error {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	i := slices.IndexFunc(s.cores, func(c core) bool { return c.hasFormer(slot) })
	if i < 0 {
		return fmt.Errorf("%w: former slot %d", ErrNotFound, slot)
	}
	next := s.cores[i].record
	next.formers = slices.DeleteFunc(slices.Clone(next.formers), func(f Former) bool { return f.Slot == slot })
	if err := s.setCore(&next); err != nil {
		return err
	}
	s.cores[i].record = next
	return s.clearSlot(slot) // where a crash comes first the next Open does it
}

// DropFormer removes a former slot of a store that is not in use. fs nil is the
// operating system's.
func DropFormer(fs vfs.FS, dir string, slot uint32) error {
	s, err := Open(Options{Dir: dir, FS: fs})
	if err != nil {
		return err
	}
	return errors.Join(s.DropFormer(slot), s.Close())
}

// keepLog writes the groups of the slot to tables of their own, by their numbers. It is
// for a slot that nobody appends to any more.
func (sl *Slot) keepLog() (paths []string, err error) {
	sl.mu.Lock()
	sl.need = 0 // what is in front of the checkpoint stays until it is copied
	first, last := sl.first, sl.last.Load()
	sl.mu.Unlock()
	k := logKeeper{s: sl.s}
	c := cursor{slot: sl}
	defer c.close()
	for no := first; no <= last && err == nil; no++ {
		if no%readerSpan == 0 {
			c.close()
		}
		var value []byte
		if value, err = c.value(no); err == nil {
			err = sl.checkGroup(no, value)
		}
		if err == nil {
			err = k.add(keptKey(sl.number, no), value)
		}
	}
	if err == nil {
		err = k.cut()
	}
	if err != nil {
		k.abort()
		return nil, err
	}
	return k.done, nil
}

// logKeeper writes tables.
type logKeeper struct {
	s    *Store
	w    *tableWriter // nil: none is open
	done []string
}

func (k *logKeeper) add(key, value []byte) (err error) {
	if k.w == nil {
		if k.w, err = k.s.newTable(); err != nil {
			return err
		}
	}
	if err := k.w.set(key, value); err != nil || k.w.size < tableBytes {
		return err
	}
	return k.cut()
}

func (k *logKeeper) cut() error {
	if k.w == nil {
		return nil
	}
	path, err := k.w.finish()
	k.w, k.done = nil, append(k.done, path)
	return err
}

func (k *logKeeper) abort() {
	if k.w != nil {
		k.w.abort()
	}
	for _, path := range k.done {
		_ = k.s.fs.Remove(path) // what stays is removed by the next Open
	}
}

// checkGroup tells whether a value is whole, and that of a group of the slot.
func (sl *Slot) checkGroup(no uint64, value []byte) error {
	n := len(value) - crcLen
	if n <= 0 || crc32.Checksum(value[:n], castagnoli) != binary.LittleEndian.Uint32(value[n:]) {
		return at(no, damaged("bad checksum of a group"))
	}
	h, _, err := decodeHead(value)
	if err == nil {
		err = h.isFor(sl, no)
	}
	if err != nil {
		return at(no, err)
	}
	return nil
}

// SwitchKeeping is Switch, but the old slot stays as a former one of its Core: the
// same edit notes it. Its groups are copied out of the log first, which takes their room once
// more; the log gives back its own when it is next pruned.
func (sl *Slot) SwitchKeeping(at time.Time, why string) error {
	old := sl.s.Core(sl.core)
	if old == sl {
		return nil
	}
	log, err := old.keepLog()
	if errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w: slot %d cannot be kept whole; xlog repair makes a store of the rest", err, old.number)
	}
	if err != nil {
		return err
	}
	if len(why) > maxWhy {
		why = why[:maxWhy]
	}
	return sl.replace(&Former{Core: sl.core, Slot: old.number, Left: at.Truncate(time.Second), Why: why}, log)
}

// ListFormers reads which former slots a store has, and their named values. The
// store need not open and may be in use. fs nil is the operating system's.
func ListFormers(fs vfs.FS, dir string) (all []FormerValues, err error) {
	r, err := openRaw(fs, dir)
	if err != nil {
		return nil, err
	}
	who := r.holders()
	if err := r.visitRange(coreKey(0), []byte{spaceCore + 1}, &visitor{core: who.core}); err != nil {
		return nil, err
	}
	for _, f := range who.formers() {
		v := FormerValues{Former: f, Values: map[string][]byte{}}
		err := r.visitRange(dataKey(f.Slot, dataMeta), dataKey(f.Slot, dataMeta+1), &visitor{meta: func(_ uint32, name string, value []byte) error {
			v.Values[name] = slices.Clone(value)
			return nil
		}})
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, r.damage()
}

// FormerValues is a former slot with its named values.
type FormerValues struct {
	Former
	Values map[string][]byte
}

// setCore writes the record of a Core and takes in tables, in one edit.
func (s *Store) setCore(c *record, tables ...string) error {
	key := coreKey(c.ID)
	return s.ingestOne(key, appendCore(nil, c), pebble.KeyRange{Start: key, End: successor(key)}, tables...)
}
