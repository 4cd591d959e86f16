package box

import "slices"

// viewBase is the space whose rows a _v* space shows.
func viewBase(id uint32) uint32 {
	switch id {
	case 277:
		return idCollation
	case 281:
		return idSpace
	case 286:
		return idSequence
	case 289:
		return idIndex
	case 297:
		return idFunc
	case 305:
		return idUser
	case 313:
		return idPriv
	}
	return idSpaceSequence
}

// visibleRow tells whether a user may see a row of a base space in its view.
func (s *Schema) visibleRow(base uint32, a *account, tuple []byte) bool {
	if a.universe&PrivRead != 0 || a.allSpace&PrivRead != 0 || a.spaces[base]&PrivRead != 0 {
		return true
	}
	w := walker{b: tuple}
	id, _ := uintOf(w.field(0))
	second, _ := uintOf(w.field(1))
	owns := uint32(second) == a.ID
	const use = PrivRead | PrivWrite | PrivDrop | PrivAlter
	switch base {
	case idCollation:
		return true
	case idSpace, idIndex:
		sp := s.spaces[uint32(id)]
		return a.universe&use != 0 || a.allSpace&use != 0 || a.spaces[uint32(id)]&use != 0 || sp != nil && sp.owner == a.ID
	case idFunc:
		return owns || (a.universe|a.classes[classFunction]|a.objects[object{classFunction, uint32(id)}])&(use|PrivExecute) != 0
	case idSequence:
		return owns || (a.universe|a.classes[classSequence]|a.objects[object{classSequence, uint32(id)}])&use != 0
	case idSpaceSequence:
		return (a.universe|a.classes[classSequence]|a.objects[object{classSequence, uint32(second)}])&use != 0
	case idUser:
		return owns || uint32(id) == a.ID || uint32(id) == RolePublic || slices.Contains(a.roles, uint32(id))
	case idPriv:
		return uint32(id) == a.ID || owns // grantor, grantee
	}
	return false
}
