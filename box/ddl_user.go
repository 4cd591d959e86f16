package box

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"tarragon/xrow"

	"github.com/google/uuid"
)

func validUUID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && len(s) == 36 && id != uuid.Nil
}

// parseUser reads a row of _user.
func parseUser(tuple []byte) (User, error) {
	row := splitRow(tuple)
	u := User{ID: uint32(row.uint(0)), Owner: uint32(row.uint(1)), Name: row.string(2)}
	if err := checkName(u.Name); err != nil {
		return u, err
	}
	fail := func(detail string) error { return xrow.Errorf(xrow.ErrCreateUser, shortName(u.Name), detail) }
	switch row.string(3) {
	case "user":
	case "role":
		u.Role = true
	default:
		return u, fail("unknown user type")
	}
	auth := row.raw(4)
	if kindOf(auth) == kindArray && auth[0] == 0x90 {
		return u, nil
	}
	ok, err := eachPair(auth, func(key string, v []byte) error {
		if key != "chap-sha1" {
			return nil
		}
		var hash [32]byte
		if kindOf(v) != kindStr {
			return xrow.Errorf(xrow.ErrInvalidAuthData, key, "scramble must be string")
		}
		s := text(v)
		if base64.StdEncoding.DecodedLen(len(s)) > len(hash) {
			return xrow.Errorf(xrow.ErrInvalidAuthData, key, "invalid scramble size")
		}
		n, err := base64.StdEncoding.Decode(hash[:], s)
		if err != nil || n != 20 {
			return xrow.Errorf(xrow.ErrInvalidAuthData, key, "invalid scramble size")
		}
		u.Hash = bytes.Clone(hash[:n])
		return nil
	})
	switch {
	case err != nil:
		return u, err
	case !ok:
		return u, fail("use space 'auth' field to store authentication data")
	case u.Role && auth[0] != 0x80:
		return u, fail("authentication data can not be set for a role")
	}
	return u, nil
}

// onUser creates, alters or drops a user or role.
func (t *Txn) onUser(old, new []byte, who actor) error {
	if new == nil {
		return t.dropUser(uint32(splitRow(old).uint(0)), who)
	}
	u, err := parseUser(new)
	if err != nil {
		return err
	}
	was := t.dict.users[u.ID]
	need := PrivAlter
	if was == nil {
		need = PrivCreate
		if len(t.dict.users) >= maxUsers {
			return xrow.Errorf(xrow.ErrUserMax, maxUsers)
		}
	}
	if err := t.allowed(who, u.class(), u.ID, u.Name, u.Owner, need); err != nil {
		return err
	}
	t.schema().putUser(u)
	t.dict.setRights()
	return nil
}

func (u *User) class() string {
	if u.Role {
		return classRole
	}
	return classUser
}

func (s *Schema) putUser(u User) {
	a := &account{User: u}
	if old := s.users[u.ID]; old != nil {
		delete(s.userNames, old.Name)
		a.nth = old.nth
	} else if !lasting(u.ID) {
		s.made++
		a.nth = s.made
	}
	s.users[u.ID] = a
	s.userNames[u.Name] = u.ID
}

func (t *Txn) dropUser(id uint32, who actor) error {
	u := t.dict.users[id]
	if err := t.allowed(who, u.class(), u.ID, u.Name, u.Owner, PrivDrop); err != nil {
		return err
	}
	fail := func(detail string) error { return xrow.Errorf(xrow.ErrDropUser, u.Name, detail) }
	if id <= RoleSuper {
		return fail("the user or the role is a system")
	}
	if t.ownsObjects(id) {
		return fail("the user has objects")
	}
	s := t.schema()
	delete(s.users, id)
	delete(s.userNames, u.Name)
	s.setRights()
	return nil
}

// ownsObjects tells whether something would be left without its owner.
func (t *Txn) ownsObjects(id uint32) bool {
	for _, space := range t.dict.ids {
		if t.dict.spaces[space].owner == id {
			return true
		}
	}
	for _, g := range t.dict.grants {
		if g.grantor == id {
			return true
		}
	}
	for other, u := range t.dict.users { // any one will do
		if u.Owner == id && other != id {
			return true
		}
	}
	found := false
	for _, space := range [...]uint32{idFunc, idSequence} {
		t.box.each(t.dict.spaces[space], noEnd, func(tuple []byte) {
			found = found || splitRow(tuple).uint(1) == uint64(id)
		})
	}
	return found
}

// parseGrant reads a row of _priv.
func parseGrant(tuple []byte) (g grant, err error) {
	row := splitRow(tuple)
	g = grant{grantor: uint32(row.uint(0)), grantee: uint32(row.uint(1)), class: row.string(2), privs: Priv(row.uint(4))}
	switch g.class {
	case classUniverse, classSpace, classFunction, classSequence, classUser, classRole, classCollation, "lua_eval", "sql":
		if kindOf(row.raw(3)) == kindStr {
			g.whole = row.string(3) == ""
			g.name = row.string(3)
		}
		g.id = uint32(row.uint(3))
	case "lua_call":
		g.name = row.string(3)
	default:
		return g, xrow.Errorf(xrow.ErrUnknownSchemaObject, shortName(g.class))
	}
	return g, nil
}

