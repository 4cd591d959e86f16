package xlog

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"
)

// CoreInfo tells of a Core.
type CoreInfo struct {
	ID   uint32 // 0: the replica set
	Name string // of the replica set: empty
	Slot uint32 // that is its present one
}

type core struct {
	record
	slot *Slot
}

// record is what is on disk of a Core. One edit of the manifest replaces it.
type record struct {
	CoreInfo
	formers []Former // oldest first
}

// The record of a Core: version, number of its slot, name. Version 2, where there are
// former slots: version, number of its slot, name and former slots with their lengths and
// count in front of them; of each the number, when it was left in Unix seconds, why. These
// numbers are on disk.
const (
	coreVersion        = 1
	coreVersionFormers = 2
)

func appendCore(dst []byte, c *record) []byte {
	if len(c.formers) == 0 {
		dst = append(dst, coreVersion)
		dst = binary.AppendUvarint(dst, uint64(c.Slot))
		return append(dst, c.Name...)
	}
	dst = append(dst, coreVersionFormers)
	dst = binary.AppendUvarint(dst, uint64(c.Slot))
	dst = appendText(dst, c.Name)
	dst = binary.AppendUvarint(dst, uint64(len(c.formers)))
	for i := range c.formers {
		f := &c.formers[i]
		dst = binary.AppendUvarint(dst, uint64(f.Slot))
		dst = binary.AppendUvarint(dst, uint64(max(f.Left.Unix(), 0)))
		dst = appendText(dst, f.Why)
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// text reads what appendText wrote.
func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	text := string(r.b[:n])
	r.b = r.b[n:]
	return text
}

func decodeCore(id uint32, value []byte) (c record, err error) {
	r := reader{b: value}
	version := r.byte()
	if version > coreVersionFormers {
		return c, newer("the record of a Core", uint64(version), coreVersionFormers)
	}
	c.ID, c.Slot = id, r.u32()
	if version == coreVersionFormers {
		c.Name = r.text()
		c.formers = r.formers(id)
		r.bad = r.bad || len(r.b) > 0
	} else {
		c.Name = string(r.b)
	}
	if r.bad || c.Slot == 0 {
		return c, damaged("bad record of Core %d", id)
	}
	return c, nil
}

func (r *reader) formers(core uint32) (all []Former) {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	for range n {
		f := Former{Core: core, Slot: r.u32(), Left: time.Unix(int64(r.uvarint()&math.MaxInt64), 0), Why: r.text()}
		all = append(all, f)
	}
	return all
}

// Cores lists them by ID.
func (s *Store) Cores() []CoreInfo {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	list := make([]CoreInfo, len(s.cores))
	for i := range s.cores {
		list[i] = s.cores[i].CoreInfo
	}
	return list
}

// Core is the present slot of a Core; nil: there is none of this ID. Core 0, the
// replica set, is there in every store.
func (s *Store) Core(id uint32) *Slot {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if c := s.findCore(id); c != nil {
		return c.slot
	}
	return nil
}

func (s *Store) findCore(id uint32) *core {
	i, ok := slices.BinarySearchFunc(s.cores, id, func(c core, id uint32) int { return cmp.Compare(c.ID, id) })
	if !ok {
		return nil
	}
	return &s.cores[i]
}

// AddCore is Core, but makes it where it is not there. One that is there under
// another name is an error.
func (s *Store) AddCore(id uint32, name string) (*Slot, error) {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if c := s.findCore(id); c != nil {
		if c.Name != name {
			return nil, fmt.Errorf("xlog: Core %d is %q, not %q", id, c.Name, name)
		}
		return c.slot, nil
	}
	return s.addCore(id, name)
}

func (s *Store) addCore(id uint32, name string) (*Slot, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	sl := s.newSlot(id)
	r := record{CoreInfo: CoreInfo{ID: id, Name: name, Slot: sl.number}}
	if err := s.setCore(&r); err != nil {
		return nil, err
	}
	s.insertCore(core{r, sl})
	return sl, nil
}

func (s *Store) insertCore(c core) {
	s.cores = append(s.cores, c)
	slices.SortFunc(s.cores, func(a, b core) int { return cmp.Compare(a.ID, b.ID) })
	s.slots[c.slot.number] = c.slot
}

// loadCores reads the records.
func (s *Store) loadCores() error {
	it, err := s.newIter(coreKey(0), []byte{spaceCore + 1})
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		id, ok := parseCoreKey(it.Key())
		value, err := it.ValueAndErr()
		if err != nil {
			return s.readError("the record of a Core", err)
		}
		if !ok {
			return damaged("bad key of a Core: %x", it.Key())
		}
		c, err := decodeCore(id, value)
		if err != nil {
			return err
		}
		s.nextSlot = max(s.nextSlot, c.Slot+1)
		for i := range c.formers {
			s.nextSlot = max(s.nextSlot, c.formers[i].Slot+1)
			s.log(Info, nil, "a former slot is kept: %s", c.formers[i])
		}
		s.insertCore(core{c, newSlot(s, id, c.Slot)})
	}
	if err := it.Error(); err != nil {
		return s.readError("the records of Cores", err)
	}
	return nil
}

