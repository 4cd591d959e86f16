package xlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// pebbleFormat is the version that Pebble writes. It has sync chunks in the
// write-ahead log, which tell damage from a torn tail, and checksums in the
// footers of tables.
const pebbleFormat = pebble.FormatTableFormatV6

// Open opens the store in a directory of its own, and creates it where there is
// nothing. It refuses what it cannot vouch for and changes nothing then: a
// directory of something else, a newer format, a store that is open, damage. A
// whole store on a full disk opens for reading: Append answers [ErrFailed].
func Open(o Options) (*Store, error) {
	s, err := open(o)
	if err == nil || !errors.Is(err, ErrFailed) || !isFull(err) {
		return s, err
	}
	r, cannot := openForReading(o, err)
	if cannot == nil {
		return r, nil
	}
	if !errors.Is(cannot, err) {
		err = fmt.Errorf("%w; nor can it be opened for reading: %w", err, cannot)
	}
	return nil, err
}

func open(o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	dir := s.opts.Dir
	c, known, err := readCard(s.fs, dir)
	if err == nil && !known {
		err = checkForeign(s.fs, dir)
	}
	if err == nil {
		err = c.checkFormat(dir)
	}
	if err != nil {
		return nil, err
	}
	if err := mkdirAll(s.fs, s.fs.PathJoin(dir, ingestDir)); err != nil {
		return nil, s.cause(fmt.Errorf("xlog: %w", err))
	}
	if s.lock, err = lock(s.fs, dir); err != nil {
		return nil, err
	}
	if err := s.openLocked(c, known); err != nil {
		_ = s.lock.Close()
		return nil, s.cause(err)
	}
	return s, nil
}

// cause is the first failure, where there was one, and else err.
func (s *Store) cause(err error) error {
	if failed := s.fail.get(); failed != nil {
		return failed
	}
	return err
}

func newStore(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, errors.New("xlog: Options.Dir is empty")
	}
	if o.Mode > None {
		return nil, fmt.Errorf("xlog: unknown mode %d", o.Mode)
	}
	if o.FS == nil {
		o.FS = osFS(o.FileMode, o.DirMode)
	}
	if o.BootID == "" {
		o.BootID = bootID()
	}
	if o.CacheSize == 0 {
		o.CacheSize = defaultCacheSize
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = defaultMemTableSize
	}
	s := &Store{opts: o, slots: map[uint32]*Slot{}, nextSlot: upgradedSlot, owners: owners{every: listGroups}}
	s.fs = &walFS{FS: &latchFS{FS: o.FS, fail: &s.fail}}
	s.fs.noSync.Store(o.Mode != Fsync)
	return s, nil
}

