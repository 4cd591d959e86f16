package box

import (
	"strconv"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// parseGrant reads a row of _priv.
func parseGrant(tuple []byte) (g grant, err error) {
	row := splitRow(tuple)
	g = grant{grantor: uint32(row.uint(0)), grantee: uint32(row.uint(1)), class: row.string(2), privs: Priv(row.uint(4))}
	switch g.class {
	case classUniverse, classSpace, classFunction, classSequence, classUser, classRole, classCollation, "lua_eval", "sql":
		if mp.KindOf(row.raw(3)[0]) == mp.Str {
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
		touched := g.privs
		if old != nil {
			touched |= Priv(splitRow(old).uint(4))
		}
		if err := t.allowedGrant(&g, touched, who.user); err != nil {
			return err
		}
		if g.grantee == UserAdmin && g.class == classUniverse && (new == nil || g.privs != PrivAll) {
			return xrow.Errorf(xrow.ErrGrant, "can't revoke universe from the admin user")
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
	if g.name != "" && g.class != "lua_call" {
		return xrow.Errorf(xrow.ErrFieldType, t.dict.spaces[xrow.SpacePriv].format.fieldName(3), "unsigned", "string")
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
		if !t.hasRow(xrow.SpaceFunc, g.id) {
			return xrow.Errorf(xrow.ErrNoSuchFunction, strconv.Itoa(int(g.id)))
		}
	case classSequence:
		if !t.hasRow(xrow.SpaceSequence, g.id) {
			return xrow.Errorf(xrow.ErrNoSuchSequence, strconv.Itoa(int(g.id)))
		}
	case classUser:
		if u := t.dict.users[g.id]; u == nil || u.Role {
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

// allowedGrant tells whether a client may write or delete the row: it must be the
// grantor, and own the object or have the right to grant it, another one for the
// right to grant itself. touched are the rights of the row and of the one that it
// replaces. Source: Tarantool, priv_def_check.
func (t *Txn) allowedGrant(g *grant, touched Priv, user Credentials) error {
	a := t.dict.account(user)
	if a == nil {
		return t.dict.denied(user, PrivGrant, g.class, "")
	}
	name, owner := t.objectOf(g)
	if g.class == classRole && g.id == RolePublic && !g.whole && touched == PrivExecute {
		owner = g.grantor // everybody may grant it
	}
	const meta = PrivGrant | PrivMetagrant
	var need Priv
	if touched&^meta != 0 {
		need |= PrivGrant
	}
	if touched&meta != 0 {
		need |= PrivMetagrant
	}
	owns := owner == a.ID || a.ID == UserAdmin
	miss := (need | PrivUsage) &^ a.universe &^ a.classes[g.class]
	if miss&PrivUsage == 0 && owns {
		miss = 0
	}
	if miss&PrivUsage == 0 && !g.whole {
		miss &^= a.objects[object{g.class, g.id}]
	}
	if miss != 0 {
		return t.dict.denied(user, miss, g.class, name)
	}
	if a.ID != UserAdmin && g.grantor != a.ID && a.universe&PrivGrant == 0 {
		return t.dict.denied(user, PrivGrant, g.class, name)
	}
	if g.grantee == a.ID && !owns {
		return xrow.Errorf(xrow.ErrGrant, "only object owner or admin can grant oneself")
	}
	if g.grantor != UserAdmin && g.grantor != owner && t.box.elderSchema() {
		// Members of an old release would refuse the row, and stop.
		grantor, _ := t.dict.Credentials(g.grantor)
		return t.dict.denied(grantor, PrivGrant, g.class, name)
	}
	return nil
}

// objectOf is the name and owner of what is granted.
func (t *Txn) objectOf(g *grant) (name string, owner uint32) {
	if !g.whole {
		if name, owner, ok := t.owned(g.class, g.id); ok {
			return name, owner
		}
	}
	return g.name, UserAdmin
}

// hasGrants tells whether somebody has a right on an object.
func (s *Schema) hasGrants(class string, id uint32) bool {
	for _, g := range s.grants {
		if g.class == class && g.id == id && !g.whole {
			return true
		}
	}
	return false
}
