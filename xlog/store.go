package xlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Mode is what an append waits for.
type Mode uint8

// Modes, by the names of wal.mode.
const (
	Fsync Mode = iota // the disk: survives the machine
	Write             // the kernel: survives the process, not the machine
	None              // nothing: survives neither; for single nodes only
)

func (m Mode) String() string {
	switch m {
	case Fsync:
		return "fsync"
	case Write:
		return "write"
	case None:
		return "none"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Options say how to open a store. A zero field means its default.
type Options struct {
	Dir  string // of its own: nothing else may be in it; required
	FS   vfs.FS // the operating system's, with FileMode and DirMode
	Mode Mode   // Fsync
	// FileMode and DirMode are the modes of all that is made, whatever the umask
	// says; 0600 and 0700. They are not for an FS of the caller.
	FileMode, DirMode fs.FileMode
	// Log is told of what an operator may want to know: recovery, retention,
	// trouble. It may be called from any goroutine; nil for none.
	Log func(Event)
	// Synced is told how long the disk took for each write of groups: with its sync, where
	// the mode has one. It must not block; nil: nobody asks.
	Synced func(took time.Duration)
	// BootID names the current life of the machine; empty: read from Linux.
	BootID       string
	MaxOpenFiles int    // descriptors for tables, about; 1000, never less than MinOpenFiles
	CacheSize    int64  // bytes of table blocks kept in memory; 8 MiB
	MemTableSize uint64 // bytes; 64 MiB: a journal file and a table of the log are about as long
}

// Event is something that happened in the store.
type Event struct {
	Level Level
	Text  string
	Err   error // nil: none
}

// Level tells how much an Event matters.
type Level uint8

// Levels of events.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// MinOpenFiles is how many descriptors a store may need whatever it is told:
// tables that are open, of which Pebble keeps 64, journals, the manifest,
// directories, a checkpoint and a table that are being written.
const MinOpenFiles = 96

const (
	defaultCacheSize = 8 << 20
	// defaultMemTableSize is what is kept of the log until it becomes a table. Pebble has two
	// of them: one that is written to disk, or waits to be used again. Larger ones are
	// memory for nothing, since tables of the log are never merged; smaller ones
	// are more files.
	defaultMemTableSize = 32 << 20
)

// Store is an open store: what all Cores of a process share. Its methods may be
// called from any goroutine.
type Store struct {
	db   *pebble.DB
	lock *pebble.Lock
	opts Options
	fs   *walFS
	fail latch

	// readOnly: the disk was full when the store was opened. It has failed from
	// the start then, but what is read was read in this life of the process.
	readOnly bool

	appendMu sync.Mutex // one batch at a time
	scratch  []byte     // head of the group that is being encoded
	items    []item     // of Slot.Append
	owners   owners     // the next owner list
	tail     uint64     // position of the newest group that was encoded

	last atomic.Uint64 // position of the newest synced group

	// metaMu serialises everything that is written as a table, and guards what
	// follows. Who has it may take appendMu.
	metaMu   sync.Mutex
	cores    []core           // by ID
	slots    map[uint32]*Slot // those of Cores and fresh ones, by number
	nextSlot uint32           // never given while a group may bear it

	tables atomic.Uint64 // names of tables to ingest
	card   card
	torn   string // where Open found a torn tail, for messages; empty: nowhere
	closed atomic.Bool
}

// latch keeps the first failure.
type latch struct {
	mu   sync.Mutex
	err  error
	told map[*func(error)]struct{}
}

func (l *latch) get() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// set keeps err if it is the first, and tells those who asked.
func (l *latch) set(err error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = fmt.Errorf("%w (%s): %w", ErrFailed, remedy(err), err)
	told := l.told
	l.told = nil
	err = l.err
	l.mu.Unlock()
	for f := range told {
		(*f)(err)
	}
}

// tell calls f with the first failure, at once if there was one. forget ends that.
func (l *latch) tell(f func(error)) (forget func()) {
	l.mu.Lock()
	err := l.err
	if err == nil {
		if l.told == nil {
			l.told = map[*func(error)]struct{}{}
		}
		l.told[&f] = struct{}{}
	}
	l.mu.Unlock()
	if err != nil {
		f(err)
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.told, &f)
	}
}

// usable tells why the store must not be read.
func (s *Store) usable() error {
	if s.closed.Load() {
		return ErrClosed
	}
	if s.readOnly {
		return nil
	}
	return s.fail.get()
}

// writable tells why the store must not be written.
func (s *Store) writable() error {
	if s.closed.Load() {
		return ErrClosed
	}
	return s.fail.get()
}

// Mode is the mode the store was opened in.
func (s *Store) Mode() Mode { return s.opts.Mode }

// readError says what a failed read means: damage, or a disk that cannot be read.
func (s *Store) readError(what string, err error) error {
	if err := s.fail.get(); err != nil && !s.readOnly {
		return err
	}
	if damage := asDamage(what, err); errors.Is(damage, ErrCorrupt) {
		return damage
	}
	return fmt.Errorf("xlog: read %s: %w", what, err)
}

// asDamage makes ErrCorrupt of what Pebble calls corruption; any other error stays.
func asDamage(what string, err error) error {
	if !pebble.IsCorruptionError(err) {
		return err
	}
	text, _, _ := strings.Cut(err.Error(), "\n") // the rest are carriers for Pebble's own use
	return damaged("%s: %s", what, text)
}

// writeError latches a failed write.
func (s *Store) writeError(what string, err error) error {
	if err != nil {
		s.fail.set(fmt.Errorf("%s: %w", what, asDamage("a table", err)))
	}
	return s.fail.get()
}

func (s *Store) log(level Level, err error, format string, args ...any) {
	if s.opts.Log != nil {
		s.opts.Log(Event{Level: level, Text: fmt.Sprintf(format, args...), Err: err})
	}
}

var _ io.Closer = (*Store)(nil)
