package box

import (
	"cmp"
	"slices"
	"strconv"

	"tarragon.dev/tarragon/xrow"
)

// Priv is a set of privilege bits.
type Priv uint32

// Privilege bits of _priv (Tarantool, src/box/user_def.h).
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

// IDs of users and roles that always exist. Those of the two users are their
// Credentials, too.
const (
	UserGuest       = 0
	UserAdmin       = 1
	RolePublic      = 2
	RoleReplication = 3
	RoleSuper       = 31
)

// Credentials are who acts: the number of a user in the low half, and in the high
// half which user of that number is meant. A number may be given again when its
// user was dropped, but the credentials of who was dropped are nobody's for ever.
// They hold for one Box, and as long as it lives. The node itself has none: see
// [Txn.ExecuteInternal].
type Credentials uint64

// User is the number in _user.
func (c Credentials) User() uint32 { return uint32(c) }

// credentials of a user that was made as the nth one; 0: it was always there.
func credentials(id, nth uint32) Credentials { return Credentials(nth)<<32 | Credentials(id) }

// lasting tells whether a user cannot be dropped, so that its number is enough to
// tell who it is.
func lasting(id uint32) bool { return id == UserGuest || id == UserAdmin }

// Credentials are those of the user that has a number now.
func (s *Schema) Credentials(id uint32) (c Credentials, ok bool) {
	a := s.users[id]
	if a == nil {
		return 0, false
	}
	return credentials(id, a.nth), true
}

// account is who credentials are of; nil: a user that was dropped, or never was.
func (s *Schema) account(c Credentials) *account {
	if a := s.users[c.User()]; a != nil && credentials(a.ID, a.nth) == c {
		return a
	}
	return nil
}

