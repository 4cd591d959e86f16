package box

import (
	"math"
	"slices"
	"strings"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// trigger does what a change of a system space means, in the transaction's
// dictionary. It checks first and changes last.
func (t *Txn) trigger(s *stmt, who actor) error {
	var old, new []byte
	if s.old != 0 {
		old = t.box.mem.tuple(s.old)
	}
	if s.new != 0 {
		new = t.box.mem.tuple(s.new)
		if err := checkIDs(s.sp, new); err != nil {
			return err
		}
	}
	if who.client {
		for _, tuple := range [...][]byte{old, new} {
			if err := t.refuseSealedRow(s.sp, tuple); err != nil {
				return err
			}
		}
	}
	switch s.sp.id {
	case xrow.SpaceSpace:
		return t.onSpace(old, new, who)
	case xrow.SpaceIndex:
		return t.onIndex(old, new, who)
	case xrow.SpaceTruncate:
		return t.onTruncate(old, new, who)
	case xrow.SpaceUser:
		return t.onUser(old, new, who)
	case xrow.SpacePriv:
		return t.onPriv(old, new, who)
	case xrow.SpaceCluster:
		return onCluster(old, new, who)
	case xrow.SpaceSchema:
		t.onSchema(old, new)
	case xrow.SpaceFunc:
		return t.onFunc(old, new, who)
	case xrow.SpaceSequence:
		return t.onSequence(old, new, who)
	case xrow.SpaceSequenceData:
		return t.onSequenceData(old, new, who)
	case xrow.SpaceCollation:
		return t.onCollation(old, new, who)
	case xrow.SpaceTrigger, xrow.SpaceSpaceSequence, xrow.SpaceFkConstraint, xrow.SpaceCkConstraint, xrow.SpaceFuncIndex:
		if new != nil && who.log {
			return unsupported("rows in space '" + s.sp.name + "'")
		}
		if new == nil && who.client {
			return t.allowedDetach(s.sp.id, splitRow(old), who)
		}
	}
	return nil
}

// onSchema keeps the largest ID of spaces where the schema has it, and which spaces
// are our own.
func (t *Txn) onSchema(old, new []byte) {
	row := splitRow(old)
	id := uint32(0)
	if new != nil {
		row = splitRow(new)
		id = uint32(row.uint(1))
	}
	switch row.string(0) {
	case "max_id":
		t.schema().lastID = id
	case "version":
		if new != nil {
			t.dropLaterSpaces(row)
		}
	default:
		if name, ok := strings.CutPrefix(row.string(0), ownMark); ok {
			t.schema().mark(name, id)
		}
	}
}

// dropLaterSpaces forgets the system spaces that a new database of an older
// schema does not have; its own rows do not tell.
func (t *Txn) dropLaterSpaces(version rowReader) {
	later := [...]struct{ since, id uint32 }{{21005, xrow.ViewSpaceSequence}, {30300, xrow.SpaceGcConsumers}, {30800, xrow.SpaceRecoveryPoint}}
	is := version.uint(1)*10000 + version.uint(2)*100 + version.uint(3)
	for _, l := range later {
		sp := t.dict.spaces[l.id]
		if sp == nil || is >= uint64(l.since) || t.hasRow(xrow.SpaceSpace, l.id) {
			continue
		}
		for _, ix := range sp.indexes {
			t.dropped = append(t.dropped, garbage{ix: ix, data: ix.id == 0, bytes: sp.stats.bytes})
		}
		t.schema().dropSpace(sp)
	}
}

// checkIDs refuses IDs that do not fit 32 bits: cut down they would name other
// objects.
func checkIDs(sp *space, tuple []byte) error {
	fields := [...]int{0, 1, 3, 4}
	row := splitRow(tuple)
	n := 2
	switch sp.id {
	case xrow.SpacePriv:
		n = 4
	case xrow.SpaceTruncate, xrow.SpaceSequence:
		n = 1
	case xrow.SpaceSpace, xrow.SpaceIndex, xrow.SpaceUser, xrow.SpaceFunc, xrow.SpaceCluster:
	default:
		return nil
	}
	for _, i := range fields[:n] {
		if row.uint(i) > math.MaxUint32 {
			return xrow.Errorf(xrow.ErrFieldType, sp.format.fieldName(i), "uint32", "unsigned")
		}
	}
	return nil
}

// schema is the dictionary of the transaction, for changing it.
func (t *Txn) schema() *Schema {
	if t.dict == t.base {
		t.dict = t.base.clone()
	}
	return t.dict
}

// onSpace creates, alters or drops a space.
func (t *Txn) onSpace(old, new []byte, who actor) error {
	if new == nil {
		return t.dropSpace(t.dict.spaces[uint32(splitRow(old).uint(0))], who)
	}
	was := t.dict.spaces[uint32(splitRow(new).uint(0))]
	sp, err := parseSpace(new, was, t.door(who))
	if err != nil {
		return err
	}
	if was == nil {
		if sp.tempType && sp.id < xrow.FirstTempSpace {
			return xrow.Errorf(xrow.ErrCreateSpace, shortName(sp.name), "temporary space id must be at least 1073741824")
		}
		if err := t.allowed(who, classSpace, sp.id, sp.name, sp.owner, PrivCreate); err != nil {
			return err
		}
		if owner := t.dict.users[sp.owner]; owner == nil && who.client {
			return noSuchUser(sp.owner)
		}
		t.schema().putSpace(sp)
		t.schemaOps++
		return nil
	}
	if err := t.allowed(who, classSpace, was.id, was.name, was.owner, PrivAlter); err != nil {
		return err
	}
	if err := t.allowedOwner(who, classSpace, was.name, was.owner, sp.owner); err != nil {
		return err
	}
	return t.alterSpace(was, sp, who)
}

// door is the one by which an actor's definitions come in.
func (t *Txn) door(who actor) door {
	return door{peer: !who.log, opaque: !who.log && t.box.config.Opaque, knows: func(id uint64) bool {
		return id <= math.MaxUint32 && t.hasRow(xrow.SpaceCollation, uint32(id))
	}}
}

func (t *Txn) dropSpace(sp *space, who actor) error {
	if err := t.allowed(who, classSpace, sp.id, sp.name, sp.owner, PrivDrop); err != nil {
		return err
	}
	fail := func(detail string) error { return xrow.Errorf(xrow.ErrDropSpace, sp.name, detail) }
	if len(sp.indexes)+len(sp.unusable) > 0 {
		return fail("the space has indexes")
	}
	if t.dict.hasGrants(classSpace, sp.id) {
		return fail("the space has grants")
	}
	if t.hasRow(xrow.SpaceTruncate, sp.id) {
		return fail("the space has truncate record")
	}
	t.schema().dropSpace(sp)
	t.schemaOps++
	return nil
}

// hasRow tells whether a system space has a row with that unsigned primary key.
func (t *Txn) hasRow(space, id uint32) bool {
	values := appendUint(nil, uint64(id))
	r, _ := t.dict.spaces[space].primary().find(values)
	return r != 0
}

func appendUint(dst []byte, v uint64) []byte {
	if v < 1<<7 {
		return append(dst, byte(v))
	}
	return append(dst, 0xcf, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// alterSpace changes the definition of a space and keeps its tuples.
func (t *Txn) alterSpace(was, sp *space, who actor) error {
	fail := func(detail string) error { return xrow.Errorf(xrow.ErrAlterSpace, was.name, detail) }
	switch {
	case was.local != sp.local:
		return fail("replication group is immutable")
	case was.tempType != sp.tempType:
		return fail("temporariness cannot change")
	case was.temp != sp.temp && who.log && was.stats.rows > 0:
		return fail("can not change data-temporariness on a non-empty space")
	}
	sp.stats, sp.unusable = was.stats, was.unusable
	if err := t.agree(sp, was.indexes, who); err != nil {
		return err
	}
	return t.redefine(was, sp, was.indexes)
}

// redefine puts sp in the place of was, with the given index definitions, those
// without a tree to be built. The tuples of a small space are checked against
// the new shape at once, those of a large one by Build.
func (t *Txn) redefine(was, sp *space, defs []*index) error {
	sp.indexes = nil
	sp.format = newFormat(sp.format.named, sp.format.fieldCount, defs)
	var build []*index
	for _, def := range defs {
		ix := *def
		ix.setOrder(primaryParts(defs))
		same := was.index(ix.id)
		if same == nil || !ix.sameOrder(same) || ix.unique && !same.unique {
			if t.client {
				if err := t.box.roomForEntries(1); err != nil {
					return t.giveUp(build, err)
				}
			}
			ix.tree = t.box.newTree()
			build = append(build, &ix)
		} else {
			ix.tree = same.tree
		}
		sp.indexes = append(sp.indexes, &ix)
	}
	w := &walk{was: was, now: sp, build: build, bounded: t.client}
	more := false
	if w.needed() {
		var err error
		if _, more, err = w.run(t.box, t.box.config.BuildAtOnce); err != nil {
			return t.giveUp(build, err)
		}
	}
	t.built = append(t.built, build...)
	for _, ix := range was.indexes {
		if now := sp.index(ix.id); now == nil || now.tree != ix.tree {
			t.dropped = append(t.dropped, garbage{ix: ix, data: ix.id == 0 && sp.primary() == nil, bytes: sp.stats.bytes})
		}
	}
	t.schema().putSpace(sp)
	t.schemaOps++
	if more {
		t.walks = append(t.walks, w)
	}
	return nil
}

// giveUp frees the trees of a definition that cannot be.
func (t *Txn) giveUp(built []*index, err error) error {
	for _, ix := range built {
		t.box.garbage.dropNodes(t.box, ix)
	}
	return err
}

func primaryParts(defs []*index) []part {
	if len(defs) > 0 && defs[0].id == 0 {
		return defs[0].parts
	}
	return nil
}

// checkFields tells whether indexes agree with each other and with the format:
// along the way a field has the narrowest type that was asked for.
func checkFields(sp *space, defs []*index) error {
	named := sp.format.named
	narrow := map[uint32]fieldType{}
	for _, ix := range defs {
		for _, p := range ix.parts {
			want := p.typ
			if p.path != "" {
				want = p.path.container()
			}
			typ, known := narrow[p.field]
			code := xrow.ErrIndexPartTypeMismatch
			if !known && int(p.field) < len(named) {
				typ, known, code = named[p.field].typ, true, xrow.ErrFormatMismatchIndexPart
			}
			if known && !typ.contains(want) && !want.contains(typ) {
				return xrow.Errorf(code, sp.format.fieldName(int(p.field)), typ, want)
			}
			if !known || typ.contains(want) {
				narrow[p.field] = want
			}
		}
	}
	return nil
}

// liveRefs are the newest versions of all tuples of a primary index.
func (ix *index) liveRefs() (refs []ref) {
	for at := ix.first(); at.leaf != 0; at = ix.next(at) {
		if r := ix.refAt(at); ix.mem.live(r) {
			refs = append(refs, r)
		}
	}
	return refs
}

func (b *Box) newTree() *tree { return &tree{root: b.nodes.newLeaf()} }

// onIndex creates, alters or drops an index.
func (t *Txn) onIndex(old, new []byte, who actor) error {
	row := splitRow(old)
	need := PrivDrop
	switch {
	case old == nil:
		row, need = splitRow(new), PrivCreate
	case new != nil:
		need = PrivAlter
	}
	sp, err := t.dict.needSpace(uint32(row.uint(0)))
	if err != nil {
		return err
	}
	if err := t.allowed(who, classSpace, sp.id, sp.name, sp.owner, need); err != nil {
		return err
	}
	if new == nil {
		return t.dropIndex(sp, uint32(row.uint(1)))
	}
	ix, err := parseIndex(new, sp, t.door(who))
	if err != nil {
		return err
	}
	if was := sp.index(ix.id); was != nil && sp.system() && !slices.Equal(was.parts, ix.parts) {
		return unsupported("other parts of index '" + ix.name + "' of space '" + sp.name + "'")
	}
	if who.log && sp.engine == engineVinyl && old != nil {
		return unsupported("changes of indexes of engine 'vinyl'")
	}
	if who.client && sp.system() && old == nil {
		return xrow.Errorf(xrow.ErrModifyIndex, ix.name, sp.name, "can't create index on system space")
	}
	if ix.id != 0 && sp.primary() == nil {
		return xrow.Errorf(xrow.ErrAlterSpace, sp.name, "can not add a secondary key before primary")
	}
	ix.pool, ix.mem = &t.box.nodes, &t.box.mem
	now := sp.copy()
	now.unusable = slices.DeleteFunc(slices.Clone(sp.unusable), func(u unusable) bool { return u.id == ix.id })
	if ix.cannot != "" {
		now.unusable = append(now.unusable, unusable{id: ix.id, name: ix.name, what: ix.cannot})
		return t.redefine(sp, now, withoutIndex(sp.indexes, ix.id))
	}
	if !who.log && t.dict.sharing.leavesOut(sp.id, ix.id) {
		now.unusable = append(now.unusable, ix.leftOut(t.dict.sharing))
		return t.redefine(sp, now, withoutIndex(sp.indexes, ix.id))
	}
	defs := withIndex(sp.indexes, ix)
	if err := t.agree(now, defs, who); err != nil {
		return err
	}
	return t.redefine(sp, now, defs)
}

// agree checks that indexes and format ask for the same types; an author of
// rows of the log did.
func (t *Txn) agree(sp *space, defs []*index, who actor) error {
	if !who.log {
		return nil
	}
	return checkFields(sp, defs)
}

// copy is a definition to be changed.
func (sp *space) copy() *space {
	c := *sp
	return &c
}

// withIndex is the list of definitions with one added or replaced.
func withIndex(defs []*index, ix *index) []*index {
	list := make([]*index, 0, len(defs)+1)
	for _, def := range defs {
		if def.id < ix.id {
			list = append(list, def)
		}
	}
	list = append(list, ix)
	for _, def := range defs {
		if def.id > ix.id {
			list = append(list, def)
		}
	}
	return list
}

func withoutIndex(defs []*index, id uint32) (list []*index) {
	for _, ix := range defs {
		if ix.id != id {
			list = append(list, ix)
		}
	}
	return list
}

func (t *Txn) dropIndex(sp *space, id uint32) error {
	if id == 0 {
		switch {
		case sp.system():
			return xrow.Errorf(xrow.ErrLastDrop, sp.name)
		case len(sp.indexes)+len(sp.unusable) > 1:
			return xrow.Errorf(xrow.ErrDropPrimaryKey, sp.name)
		}
	}
	defs := withoutIndex(sp.indexes, id)
	now := sp.copy()
	now.unusable = slices.DeleteFunc(slices.Clone(sp.unusable), func(u unusable) bool { return u.id == id })
	if id == 0 {
		now.stats = &stats{}
	}
	return t.redefine(sp, now, defs)
}

// onTruncate empties a space: every index gets a new tree.
func (t *Txn) onTruncate(old, new []byte, who actor) error {
	if new == nil {
		return t.allowedUntruncate(uint32(splitRow(old).uint(0)), who) // the space is being dropped
	}
	sp, err := t.dict.needSpace(uint32(splitRow(new).uint(0)))
	if err != nil {
		return err
	}
	if who.client {
		if err := t.dict.allowedSpace(who.user, sp, PrivWrite); err != nil {
			return err
		}
		if err := t.refuseOwn(sp); err != nil {
			return err
		}
	}
	if sp.system() {
		return xrow.Errorf(xrow.ErrTruncateSystemSpace, sp.name)
	}
	if who.log {
		for _, l := range t.dict.limits[sp.id] {
			if l.keepsUp {
				return unsupported(l.what)
			}
		}
	}
	if len(sp.indexes) == 0 {
		return nil
	}
	t.empty(sp)
	return nil
}

// empty gives every index of a space a new tree.
func (t *Txn) empty(sp *space) {
	now := sp.copy()
	now.stats = &stats{}
	now.indexes = nil
	for _, ix := range sp.indexes {
		fresh := *ix
		fresh.tree = t.box.newTree()
		now.indexes = append(now.indexes, &fresh)
		t.built = append(t.built, &fresh)
		t.dropped = append(t.dropped, garbage{ix: ix, data: ix.id == 0, bytes: sp.stats.bytes})
	}
	t.schema().putSpace(now)
}

// onCluster checks a member's row. A Tarantool leader gives a joiner with the
// name of a silent member that one's row, under the new uuid.
func onCluster(old, new []byte, who actor) error {
	if new == nil {
		return nil
	}
	row := splitRow(new)
	switch id := row.uint(0); {
	case id == 0:
		return xrow.Errorf(xrow.ErrReplicaIDIsReserved, id)
	case id > vclock.MaxID:
		return xrow.Errorf(xrow.ErrReplicaMax, id)
	}
	if !validUUID(row.string(1)) {
		return xrow.Errorf(xrow.ErrInvalidUUID, shortName(row.string(1)))
	}
	if who.client && old != nil && splitRow(old).string(1) != row.string(1) {
		return unsupported("updates of instance uuid")
	}
	return nil
}
