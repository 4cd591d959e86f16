package proc

import (
	"fmt"
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// privilege is what a call of grant or revoke names.
type privilege struct {
	text   string // as given, for messages
	bits   box.Priv
	class  string
	object string // as given, for messages; empty: the whole class, or the only one of its class
	id     value  // of the object, as _priv keeps it
}

// grant is box.schema.user.grant and box.schema.role.grant(who, privilege,
// class, object, options), or (who, role).
func grant(role bool) handler {
	return func(c *call) error {
		opts, err := readOptions(c.arg(4), template{"grantor": "string, number", "if_not_exists": "boolean", "_origin": "string"})
		if err != nil {
			return err
		}
		return c.write(true, func(t *txn) (values, error) {
			id, p, err := t.privilegeArgs(c, role)
			if err != nil {
				return nil, err
			}
			grantor := uint64(t.user.User())
			if opts.has("grantor") {
				if grantor, err = t.userOrRole(opts["grantor"]); err != nil {
					return nil, err
				}
			}
			done, err := t.addPriv(opts.str("_origin"), uint32(grantor), id, p.class, p.id, p.bits)
			if err == nil && !done && !opts.isTrue("if_not_exists") {
				err = p.granted(valueText(c.arg(0)))
			}
			return nil, err
		})
	}
}

// revoke is box.schema.user.revoke and box.schema.role.revoke.
func revoke(role bool) handler {
	return func(c *call) error {
		opts, err := readOptions(c.arg(4), template{"if_exists": "boolean", "_origin": "string"})
		if err != nil {
			return err
		}
		return c.write(true, func(t *txn) (values, error) {
			id, p, err := t.privilegeArgs(c, role)
			if err != nil {
				return nil, err
			}
			origin := opts.str("_origin")
			left, err := t.takePriv(origin, id, p.class, p.id, p.bits)
			if isCode(err, xrow.ErrPrivNotGranted) {
				if opts.isTrue("if_exists") {
					return nil, nil
				}
				return nil, p.notGranted(valueText(c.arg(0)), origin, left)
			}
			return nil, err
		})
	}
}

// enable grants or revokes what a user needs to log in.
func enable(on bool) handler {
	return func(c *call) error {
		return c.write(true, func(t *txn) (values, error) {
			u, err := t.member(c.arg(0), false)
			if err != nil {
				return nil, err
			}
			const bits = box.PrivSession | box.PrivUsage
			id := uint64(u.ID)
			if !on {
				if _, err := t.takePriv(originDefault, id, "universe", value{0}, bits); err != nil && !isCode(err, xrow.ErrPrivNotGranted) {
					return nil, err
				}
				return nil, nil
			}
			_, err = t.addPriv(originDefault, t.user.User(), id, "universe", value{0}, bits)
			return nil, err
		})
	}
}

// privilegeArgs reads who, and what of which object.
func (t *txn) privilegeArgs(c *call, role bool) (grantee uint64, p privilege, err error) {
	u, err := t.member(c.arg(0), role)
	if err != nil {
		return 0, p, err
	}
	if role && isSystemPriv(c.arg(1)) {
		return 0, p, xrow.Errorf(xrow.ErrGrant, "system privilege can not be granted to role")
	}
	text, class, object := c.arg(1), c.arg(2), c.arg(3)
	if object.isNil() {
		if class.isNil() { // (who, role)
			class, object, text = mp.Encode("role"), text, mp.Encode("execute")
		} else { // (who, privilege, class)
			object = value{0xa0}
		}
	}
	p.text = valueText(text)
	p.class, _ = class.str()
	if p.bits, err = checkPriv(text, p.class); err != nil {
		return 0, p, err
	}
	p.object = valueText(object)
	p.id, err = t.objectID(p.class, object)
	return uint64(u.ID), p, err
}

// isSystemPriv: rights to log in make no sense for a role.
func isSystemPriv(v value) bool {
	if s, ok := v.str(); ok {
		s = lower(s)
		return strings.Contains(s, "session") || strings.Contains(s, "usage")
	}
	n, _ := v.integer()
	return box.Priv(n)&(box.PrivSession|box.PrivUsage) != 0
}

// objectID is the ID of an object as _priv keeps it: 0 for what exists once,
// "" for a whole class.
func (t *txn) objectID(class string, v value) (value, error) {
	name, isName := v.str()
	if !isName && v.kind() != kindNumber {
		return nil, illegal("wrong object name type")
	}
	switch {
	case class == "universe" || class == "lua_eval" || class == "sql":
		return value{0}, nil
	case class == "lua_call":
		return v, nil
	case isName && name == "":
		return value{0xa0}, nil
	}
	switch class {
	case "space":
		return t.objectRow(xrow.SpaceSpace, 2, v, xrow.ErrNoSuchSpace)
	case "function":
		return t.objectRow(xrow.SpaceFunc, 2, v, xrow.ErrNoSuchFunction)
	case "sequence":
		return t.objectRow(xrow.SpaceSequence, 2, v, xrow.ErrNoSuchSequence)
	case "user", "role":
		u, err := t.member(v, class == "role")
		return mp.Encode(u.ID), err
	}
	return nil, xrow.Errorf(xrow.ErrUnknownSchemaObject, clip(class))
}

// objectRow finds the row of an object by name or ID.
func (t *txn) objectRow(space, byName uint32, v value, missing xrow.Code) (value, error) {
	index, key := byName, mp.Tuple(v)
	if v.kind() == kindNumber {
		index = 0
	}
	row, err := t.get(space, index, key)
	if err == nil && row == nil {
		err = xrow.Errorf(missing, valueText(v))
	}
	return row.field(0), err
}

// granted is the error of a right that is there already.
func (p *privilege) granted(who string) error {
	if p.isRole() {
		return xrow.Errorf(xrow.ErrRoleGranted, who, p.object)
	}
	object := p.class
	if p.class != "universe" && p.class != "lua_eval" && p.class != "sql" {
		object = fmt.Sprintf("%s '%s'", p.class, p.object)
	}
	return xrow.Errorf(xrow.ErrPrivGranted, who, p.text, object, p.class, p.object)
}

// notGranted is the error of a right that an origin did not give; all is what
// the others did.
func (p *privilege) notGranted(who, origin string, all box.Priv) error {
	e := xrow.Errorf(xrow.ErrPrivNotGranted, who, p.text, p.class, p.object)
	if p.isRole() {
		e = xrow.Errorf(xrow.ErrRoleNotGranted, who, p.object)
	}
	e.Fields = nil // Tarantool says this in Lua, by the text alone
	if p.bits&all != 0 {
		if origin == originDefault {
			origin = "default"
		}
		e.Message += " provided by " + clip(origin) + " origin"
	}
	return e
}

func (p *privilege) isRole() bool { return p.class == "role" && p.object != "" && p.text == "execute" }

// putPriv writes a row of _priv.
func (t *txn) putPriv(grantor uint32, grantee uint64, class string, id value, o origins) error {
	row := []any{grantor, grantee, class, id.shortest(), o.all()}
	if !o.onlyDefault() {
		row = append(row, o.ofPriv())
	}
	return t.replace(xrow.SpacePriv, mp.Encode(row))
}

// takePriv takes bits from an origin in a row of _priv, and deletes it with its
// last one. The error of bits that the origin did not give is PRIV_NOT_GRANTED;
// all is what the row gives.
func (t *txn) takePriv(origin string, grantee uint64, class string, id value, bits box.Priv) (all box.Priv, err error) {
	key := privKeyOf(grantee, class, id)
	have, err := t.get(xrow.SpacePriv, 0, key)
	if err != nil {
		return 0, err
	}
	o := privOrigins(have)
	old := o.of(origin)
	if old&bits == 0 {
		return o.all(), xrow.Errorf(xrow.ErrPrivNotGranted, "", "", "", "")
	}
	left := o.with(origin, old&^bits)
	if left.all() == 0 {
		return 0, t.delete(xrow.SpacePriv, key)
	}
	return left.all(), t.putPriv(uint32(have.uint(0)), grantee, class, id, left)
}

// revokeAll deletes all rights on an object.
func (t *txn) revokeAll(class string, id uint64) error {
	const indexObject = 2
	key := mp.Tuple(class, id)
	return t.dropRows(xrow.SpacePriv, indexObject, key, privKey)
}

// privKey is the primary key of a row of _priv.
func privKey(r tuple) []byte { return privKeyOf(r.uint(1), r.str(2), r.field(3)) }

func privKeyOf(grantee uint64, class string, id value) []byte {
	return mp.Tuple(grantee, class, id.shortest())
}
