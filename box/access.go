package box

import (
	"cmp"
	"slices"

	"tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Priv is a set of privilege bits.
type Priv uint32

// Privilege bits of _priv (schema.md section 10).
const (
	PrivRead Priv = 1 << iota
	PrivWrite
	PrivExecute
	PrivSession
	PrivUsage
	PrivCreate
	PrivDrop
	PrivAlter
	PrivReference
	PrivTrigger
	PrivInsert
	PrivUpdate
	PrivDelete
	PrivGrant
	PrivMetagrant
	PrivAll Priv = 1<<32 - 1
)

var privNames = [...]string{"Read", "Write", "Execute", "Session", "Usage", "Create", "Drop", "Alter", "Reference", "Trigger",
	"Insert", "Update", "Delete", "Grant", "Metagrant"}

// String is the name of the lowest bit, as in messages.
func (p Priv) String() string {
	for i, name := range privNames {
		if p&(1<<i) != 0 {
			return name
		}
	}
	return "unknown"
}

// IDs of users and roles that always exist.
const (
	UserGuest       uint32 = 0
	UserAdmin       uint32 = 1
	RolePublic      uint32 = 2
	RoleReplication uint32 = 3
	RoleSuper       uint32 = 31

	// UserInternal is the node itself: no right is checked.
	UserInternal uint32 = 1<<32 - 1
)

// Classes of objects in _priv.object_type.
const (
	classUniverse  = "universe"
	classSpace     = "space"
	classFunction  = "function"
	classSequence  = "sequence"
	classUser      = "user"
	classRole      = "role"
	classCollation = "collation"
)

// grant is a row of _priv. whole means all objects of the class.
type grant struct {
	grantor, grantee uint32
	class            string
	id               uint32
	name             string // lua_call: the function
	whole            bool
	privs            Priv
}

func compareGrants(a, b grant) int {
	return cmp.Or(cmp.Compare(a.grantee, b.grantee), cmp.Compare(a.class, b.class), cmp.Compare(a.id, b.id), cmp.Compare(a.name, b.name))
}

type object struct {
	class string
	id    uint32
}

// account is a user or role with the rights that follow from its own grants
// and those of its roles.
type account struct {
	User
	universe Priv
	allSpace Priv // on the class space, the hot one
	spaces   map[uint32]Priv
	classes  map[string]Priv
	objects  map[object]Priv
	calls    map[string]bool // lua_call by name; "": all that are not built in
	roles    []uint32        // granted, directly or by roles
}

// putGrant adds or replaces a row of _priv; dropGrant takes one away.
func (s *Schema) putGrant(g grant) {
	at, found := slices.BinarySearchFunc(s.grants, g, compareGrants)
	if found {
		s.grants[at] = g
		return
	}
	s.grants = slices.Insert(s.grants, at, g)
}

func (s *Schema) dropGrant(g grant) {
	if at, found := slices.BinarySearchFunc(s.grants, g, compareGrants); found {
		s.grants = slices.Delete(s.grants, at, at+1)
	}
}

// setRights computes what every user may do.
func (s *Schema) setRights() {
	for id, old := range s.users { // each account depends on the grants alone
		a := &account{User: old.User, spaces: map[uint32]Priv{}, classes: map[string]Priv{}, objects: map[object]Priv{}, calls: map[string]bool{}}
		s.collect(a, id)
		s.users[id] = a
	}
}

// collect adds the grants of from, and of the roles it has, to a.
func (s *Schema) collect(a *account, from uint32) {
	at, _ := slices.BinarySearchFunc(s.grants, from, func(g grant, id uint32) int { return cmp.Compare(g.grantee, id) })
	for _, g := range s.grants[at:] {
		if g.grantee != from {
			return
		}
		switch {
		case g.class == classRole && !g.whole && g.privs&PrivExecute != 0 && !slices.Contains(a.roles, g.id) && g.id != a.ID:
			a.roles = append(a.roles, g.id)
			s.collect(a, g.id)
		case g.class == classUniverse:
			a.universe |= g.privs
		case g.class == "lua_call":
			a.calls[g.name] = a.calls[g.name] || g.privs&PrivExecute != 0
		case g.whole || g.class == "lua_eval" || g.class == "sql":
			a.classes[g.class] |= g.privs
			if g.class == classSpace {
				a.allSpace |= g.privs
			}
		case g.class == classSpace:
			a.spaces[g.id] |= g.privs
		}
		if g.class != classUniverse && !g.whole {
			a.objects[object{g.class, g.id}] |= g.privs
		}
	}
}

// denied is the error of a missing right.
func (s *Schema) denied(user uint32, privs Priv, class, name string) error {
	if privs&PrivUsage != 0 {
		privs, class, name = PrivUsage, classUniverse, ""
	}
	who := ""
	if a := s.users[user]; a != nil {
		who = a.Name
	}
	err := xrow.Errorf(xrow.ErrAccessDenied, privs, class, name, who)
	f := msgp.AppendMapHeader(nil, 4)
	for _, s := range [...]string{"object_type", class, "object_name", name, "access_type", privs.String(), "user", who} {
		f = msgp.AppendString(f, s)
	}
	err.Fields = f
	return err
}

// allowedSpace checks a right on a space.
func (s *Schema) allowedSpace(user uint32, sp *space, need Priv) error {
	a := s.users[user]
	if a == nil {
		return s.denied(user, need, classSpace, sp.name)
	}
	miss := (need | PrivUsage) &^ a.universe
	if miss == 0 {
		return nil
	}
	miss &^= a.allSpace
	if miss == 0 {
		return nil
	}
	if miss&PrivUsage == 0 && (sp.owner == user || miss&^a.spaces[sp.id] == 0) {
		return nil
	}
	return s.denied(user, miss, classSpace, sp.name)
}

// CheckSpace tells whether user has the right on a space; the error is
// NO_SUCH_SPACE or ACCESS_DENIED.
func (s *Schema) CheckSpace(user, space uint32, need Priv) error {
	sp, err := s.needSpace(space)
	if err != nil {
		return err
	}
	return s.allowedSpace(user, sp, need)
}

// CheckUniverse tells whether user has the right on universe; the error is ACCESS_DENIED.
func (s *Schema) CheckUniverse(user uint32, need Priv) error {
	if a := s.users[user]; a != nil && need&^a.universe == 0 {
		return nil
	}
	return s.denied(user, need, classUniverse, "")
}

// MayWrite tells whether user was given the right to change any data; what
// everybody may change of system spaces does not count.
func (s *Schema) MayWrite(user uint32) bool {
	const change = PrivWrite | PrivInsert | PrivUpdate | PrivDelete
	a := s.users[user]
	if a == nil || a.universe&PrivUsage == 0 {
		return false
	}
	if (a.universe|a.allSpace)&change != 0 {
		return true
	}
	for id, privs := range a.spaces {
		if id >= firstUserSpace && privs&change != 0 {
			return true
		}
	}
	for _, sp := range s.spaces {
		if sp.owner == user && sp.id >= firstUserSpace {
			return true
		}
	}
	return false
}

// CheckCall tells whether user may call a function that has no row in _func:
// by the right on universe, or by a lua_call grant of its very name. One for all
// names leaves out those that are built in.
func (s *Schema) CheckCall(user uint32, name string, builtin bool) error {
	a := s.users[user]
	if a != nil && a.universe&(PrivExecute|PrivUsage) == PrivExecute|PrivUsage {
		return nil
	}
	if a != nil && a.universe&PrivUsage != 0 && (a.calls[name] || !builtin && a.calls[""]) {
		return nil
	}
	return s.denied(user, PrivExecute, classFunction, name)
}

// IsSuper tells whether user is admin, or has all rights on universe, as the role
// super gives them.
func (s *Schema) IsSuper(user uint32) bool {
	return user == UserAdmin || s.CheckUniverse(user, PrivAll) == nil
}

// CheckAdministrative tells whether user may call a procedure that is about the
// instance and not about data: who is super, and who was granted its very name by
// lua_call. Execute on universe is not enough, nor is a row of _func, which
// whoever may create functions makes and grants.
func (s *Schema) CheckAdministrative(user uint32, name string) error {
	if s.IsSuper(user) {
		return nil
	}
	if a := s.users[user]; a != nil && a.universe&PrivUsage != 0 && a.calls[name] {
		return nil
	}
	return s.denied(user, PrivExecute, classFunction, name)
}

// CheckEval tells whether user may evaluate a text.
func (s *Schema) CheckEval(user uint32) error {
	if a := s.users[user]; a != nil && (PrivExecute|PrivUsage)&^a.universe&^a.classes["lua_eval"] == 0 {
		return nil
	}
	return s.denied(user, PrivExecute, classUniverse, "")
}

// CheckDDL tells whether user may create, alter, drop or grant an object of a
// class ("space", "user", "role", "function", "sequence"). The owner may all
// but create.
func (s *Schema) CheckDDL(user uint32, class string, id uint32, name string, owner uint32, need Priv) error {
	a := s.users[user]
	if a == nil {
		return s.denied(user, need, class, name)
	}
	miss := (need | PrivUsage) &^ a.universe &^ a.classes[class]
	if miss == 0 || (owner == user || user == UserAdmin) && miss&(PrivUsage|PrivCreate) == 0 {
		return nil
	}
	if miss &^= a.objects[object{class, id}]; miss == 0 {
		return nil
	}
	return s.denied(user, miss, class, name)
}