// onPriv grants or revokes.
func (t *Txn) onPriv(old, new []byte, who actor) error {
	row := new
	if new == nil {
		row = old
	}
	g, err := parseGrant(row)
	if err != nil {
		return err
	}
	if who.client {
		if err := t.allowedGrant(&g, who.user, new == nil); err != nil {
			return err
		}
	}
	if new != nil && who.log {
		if err := t.checkGrant(&g); err != nil {
			return err
		}
	}
	s := t.schema()
	if new == nil {
		s.dropGrant(g)
	} else {
		s.putGrant(g)
	}
	s.setRights()
	return nil
}

// checkGrant tells whether a grant makes sense.
func (t *Txn) checkGrant(g *grant) error {
	grantee := t.dict.users[g.grantee]
	switch {
	case t.dict.users[g.grantor] == nil:
		return noSuchUser(g.grantor)
	case grantee == nil:
		return noSuchUser(g.grantee)
	case g.privs == 0:
		return xrow.Errorf(xrow.ErrGrant, "the grant tuple has no privileges")
	}
	if g.whole {
		return nil
	}
	switch g.class {
	case classSpace:
		if _, err := t.dict.needSpace(g.id); err != nil {
			return err
		}
		if t.dict.isTempType(g.id) {
			return xrow.Errorf(xrow.ErrUnsupported, "temporary space", "privileges")
		}
	case classFunction:
		if !t.hasRow(idFunc, g.id) {
			return xrow.Errorf(xrow.ErrNoSuchFunction, strconv.Itoa(int(g.id)))
		}
	case classSequence:
		if !t.hasRow(idSequence, g.id) {
			return xrow.Errorf(xrow.ErrNoSuchSequence, strconv.Itoa(int(g.id)))
		}
	case classUser:
		if t.dict.users[g.id] == nil {
			return noSuchUser(g.id)
		}
	case classRole:
		role := t.dict.users[g.id]
		if role == nil || !role.Role {
			return xrow.Errorf(xrow.ErrNoSuchRole, strconv.Itoa(int(g.id)))
		}
		if g.id == g.grantee || t.dict.hasRole(g.id, g.grantee) {
			return xrow.Errorf(xrow.ErrRoleLoop, role.Name, grantee.Name)
		}
	}
	return nil
}

// hasRole tells whether one role was granted to another, directly or not.
func (s *Schema) hasRole(to, role uint32) bool {
	a := s.users[to]
	if a == nil {
		return false
	}
	for _, id := range a.roles {
		if id == role {
			return true
		}
	}
	return false
}

// allowedGrant tells whether a client may write the row: it must be the grantor,
// who must own the object or have the right to grant it.
func (t *Txn) allowedGrant(g *grant, user Credentials, revoke bool) error {
	name, owner := t.objectOf(g)
	if g.class == classRole && g.id == RolePublic && g.privs == PrivExecute && !revoke {
		return nil
	}
	what := Priv(PrivGrant)
	a := t.dict.account(user)
	if a == nil || user != UserAdmin && (a.universe|a.classes[g.class]|a.objects[object{g.class, g.id}])&PrivGrant == 0 &&
		(owner != a.ID || g.whole || g.class == classUniverse) {
		return t.dict.denied(user, what, g.class, name)
	}
	if user != UserAdmin && g.grantor != a.ID && a.universe&PrivGrant == 0 {
		return t.dict.denied(user, what, g.class, name)
	}
	if g.grantor != UserAdmin && g.grantor != owner && t.box.elderSchema() {
		// Members of an old release would refuse the row, and stop.
		grantor, _ := t.dict.Credentials(g.grantor)
		return t.dict.denied(grantor, what, g.class, name)
	}
	return nil
}

// objectOf is the name and owner of what is granted.
func (t *Txn) objectOf(g *grant) (name string, owner uint32) {
	switch g.class {
	case classSpace:
		if sp := t.dict.spaces[g.id]; sp != nil && !g.whole {
			return sp.name, sp.owner
		}
	case classUser, classRole:
		if u := t.dict.users[g.id]; u != nil && !g.whole {
			return u.Name, u.Owner
		}
	case classFunction, classSequence:
		id := uint32(idFunc)
		if g.class == classSequence {
			id = idSequence
		}
		if r, _ := t.dict.spaces[id].primary().find(appendUint(nil, uint64(g.id))); r != 0 && !g.whole {
			row := splitRow(t.box.mem.tuple(r))
			return row.string(2), uint32(row.uint(1))
		}
	}
	return g.name, UserAdmin
}
