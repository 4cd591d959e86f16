package box

import (
	"maps"
	"slices"
	"strconv"

	"tarragon.dev/tarragon/xrow"
)

// Limits of the dictionary, and its engines.
const (
	maxIndexes       = 128
	maxParts         = 255
	maxFieldNo       = 32767
	maxUsers         = 32
	firstUser        = 32
	lastUser         = xrow.LastSpace
	engineMemtx      = "memtx"
	engineSysview    = "sysview"
	engineVinyl      = "vinyl"
	engineService    = "service"
	engineBlackhole  = "blackhole"
	maxNameInMessage = 1 << 10
)

// User is a user or a role.
type User struct {
	ID    uint32
	Owner uint32
	Name  string
	Role  bool
	Hash  []byte // SHA1(SHA1(password)), 20 bytes; nil: no password is set
}

// space is a definition with its indexes. It never changes; DDL makes another.
type space struct {
	id, owner uint32
	name      string
	engine    string
	local     bool // group_id 1
	temp      bool // data is not logged
	tempType  bool // the definition is not logged either
	sync      bool
	view      bool   // of SQL
	computed  uint32 // whoever may read this space sees its tuples, which are made when they are read; 0: it is none of these
	format    *format
	indexes   []*index // ascending by ID
	unusable  []unusable
	lacks     []lack
	stats     *stats
}

// stats counts what is confirmed; changed when transactions are decided.
type stats struct {
	rows, bytes int

	// touched is the newest transaction that changed a tuple, undecided or vanished ones
	// too: all that is there was made and ended by it or before.
	touched uint64
}

func (sp *space) system() bool { return sp.id < xrow.FirstUserSpace && sp.id > xrow.LastInternalSpace }

// stored tells whether the space keeps tuples of its own.
func (sp *space) stored() bool {
	switch sp.engine {
	case engineSysview, engineService, engineBlackhole:
		return false
	}
	return true
}

// decidedByWrite tells whether readers see every version at once.
func (sp *space) decidedByWrite() bool { return sp.local || sp.temp }

// primary is the index with ID 0, nil: none yet.
func (sp *space) primary() *index {
	if len(sp.indexes) == 0 || sp.indexes[0].id != 0 {
		return nil
	}
	return sp.indexes[0]
}

func (sp *space) index(id uint32) *index {
	if int(id) < len(sp.indexes) && sp.indexes[id].id == id {
		return sp.indexes[id]
	}
	for _, ix := range sp.indexes {
		if ix.id == id {
			return ix
		}
	}
	return nil
}

// needIndex is index with the error of a client.
func (sp *space) needIndex(id uint32) (*index, error) {
	if ix := sp.index(id); ix != nil && sp.primary() != nil {
		if ix.tree != nil && ix.tree.forming != nil {
			return nil, ix.isForming(sp)
		}
		return ix, nil
	}
	if err := sp.needUsable(id); err != nil {
		return nil, err
	}
	return nil, xrow.Errorf(xrow.ErrNoSuchIndexID, id, sp.name)
}

// Schema is a dictionary: spaces, indexes, users and rights. The one of
// [Box.Schema] never changes, that of [Txn.Schema] with the transaction's next
// statement.
type Schema struct {
	spaces     map[uint32]*space
	names      map[string]uint32
	ids        []uint32 // of spaces, ascending
	users      map[uint32]*account
	userNames  map[string]uint32
	made       uint32  // how many users and roles were ever made, dropped ones too
	rights     uint64  // how often users or rights changed
	grants     []grant // in primary-key order of _priv
	limits     map[uint32][]lack
	carried    []Carried
	procedures []Function // of language GO
	autos      map[uint32]*autoField
	lastID     uint32 // max_id of _schema; 0: the schema has none
	marks      []markedSpace
	own        []uint32 // of our own, by marks: see findOwn
	shared     []uint32 // those of them that replicas with a filter have
	session    uint32   // the other one, OwnSession; 0: there is none
	sharing    *sharing // the same for all dictionaries of a box
}

