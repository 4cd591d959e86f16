package proc

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// sessionUser is box.session.user() and effective_user().
func sessionUser(c *call) error {
	var name string
	c.schema(func(s *box.Schema) {
		u, _ := s.User(c.User.User())
		name = u.Name
	})
	c.reply(one(mp.Encode(name)))
	return nil
}

// sessionNumber is a procedure that returns a number of the session.
func sessionNumber(f func(c *call) uint64) handler {
	return func(c *call) error {
		c.reply(one(mp.Encode(f(c))))
		return nil
	}
}

// sessionType is box.session.type().
func sessionType(c *call) error {
	c.reply(one(mp.Encode("binary")))
	return nil
}

// sessionPeer is box.session.peer().
func sessionPeer(c *call) error {
	c.reply(one(mp.Encode(c.p.env.SessionPeer(c.Session.Conn))))
	return nil
}

// su is box.session.su(user): the session goes on as another user. Without Lua
// there is no reason to let everybody become admin who may call a procedure, as
// Tarantool does: it takes what an administrative procedure takes (decision 0019), or
// one's own name, and who has neither does not learn whether there is such a user. As
// there, the other user needs no right to log in.
func su(c *call) error {
	if len(c.args) > 1 {
		return unsupported("functions as arguments")
	}
	if len(c.args) == 0 {
		return xrow.Errorf(xrow.ErrIllegalParams, "session.su(): bad arguments")
	}
	var to box.Credentials
	var err error
	c.schema(func(s *box.Schema) {
		sees, anybody := c.User, s.CheckAdministrative(c.User, "box.session.su") == nil
		if anybody {
			sees = box.UserAdmin
		}
		u, ok := account(s, sees, c.arg(0))
		if (!ok || u.ID != c.User.User()) && !anybody {
			err = denied(s, c.User, "Session", "user", valueText(c.arg(0)))
		} else if to, _ = s.Credentials(u.ID); !ok || u.Role {
			err = noSuchUser(c.arg(0))
		}
	})
	if err != nil {
		return err
	}
	if err := c.p.env.Su(c.Session.Conn, to); err != nil {
		return err
	}
	c.reply(nil)
	return nil
}

// actAs is tarragon.act_as(user), for routers: the session goes on as another user, as if
// that one had logged in. It takes the right to act for others, or, as su does, a grant of its very
// name; and that user the right to log in, for the router has looked at nothing but his password.
func actAs(c *call) error {
	var granted bool
	c.schema(func(s *box.Schema) { granted = s.CheckAdministrative(c.User, xrow.ActAsCall) == nil })
	if !granted {
		if err := c.mayActForOthers(xrow.ActAsCall); err != nil {
			return err
		}
	}
	name, ok := c.arg(0).str()
	if !ok || len(c.args) != 1 {
		return illegal("Usage: %s(user)", xrow.ActAsCall)
	}
	user, err := c.userNamed(name)
	if err != nil {
		return err
	}
	c.schema(func(s *box.Schema) { err = s.CheckUniverse(user, box.PrivSession) })
	if err != nil {
		return err
	}
	if err := c.p.env.ActAs(c.Session.Conn, user); err != nil {
		return err
	}
	c.reply(nil)
	return nil
}
