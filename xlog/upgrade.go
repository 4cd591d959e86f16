package xlog

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/vclock"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// UpgradeReport is what Upgrade did.
type UpgradeReport struct {
	Dir         string `json:"dir"`
	From        uint64 `json:"from_format"`
	To          uint64 `json:"to_format"`
	Groups      uint64 `json:"groups"`
	Checkpoints int    `json:"checkpoints"`
}

// Upgrade brings a store of format 1 to the present format; one that has it is left
// alone. The store must not be in use. fs nil is the operating system's.
//
// The new keys are written beside the old ones, which lie in front of them all,
// and count from the moment on in which the card is replaced. So a crash leaves
// a store of format 1, with which Upgrade begins anew, or one of the present
// format, of which the next Open removes the old keys. That takes as much room
// as the store has, once more.
func Upgrade(fs vfs.FS, dir string) (*UpgradeReport, error) {
	if fs == nil {
		fs = osFS(0, 0)
	}
	c, known, err := readCard(fs, dir)
	if err == nil && !known {
		err = fmt.Errorf("%w: %s has no file %s", ErrForeign, dir, cardName)
	}
	if err != nil {
		return nil, err
	}
	report := &UpgradeReport{Dir: dir, From: c.version, To: storeVersion}
	if c.version == oldVersion {
		if err := upgrade(fs, dir); err != nil {
			if isFull(err) {
				err = fmt.Errorf("it takes about as much room as the store has, once more: %w", err)
			}
			return nil, fmt.Errorf("xlog: upgrade of %s: %w", dir, err)
		}
	}
	s, err := Open(Options{Dir: dir, FS: fs})
	if err != nil {
		return nil, err
	}
	sl := s.Core(0)
	report.Groups, report.Checkpoints = sl.Last()+1-sl.First(), len(sl.Checkpoints())
	return report, s.Close()
}

// upgrade writes the new keys, and then the card.
func upgrade(fs vfs.FS, dir string) error {
	s, err := newStore(Options{Dir: dir, FS: fs})
	if err != nil {
		return err
	}
	if err := mkdirAll(s.fs, s.fs.PathJoin(dir, ingestDir)); err != nil {
		return s.cause(err)
	}
	if s.lock, err = lock(s.fs, dir); err != nil {
		return err
	}
	if err = s.cause(s.upgradeLocked()); err != nil {
		_ = s.lock.Close()
		return err
	}
	return s.lock.Close()
}

// upgradeLocked does with the old store what Open does, before it writes.
func (s *Store) upgradeLocked() error {
	c, _, err := readCard(s.fs, s.opts.Dir)
	if err != nil {
		return err
	}
	if err := s.sweep(); err != nil {
		return err
	}
	bad := c.badStop(s.opts.BootID)
	if err := s.checkJournals(bad); err != nil {
		return err
	}
	left := c
	if err := s.beginUse(&c); err != nil {
		return err
	}
	if err := s.openPebble(c.created); err != nil {
		return err
	}
	defer func() { within(stuckLimit, func() { _ = s.db.Close() }) }() // all that counts is synced
	u := upgrader{s: s}
	for _, step := range []func() error{u.room, u.clear, u.convert} {
		if err := step(); err != nil {
			return err
		}
	}
	s.last.Store(max(u.last, u.next-1))
	if err := s.checkEnd(&left, bad); err != nil {
		return err
	}
	c.version, c.created, c.mode, c.boot, c.clean = storeVersion, true, Fsync, s.opts.BootID, true
	if bad && len(c.lost) == 0 {
		c.lost = []uint32{upgradedSlot}
	}
	return s.writeError("write the card", writeCard(s.fs, s.opts.Dir, &c))
}

// upgrader writes what a store of format 1 has under the keys of format 2.
type upgrader struct {
	s      *Store
	w      *tableWriter
	owners owners
	last   uint64 // number of the newest group
	next   uint64 // that the newest checkpoint goes on with
}

// room refuses what the disk has no room for, before anything is written.
func (u *upgrader) room() error {
	need, err := u.s.db.EstimateDiskUsage([]byte{0}, oldEnd())
	if err != nil {
		return u.s.readError("sizes of tables", err)
	}
	usage, err := u.s.fs.GetDiskUsage(u.s.opts.Dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("xlog: %w", err)
	}
	if usage.AvailBytes < need+need/8 {
		return fmt.Errorf("%w: it takes %d MiB more on the disk, %d MiB are free; nothing was changed", errNoRoom, (need+need/8)>>20+1, usage.AvailBytes>>20)
	}
	return nil
}

var errNoRoom = errors.New("no room")

// clear removes what a broken attempt has written.
func (u *upgrader) clear() error {
	it, err := u.s.newIter(oldEnd(), lostEnd())
	if err != nil {
		return err
	}
	found := it.First()
	err = it.Error()
	if _ = it.Close(); err != nil {
		return u.s.readError("what there is of format 2", err)
	}
	if !found {
		return nil
	}
	return u.s.excise("remove what there is of format 2", oldEnd(), lostEnd())
}

// convert goes over the old keyspaces in the order of the new ones, so that each
// table is behind the one before it.
func (u *upgrader) convert() error {
	u.owners.every = listGroups
	for _, kind := range []byte{'c', 'm', 'l', 'v'} {
		if err := u.keyspace(kind); err != nil {
			return err
		}
	}
	return u.s.setCore(&record{CoreInfo: CoreInfo{Slot: upgradedSlot}})
}

func (u *upgrader) keyspace(kind byte) error {
	it, err := u.s.newIter(oldKey(kind), oldKey(kind+1))
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return u.s.readError("the store", err)
		}
		key := presentKey(it.Key())
		if pos, ok := parseLogKey(key); ok {
			if value, err = u.group(pos, value); err != nil {
				return at(pos, err)
			}
		} else if _, id, space, _, ok := parseChunkKey(key); ok && space == endSpace {
			end, err := decodeEnd(value)
			if err != nil {
				return fmt.Errorf("checkpoint %d: %w", id, err)
			}
			u.next = end.state.NextGroup
		}
		if err := u.set(key, value); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return u.s.readError("the store", err)
	}
	return u.closeTable()
}

// group is a group as format 2 has it, at the position that its number was.
func (u *upgrader) group(pos uint64, value []byte) ([]byte, error) {
	if u.last != 0 && pos != u.last+1 {
		return nil, damaged("groups %d to %d are missing", u.last+1, pos-1)
	}
	u.last = pos
	h, g, err := decodeValue(value, vclock.VClock{})
	if err != nil {
		return nil, err
	}
	if !h.old {
		return nil, damaged("is of another format")
	}
	x := extras{full: h.full, pos: pos, list: u.owners.add(upgradedSlot, pos, pos, len(g.Rows))}
	return appendValue(nil, h.ownerAt(pos), g, x), nil
}

func (u *upgrader) set(key, value []byte) (err error) {
	if u.w == nil {
		if u.w, err = u.s.newTable(); err != nil {
			return err
		}
	}
	if err := u.w.set(key, value); err != nil || u.w.size < tableBytes {
		return err
	}
	return u.closeTable()
}

func (u *upgrader) closeTable() error {
	if u.w == nil {
		return nil
	}
	path, err := u.w.finish()
	u.w = nil
	if err != nil {
		return err
	}
	return u.s.ingest("take in a table", []string{path})
}
