package xlog

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// retryPause is between attempts of Pebble's on a store that has failed.
	retryPause = 100 * time.Millisecond
	// stuckLimit is how long Pebble may take to end once the store has failed.
	stuckLimit = 5 * time.Second
	// editLimit is the same for one operation: what needs no flush ends sooner.
	editLimit = time.Second
)

// isFull tells of an error that there was no room on the disk, or none left by a
// quota or a limit.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// remedy is what an operator has to do about a store that has failed.
func remedy(err error) string {
	if isFull(err) {
		return "needs room on the disk, then a restart"
	}
	if errors.Is(err, ErrCorrupt) {
		return "xlog verify says what is damaged"
	}
	return "needs a restart"
}

// openForReading opens a store that the disk has no room to open for writing.
// Pebble wants to write what is in the journal to tables before it takes new
// rows; for reading it keeps them in memory. Nothing on the disk changes.
func openForReading(o Options, cause error) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	s.readOnly = true
	s.fail.err = cause // nobody else knows the store yet
	c, known, err := readCard(s.fs, o.Dir)
	if err != nil || !known || !c.created || c.version == oldVersion {
		return nil, errors.Join(err, cause)
	}
	if s.lock, err = lock(s.fs, o.Dir); err != nil {
		return nil, err
	}
	if err := s.readLocked(&c); err != nil {
		_ = s.lock.Close()
		return nil, err
	}
	s.log(Error, cause, "store %s is open for reading only: %s", o.Dir, s.content())
	return s, nil
}

func (s *Store) readLocked(c *card) error {
	bad := c.badStop(s.opts.BootID)
	s.card = *c
	if err := s.checkJournals(bad); err != nil {
		return err
	}
	if err := s.syncJournals(); err != nil {
		return err
	}
	o := s.pebbleOptions()
	o.FS, o.ReadOnly = s.opts.FS, true
	db, err := s.openDB(o)
	if err != nil {
		return s.openError(err)
	}
	s.db = db
	if err = s.load(); err == nil {
		err = s.checkEnd(c, bad)
	}
	if err == nil && s.findCore(0) == nil {
		err = damaged("%s has no record of Core 0", s.opts.Dir)
	}
	s.card.lost = s.mayHaveLost(bad)
	if err != nil {
		_ = db.Close()
	}
	return err
}

// syncJournals makes durable what the journal has: it may be served from now
// on, and an earlier life may have written it without a sync.
func (s *Store) syncJournals() error {
	files, err := journalFiles(s.fs, s.opts.Dir)
	if err != nil {
		return err
	}
	for _, j := range files {
		f, err := s.opts.FS.Open(s.fs.PathJoin(s.opts.Dir, j.name)) // s.fs lets nothing through any more
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil {
			return fmt.Errorf("xlog: %w", err)
		}
	}
	return nil
}

// openDB is pebble.Open, but it ends: Pebble waits for a flush of what is in
// the journal, and would wait for ever where that cannot be done.
func (s *Store) openDB(o *pebble.Options) (*pebble.DB, error) {
	type result struct {
		db  *pebble.DB
		err error
	}
	done, failed := make(chan result, 1), make(chan struct{})
	s.fail.tell(func(error) { close(failed) })
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r = result{err: fmt.Errorf("pebble: %v", p)}
			}
			done <- r
		}()
		r.db, r.err = pebble.Open(s.opts.Dir, o)
	}()
	if s.readOnly { // then it flushes nothing
		failed = nil
	}
	select {
	case r := <-done:
		return r.db, r.err
	case <-failed:
	}
	late := time.NewTimer(stuckLimit)
	defer late.Stop()
	select {
	case r := <-done:
		return r.db, r.err
	case <-late.C:
		go func() {
			if r := <-done; r.db != nil {
				_ = r.db.Close()
			}
		}()
		return nil, s.fail.get()
	}
}

// edit runs an operation of Pebble that first waits for a flush of what it lies
// beside, but it ends: a store that has failed flushes nothing, and Pebble would
// wait for ever.
func (s *Store) edit(what string, op func() error) error {
	done, failed := make(chan error, 1), make(chan struct{})
	forget := s.fail.tell(func(error) { close(failed) })
	defer forget()
	go func() {
		err := error(nil)
		defer func() {
			if p := recover(); p != nil { // the store may be closed under it
				err = fmt.Errorf("pebble: %v", p)
			}
			done <- err
		}()
		err = op()
	}()
	select {
	case err := <-done:
		return s.writeError(what, err)
	case <-failed:
	}
	late := time.NewTimer(editLimit)
	defer late.Stop()
	select {
	case err := <-done:
		return s.writeError(what, err)
	case <-late.C:
		return s.fail.get()
	}
}

// abandon gives back what a store that has failed holds: descriptors, memory
// and the lock. A write that hangs keeps them.
func (s *Store) abandon() {
	within(stuckLimit, func() {
		s.appendMu.Lock()
		defer s.appendMu.Unlock()
		s.metaMu.Lock()
		defer s.metaMu.Unlock()
		_ = s.db.Close()
		_ = s.lock.Close()
	})
}

// within runs f, and does not wait longer than d for its end.
func within(d time.Duration, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}
