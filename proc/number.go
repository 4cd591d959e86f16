package proc

import (
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// Exactly-once sessions: docs/protocol/sessions.md.

// mayNumber tells whether a call may be one of a session: it makes one transaction, or
// it only reads.
func (c *call) mayNumber() error {
	if !strings.HasPrefix(c.Name, "box.schema.") && !strings.HasPrefix(c.Name, "box.space.") {
		return xrow.Errorf(xrow.ErrNoNumber, "it calls '"+shortName(c.Name)+"'")
	}
	if c.Txn != nil {
		return xrow.Errorf(xrow.ErrNoNumber, "it is within a transaction, of which only COMMIT does")
	}
	return nil
}

func shortName(name string) string { return name[:min(len(name), maxNameInMessage)] }

// failed answers a call that was not handed over. A failure of a repeat is the core's to
// remember, or an earlier copy could still succeed.
func (c *call) failed(err error) {
	if c.Number == nil || !c.Number.Repeat {
		c.fail(err)
		return
	}
	e := clientError(err)
	if err := c.hand(instance.Write{Requests: []instance.Request{{Conn: c.Conn, Sync: c.Sync, User: c.User, Number: c.Number,
		Do: func(*box.Txn) ([]byte, error) { return nil, e }}}}); err != nil {
		c.fail(err)
	}
}

// mayOpen: who may change any data may have a session, whoever may call what.
func (c *call) mayOpen(s *box.Schema) bool {
	return (c.Name == sessionOpen || c.Name == sessionClose) && s.MayWrite(c.User)
}

const (
	sessionOpen  = "tarragon.session.open"
	sessionClose = "tarragon.session.close"
)

// openSession is tarragon.session.open(slots): the ID of a new session.
func openSession(c *call) error {
	slots, ok := c.arg(0).integer()
	if len(c.args) != 1 || !ok {
		return illegal("Usage: %s(slots)", sessionOpen)
	}
	return c.submit(instance.OpenSession{Conn: c.Conn, Sync: c.Sync, User: c.User, Slots: slots})
}

// closeSession is tarragon.session.close(id).
func closeSession(c *call) error {
	id, ok := c.arg(0).str()
	if len(c.args) != 1 || !ok {
		return illegal("Usage: %s(id)", sessionClose)
	}
	return c.submit(instance.CloseSession{Conn: c.Conn, Sync: c.Sync, User: c.User, ID: id})
}
