package box

import (
	"slices"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/xrow"
)

// Objects of the schema have owners, and rights on them. A change of a row needs
// the right on what is there before it, and on what would be there behind it:
// who is named as the owner may do almost everything with the object.
//
// Invariant: nobody becomes the owner of what another one owned by a row of his
// own, unless he may do everything.

// allowed checks a client's right on an object; rows of the log have all.
func (t *Txn) allowed(who actor, class string, id uint32, name string, owner uint32, need Priv) error {
	if !who.client {
		return nil
	}
	return t.dict.CheckDDL(who.user, class, id, name, owner, need)
}

// allowedOwner checks a change of an object's owner. Tarantool has the right
// to alter do for it, or takes the new owner's word.
func (t *Txn) allowedOwner(who actor, class, name string, old, new uint32) error {
	switch {
	case !who.client || old == new:
		return nil
	case !t.dict.IsSuper(who.user):
		return t.dict.denied(who.user, PrivGrant, class, name)
	case t.dict.users[new] == nil:
		return noSuchUser(new)
	}
	return nil
}

// owned is the name and owner of an object.
func (t *Txn) owned(class string, id uint32) (name string, owner uint32, ok bool) {
	switch class {
	case classSpace:
		if sp := t.dict.spaces[id]; sp != nil {
			return sp.name, sp.owner, true
		}
	case classUser, classRole:
		if u := t.dict.users[id]; u != nil {
			return u.Name, u.Owner, true
		}
	case classFunction, classSequence:
		space := uint32(xrow.SpaceFunc)
		if class == classSequence {
			space = xrow.SpaceSequence
		}
		if r, _ := t.dict.spaces[space].primary().find(appendUint(nil, uint64(id))); r != 0 {
			row := splitRow(t.box.mem.tuple(r))
			return row.string(2), uint32(row.uint(1)), true
		}
	}
	return "", 0, false
}

// onOwned checks the rights on a row whose objects the box only keeps: id,
// owner and name come first.
func (t *Txn) onOwned(old, new []byte, who actor, class string) error {
	row, need := splitRow(old), PrivDrop
	switch {
	case old == nil:
		row, need = splitRow(new), PrivCreate
	case new != nil:
		need = PrivAlter
	}
	if new != nil {
		if err := checkName(splitRow(new).string(2)); err != nil {
			return err
		}
	}
	name, owner := row.string(2), uint32(row.uint(1))
	if err := t.allowed(who, class, uint32(row.uint(0)), name, owner, need); err != nil || need != PrivAlter {
		return err
	}
	return t.allowedOwner(who, class, name, owner, uint32(splitRow(new).uint(1)))
}

// onFunc creates, alters or drops a function. One that runs with the rights of its
// owner is for that one to create.
func (t *Txn) onFunc(old, new []byte, who actor) error {
	if err := t.onOwned(old, new, who, classFunction); err != nil {
		return err
	}
	if new != nil {
		row := splitRow(new)
		if who.client {
			if err := checkFunction(row); err != nil {
				return err
			}
		}
		if setuid := row.uint(3) != 0; !setuid || !who.client || old != nil && splitRow(old).uint(3) != 0 {
			return nil
		}
		return t.allowedOwner(who, classFunction, row.string(2), who.user.User(), uint32(row.uint(1)))
	}
	if id := uint32(splitRow(old).uint(0)); who.log && t.dict.hasGrants(classFunction, id) {
		return xrow.Errorf(xrow.ErrDropFunction, id, "function has grants")
	}
	return nil
}

// onSequence creates, alters or drops a sequence.
func (t *Txn) onSequence(old, new []byte, who actor) error {
	if err := t.onOwned(old, new, who, classSequence); err != nil || !who.log {
		return err
	}
	if new != nil {
		return checkSequence(splitRow(new), old == nil)
	}
	row := splitRow(old)
	id := uint32(row.uint(0))
	fail := func(detail string) error { return xrow.Errorf(xrow.ErrDropSequence, row.string(2), detail) }
	if t.hasRow(xrow.SpaceSequenceData, id) {
		return fail("the sequence has data")
	}
	used := false
	t.box.each(t.dict.spaces[xrow.SpaceSpaceSequence], noEnd, func(tuple []byte) {
		used = used || splitRow(tuple).uint(1) == uint64(id)
	})
	switch {
	case used:
		return fail("the sequence is in use")
	case t.dict.hasGrants(classSequence, id):
		return fail("the sequence has grants")
	}
	return nil
}

// onSequenceData moves a sequence, which is to write it, or forgets its value,
// as its end does.
func (t *Txn) onSequenceData(old, new []byte, who actor) error {
	if !who.client {
		return nil
	}
	row := splitRow(old)
	if new != nil {
		row = splitRow(new)
	}
	id := uint32(row.uint(0))
	name, owner, ok := t.owned(classSequence, id)
	switch {
	case !ok && new == nil:
		return nil
	case !ok:
		return xrow.Errorf(xrow.ErrNoSuchSequence, strconv.FormatUint(uint64(id), 10))
	}
	err := t.allowed(who, classSequence, id, name, owner, PrivWrite)
	if err != nil && new == nil {
		err = t.allowed(who, classSequence, id, name, owner, PrivDrop)
	}
	return err
}

