package proc

import (
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// traveling are the procedures that change replicated data and nothing of the instance:
// an instance that does not lead has the leader do what they do. Those that end with a
// dot are all behind it, those with a colon methods of spaces and of their indexes.
var traveling = [...]string{"box.schema.space.", "box.schema.role.", "box.schema.user.", "box.schema.func.", "box.schema.create_space",
	":auto_increment", ":create_index", ":drop", ":format", ":rename", ":truncate", ":alter"}

// travels is the call as another instance may be asked for it; nil: it is for this one
// alone.
func (c *call) travels() *instance.Call {
	if c.forwarded != 0 || !mayTravel(c.Name) || c.space.id != 0 && !c.isGlobal(c.space.id) {
		return nil
	}
	return &instance.Call{Type: c.Type, Name: c.Name, Args: c.Args}
}

func mayTravel(name string) bool {
	for _, t := range traveling {
		if strings.HasPrefix(name, t) || t[0] == ':' && strings.HasPrefix(name, "box.space") && strings.HasSuffix(name, t) {
			return true
		}
	}
	return false
}

func (c *call) isGlobal(space uint32) (is bool) {
	c.p.env.Loop.Read(func(core *instance.Core) { is = core.Box().IsGlobalSpace(space) })
	return is
}

// forward is tarragon.forward(term, user, type, body): another instance, which takes this
// one for the leader of a term, asks in the name of a user. body is that of a request of
// the type: a DML, CALL or CALL_16 that changes replicated spaces. The answer is
// [data, origin, lsn]: what the request returns, and the transaction. READONLY is certain:
// nothing was executed. Who may act for others: see box.Schema.CheckActsFor.
func forward(c *call) error {
	if err := c.mayActForOthers(xrow.ForwardCall); err != nil {
		return err
	}
	term, okTerm := c.arg(0).integer()
	name, okUser := c.arg(1).str()
	typ, okType := c.arg(2).integer()
	if len(c.args) != 4 || !okTerm || term == 0 || !okUser || !okType || c.arg(3).kind() != kindMap {
		return illegal("Usage: %s(term, user, type, body)", xrow.ForwardCall)
	}
	user, err := c.userNamed(name)
	if err != nil {
		return err
	}
	switch t := xrow.Type(typ); t {
	case xrow.Insert, xrow.Replace, xrow.Update, xrow.Delete, xrow.Upsert:
		d, err := xrow.DecodeDML(t, c.arg(3))
		if err != nil {
			return err
		}
		return c.submit(instance.Write{Requests: []instance.Request{{Conn: c.Conn, Sync: c.Sync, User: user, DML: d, Forwarded: term}}})
	case xrow.Call, xrow.Call16:
		return c.forwardedCall(t, user, term)
	}
	return illegal("%s takes INSERT, REPLACE, UPDATE, DELETE, UPSERT, CALL and CALL_16, not %v", xrow.ForwardCall, xrow.Type(typ))
}

// mayActForOthers: whoever has the members' password, but not the place of one, changes no
// data by it.
func (c *call) mayActForOthers(name string) (err error) {
	c.schema(func(s *box.Schema) {
		err = s.CheckActsFor(c.User, name)
		if from := c.p.env.FromMember; err == nil && from != nil && !from(c.Session.Conn) && !s.IsSuper(c.User) {
			err = denied(s, c.User, box.PrivExecute.String(), "function", name)
			err.(*xrow.Error).Message += ": members may call it, from the addresses at which the configuration has them"
		}
	})
	return err
}

// userNamed gives the credentials of who is asked for.
func (c *call) userNamed(name string) (user box.Credentials, err error) {
	c.schema(func(s *box.Schema) {
		u, ok := s.UserByName(name)
		if !ok || u.Role {
			err = xrow.Errorf(xrow.ErrNoSuchUser, name)
			err.(*xrow.Error).Message += ": it was dropped, or the leader does not know it yet"
			return
		}
		user, _ = s.Credentials(u.ID)
	})
	return user, err
}

func (c *call) forwardedCall(t xrow.Type, user box.Credentials, term uint64) error {
	name, args, err := xrow.DecodeCall(c.arg(3))
	if err != nil {
		return err
	}
	if !mayTravel(name) {
		return illegal("'%s' is for the instance that is asked, and not forwarded", name)
	}
	asked := &call{Call: Call{Conn: c.Conn, Sync: c.Sync, Session: c.Session, Txn: c.Txn, User: user, Type: t, Name: name, Args: args,
		Reply: func(data []byte, err *xrow.Error) { // it has changed nothing
			if err == nil {
				data = xrow.ForwardedData(data, 0, 0)
			}
			c.Reply(data, err)
		}}, p: c.p, forwarded: term}
	return asked.serve()
}