func newSchema() *Schema {
	return &Schema{
		spaces: map[uint32]*space{}, names: map[string]uint32{},
		users: map[uint32]*account{}, userNames: map[string]uint32{}, sharing: &sharing{},
	}
}

func (s *Schema) clone() *Schema {
	return &Schema{
		spaces: maps.Clone(s.spaces), names: maps.Clone(s.names), ids: slices.Clone(s.ids),
		users: maps.Clone(s.users), userNames: maps.Clone(s.userNames), made: s.made, rights: s.rights, grants: slices.Clone(s.grants),
		limits: s.limits, carried: s.carried, autos: s.autos, lastID: s.lastID, marks: s.marks, own: s.own, shared: s.shared, session: s.session, sharing: s.sharing,
	}
}

// putSpace adds or replaces a definition.
func (s *Schema) putSpace(sp *space) {
	if old := s.spaces[sp.id]; old != nil {
		delete(s.names, old.name)
	} else {
		at, _ := slices.BinarySearch(s.ids, sp.id)
		s.ids = slices.Insert(s.ids, at, sp.id)
	}
	s.spaces[sp.id] = sp
	s.names[sp.name] = sp.id
	s.findOwn()
}

func (s *Schema) dropSpace(sp *space) {
	delete(s.spaces, sp.id)
	delete(s.names, sp.name)
	at, _ := slices.BinarySearch(s.ids, sp.id)
	s.ids = slices.Delete(s.ids, at, at+1)
	s.findOwn()
}

func (s *Schema) needSpace(id uint32) (*space, error) {
	if sp := s.spaces[id]; sp != nil {
		return sp, nil
	}
	return nil, noSuchSpace(strconv.FormatUint(uint64(id), 10))
}

func noSuchSpace(name string) error {
	if len(name) > maxNameInMessage {
		name = name[:maxNameInMessage]
	}
	return xrow.Errorf(xrow.ErrNoSuchSpace, name)
}

// isTempType tells whether a space exists whose definition is not logged.
func (s *Schema) isTempType(id uint32) bool {
	sp := s.spaces[id]
	return sp != nil && sp.tempType
}

// FindSpace resolves a name; the error is NO_SUCH_SPACE.
func (s *Schema) FindSpace(name string) (id uint32, err error) {
	if id, ok := s.spaceID(name); ok {
		return id, nil
	}
	return 0, noSuchSpace(name)
}

// FindIndex resolves a name; the error is NO_SUCH_SPACE or NO_SUCH_INDEX_NAME.
func (s *Schema) FindIndex(space uint32, name string) (id uint32, err error) {
	sp, err := s.needShown(space)
	if err != nil {
		return 0, err
	}
	for _, ix := range sp.indexes {
		if ix.name == name {
			return ix.id, nil
		}
	}
	for _, ix := range sp.unusable {
		if ix.name == name {
			return ix.id, nil
		}
	}
	if len(name) > maxNameInMessage {
		name = name[:maxNameInMessage]
	}
	return 0, xrow.Errorf(xrow.ErrNoSuchIndexName, name, sp.name)
}

// User finds a user or role by ID.
func (s *Schema) User(id uint32) (User, bool) {
	if a := s.users[id]; a != nil {
		return a.User, true
	}
	return User{}, false
}

// UserByName finds a user or role by name.
func (s *Schema) UserByName(name string) (User, bool) {
	id, ok := s.userNames[name]
	if !ok {
		return User{}, false
	}
	return s.User(id)
}

// LastSpaceID is what a schema before 2.11.1 keeps as max_id in _schema: the
// largest ID that was ever given to a space. A new space takes the next one and
// puts it there.
func (s *Schema) LastSpaceID() (id uint32, kept bool) { return s.lastID, s.lastID != 0 }

// NextSpaceID is what Tarantool gives to a new space: one more than the
// largest, or the first gap when the range is full; in an older schema the one
// behind [Schema.LastSpaceID].
func (s *Schema) NextSpaceID() uint32 {
	if s.lastID != 0 {
		return s.lastID + 1
	}
	next := uint32(xrow.FirstUserSpace)
	for _, id := range s.ids {
		if id >= xrow.FirstUserSpace && id < xrow.FirstTempSpace {
			next = id + 1
		}
	}
	if next < xrow.FirstTempSpace {
		return next
	}
	for next = xrow.FirstUserSpace; s.spaces[next] != nil; next++ {
	}
	return next
}

