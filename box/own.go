package box

import (
	"fmt"
	"slices"
	"strings"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// ownNames begin the names of the replicated spaces that are Tarragon's own.
const ownNames = "_tarragon_"

// OwnSpace is a replicated space of Tarragon's own. The leader makes it with the
// first row that needs it, under the next free ID: those below 512 are
// Tarantool's, whose upgrades give them away. A row of _schema that no client
// writes, ["tarragon.space.NAME", id], says which space of that name is ours; so
// one that a client had made before is never taken for it. A Tarantool has both as
// plain rows. Decision 0026 has the alternatives.
type OwnSpace struct {
	Name  string
	Level uint32 // the feature level that its rows need
	// fields are its format; the first ones are the primary key.
	fields [][2]string // name and type
	key    int         // how many fields are the primary key; 0: one
	verbs  string      // what writes it, for who tries to
}

// OwnSet has what administrators said to a replica set as a whole: [name, value].
var OwnSet = OwnSpace{Name: "_tarragon_set", Level: 2, fields: [][2]string{{"name", "string"}, {"value", "any"}},
	verbs: "'tarragon pause' (tarragon.pause), 'tarragon resume' (tarragon.resume) and 'tarragon node set' (tarragon.node.set) write it"}

// OwnFilter has the filters of replicas, see docs/protocol/filters.md.
var OwnFilter = OwnSpace{Name: "_tarragon_filter", Level: 3, fields: [][2]string{{"name", "string"}, {"version", "unsigned"}, {"new", "boolean"},
	{"spaces", "array"}, {"indexes", "array"}, {"sequences", "array"}, {"former", "array"}},
	verbs: "'tarragon filter' (tarragon.filter.create, alter, drop) writes it"}

// OwnSession has what exactly-once sessions remember, see docs/protocol/sessions.md. Nothing
// but the transaction that writes one looks at its rows, so they are no barrier
// (decision 0045).
var OwnSession = OwnSpace{Name: "_tarragon_session", Level: 3, key: 2, fields: [][2]string{{"session", "string"}, {"slot", "unsigned"},
	{"number", "unsigned"}, {"digest", "any"}, {"answer", "any"}}, verbs: "requests with a number (tarragon.session.open) write it"}

// OwnReplica has the replicas that are registered, see docs/protocol/filters.md.
var OwnReplica = OwnSpace{Name: "_tarragon_replica", Level: 3, fields: [][2]string{{"uuid", "string"}, {"name", "string"}, {"filter", "string"},
	{"state", "string"}, {"number", "unsigned"}},
	verbs: "'tarragon replica' (tarragon.replica.create, alter, drop) writes it, and the leader when a filtered replica comes for the first time"}

// ownSpaces are all of them.
var ownSpaces = [...]*OwnSpace{&OwnSet, &OwnFilter, &OwnSession, &OwnReplica}

// ownMark begins the keys of _schema that say which space is ours.
const ownMark = ownKeys + "space."

// markedSpace is an own space by its row of _schema.
type markedSpace struct {
	name string
	id   uint32
}

// mark takes a row of _schema down; id 0: it is gone. It must be called with the
// dictionary of a transaction, or of a box that is loaded.
func (s *Schema) mark(name string, id uint32) {
	marks := slices.DeleteFunc(slices.Clone(s.marks), func(m markedSpace) bool { return m.name == name })
	if id != 0 {
		marks = append(marks, markedSpace{name, id})
	}
	s.marks = marks
	s.findOwn()
}

// findOwn derives which spaces are our own: those that are marked, as long as there
// is one of that ID and name. A Tarantool may drop ours and give the ID away.
func (s *Schema) findOwn() {
	s.own, s.shared, s.session = nil, nil, 0
	for _, m := range s.marks {
		if sp := s.spaces[m.id]; sp != nil && sp.name == m.name && m.id >= xrow.FirstUserSpace && !sp.decidedByWrite() {
			s.own = append(s.own, m.id)
			if m.name == OwnSession.Name {
				s.session = m.id
			} else {
				s.shared = append(s.shared, m.id)
			}
		}
	}
}

// isOwn tells whether a space is one of ours.
func (s *Schema) isOwn(id uint32) bool { return len(s.own) > 0 && slices.Contains(s.own, id) }

// ownID finds one of ours.
func (s *Schema) ownID(o *OwnSpace) (id uint32, ok bool) {
	id, ok = s.names[o.Name]
	return id, ok && s.isOwn(id)
}

// Own is the confirmed tuple of an own space under a key, nil if there is none.
// Safe for readers; the caller must not change it, nor keep it.
func (b *Box) Own(o *OwnSpace, key string) []byte { return b.ownRow(b.dict, b.confirmed, o, key) }

// NewestOwn includes an undecided change; otherwise like Own.
func (b *Box) NewestOwn(o *OwnSpace, key string) []byte { return b.ownRow(b.head, noEnd, o, key) }

func (b *Box) ownRow(s *Schema, bound uint64, o *OwnSpace, key string) (found []byte) {
	id, ok := s.ownID(o)
	if !ok {
		return nil
	}
	b.each(s.spaces[id], bound, func(tuple []byte) {
		if splitRow(tuple).string(0) == key {
			found = tuple
		}
	})
	return found
}

// OwnRows are the confirmed tuples of an own space, by their keys. Safe for readers;
// the caller must not change them, nor keep them.
func (b *Box) OwnRows(o *OwnSpace) [][]byte { return b.ownRows(b.dict, b.confirmed, o) }

// OwnRows are those that there are with the transaction's own changes, until its end.
// Its answer stands on them.
func (t *Txn) OwnRows(o *OwnSpace) [][]byte {
	if id, ok := t.dict.ownID(o); ok {
		t.saw.look(t, t.dict.spaces[id], 0) // all that is there is decided: it is a barrier
	}
	return t.box.ownRows(t.dict, noEnd, o)
}

func (b *Box) ownRows(s *Schema, bound uint64, o *OwnSpace) (rows [][]byte) {
	if id, ok := s.ownID(o); ok {
		b.each(s.spaces[id], bound, func(tuple []byte) { rows = append(rows, tuple) })
	}
	return rows
}

// MakeOwn makes an own space where it is not there. A space of that name that is not
// ours is an error, and stays what it is.
func (t *Txn) MakeOwn(o *OwnSpace) (id uint32, err error) {
	if id, ok := t.dict.ownID(o); ok {
		return id, nil
	}
	return t.makeOwn(o)
}

// PutOwn writes a row of an own space, which it makes as [Txn.MakeOwn] does.
func (t *Txn) PutOwn(o *OwnSpace, tuple []byte) error {
	id, err := t.MakeOwn(o)
	if err != nil {
		return err
	}
	return t.ExecuteInternal(&xrow.DML{Type: xrow.Replace, SpaceID: id, Tuple: tuple})
}

// DeleteOwn deletes the row of an own space under a key. found: there was one.
func (t *Txn) DeleteOwn(o *OwnSpace, key string) (found bool, err error) {
	return t.DeleteOwnAt(o, msgp.AppendString([]byte{0x91}, key))
}

// DeleteOwnAt is DeleteOwn by a whole primary key, a raw array.
func (t *Txn) DeleteOwnAt(o *OwnSpace, key []byte) (found bool, err error) {
	id, ok := t.dict.ownID(o)
	if !ok {
		return false, nil
	}
	before := len(t.rows)
	err = t.ExecuteInternal(&xrow.DML{Type: xrow.Delete, SpaceID: id, Key: key})
	return len(t.rows) > before, err
}

// OwnAt is the tuple of an own space under a whole primary key, a raw array, with the
// transaction's own changes; nil: there is none. Its answer stands on it. The caller
// must not change it, nor keep it.
func (t *Txn) OwnAt(o *OwnSpace, key []byte) []byte {
	id, ok := t.dict.ownID(o)
	if !ok {
		return nil
	}
	sp := t.dict.spaces[id]
	pk := sp.primary()
	if pk == nil {
		return nil
	}
	r, err := t.lookup(sp, pk, key)
	if err != nil || r == 0 {
		return nil
	}
	return t.box.mem.tuple(r)
}

// HasOwn tells whether an own space was made. For the owner: it looks at the newest
// dictionary.
func (b *Box) HasOwn(o *OwnSpace) bool {
	_, ok := b.head.ownID(o)
	return ok
}

// NewestOwnBehind is the first tuple of an own space, by their keys, whose first field is greater than a raw value; nil: of all.
// It knows those that are undecided. nil: there is none. For the owner; it must not change it, nor keep it.
func (b *Box) NewestOwnBehind(o *OwnSpace, first []byte) []byte {
	id, ok := b.head.ownID(o)
	if !ok {
		return nil
	}
	pk := b.head.spaces[id].primary()
	if pk == nil {
		return nil
	}
	at := pk.first()
	if first != nil {
		p := pk.keyProbe(first, 1)
		at = pk.seek(&p, true)
	}
	for ; at.leaf != 0; at = pk.next(at) {
		if r := pk.visible(pk.refAt(at), noEnd); r != 0 {
			return b.mem.tuple(r)
		}
	}
	return nil
}

func (t *Txn) makeOwn(o *OwnSpace) (id uint32, err error) {
	if id, taken := t.dict.names[o.Name]; taken {
		return 0, &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf(
			"Space '%s' (%d) is not Tarragon's own, which needs that name: somebody made it; rename or drop it", o.Name, id)}
	}
	id = t.dict.NextSpaceID()
	put := func(space uint32, tuple []byte) {
		if err == nil {
			err = t.ExecuteInternal(&xrow.DML{Type: xrow.Replace, SpaceID: space, Tuple: tuple})
		}
	}
	setting := func(key string) {
		put(xrow.SpaceSchema, msgp.AppendUint32(msgp.AppendString([]byte{0x92}, key), id))
	}
	if _, kept := t.dict.LastSpaceID(); kept {
		setting("max_id")
	}
	setting(ownMark + o.Name)
	put(xrow.SpaceSpace, o.definition(id))
	put(xrow.SpaceIndex, o.primary(id))
	return id, err
}

