package server

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/hook"

	"github.com/rs/zerolog"
)

// roleHook has the operator's program run when the role of this instance changes
// (tarragon.on_role_change).
//
// Invariant: what it tells last is the newest role, and behind leave it is that of a
// follower.
type roleHook struct {
	hook *hook.Hook
	name string
	end  context.CancelFunc

	mu    sync.Mutex
	told  role
	knows bool // told something
	left  bool // the instance stops: it leads no more
}

// role is what an instance is to its clients: it leads while it takes their writes.
type role struct {
	leads bool
	term  uint64
}

// differs tells whether the program has to hear of it: a leader that has lost its office and
// got it back since is one anew, for somebody else may have led in between.
func (r role) differs(from role) bool { return r.leads != from.leads || r.leads && r.term != from.term }

// startHook starts the goroutine that runs the program; nil: there is none.
func (s *Server) startHook() *roleHook {
	c := &s.in.Tarragon
	if len(c.OnRoleChange) == 0 {
		return nil
	}
	ctx, end := context.WithCancel(context.Background())
	h := &roleHook{name: s.in.Name, end: end}
	h.hook = hook.New(hook.Config{Argv: c.OnRoleChange, Dir: s.in.WorkDir, Timeout: c.OnRoleChangeTimeout, Done: s.hookDone})
	s.bg.Go(func() { h.hook.Run(ctx) })
	return h
}

// hookDone shows how a run has ended. It ran as long as its timeout at most, so there are
// no more lines than that allows.
func (s *Server) hookDone(r hook.Result) {
	s.troubles.set(areaHook, config.OnRoleChange, r.Err)
	level := zerolog.InfoLevel
	if r.Err != nil {
		level = zerolog.ErrorLevel
	}
	s.log.WithLevel(level).Err(r.Err).Strs("program", s.in.Tarragon.OnRoleChange).Dur("took", r.Took).Str("output", r.Output).Int("dropped", r.Dropped).
		Msg(config.OnRoleChange)
}

// look tells the program of a role that is new to it.
func (h *roleHook) look(l *look, addressOf func(uuid string) string) {
	if h == nil {
		return
	}
	now := role{!l.RO, l.Term}
	id := l.LeaderInEffect()
	if now.leads {
		id = l.ID // with elections off, too
	}
	name, uuid := "", ""
	for _, m := range l.Members {
		if m.ID == id {
			name, uuid = m.Name, m.UUID
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left || h.knows && !now.differs(h.told) {
		return
	}
	h.tell(now, name, addressOf(uuid))
}

// resigned tells the program that this instance leads no more: its run has ended, and
// the next one looks for itself.
func (h *roleHook) resigned() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.told.leads {
		h.tell(role{term: h.told.term}, "", "")
	}
}

// leave is resigned for good: the process stops.
func (h *roleHook) leave() {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.left = true // before the last word: a look that comes late changes nothing
	h.mu.Unlock()
	h.resigned()
}

func (h *roleHook) tell(now role, leader, uri string) {
	h.told, h.knows = now, true
	word := "follower"
	if now.leads {
		word = "leader"
	}
	h.hook.Tell([]string{"TARRAGON_ROLE=" + word, "TARRAGON_TERM=" + strconv.FormatUint(now.term, 10), "TARRAGON_INSTANCE=" + printable(h.name),
		"TARRAGON_LEADER=" + printable(leader), "TARRAGON_LEADER_URI=" + printable(uri)})
}

// close ends the goroutine, which gives what was told last a little time.
func (h *roleHook) close() {
	if h != nil {
		h.end()
	}
}

// printable is a text of the replica set's without what no variable may hold, and no
// program expects: names come from other members.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}