// Fresh makes an empty slot of the same Core, for one that joins anew while the
// others go on. It takes groups, checkpoints and values like any other; nothing of
// it counts before Switch. A fresh slot that was made before is dropped.
func (sl *Slot) Fresh() (*Slot, error) {
	s := sl.s
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := sl.writable(); err != nil {
		return nil, err
	}
	if c := s.findCore(sl.core); c.slot != sl {
		return nil, fmt.Errorf("xlog: slot %d is not that of Core %d", sl.number, sl.core)
	}
	for _, other := range s.slots {
		if other.core == sl.core && other != sl {
			if err := s.dropSlot(other); err != nil {
				return nil, err
			}
		}
	}
	fresh := s.newSlot(sl.core)
	s.slots[fresh.number] = fresh
	return fresh, nil
}

// Switch makes a fresh slot that of its Core, durably and at once. The old one is
// removed and answers ErrClosed from then on; nobody may append to it any more.
func (sl *Slot) Switch() error { return sl.replace(nil, nil) }

// replace is Switch. keep notes the old slot as a former one; nil: it is removed. log is
// the copy of its groups.
func (sl *Slot) replace(keep *Former, log []string) error {
	s := sl.s
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := sl.writable(); err != nil {
		return err
	}
	c := s.findCore(sl.core)
	old := c.slot
	if old == sl {
		return nil
	}
	if s.opts.Mode != Fsync { // groups of the fresh slot may be with the kernel yet, and the edit is durable
		if err := s.edit("flush the log", s.db.Flush); err != nil {
			return err
		}
	}
	next := c.record
	next.Slot = sl.number
	if keep != nil {
		next.formers = append(slices.Clone(next.formers), *keep)
	}
	if err := s.setCore(&next, log...); err != nil {
		return err
	}
	c.record, c.slot = next, sl
	if err := s.forgetLoss(old); err != nil {
		return err
	}
	if keep != nil {
		old.leave()
		s.log(Info, nil, "a former slot is kept: %s", keep)
		return nil
	}
	return s.dropSlot(old)
}

// Discard removes a fresh slot.
func (sl *Slot) Discard() error {
	s := sl.s
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	if err := sl.writable(); err != nil {
		return err
	}
	if s.findCore(sl.core).slot == sl {
		return fmt.Errorf("xlog: slot %d is that of Core %d", sl.number, sl.core)
	}
	return s.dropSlot(sl)
}

// newSlot makes a slot that nothing on disk bears the number of.
func (s *Store) newSlot(core uint32) *Slot {
	sl := newSlot(s, core, s.nextSlot)
	s.nextSlot++
	sl.startAt(1, sl.before)
	return sl
}

// dropSlot removes what lies under a slot. Its groups go when they are pruned.
func (s *Store) dropSlot(sl *Slot) error {
	sl.leave()
	return s.clearSlot(sl.number)
}

// leave ends all use of a slot.
func (sl *Slot) leave() {
	delete(sl.s.slots, sl.number)
	sl.gone.Store(true)
	sl.wake()
}

func (s *Store) clearSlot(number uint32) error {
	err := s.excise("remove a slot", dataKey(number, 0), dataKey(number, dataMeta+1))
	if err == nil {
		err = s.excise("remove voided rows of a slot", lostStart(number), lostStart(number+1))
	}
	return err
}

// clearSlots removes what lies under slots that are no Core's, nor a former one: a
// crash came while one was filled, or before the old one was removed.
func (s *Store) clearSlots() error {
	numbers, err := s.slotsOnDisk()
	if err != nil {
		return err
	}
	for _, number := range numbers {
		s.nextSlot = max(s.nextSlot, number+1)
		if s.slots[number] == nil && !s.isFormer(number) && !s.readOnly {
			s.log(Info, nil, "slot %d is no Core's: removed", number)
			if err := s.clearSlot(number); err != nil {
				return err
			}
		}
	}
	return nil
}

// slotsOnDisk are those that something lies under.
func (s *Store) slotsOnDisk() (numbers []uint32, err error) {
	for _, space := range []byte{spaceData, spaceLost} {
		it, err := s.newIter([]byte{space}, []byte{space + 1})
		if err != nil {
			return nil, err
		}
		ok := it.First()
		for ok && len(it.Key()) >= 1+4 {
			number := binary.BigEndian.Uint32(it.Key()[1:])
			numbers = append(numbers, number)
			ok = it.SeekGE(binary.BigEndian.AppendUint32([]byte{space}, number+1))
		}
		err = it.Error()
		if _ = it.Close(); err != nil {
			return nil, s.readError("slots", err)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}