// onCollation checks the rights on a row [id, name, owner, ...].
func (t *Txn) onCollation(old, new []byte, who actor) error {
	if !who.client {
		return nil
	}
	row, need := splitRow(old), PrivDrop
	switch {
	case old == nil:
		row, need = splitRow(new), PrivCreate
	case new != nil:
		return unsupported("changes of collations")
	}
	id := uint32(row.uint(0))
	if id == 0 && new == nil {
		return xrow.Errorf(xrow.ErrDropCollation, row.string(1), "system collation")
	}
	if err := t.allowed(who, classCollation, id, row.string(1), uint32(row.uint(2)), need); err != nil || new == nil {
		return err
	}
	return checkCollation(row)
}

// checkCollation tells whether a row of _collation is one that a member of another kind
// could make a collation of; which of these ICU has is not known here.
func checkCollation(row rowReader) error {
	if typ := row.string(3); typ != "ICU" && typ != "BINARY" {
		return xrow.Errorf(xrow.ErrCantCreateCollation, "unknown collation type")
	}
	ok, err := eachPair(row.raw(5), func(key string, v []byte) error {
		switch {
		case !slices.Contains(collationOptions, key):
			return xrow.Errorf(xrow.ErrWrongCollationOptions, "unexpected option '"+shortName(key)+"'")
		case key == "strength" && !slices.Contains(strengths, strings.ToUpper(stringOf(v))):
			return xrow.Errorf(xrow.ErrCantCreateCollation, "ICU wrong strength option setting, expected "+strings.Join(strengths, " | "))
		}
		return nil
	})
	if !ok {
		return xrow.Errorf(xrow.ErrWrongCollationOptions, "expected a map with string keys")
	}
	return err
}

var (
	collationOptions = []string{"french_collation", "alternate_handling", "case_first", "case_level", "normalization_mode", "strength", "numeric_collation"}
	strengths        = []string{"PRIMARY", "SECONDARY", "TERTIARY", "QUATERNARY", "IDENTICAL"}
)

// allowedDetach checks the right to delete a row that belongs to a space: its
// sequence, a trigger, a constraint, the function of an index.
func (t *Txn) allowedDetach(from uint32, row rowReader, who actor) error {
	field, either := 0, PrivDrop
	switch from {
	case xrow.SpaceTrigger:
		field, either = 1, 0
	case xrow.SpaceFkConstraint:
		field = 1
	case xrow.SpaceSpaceSequence:
		id := uint32(row.uint(1))
		if name, owner, ok := t.owned(classSequence, id); ok {
			if err := t.allowed(who, classSequence, id, name, owner, PrivDrop); err != nil {
				return err
			}
		}
		either = 0
	}
	return t.allowedEither(uint32(row.uint(field)), who, PrivAlter, either)
}

// allowedUntruncate checks the right to delete a row of _truncate.
func (t *Txn) allowedUntruncate(space uint32, who actor) error {
	if sp := t.dict.spaces[space]; sp == nil || !who.client || t.dict.allowedSpace(who.user, sp, PrivWrite) == nil {
		return nil
	}
	return t.allowedEither(space, who, PrivDrop, 0)
}

// allowedEither checks one of two rights on a space, the second unless it is 0.
func (t *Txn) allowedEither(space uint32, who actor, need, or Priv) error {
	name, owner, ok := t.owned(classSpace, space)
	if !ok {
		return nil
	}
	err := t.allowed(who, classSpace, space, name, owner, need)
	if err != nil && or != 0 {
		err = t.allowed(who, classSpace, space, name, owner, or)
	}
	return err
}

// checkSequence tells whether the numbers of a sequence's row make one (Tarantool:
// sequence_def_new_from_tuple).
func checkSequence(row rowReader, created bool) error {
	code := xrow.ErrAlterSequence
	if created {
		code = xrow.ErrCreateSequence
	}
	fail := func(detail string) error { return xrow.Errorf(code, row.string(2), detail) }
	var v [4]int64 // step, min, max, start
	for i := range v {
		n, ok := int64Of(row.raw(3 + i))
		if !ok {
			return xrow.Errorf(xrow.ErrFieldType, strconv.Itoa(4+i), "integer", "unsigned")
		}
		v[i] = n
	}
	switch step, least, most, start := v[0], v[1], v[2], v[3]; {
	case step == 0:
		return fail("step option must be non-zero")
	case least > most:
		return fail("max must be greater than or equal to min")
	case start < least || start > most:
		return fail("start must be between min and max")
	}
	return nil
}
