package box

import (
	"slices"

	"tarragon.dev/tarragon/xrow"
)

// viewBase is the space whose rows a _v* space shows.
func viewBase(id uint32) uint32 {
	switch id {
	case xrow.ViewCollation:
		return xrow.SpaceCollation
	case xrow.ViewSpace:
		return xrow.SpaceSpace
	case xrow.ViewSequence:
		return xrow.SpaceSequence
	case xrow.ViewIndex:
		return xrow.SpaceIndex
	case xrow.ViewFunc:
		return xrow.SpaceFunc
	case xrow.ViewUser:
		return xrow.SpaceUser
	case xrow.ViewPriv:
		return xrow.SpacePriv
	}
	return xrow.SpaceSpaceSequence
}

// use is what makes an object visible to whom it was granted.
const use = PrivRead | PrivWrite | PrivDrop | PrivAlter

// readsAll: who may read a space sees all rows of its view.
func (a *account) readsAll(base uint32) bool {
	return (a.universe|a.allSpace|a.spaces[base])&PrivRead != 0
}

func (a *account) seesUser(id, owner uint32) bool {
	return owner == a.ID || id == a.ID || id == RolePublic || slices.Contains(a.roles, id)
}

func (s *Schema) seesSpace(a *account, id uint32) bool {
	if sp := computed[id]; sp != nil {
		return a.readsAll(sp.computed)
	}
	sp := s.spaces[id]
	return (a.universe|a.allSpace|a.spaces[id])&use != 0 || sp != nil && sp.owner == a.ID
}

// SeesUser tells whether a user finds another, or a role, in _vuser.
func (s *Schema) SeesUser(viewer Credentials, u *User) bool {
	a := s.account(viewer)
	return a != nil && (a.readsAll(xrow.SpaceUser) || a.seesUser(u.ID, u.Owner))
}

// SeesFunction tells whether a user finds a function in _vfunc.
func (s *Schema) SeesFunction(viewer Credentials, id, owner uint32) bool {
	a := s.account(viewer)
	return a != nil && (a.readsAll(xrow.SpaceFunc) || a.seesFunction(id, owner))
}

func (a *account) seesFunction(id, owner uint32) bool {
	return owner == a.ID || (a.universe|a.classes[classFunction]|a.objects[object{classFunction, id}])&(use|PrivExecute) != 0
}

// SeesSpace tells whether a user finds a space in _vspace, and its indexes in
// _vindex.
func (s *Schema) SeesSpace(viewer Credentials, id uint32) bool {
	a := s.account(viewer)
	return a != nil && (a.readsAll(xrow.SpaceSpace) || s.seesSpace(a, id))
}

// visibleRow tells whether a user may see a row of a base space in its view.
func (s *Schema) visibleRow(base uint32, a *account, tuple []byte) bool {
	if a.readsAll(base) {
		return true
	}
	w := walker{b: tuple}
	id, _ := uintOf(w.field(0))
	second, _ := uintOf(w.field(1))
	owns := uint32(second) == a.ID
	switch base {
	case xrow.SpaceCollation:
		return true
	case xrow.SpaceSpace, xrow.SpaceIndex:
		return s.seesSpace(a, uint32(id))
	case xrow.SpaceFunc:
		return a.seesFunction(uint32(id), uint32(second))
	case xrow.SpaceSequence:
		return owns || (a.universe|a.classes[classSequence]|a.objects[object{classSequence, uint32(id)}])&use != 0
	case xrow.SpaceSpaceSequence:
		return (a.universe|a.classes[classSequence]|a.objects[object{classSequence, uint32(second)}])&use != 0
	case xrow.SpaceUser:
		return a.seesUser(uint32(id), uint32(second))
	case xrow.SpacePriv:
		return uint32(id) == a.ID || owns // grantor, grantee
	}
	return false
}
