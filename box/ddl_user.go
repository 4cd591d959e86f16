package box

import (
	"bytes"
	"encoding/base64"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

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
	if mp.KindOf(auth[0]) == mp.Array && auth[0] == 0x90 {
		return u, nil
	}
	ok, err := eachPair(auth, func(key string, v []byte) error {
		if key != "chap-sha1" {
			return nil
		}
		var hash [32]byte
		if mp.KindOf(v[0]) != mp.Str {
			return xrow.Errorf(xrow.ErrInvalidAuthData, key, "scramble must be string")
		}
		s := mp.TextOf(v)
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
	if was := t.dict.users[u.ID]; was != nil {
		err = t.alterUser(&was.User, &u, who)
	} else {
		err = t.createUser(&u, who)
	}
	if err != nil {
		return err
	}
	t.schema().putUser(u)
	t.dict.setRights()
	return nil
}

func (t *Txn) createUser(u *User, who actor) error {
	if err := t.allowed(who, u.class(), u.ID, u.Name, u.Owner, PrivCreate); err != nil {
		return err
	}
	if len(t.dict.users) >= maxUsers {
		return xrow.Errorf(xrow.ErrUserMax, maxUsers)
	}
	if !who.log {
		return nil
	}
	if u.ID > lastUser { // no name leads to such a user in Tarantool
		return xrow.Errorf(xrow.ErrCreateUser, shortName(u.Name), "user id is too big")
	}
	return checkPassword(u)
}

// alterUser checks a change of a user or role. As in Tarantool nobody owns it
// for that: one may alter oneself, or has the right to. What always exists is
// the business of those who may do everything.
func (t *Txn) alterUser(was, u *User, who actor) error {
	if err := t.allowed(who, was.class(), was.ID, was.Name, was.ID, PrivAlter); err != nil {
		return err
	}
	if who.client && isSystemUser(was.ID) && who.user.User() != was.ID && !t.dict.IsSuper(who.user) {
		return t.dict.denied(who.user, PrivAlter, was.class(), was.Name)
	}
	if err := t.allowedOwner(who, was.class(), was.Name, was.Owner, u.Owner); err != nil || !who.log {
		return err
	}
	switch {
	case was.Role != u.Role:
		return unsupported("another type of " + was.class() + " '" + was.Name + "'")
	case was.Name != u.Name && isSystemUser(was.ID):
		return unsupported("another name of " + was.class() + " '" + was.Name + "'")
	}
	return checkPassword(u)
}

// emptyHash is SHA1(SHA1("")), the only password that guest may have.
var emptyHash = [...]byte{0xbe, 0x1b, 0xde, 0xc0, 0xaa, 0x74, 0xb4, 0xdc, 0xb0, 0x79, 0x94, 0x3e, 0x70, 0x52, 0x80, 0x96, 0xcc, 0xa9, 0x85, 0xf8}

func checkPassword(u *User) error {
	if u.ID == UserGuest && u.Hash != nil && !bytes.Equal(u.Hash, emptyHash[:]) {
		return xrow.Errorf(xrow.ErrGuestUserPassword)
	}
	return nil
}

// isSystemUser tells whether a user or role always exists.
func isSystemUser(id uint32) bool {
	switch id {
	case UserGuest, UserAdmin, RolePublic, RoleReplication, RoleSuper:
		return true
	}
	return false
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
	// A Tarantool drops the role replication, and a peer's row must be taken.
	if isSystemUser(id) && (who.log || id != RoleReplication) {
		return fail("the user or the role is a system")
	}
	if t.ownsObjects(id) || who.log && t.dict.isGranted(id) {
		return fail("the user has objects")
	}
	s := t.schema()
	delete(s.users, id)
	delete(s.userNames, u.Name)
	s.setRights()
	return nil
}

// ownsObjects tells whether something would be left without its owner, or rights
// without who has them: the next user with the number would have all that.
func (t *Txn) ownsObjects(id uint32) bool {
	for _, space := range t.dict.ids {
		if t.dict.spaces[space].owner == id {
			return true
		}
	}
	for _, g := range t.dict.grants {
		if g.grantor == id || g.grantee == id {
			return true
		}
	}
	for other, u := range t.dict.users { // any one will do
		if u.Owner == id && other != id {
			return true
		}
	}
	found := false
	for _, space := range [...]uint32{xrow.SpaceFunc, xrow.SpaceSequence} {
		t.box.each(t.dict.spaces[space], noEnd, func(tuple []byte) {
			found = found || splitRow(tuple).uint(1) == uint64(id)
		})
	}
	return found
}

// isGranted tells whether somebody has a right on a user, or a role.
func (s *Schema) isGranted(id uint32) bool {
	return s.hasGrants(classUser, id) || s.hasGrants(classRole, id)
}
