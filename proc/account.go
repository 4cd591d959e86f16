package proc

import (
	"crypto/sha1"
	"encoding/base64"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// account finds a user or a role by name or ID, as viewer does in _vuser: to
// others there is none.
func account(s *box.Schema, viewer box.Credentials, v value) (u box.User, ok bool) {
	if name, isName := v.str(); isName {
		u, ok = s.UserByName(name)
	} else if id, isID := v.integer(); isID && id <= 1<<32-1 {
		u, ok = s.User(uint32(id))
	}
	if !ok || !s.SeesUser(viewer, &u) {
		return box.User{}, false
	}
	return u, true
}

func (t *txn) account(v value) (box.User, bool) { return account(t.schema(), t.user, v) }

func (t *txn) member(v value, role bool) (box.User, error) {
	return member(t.schema(), t.user, v, role)
}

// member of what viewer sees: users or roles.
func member(s *box.Schema, viewer box.Credentials, v value, role bool) (box.User, error) {
	u, ok := account(s, viewer, v)
	switch {
	case ok && u.Role == role:
		return u, nil
	case role:
		return u, xrow.Errorf(xrow.ErrNoSuchRole, valueText(v))
	}
	return u, noSuchUser(v)
}

func noSuchUser(v value) error { return xrow.Errorf(xrow.ErrNoSuchUser, valueText(v)) }

// valueText is a name or a number as a message repeats it.
func valueText(v value) string {
	if s, ok := v.str(); ok {
		return clip(s)
	}
	if n, ok := v.integer(); ok {
		return numText(n)
	}
	return v.luaType()
}

// passwordHash is base64(SHA1(SHA1(password))), what _user keeps.
func passwordHash(password string) string {
	first := sha1.Sum([]byte(password))
	second := sha1.Sum(first[:])
	return base64.StdEncoding.EncodeToString(second[:])
}

// authOf is the map of authentication methods.
func authOf(password string) mp.Pairs { return mp.Words("chap-sha1", passwordHash(password)) }

// hashPassword is box.schema.user.password(password).
func hashPassword(c *call) error {
	s, ok := c.arg(0).str()
	if !ok {
		return illegal("Usage: box.schema.user.password(password)")
	}
	c.reply(one(mp.Encode(passwordHash(s))))
	return nil
}

// exists is box.schema.user.exists(name) and box.schema.role.exists(name).
func exists(role bool) handler {
	return func(c *call) error {
		var found bool
		c.schema(func(s *box.Schema) {
			_, err := member(s, c.User, c.arg(0), role)
			found = err == nil
		})
		c.reply(one(mp.Encode(found)))
		return nil
	}
}

// createUser is box.schema.user.create(name, options).
func createUser(c *call) error {
	name, err := needString(c.arg(0), "name")
	if err != nil {
		return err
	}
	opts, err := readOptions(c.arg(1), template{"password": "string", "if_not_exists": "boolean", "_origin": "string"})
	if err != nil {
		return err
	}
	return c.write(true, func(t *txn) (values, error) {
		if _, ok := t.account(mp.Encode(name)); ok {
			return nil, t.existing(name, opts, xrow.ErrUserExists)
		}
		var auth mp.Pairs
		if opts.has("password") {
			auth = authOf(opts.str("password"))
		}
		id, err := t.insertAccount(opts.str("_origin"), name, "user", auth)
		if err != nil {
			return nil, err
		}
		return nil, t.firstGrants(id)
	})
}

// existing answers a wish to make an account that is there: from another origin
// it belongs to both, else it is the error.
func (t *txn) existing(name string, opts options, exists xrow.Code) error {
	row, err := t.get(xrow.SpaceUser, 2, keyStr(name))
	if err != nil {
		return err
	}
	origin := opts.str("_origin")
	switch {
	case userOrigins(row).of(origin) == 0:
		return t.addOrigin(row, origin)
	case opts.isTrue("if_not_exists"):
		return nil
	}
	return xrow.Errorf(exists, clip(name))
}

// insertAccount inserts a row of _user.
func (t *txn) insertAccount(origin, name, typ string, auth mp.Pairs) (id uint64, err error) {
	o := origins{{origin, 1}}
	id = uint64(t.schema().NextUserID())
	row := []any{id, t.user.User(), name, typ, auth, mp.Raw(noParts), t.now}
	if !o.onlyDefault() {
		row = append(row, o.ofUser())
	}
	return id, t.insert(xrow.SpaceUser, mp.Encode(row))
}

// firstGrants are the rights of every new user: the role public, to change
// itself, and, given by admin, to log in and to use its rights.
func (t *txn) firstGrants(id uint64) error {
	if _, err := t.addPriv(originDefault, t.user.User(), id, "role", mp.Encode(box.RolePublic), box.PrivExecute); err != nil {
		return err
	}
	if _, err := t.addPriv(originDefault, t.user.User(), id, "user", mp.Encode(id), box.PrivAlter); err != nil {
		return err
	}
	_, err := t.as(box.UserAdmin).addPriv(originDefault, box.UserAdmin, id, "universe", []byte{0}, box.PrivSession|box.PrivUsage)
	return err
}

// createRole is box.schema.role.create(name, options).
func createRole(c *call) error {
	name, err := needString(c.arg(0), "name")
	if err != nil {
		return err
	}
	opts, err := readOptions(c.arg(1), template{"if_not_exists": "boolean", "_origin": "string"})
	if err != nil {
		return err
	}
	return c.write(true, func(t *txn) (values, error) {
		if _, ok := t.account(mp.Encode(name)); ok {
			return nil, t.existing(name, opts, xrow.ErrRoleExists)
		}
		_, err := t.insertAccount(opts.str("_origin"), name, "role", mp.Pairs{})
		return nil, err
	})
}

// passwd is box.schema.user.passwd([name,] password).
func passwd(c *call) error {
	who, password := c.arg(0), c.arg(1)
	if who.isNil() {
		return illegal("Usage: box.schema.user.passwd([user,] password)")
	}
	own := password.isNil()
	if own {
		password = who
	}
	text, ok := password.str()
	if !ok {
		return illegal("Usage: box.schema.user.passwd([user,] password)")
	}
	return c.write(true, func(t *txn) (values, error) {
		if own { // one's own password is nobody else's business
			return nil, t.as(box.UserAdmin).setPassword(uint64(t.user.User()), text)
		}
		u, err := t.member(who, false)
		if err != nil {
			return nil, err
		}
		return nil, t.setPassword(uint64(u.ID), text)
	})
}

func (t *txn) setPassword(id uint64, password string) error {
	if id == uint64(box.UserGuest) && password != "" {
		return xrow.Errorf(xrow.ErrGuestUserPassword)
	}
	return t.update(xrow.SpaceUser, keyOf(id), assign(5, authOf(password), mp.Raw(noParts), t.now))
}

// dropAccount is box.schema.user.drop and box.schema.role.drop(name, options).
func dropAccount(role bool) handler {
	return func(c *call) error {
		opts, err := readOptions(c.arg(1), template{"if_exists": "boolean", "_origin": "string"})
		if err != nil {
			return err
		}
		who := c.arg(0)
		return c.write(true, func(t *txn) (values, error) {
			u, err := t.member(who, role)
			switch {
			case err != nil && opts.isTrue("if_exists"):
				return nil, nil
			case err != nil:
				return nil, err
			case u.ID <= box.RoleSuper:
				return nil, xrow.Errorf(xrow.ErrDropUser, valueText(who), "the user or the role is a system")
			case u.ID == t.user.User():
				return nil, xrow.Errorf(xrow.ErrDropUser, valueText(who), "the user is active in the current session")
			}
			return nil, t.dropFrom(opts, uint64(u.ID), who, role)
		})
	}
}

// dropFrom drops an account as far as its origin made it: what another one made
// too keeps what that gave.
func (t *txn) dropFrom(opts options, id uint64, who value, role bool) error {
	row, err := t.get(xrow.SpaceUser, 0, keyOf(id))
	if err != nil {
		return err
	}
	origin, o := opts.str("_origin"), userOrigins(row)
	left := o.with(origin, 0)
	switch {
	case o.of(origin) == 0 && opts.isTrue("if_exists"):
		return nil
	case o.of(origin) == 0 && role:
		return xrow.Errorf(xrow.ErrNoSuchRole, valueText(who))
	case o.of(origin) == 0:
		return noSuchUser(who)
	case len(left) == 0:
		return t.dropAccount(id, role)
	}
	privs, err := t.list(xrow.SpacePriv, 0, keyOf(id), maxRows)
	if err != nil {
		return err
	}
	for _, p := range privs {
		bits := privOrigins(p).of(origin)
		if bits == 0 {
			continue
		}
		if _, err := t.as(box.UserAdmin).takePriv(origin, id, p.str(2), p.field(3), bits); err != nil {
			return err
		}
	}
	return t.setOrigins(row, left)
}

// dropAccount drops what a user or role owns, revokes it from whom it was
// granted to, revokes what it was granted, and deletes it.
func (t *txn) dropAccount(id uint64, role bool) error {
	const indexOwner, indexObject = 1, 2
	spaces, err := t.list(xrow.SpaceSpace, indexOwner, keyOf(id), maxRows)
	if err != nil {
		return err
	}
	for _, s := range spaces {
		if err := t.dropSpace(s.uint(0), s.str(2)); err != nil {
			return err
		}
	}
	funcs, err := t.list(xrow.SpaceFunc, indexOwner, keyOf(id), maxRows)
	if err != nil {
		return err
	}
	for _, f := range funcs {
		if err := t.revokeAll("function", f.uint(0)); err != nil {
			return err
		}
		if err := t.delete(xrow.SpaceFunc, keyOf(f.uint(0))); err != nil {
			return err
		}
	}
	object := mp.Tuple("role", id)
	if err := t.dropRows(xrow.SpacePriv, indexObject, object, privKey); err != nil {
		return err
	}
	sequences, err := t.list(xrow.SpaceSequence, indexOwner, keyOf(id), maxRows)
	if err != nil {
		return err
	}
	for _, s := range sequences {
		if err := t.dropSequence(s.uint(0)); err != nil {
			return err
		}
	}
	if err := t.as(box.UserAdmin).revokeOwn(id, role); err != nil {
		return err
	}
	// Tarantool leaves rights on a user behind: they would be rights on the next
	// one that gets the number.
	object = mp.Tuple("user", id)
	if err := t.as(box.UserAdmin).dropRows(xrow.SpacePriv, indexObject, object, privKey); err != nil {
		return err
	}
	return t.delete(xrow.SpaceUser, keyOf(id))
}

// revokeOwn revokes what a user or role was granted, the rights that every user
// is born with first.
func (t *txn) revokeOwn(id uint64, role bool) error {
	if !role {
		_, err := t.takePriv(originDefault, id, "universe", []byte{0}, box.PrivSession|box.PrivUsage)
		if err != nil && !isCode(err, xrow.ErrPrivNotGranted) {
			return err
		}
	}
	return t.dropRows(xrow.SpacePriv, 0, keyOf(id), privKey)
}

// userInfo is box.schema.user.info([name]) and box.schema.role.info(name). Everybody
// may call the first one, so it tells what the caller sees in the views: the
// rights that it was given or gave, of accounts that it knows.
func userInfo(role bool) handler {
	return func(c *call) error {
		who := c.arg(0)
		if who.isNil() && !role {
			who = mp.Encode(c.User.User())
		}
		var u box.User
		var err error
		c.schema(func(s *box.Schema) { u, err = member(s, c.User, who, role) })
		if err != nil {
			return err
		}
		rows, err := c.rows(&box.Query{Space: xrow.ViewPriv, Key: keyOf(uint64(u.ID)), Limit: maxRows})
		if err != nil {
			return err
		}
		out := make([][3]string, 0, len(rows))
		for _, r := range rows {
			out = append(out, [3]string{privNames(box.Priv(r.uint(4))), r.str(2), c.objectName(r.str(2), r.field(3))})
		}
		c.reply(one(mp.Encode(out)))
		return nil
	}
}

// objectName is the name of what a row of _priv grants rights on; empty: the
// caller sees no such object.
func (c *call) objectName(class string, id value) string {
	if s, ok := id.str(); ok {
		return s // a whole class, or the name of a function
	}
	view, ok := classViews[class]
	if !ok {
		return ""
	}
	no, _ := id.integer()
	rows, err := c.rows(&box.Query{Space: view, Key: keyOf(no), Limit: 1})
	if err != nil || len(rows) == 0 {
		return ""
	}
	return rows[0].str(2)
}

// classViews are where the objects of a class are looked up by ID.
var classViews = map[string]uint32{"user": xrow.ViewUser, "role": xrow.ViewUser, "space": xrow.ViewSpace, "function": xrow.ViewFunc, "sequence": xrow.ViewSequence}

// rows reads with the caller's rights.
func (c *call) rows(q *box.Query) ([]tuple, error) {
	raw, n, err := c.query(q)
	if err != nil {
		return nil, err
	}
	return tuples(raw, n)
}
