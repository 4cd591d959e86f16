package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config of a [Log].
type Config struct {
	File    string
	MaxSize int64 // bytes of a file; required
	Keep    int   // earlier files that are kept beside it
	Filter  []string
	Modes   Modes
	UUID    func() string // of the instance, as it is now
	// Trouble is told when lines begin to be lost, and why, and with nil when they can
	// be written again. It is called by the log's goroutine; nil: nobody is told.
	Trouble func(error)
}

// queued records may wait for the file.
const queued = 4096

// Log is the audit log of an instance. A nil Log writes nothing.
type Log struct {
	cfg    Config
	filter Filter
	queue  chan record
	wake   chan struct{}
	anew   atomic.Bool // the file is to be opened again
	ended  sync.WaitGroup

	mu     sync.RWMutex // held to write to queue; to close it, alone
	closed bool

	written, lost atomic.Uint64

	file  file
	told  uint64 // of lost, in gap or in a line
	gap   uint64 // lost since the last line that was written
	cause error  // why lines cannot be written; nil: they can
}

type record struct {
	at time.Time
	Event
}

// Open opens the file, whose first line says which events are written. An error: it cannot
// be written, or the filter is wrong.
func Open(cfg Config) (*Log, error) {
	l, err := newLog(cfg)
	if err != nil {
		return nil, err
	}
	l.ended.Go(l.run)
	return l, nil
}

// newLog is a log that does not run yet.
func newLog(cfg Config) (*Log, error) {
	filter, err := ParseFilter(cfg.Filter)
	if err != nil {
		return nil, fmt.Errorf("audit_log.filter: %w", err)
	}
	l := &Log{cfg: cfg, filter: filter, queue: make(chan record, queued), wake: make(chan struct{}, 1),
		file: file{path: cfg.File, modes: cfg.Modes, most: cfg.MaxSize, keep: cfg.Keep}}
	if err := l.file.open(); err != nil {
		return nil, fmt.Errorf("audit_log.file: %w", err)
	}
	var names []string
	for _, name := range known() {
		if filter[Type(name)] {
			names = append(names, name)
		}
	}
	l.Write(Event{Type: Enable, Description: "Audit log enabled for events: " + strings.Join(names, ",")})
	return l, nil
}

// Wants tells whether events of a type are written: what only they need, need not be made.
func (l *Log) Wants(t Type) bool { return l != nil && l.filter[t] }

// Write hands an event over. It does not wait.
func (l *Log) Write(e Event) {
	if !l.Wants(e.Type) {
		return
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return
	}
	select {
	case l.queue <- record{time.Now(), e}:
	default:
		l.lost.Add(1)
	}
}

// Reopen opens the file by its name again, as who has moved it away asks for: what is
// written from now on is in that one.
func (l *Log) Reopen() {
	if l == nil {
		return
	}
	l.anew.Store(true)
	select {
	case l.wake <- struct{}{}:
	default: // it is about to look
	}
}

// Stats are numbers of records since the start.
type Stats struct{ Written, Lost uint64 }

// Stats says how many records are in the file, and how many are not.
func (l *Log) Stats() Stats {
	if l == nil {
		return Stats{}
	}
	return Stats{l.written.Load(), l.lost.Load()}
}

// Close writes what waits, and closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if !closed {
		close(l.queue)
	}
	l.ended.Wait()
	return l.file.close()
}

func (l *Log) run() {
	for {
		select {
		case <-l.wake:
			l.openAnew()
		case r, more := <-l.queue:
			l.openAnew()
			if !more {
				l.tellGap(time.Now())
				return
			}
			l.take(r)
		}
	}
}

// take writes a record, or counts it.
func (l *Log) take(r record) {
	if !l.tellGap(r.at) || !l.put(r) {
		l.lost.Add(1)
		l.told++
		l.gap++
	}
}

func (l *Log) openAnew() {
	if l.anew.Swap(false) {
		if err := l.file.close(); err != nil {
			l.note(err)
		}
	}
}

// tellGap writes how many records are not in the file; false: that could not be.
func (l *Log) tellGap(at time.Time) bool {
	if full := l.lost.Load() - l.told; full > 0 {
		l.told += full
		l.gap += full
		if l.cause == nil {
			l.note(fmt.Errorf("more than %d waited for the file", queued))
		}
	}
	if l.gap == 0 {
		return true
	}
	if !l.put(record{at, Event{Type: Lost, Description: fmt.Sprintf("%d events are missing here: %v", l.gap, l.cause)}}) {
		return false
	}
	l.gap = 0
	return true
}

// put writes a line; false: it is not in the file.
func (l *Log) put(r record) bool {
	b, err := json.Marshal(r.line(r.at, l.cfg.UUID()))
	if err == nil {
		err = l.file.append(append(b, '\n'))
	}
	if err == nil {
		l.written.Add(1)
	}
	l.note(err)
	return err == nil
}

// note tells of the first of several failures, and of their end.
func (l *Log) note(err error) {
	if tell := l.cfg.Trouble; tell != nil && (err == nil) != (l.cause == nil) {
		tell(err)
	}
	l.cause = err
}