// definition is the row of _space: {id, owner, name, engine, field_count, flags, format}.
func (o *OwnSpace) definition(id uint32) []byte {
	b := msgp.AppendUint32(msgp.AppendUint32([]byte{0x97}, id), UserAdmin)
	b = msgp.AppendString(msgp.AppendString(b, o.Name), engineMemtx)
	b = append(msgp.AppendString(append(b, 0, 0x81), "is_sync"), 0xc3)
	b = appendArrayHead(b, len(o.fields))
	for _, f := range o.fields {
		b = msgp.AppendString(msgp.AppendString(append(b, 0x82), "name"), f[0])
		b = msgp.AppendString(msgp.AppendString(b, "type"), f[1])
	}
	return b
}

// primary is the row of _index: {space, id, name, type, options, parts}.
func (o *OwnSpace) primary(id uint32) []byte {
	b := append(msgp.AppendUint32([]byte{0x96}, id), 0)
	b = msgp.AppendString(msgp.AppendString(b, "primary"), "tree")
	b = append(msgp.AppendString(append(b, 0x81), "unique"), 0xc3)
	n := max(o.key, 1)
	b = appendArrayHead(b, n)
	for i := range n {
		b = msgp.AppendString(append(b, 0x92, byte(i)), o.fields[i][1])
	}
	return b
}

// refuseOwn is the answer to a client that would write an own space.
func (t *Txn) refuseOwn(sp *space) error {
	if !t.dict.isOwn(sp.id) {
		return nil
	}
	verbs := "a newer version of Tarragon writes it"
	for _, o := range ownSpaces {
		if o.Name == sp.name {
			verbs = o.verbs
		}
	}
	return sealed(fmt.Sprintf("Space '%s' takes no changes of clients: %s", sp.name, verbs))
}

// refuseOwnDefinition is the answer to a client that would define an own space, or a
// new one by such a name. One that was there before may be changed, and renamed.
func (t *Txn) refuseOwnDefinition(id uint32, name string) error {
	was := t.dict.spaces[id]
	switch {
	case t.dict.isOwn(id):
		return sealed(fmt.Sprintf("The definition of space '%s' takes no changes of clients: it is Tarragon's own", was.name))
	case was != nil && was.name == name:
	case strings.HasPrefix(name, ownNames) || strings.HasPrefix(name, ownViews):
		return sealed(fmt.Sprintf("Space '%s' is refused: names that begin with '%s' or '%s' are Tarragon's own", shortName(name), ownNames, ownViews))
	}
	return nil
}
