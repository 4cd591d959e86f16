package server

import (
	"context"
	"fmt"

	"tarragon.dev/tarragon/audit"
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// openAudit opens the audit log; nil: none is configured.
func (s *Server) openAudit() (*audit.Log, error) {
	c := &s.in.Audit
	if c.File == "" {
		return nil, nil
	}
	return audit.Open(audit.Config{File: c.File, MaxSize: c.MaxSize, Keep: c.Keep, Filter: c.Filter,
		Modes: audit.Modes{File: s.in.Tarragon.FileMode, Dir: s.in.Tarragon.DirMode},
		UUID:  func() string { return s.main().life.UUID }, Trouble: s.auditTrouble})
}

// reopenLogs waits for who has moved files away.
func (s *Server) reopenLogs(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.cfg.Reopen:
			s.port.audit.Reopen()
		}
	}
}

func (s *Server) closeAudit() {
	if err := s.port.audit.Close(); err != nil {
		s.log.Error().Err(err).Msg("the audit log did not close cleanly")
	}
}

// auditTrouble is called by the log's goroutine.
func (s *Server) auditTrouble(err error) {
	const what = "the audit log cannot be written: its records are lost and counted"
	if !s.troubles.set(areaAudit, what, err) {
		return
	}
	if err != nil {
		s.log.Error().Err(err).Msg(what)
		return
	}
	s.log.Info().Uint64("lost", s.port.audit.Stats().Lost).Msg("the audit log can be written again")
}

func (s *Server) auditLogin(c *iproto.Conn, user string, err *xrow.Error) {
	e := audit.Event{Type: audit.AuthOK, Remote: c.RemoteAddr(), SessionType: sessionType(c), User: user, Description: fmt.Sprintf("Authenticate user %s", user)}
	if err != nil {
		e.Type, e.Description = audit.AuthFail, fmt.Sprintf("Failed to authenticate user %s: %s", user, err.Message)
	}
	s.port.audit.Write(e)
}

// auditDenied may be called with locks held: it asks nobody, the error names the user.
func (s *Server) auditDenied(c *iproto.Conn, err *xrow.Error) {
	if !s.port.audit.Wants(audit.AccessDenied) {
		return
	}
	e := audit.Event{Type: audit.AccessDenied, Remote: c.RemoteAddr(), SessionType: sessionType(c), User: "?", Description: err.Message}
	if fields, _, err := msgp.ReadMapStrIntfBytes(err.Fields, nil); err == nil {
		if user, ok := fields["user"].(string); ok {
			e.User = user
		}
	}
	s.port.audit.Write(e)
}

func (s *Server) auditClosed(c *iproto.Conn) {
	if !s.port.audit.Wants(audit.Disconnect) {
		return
	}
	s.port.audit.Write(audit.Event{Type: audit.Disconnect, Remote: c.RemoteAddr(), SessionType: sessionType(c), User: s.nameOf(box.Credentials(c.User())),
		Description: "Close connection"})
}

// auditCall is of an administrative procedure. What it is called with may be a secret.
func (s *Server) auditCall(conn uint64, user box.Credentials, name string) {
	if !s.port.audit.Wants(audit.Call) {
		return
	}
	e := audit.Event{Type: audit.Call, User: s.nameOf(user), Description: "Call administrative procedure " + name}
	s.from(&e, conn)
	s.port.audit.Write(e)
}

func sessionType(c *iproto.Conn) string {
	if c.Control() {
		return audit.Console
	}
	return audit.Binary
}

// from fills in where a request came from; conn 0 and questions of our own: from nowhere.
func (s *Server) from(e *audit.Event, conn uint64) {
	if conn == 0 || conn&internal != 0 {
		return
	}
	e.SessionType, e.Remote = audit.Binary, "gone"
	if c := s.port.clients.Conn(conn &^ inStream); c != nil {
		e.SessionType, e.Remote = sessionType(c), c.RemoteAddr()
	}
}

// nameOf is a user by the confirmed schema; empty: who was dropped.
func (s *Server) nameOf(c box.Credentials) (name string) {
	e := s.main().engine.Load()
	if e == nil {
		return ""
	}
	e.loop.Read(func(c2 *instance.Core) {
		u, _ := c2.Box().Schema().User(c.User())
		name = u.Name
	})
	return name
}

// auditFact is of what a core decides about who leads. It runs on the Loop's goroutine.
func (s *Server) auditFact(f *instance.Fact) {
	if !s.port.audit.Wants(audit.Leader) {
		return
	}
	e := audit.Event{Type: audit.Leader, Term: f.Term, LSN: f.LSN}
	switch f.Kind {
	case instance.FactInEffect:
		e.Description = fmt.Sprintf("Instance %d leads", f.Peer)
	case instance.FactHandedOver:
		e.Description = fmt.Sprintf("Leadership is handed over to instance %d: %s", f.Peer, f.Text)
	case raftResign:
		e.Description = "This instance resigns: " + f.Text
	case instance.FactExpelled:
		e.Description = "This instance is expelled"
	default:
		return
	}
	s.port.audit.Write(e)
}

// raftResign is a fact of package raft, whose names the core passes on.
const raftResign = instance.FactKind("resign")

// audit is of transactions that are decided. It runs on the Loop's goroutine, which owns the core.
func (f *front) audit(e *instance.Effects) {
	log := f.s.port.audit
	if log == nil {
		return
	}
	for i := range e.Lost {
		r := &e.Lost[i]
		log.Write(audit.Event{Type: audit.RowsVoided, Term: r.Term, LSN: r.LSN, Outcome: audit.RolledBack,
			Description: fmt.Sprintf("Transaction %d:%d is void: tarragon lost shows its rows", r.Origin, r.LSN)})
	}
	if len(e.Changes) == 0 {
		return
	}
	d := describer{f.e.core.Box().Schema()}
	for _, change := range e.Changes {
		ev := audit.Event{Term: change.Term, LSN: change.LSN, Outcome: audit.Done, User: d.user(uint64(change.User.User()))}
		if change.Conn == 0 {
			ev.User = ""
		}
		f.s.from(&ev, change.Conn)
		if change.Forwarded {
			ev.Remote += " (forwarded)"
		}
		if change.Void {
			ev.Outcome = audit.RolledBack
		}
		for i := range change.Rows {
			for _, what := range d.describe(&change.Rows[i]) {
				ev.Type, ev.Description = what.typ, what.text
				log.Write(ev)
			}
		}
	}
}