func lock(fs vfs.FS, dir string) (*pebble.Lock, error) {
	l, err := pebble.LockDirectory(dir, fs)
	if err == nil {
		return l, nil
	}
	if errors.Is(err, syscall.EAGAIN) || strings.Contains(err.Error(), "held by current process") {
		return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	return nil, fmt.Errorf("xlog: lock %s: %w", dir, err)
}

// openLocked is Open from the lock on.
func (s *Store) openLocked(c card, known bool) error {
	dir := s.opts.Dir
	if !known {
		c = card{version: storeVersion, clean: true}
		err := syncDir(s.fs, s.fs.PathDir(dir)) // an earlier Open may have made dir and died
		if err == nil {
			err = writeCard(s.fs, dir, &c)
		}
		if err != nil {
			return fmt.Errorf("xlog: %w", err)
		}
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
	c.created, c.mode, c.boot, c.clean = true, s.opts.Mode, s.opts.BootID, s.opts.Mode == Fsync
	s.card = c
	err := s.load()
	if err == nil {
		err = s.checkEnd(&left, bad)
	}
	if err == nil {
		s.card.lost = s.mayHaveLost(bad)
		err = s.addReplicaSet()
	}
	if err == nil {
		err = s.updateCard()
	}
	if err != nil {
		within(stuckLimit, func() { _ = s.db.Close() })
		return err
	}
	s.log(Info, nil, "store %s: mode %s, %s", dir, s.opts.Mode, s.content())
	if len(s.card.lost) > 0 {
		s.log(Warn, nil, "store %s may have lost what it had reported as written: the last stop was not clean", dir)
	}
	return nil
}

// beginUse takes the mark of a closed store off its card before Pebble writes
// anything: from now on a torn tail is nothing strange.
func (s *Store) beginUse(c *card) error {
	if !c.closed {
		return nil
	}
	c.closed = false
	if err := writeCard(s.fs, s.opts.Dir, c); err != nil {
		return fmt.Errorf("xlog: %w", err)
	}
	return nil
}

// checkEnd refuses a store that was closed with more in it than it has now:
// damage in the last record of a journal looks like a torn tail, but nothing
// tears the tail of a log that was closed. The card gets its mark back, so that
// the next Open does not take what is left for all there was.
func (s *Store) checkEnd(left *card, bad bool) error {
	if !left.closed || bad || s.last.Load() >= left.last {
		return nil
	}
	err := damaged("%s: the log ends with group %d, and was closed with group %d%s", s.opts.Dir, s.last.Load(), left.last, s.torn)
	return errors.Join(err, writeCard(s.fs, s.opts.Dir, left))
}

// mayHaveLost are the slots that may have lost rows: all, where the last stop was a
// bad one. A slot that is no Core's any more has nothing to lose.
func (s *Store) mayHaveLost(bad bool) (slots []uint32) {
	for i := range s.cores {
		if number := s.cores[i].Slot; bad || slices.Contains(s.card.lost, number) {
			slots = append(slots, number)
		}
	}
	return slots
}

// addReplicaSet makes the Core that every store has.
func (s *Store) addReplicaSet() error {
	if s.findCore(0) != nil {
		return nil
	}
	if s.last.Load() > 0 {
		return damaged("%s: there are groups, and no record of Core 0", s.opts.Dir)
	}
	_, err := s.addCore(0, "")
	return err
}

// content is what there is, for messages.
func (s *Store) content() string {
	var b strings.Builder
	for i := range s.cores {
		c := &s.cores[i]
		if i > 0 {
			fmt.Fprintf(&b, "; Core %d: ", c.ID)
		}
		b.WriteString(c.slot.content())
	}
	return b.String()
}

// updateCard writes the card where it has changed.
func (s *Store) updateCard() error {
	old, ok, err := readCard(s.fs, s.opts.Dir)
	if err == nil && (!ok || !bytes.Equal(old.text(), s.card.text())) {
		err = writeCard(s.fs, s.opts.Dir, &s.card)
	}
	return err
}

// sweep removes tables that were never taken in.
func (s *Store) sweep() error {
	dir := s.fs.PathJoin(s.opts.Dir, ingestDir)
	names, err := s.fs.List(dir)
	for _, name := range names {
		err = errors.Join(err, s.fs.Remove(s.fs.PathJoin(dir, name)))
	}
	if err != nil {
		return fmt.Errorf("xlog: %w", err)
	}
	return nil
}

// openPebble opens the database. A store that is not yet of our format is
// opened twice: Pebble begins its log before it raises the format.
func (s *Store) openPebble(created bool) error {
	desc, err := pebble.Peek(s.opts.Dir, s.fs)
	if err == nil && (!desc.Exists || desc.FormatMajorVersion < pebbleFormat) {
		if created && !desc.Exists {
			return damaged("%s has no manifest", s.opts.Dir)
		}
		var db *pebble.DB
		if db, err = s.openDB(s.pebbleOptions()); err == nil {
			err = db.Close()
		}
	}
	if err == nil && s.fail.get() == nil {
		s.db, err = s.openDB(s.pebbleOptions())
	}
	if failed := s.fail.get(); failed != nil {
		if s.db != nil {
			within(stuckLimit, func() { _ = s.db.Close() })
		}
		return failed
	}
	if err == nil {
		return nil
	}
	return s.openError(err)
}

// openError says what an error of Pebble's Open means.
func (s *Store) openError(err error) error {
	if pebble.IsCorruptionError(err) || strings.Contains(err.Error(), "does not exist") {
		return damaged("%s: %v", s.opts.Dir, err)
	}
	if strings.Contains(err.Error(), "unknown format major version") {
		return fmt.Errorf("%w: %w", ErrNewer, err)
	}
	return fmt.Errorf("xlog: %w", err)
}

// pebbleOptions keep Pebble from ever compacting in steady state. The tables
// of the log do not overlap (invariant 5), so they are one sublevel however
// many they are; only the limit on their number has to go. Compactions stay
// on: should tables of the small keyspaces pile up, they are merged.
func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          &calmFS{FS: s.fs, fail: &s.fail},
		Lock:                        s.lock,
		Logger:                      logger{s},
		FormatMajorVersion:          pebbleFormat,
		CacheSize:                   s.opts.CacheSize,
		MemTableSize:                s.opts.MemTableSize,
		MemTableStopWritesThreshold: 3,
		MaxOpenFiles:                s.opts.MaxOpenFiles,
		L0CompactionFileThreshold:   1 << 30,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       1 << 20,
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				// A flush with voided rows in it gives way to the table of a named value,
				// which lies between its keyspaces, and is done again.
				if !errors.Is(err, pebble.ErrCancelledCompaction) {
					s.fail.set(asDamage("a table", err))
					if !s.closed.Load() {
						time.Sleep(retryPause) // Pebble itself tries again at once, for ever
					}
				}
			},
			// Not %s of info: that is pages of stack traces.
			DataCorruption: func(info pebble.DataCorruptionInfo) { s.log(Error, nil, "damage: %s: %v", info.Path, info.Details) },
		},
	}
	// Rows are small and written once: the time for compressing them would be
	// taken from transactions.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].IndexBlockSize = 64 << 10
	}
	return o
}

// tableOptions are those of tables that are written beside the store.
func (s *Store) tableOptions() sstable.WriterOptions {
	o := s.pebbleOptions()
	o.EnsureDefaults()
	w := o.MakeWriterOptions(6, s.db.TableFormat())
	w.Compression = sstable.SnappyCompression
	return w
}

// logger passes on what matters of Pebble's log. A Fatalf that returns makes
// Pebble go on after a failed write, so it latches the store.
type logger struct{ s *Store }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.s.log(Warn, nil, "pebble: "+format, args...)
}

func (l logger) Fatalf(format string, args ...any) {
	l.s.fail.set(fmt.Errorf(format, args...))
}

// Close stops the store. In the modes Write and None it first makes all of the
// log durable, so that the stop counts as a clean one. Of a store that has
// failed nothing more is written: a failed write is not tried again.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return ErrClosed
	}
	if err := s.fail.get(); err != nil {
		s.abandon()
		return err
	}
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	for _, sl := range s.slots {
		sl.wake() // Finish gives up
	}
	var err error
	if s.opts.Mode != Fsync {
		err = s.edit("flush the log", s.db.Flush)
	}
	if err == nil {
		err = s.fail.get()
	}
	flushed := err == nil
	if err = errors.Join(err, s.db.Close()); err == nil {
		err = s.fail.get()
	}
	if flushed && err == nil { // not before: a crash in between would look like damage
		s.card.clean, s.card.closed, s.card.last = true, true, s.last.Load()
		err = writeCard(s.fs, s.opts.Dir, &s.card)
	}
	return errors.Join(err, s.lock.Close())
}