// RightsVersion is another number after each change of users, roles and rights.
func (s *Schema) RightsVersion() uint64 { return s.rights }

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
	nth      uint32 // which user was made before it; see Credentials
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
	s.rights++
	for id, old := range s.users { // each account depends on the grants alone
		a := &account{User: old.User, nth: old.nth, spaces: map[uint32]Priv{}, classes: map[string]Priv{}, objects: map[object]Priv{}, calls: map[string]bool{}}
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

// denied is the error of a missing right, or of a user that is no more.
func (s *Schema) denied(user Credentials, privs Priv, class, name string) error {
	a := s.account(user)
	if a == nil {
		return noSuchUser(user.User())
	}
	if privs&PrivUsage != 0 {
		privs, class, name = PrivUsage, classUniverse, ""
	}
	return xrow.AccessDenied(privs.String(), class, name, a.Name)
}

// allowedSpace checks a right on a space, and that its tuples are here.
func (s *Schema) allowedSpace(user Credentials, sp *space, need Priv) error {
	if err := s.hasRight(user, sp, need); err != nil {
		return err
	}
	if s.sharing.now == nil {
		return nil
	}
	return s.absent(sp)
}

func (s *Schema) hasRight(user Credentials, sp *space, need Priv) error {
	a := s.account(user)
	if a == nil {
		return s.denied(user, need, classSpace, sp.name)
	}
	if sp.computed != 0 {
		need &^= PrivRead // as if the role public had it: each sees what it may see
	}
	miss := (need | PrivUsage) &^ a.universe
	if miss == 0 {
		return nil
	}
	miss &^= a.allSpace
	if miss == 0 {
		return nil
	}
	if miss&PrivUsage == 0 && (sp.owner == a.ID || miss&^a.spaces[sp.id] == 0) {
		return nil
	}
	return s.denied(user, miss, classSpace, sp.name)
}

// CheckSpace tells whether user has the right on a space; the error is
// NO_SUCH_SPACE or ACCESS_DENIED.
func (s *Schema) CheckSpace(user Credentials, space uint32, need Priv) error {
	sp, err := s.needShown(space)
	if err != nil {
		return err
	}
	return s.allowedSpace(user, sp, need)
}

// CheckUser tells whether the user is still there; the error is NO_SUCH_USER.
func (s *Schema) CheckUser(user Credentials) error {
	if s.account(user) != nil {
		return nil
	}
	return noSuchUser(user.User())
}

func noSuchUser(id uint32) error {
	return xrow.Errorf(xrow.ErrNoSuchUser, strconv.FormatUint(uint64(id), 10))
}

// CheckUniverse tells whether user has the right on universe; the error is ACCESS_DENIED.
func (s *Schema) CheckUniverse(user Credentials, need Priv) error {
	if a := s.account(user); a != nil && need&^a.universe == 0 {
		return nil
	}
	return s.denied(user, need, classUniverse, "")
}

// MayWrite tells whether user was given the right to change any data; what
// everybody may change of system spaces does not count.
func (s *Schema) MayWrite(user Credentials) bool {
	const change = PrivWrite | PrivInsert | PrivUpdate | PrivDelete
	a := s.account(user)
	if a == nil || a.universe&PrivUsage == 0 {
		return false
	}
	if (a.universe|a.allSpace)&change != 0 {
		return true
	}
	for id, privs := range a.spaces {
		if id >= xrow.FirstUserSpace && privs&change != 0 {
			return true
		}
	}
	for _, sp := range s.spaces {
		if sp.owner == a.ID && sp.id >= xrow.FirstUserSpace {
			return true
		}
	}
	return false
}

// CheckCall tells whether user may call a function that has no row in _func:
// by the right on universe, or by a lua_call grant of its very name. One for all
// names leaves out those that are built in.
func (s *Schema) CheckCall(user Credentials, name string, builtin bool) error {
	a := s.account(user)
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
func (s *Schema) IsSuper(user Credentials) bool {
	return user == UserAdmin || s.CheckUniverse(user, PrivAll) == nil
}

// CheckAdministrative tells whether user may call a procedure that is about the
// instance and not about data: who is super, and who was granted its very name by
// lua_call. Execute on universe is not enough, nor is a row of _func, which
// whoever may create functions makes and grants.
func (s *Schema) CheckAdministrative(user Credentials, name string) error {
	if s.IsSuper(user) {
		return nil
	}
	if a := s.account(user); a != nil && a.universe&PrivUsage != 0 && a.calls[name] {
		return nil
	}
	return s.denied(user, PrivExecute, classFunction, name)
}

// CheckActsFor tells whether user may ask for something in the name of others, by a
// procedure of that name: who is super, and members by their role replication, who may
// bring rows of anybody as it is. No other right is enough, to all on universe or to the
// name.
func (s *Schema) CheckActsFor(user Credentials, name string) error {
	if a := s.account(user); s.IsSuper(user) || a != nil && a.universe&PrivUsage != 0 && slices.Contains(a.roles, RoleReplication) {
		return nil
	}
	return s.denied(user, PrivExecute, classFunction, name)
}

// CheckEval tells whether user may evaluate a text.
func (s *Schema) CheckEval(user Credentials) error {
	if a := s.account(user); a != nil && (PrivExecute|PrivUsage)&^a.universe&^a.classes["lua_eval"] == 0 {
		return nil
	}
	return s.denied(user, PrivExecute, classUniverse, "")
}

// CheckDDL tells whether user may create, alter, drop or grant an object of a
// class ("space", "user", "role", "function", "sequence"). The owner may all
// but create.
func (s *Schema) CheckDDL(user Credentials, class string, id uint32, name string, owner uint32, need Priv) error {
	a := s.account(user)
	if a == nil {
		return s.denied(user, need, class, name)
	}
	miss := (need | PrivUsage) &^ a.universe &^ a.classes[class]
	if miss == 0 || (owner == a.ID || a.ID == UserAdmin) && miss&(PrivUsage|PrivCreate) == 0 {
		return nil
	}
	if miss &^= a.objects[object{class, id}]; miss == 0 {
		return nil
	}
	return s.denied(user, miss, class, name)
}