// NextIndexID is one more than the largest index ID of the space.
func (s *Schema) NextIndexID(space uint32) uint32 {
	sp := s.spaces[space]
	if sp == nil {
		return 0
	}
	next := uint32(0)
	if n := len(sp.indexes); n > 0 {
		next = sp.indexes[n-1].id + 1
	}
	for _, ix := range sp.unusable {
		next = max(next, ix.id+1)
	}
	return next
}

// NextUserID is one more than the largest ID of a user or role, at least 32.
func (s *Schema) NextUserID() uint32 {
	next := uint32(firstUser)
	for id := range s.users { // the maximum does not depend on the order
		next = max(next, id+1)
	}
	for _, g := range s.grants { // of a Tarantool, which may leave rights on who was dropped
		if g.class == classUser || g.class == classRole {
			next = max(next, g.id+1)
		}
	}
	return next
}

// SpaceInfo describes a space for status pages and procedures.
type SpaceInfo struct {
	ID      uint32
	Owner   uint32
	Name    string
	Engine  string
	Local   bool
	Temp    bool
	Sync    bool
	Rows    int // visible to default readers
	Bytes   int // of those tuples
	Fields  []FieldInfo
	Indexes []IndexInfo // ascending by ID
}

// FieldInfo is an element of a declared format.
type FieldInfo struct {
	Name     string
	Type     string
	Nullable bool
}

// IndexInfo describes an index.
type IndexInfo struct {
	ID     uint32
	Name   string
	Type   string // TREE or HASH
	Unique bool
	Parts  []PartInfo
}

// PartInfo is a part of an index; Field counts from 0.
type PartInfo struct {
	Field    uint32
	Type     string
	Nullable bool
}

// Space describes one space.
func (s *Schema) Space(id uint32) (SpaceInfo, bool) {
	sp := s.shown(id)
	if sp == nil {
		return SpaceInfo{}, false
	}
	info := SpaceInfo{ID: sp.id, Owner: sp.owner, Name: sp.name, Engine: sp.engine, Local: sp.local, Temp: sp.temp, Sync: sp.sync,
		Rows: sp.stats.rows, Bytes: sp.stats.bytes}
	for _, fd := range sp.format.named {
		info.Fields = append(info.Fields, FieldInfo{fd.name, fd.typ.String(), fd.nullable})
	}
	for _, ix := range sp.indexes {
		ii := IndexInfo{ID: ix.id, Name: ix.name, Type: ix.typeName(), Unique: ix.unique}
		for _, p := range ix.parts {
			ii.Parts = append(ii.Parts, PartInfo{p.field, p.typ.String(), p.nullable})
		}
		info.Indexes = append(info.Indexes, ii)
	}
	return info, true
}

// SpaceSize is how large a space is.
type SpaceSize struct {
	ID     uint32
	Name   string
	Engine string
	Temp   bool
	Rows   int // visible to default readers
	Bytes  int // of those tuples
}

// SpaceSizes are the sizes of spaces, ascending by ID: of most spaces at most, from an ID on, behind
// those that are there.
func (s *Schema) SpaceSizes(from uint32, most int, sizes []SpaceSize) []SpaceSize {
	at, _ := slices.BinarySearch(s.ids, from)
	for _, id := range s.ids[at:min(at+most, len(s.ids))] {
		sp := s.shown(id)
		sizes = append(sizes, SpaceSize{sp.id, sp.name, sp.engine, sp.temp, sp.stats.rows, sp.stats.bytes})
	}
	return sizes
}

// Spaces lists all spaces, ascending by ID.
func (s *Schema) Spaces() []SpaceInfo {
	all := make([]SpaceInfo, 0, len(s.ids))
	for _, id := range s.ids {
		info, _ := s.Space(id)
		all = append(all, info)
	}
	return all
}
