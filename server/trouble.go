package server

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// area is a part of the instance that can be in trouble.
type area int

const (
	areaCheckpoint area = iota
	areaRetention
	areaGuarantee
	areaCredentials
	areaFounding
	areaMemory
	areaMembers
	areaHook
	areaProcedures
	areaTLS
	areaAudit
	areas
)

// troubles keeps the present error of each area for status. A success takes
// it away.
type troubles struct {
	mu  sync.Mutex
	now [areas]trouble
}

type trouble struct {
	text string // empty: all is well
	at   time.Time
}

// set takes down how the last attempt ended; fresh tells that this is news.
func (t *troubles) set(a area, what string, err error) (fresh bool) {
	text := ""
	if err != nil {
		text = what + ": " + err.Error()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh = t.now[a].text != text
	if fresh {
		t.now[a] = trouble{text, time.Now()}
	}
	return fresh
}

// last is the newest trouble that is not over; its text is empty: none.
func (t *troubles) last() (newest trouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.now {
		if x.text != "" && !x.at.Before(newest.at) {
			newest = x
		}
	}
	return newest
}

// all are those that are not over, in the order of their areas.
func (t *troubles) all() (texts []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.now {
		if x.text != "" {
			texts = append(texts, x.text)
		}
	}
	return texts
}

// lastError is the newest trouble of the process and its nodes.
func (s *Server) lastError() string {
	newest := s.troubles.last()
	for _, n := range s.nodes() {
		if t := n.troubles.last(); t.text != "" && !t.at.Before(newest.at) {
			newest = t
		}
	}
	return newest.text
}

// limiter lets some log lines of a kind through in each span of time and
// counts the others, so that a client gone wild does not fill the disk.
type limiter struct {
	mu      sync.Mutex
	since   time.Time
	n       int
	dropped int
}

const (
	limiterSpan  = 10 * time.Second
	limiterLines = 5
)

// allow tells whether to log; dropped is how many were not since the last that was.
func (l *limiter) allow(now time.Time) (ok bool, dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) >= limiterSpan {
		l.since, l.n = now, 0
	}
	if l.n >= limiterLines {
		l.dropped++
		return false, 0
	}
	l.n++
	dropped, l.dropped = l.dropped, 0
	return true, dropped
}

// rated is how a line of that kind is logged now: as a warning that says how
// many were not, or for who debugs.
func (l *limiter) rated(log zerolog.Logger) (zerolog.Logger, zerolog.Level) {
	ok, dropped := l.allow(time.Now())
	if !ok {
		return log, zerolog.DebugLevel
	}
	if dropped > 0 {
		log = log.With().Int("not_logged", dropped).Logger()
	}
	return log, zerolog.WarnLevel
}
