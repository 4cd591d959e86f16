package server

import (
	"fmt"
	"reflect"
	"strings"

	"tarragon.dev/tarragon/audit"
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// describer says what a change of a system space means, in names of one dictionary. It
// tells no more of a tuple than names and numbers: some hold what is enough to log in.
type describer struct{ schema *box.Schema }

// described is a record of the audit log.
type described struct {
	typ  audit.Type
	text string
}

// tuple is one of a system space, decoded; nil: there is none.
type tuple []any

func decodeTuple(b []byte) tuple {
	if b == nil {
		return nil
	}
	v, _, err := msgp.ReadIntfBytes(b)
	if fields, ok := v.([]any); ok && err == nil {
		return fields
	}
	return tuple{} // it was written, so it is there
}

func (t tuple) field(n int) any {
	if n < len(t) {
		return t[n]
	}
	return nil
}

func (t tuple) text(n int) string {
	s, _ := t.field(n).(string)
	return s
}

func (t tuple) uint(n int) uint64 {
	switch v := t.field(n).(type) {
	case uint64:
		return v
	case int64:
		return uint64(v)
	}
	return 0
}

// words are what is done to an object by a row that comes, changes, or goes.
func words(old, now tuple) (verb string, t tuple) {
	switch {
	case old == nil:
		return "Create", now
	case now == nil:
		return "Drop", old
	}
	return "Alter", now
}

// pick is the type of what a row does.
func pick(old, now tuple, create, alter, drop audit.Type) audit.Type {
	switch {
	case old == nil:
		return create
	case now == nil:
		return drop
	}
	return alter
}

func (d describer) describe(c *instance.ChangedTuple) []described {
	old, now := decodeTuple(c.Old), decodeTuple(c.New)
	if old == nil && now == nil {
		return nil // made and gone in one transaction
	}
	verb, t := words(old, now)
	switch c.Space {
	case xrow.SpaceSpace:
		return one(pick(old, now, audit.SpaceCreate, audit.SpaceAlter, audit.SpaceDrop), "%s space %s", verb, t.text(2))
	case xrow.SpaceIndex:
		return one(audit.SpaceAlter, "%s index %s of space %s", verb, t.text(2), d.space(t.uint(0)))
	case xrow.SpaceTruncate:
		return one(audit.SpaceTruncate, "Truncate space %s", d.space(t.uint(0)))
	case xrow.SpaceUser:
		return describeUser(old, now, verb, t)
	case xrow.SpacePriv:
		return d.describeGrant(old, now, t)
	case xrow.SpaceFunc:
		return one(audit.FuncChange, "%s function %s", verb, t.text(2))
	case xrow.SpaceSequence:
		return one(audit.SequenceChange, "%s sequence %s", verb, t.text(2))
	case xrow.SpaceCluster:
		return one(audit.MemberChange, "%s member %d, %s %s", verb, t.uint(0), t.text(1), t.text(2))
	case xrow.SpaceSchema:
		return nil // it follows from the rest
	}
	return one(audit.SystemChange, "%s %q in %s", verb, fmt.Sprint(t.field(0)), d.space(uint64(c.Space)))
}

func one(typ audit.Type, format string, args ...any) []described {
	return []described{{typ, strings.TrimSpace(fmt.Sprintf(format, args...))}}
}

// describeUser: field 4 of _user is what logs in with.
func describeUser(old, now tuple, verb string, t tuple) []described {
	kind := t.text(3)
	if old == nil || now == nil {
		typ := pick(old, now, audit.UserCreate, "", audit.UserDrop)
		if kind == "role" {
			typ = pick(old, now, audit.RoleCreate, "", audit.RoleDrop)
		}
		return one(typ, "%s %s %s", verb, kind, t.text(2))
	}
	if !reflect.DeepEqual(old.field(4), now.field(4)) {
		return one(audit.PasswordChange, "Change password of user %s", t.text(2))
	}
	return one(audit.SystemChange, "Alter %s %s", kind, t.text(2))
}

// describeGrant: a row of _priv has the grantee, the class and ID of an object, and a mask.
func (d describer) describeGrant(old, now, t tuple) (out []described) {
	was, is := box.Priv(old.uint(4)), box.Priv(now.uint(4))
	grant, revoke, kind := audit.UserGrant, audit.UserRevoke, "user"
	to := d.user(t.uint(1))
	if u, ok := d.schema.User(uint32(t.uint(1))); ok && u.Role {
		grant, revoke, kind = audit.RoleGrant, audit.RoleRevoke, "role"
	}
	on := d.object(t.text(2), t.field(3))
	if more := is &^ was; more != 0 {
		out = append(out, one(grant, "Grant %s on %s to %s %s", rights(more), on, kind, to)...)
	}
	if less := was &^ is; less != 0 {
		out = append(out, one(revoke, "Revoke %s on %s from %s %s", rights(less), on, kind, to)...)
	}
	return out
}

func rights(p box.Priv) string {
	var names []string
	for bit := box.Priv(1); bit != 0 && bit <= p; bit <<= 1 {
		if p&bit != 0 {
			names = append(names, strings.ToLower(bit.String()))
		}
	}
	return strings.Join(names, ",")
}

// object is what a right is on: all of a class where the ID is a text.
func (d describer) object(class string, id any) string {
	n, ok := id.(uint64)
	if i, isInt := id.(int64); isInt {
		n, ok = uint64(i), true
	}
	switch {
	case !ok:
		return class
	case class == "space":
		return class + " " + d.space(n)
	case class == "user" || class == "role":
		return class + " " + d.user(n)
	case class == "universe":
		return class
	}
	return fmt.Sprintf("%s %d", class, n)
}

// space and user are names, or numbers where it is gone.
func (d describer) space(id uint64) string {
	if sp, ok := d.schema.Named(uint32(id)); ok {
		return sp.Name
	}
	return fmt.Sprint(id)
}

func (d describer) user(id uint64) string {
	if u, ok := d.schema.User(uint32(id)); ok {
		return u.Name
	}
	return fmt.Sprint(id)
}
