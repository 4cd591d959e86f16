package attack

import (
	"tarragon.dev/tarragon/xrow"
)

// systemSpace is a row that may stand in a system space, made for a user.
type systemSpace struct {
	id   int
	name string
	key  func(n *node, user string) []any
	row  func(n *node, user string) []any
	op   []any
	need func(n *node) // what the row refers to
	drop func(n *node)
}

// reader is the uuid of one.
const reader = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

func these(v ...any) func(*node, string) []any { return func(*node, string) []any { return v } }

// systemSpaces in the order of their IDs. A row that is inserted belongs to who
// inserts it; rows that are changed and deleted are admin's. An operation changes
// something, or nothing is judged.
var systemSpaces = []systemSpace{
	{id: 257, name: "_vinyl_deferred_delete", key: these(90), row: these(90, 1, []any{})},
	{id: xrow.SpaceSchema, name: "_schema", key: these("attack"), row: these("attack", 1), op: []any{"=", 1, 2}},
	{id: xrow.SpaceCollation, name: "_collation", key: these(300), row: owned(300, "attack", "ICU", "en_US", map[string]any{}), op: []any{"=", 1, "attack"}},
	{id: xrow.ViewCollation, name: "_vcollation", key: these(300), row: these(300, "attack", 1, "ICU", "en_US", map[string]any{})},
	{id: xrow.SpaceSpace, name: "_space", key: these(madeSpace), row: owned(madeSpace, "attack", "memtx", 0, map[string]any{}, []any{}), op: []any{"=", 2, "attack2"}},
	{id: xrow.ViewSpace, name: "_vspace", key: these(madeSpace), row: owned(madeSpace, "attack", "memtx", 0, map[string]any{}, []any{})},
	{id: xrow.SpaceSequence, name: "_sequence", key: these(90), row: owned(90, "attack", 1, 1, 100, 1, 0, false), op: []any{"=", 3, 2}},
	{id: xrow.SpaceSequenceData, name: "_sequence_data", key: these(90), row: these(90, 5), op: []any{"=", 1, 6}, need: makeSequence, drop: dropSequence},
	{id: xrow.ViewSequence, name: "_vsequence", key: these(90), row: owned(90, "attack", 1, 1, 100, 1, 0, false)},
	{id: xrow.SpaceIndex, name: "_index", key: these(hiddenSpace, 1), op: []any{"=", 2, "attack2"},
		row: these(hiddenSpace, 1, "attack", "tree", map[string]any{"unique": false}, []any{[]any{1, "unsigned"}})},
	{id: xrow.ViewIndex, name: "_vindex", key: these(hiddenSpace, 1),
		row: these(hiddenSpace, 1, "attack", "tree", map[string]any{"unique": false}, []any{[]any{1, "unsigned"}})},
	{id: xrow.SpaceFunc, name: "_func", key: these(90), row: function, op: []any{"=", 2, "attack"}},
	{id: xrow.ViewFunc, name: "_vfunc", key: these(90), row: function},
	{id: xrow.SpaceUser, name: "_user", key: these(90), row: owned(90, "attack", "user", map[string]any{}, []any{}, 0), op: []any{"=", 2, "attack2"}},
	{id: xrow.ViewUser, name: "_vuser", key: these(90), row: owned(90, "attack", "user", map[string]any{}, []any{}, 0)},
	{id: xrow.SpacePriv, name: "_priv", key: grantKey, row: grantRow, op: []any{"=", 4, 3}},
	{id: xrow.ViewPriv, name: "_vpriv", key: grantKey, row: grantRow},
	// No uuid: a row that counts would leave the node without a quorum.
	{id: xrow.SpaceCluster, name: "_cluster", key: these(20), row: these(20, "nobody"), op: []any{"=", 1, "nobody"}},
	{id: xrow.SpaceTrigger, name: "_trigger", key: these("attack"), op: []any{"=", 1, hiddenSpace},
		row: these("attack", hiddenSpace, map[string]any{"sql": "CREATE TRIGGER attack AFTER INSERT ON hidden FOR EACH ROW BEGIN SELECT 1; END;"})},
	{id: xrow.SpaceTruncate, name: "_truncate", key: these(hiddenSpace), row: these(hiddenSpace, 1), op: []any{"+", 1, 1}},
	{id: xrow.SpaceSpaceSequence, name: "_space_sequence", key: these(hiddenSpace), row: these(hiddenSpace, 90, false, 0, ""), op: []any{"=", 2, false}, need: makeSequence, drop: dropSequence},
	{id: xrow.ViewSpaceSequence, name: "_vspace_sequence", key: these(hiddenSpace), row: these(hiddenSpace, 90, false, 0, "")},
	{id: xrow.SpaceFkConstraint, name: "_fk_constraint", key: these("attack", hiddenSpace), op: []any{"=", 3, false},
		row: these("attack", hiddenSpace, openSpace, false, "simple", "no_action", "no_action", []any{0}, []any{0})},
	{id: xrow.SpaceCkConstraint, name: "_ck_constraint", key: these(hiddenSpace, "attack"), row: these(hiddenSpace, "attack", false, "SQL", "\"a\" > 1", true), op: []any{"=", 5, true}},
	{id: xrow.SpaceFuncIndex, name: "_func_index", key: these(hiddenSpace, 0), row: these(hiddenSpace, 0, 90), op: []any{"=", 2, 90}},
	{id: xrow.SpaceSessionSettings, name: "_session_settings", key: these("sql_full_metadata"), row: these("sql_full_metadata", true), op: []any{"=", 1, true}},
	{id: xrow.SpaceGcConsumers, name: "_gc_consumers", key: these(reader), row: these(reader, map[int]int{}, map[string]any{}), op: []any{"=", 1, map[int]int{}}},
	{id: xrow.SpaceRecoveryPoint, name: "_recovery_point", key: these(90), row: these(90, "attack"), op: []any{"=", 1, "attack"}},
	{id: ownSpace, name: ownName, key: these("pause"), row: these("pause", map[string]any{"seconds": 3600}), op: []any{"=", 2, 1}, need: pauseSet, drop: resumeSet},
	{id: filterSpace, name: filterSpaceName, key: these(filterName), row: these(filterName, 9, true, []any{}, []any{}, []any{}, []any{}), op: []any{"=", 3, false}},
	{id: replicaSpace, name: replicaSpaceName, key: these(replica), row: these(replica, replicaName, "", "dropped", 9), op: []any{"=", 4, "dropped"}},
}

// pauseSet lets a row of ours be there, which a Tarantool would be given by statements.
func pauseSet(n *node) {
	if !n.theirs {
		n.do("tarragon.pause")
	}
}

func resumeSet(n *node) {
	if !n.theirs {
		n.do("tarragon.resume")
	}
}

// owned is a row whose second field is its owner.
func owned(id int, rest ...any) func(n *node, user string) []any {
	return func(n *node, user string) []any { return append([]any{id, n.owner(user)}, rest...) }
}

// owner is the ID of who makes a row; of admin's rows no user is said.
func (n *node) owner(user string) uint64 {
	if user == "" {
		return 1
	}
	return n.ids[user]
}

func function(n *node, user string) []any {
	const when = "2025-01-01 00:00:00"
	return []any{90, n.owner(user), "attack", 0, "LUA", "", "function", []any{}, "any", "none", "none", false, false, true, []any{"LUA"},
		map[string]any{}, "", when, when, []any{}}
}

// grantRow gives the right to read a space that is admin's.
func grantRow(n *node, user string) []any {
	grantee := user
	if user == "" {
		grantee = victim
	}
	return []any{n.owner(user), n.ids[grantee], "space", hiddenSpace, 1}
}

func grantKey(n *node, user string) []any {
	row := grantRow(n, user)
	return row[1:4]
}

func makeSequence(n *node) {
	n.do("box.space._sequence:replace", []any{90, 1, "attack", 1, 1, 100, 1, 0, false})
}

func dropSequence(n *node) {
	n.do("box.space._sequence_data:delete", []any{90})
	n.do("box.space._sequence:delete", []any{90})
}

func statementAttempts() (out []*attempt) {
	for i := range systemSpaces {
		s := &systemSpaces[i]
		if s.op == nil {
			s.op = []any{"=", 1, 1}
		}
		out = append(out, s.attempts()...)
	}
	return append(out, takeOver())
}

func (s *systemSpace) attempts() (out []*attempt) {
	add := func(t xrow.Type, there bool, f func(n *node, user string) fields) {
		out = append(out, &attempt{section: statements, verb: t.String(), object: s.name,
			before: func(n *node, user string) { s.prepare(n, there) },
			run: func(n *node, c *client, user string) verdict {
				all := f(n, user)
				all[xrow.KeySpaceID] = s.id
				return c.ask(t, all)
			},
			after: s.clear,
		})
	}
	add(xrow.Select, true, func(n *node, _ string) fields { return fields{xrow.KeyLimit: 1, xrow.KeyKey: []any{}} })
	add(xrow.Insert, false, func(n *node, user string) fields { return fields{xrow.KeyTuple: s.row(n, user)} })
	add(xrow.Replace, true, func(n *node, _ string) fields { return fields{xrow.KeyTuple: s.row(n, "")} })
	add(xrow.Update, true, func(n *node, _ string) fields { return fields{xrow.KeyKey: s.key(n, ""), xrow.KeyTuple: []any{s.op}} })
	add(xrow.Upsert, true, func(n *node, _ string) fields {
		return fields{xrow.KeyTuple: s.row(n, ""), xrow.KeyOps: []any{s.op}}
	})
	add(xrow.Delete, true, func(n *node, _ string) fields { return fields{xrow.KeyKey: s.key(n, "")} })
	return out
}

// prepare: the row is there, and admin's, or is not.
func (s *systemSpace) prepare(n *node, there bool) {
	if s.need != nil {
		s.need(n)
	}
	if there {
		n.do("box.space."+s.name+":replace", s.row(n, ""))
	}
}

func (s *systemSpace) clear(n *node, user string) {
	for _, of := range []string{"", user} {
		n.do("box.space."+s.name+":delete", s.key(n, of))
	}
	if s.drop != nil {
		s.drop(n)
	}
	n.do("box.space.hidden:replace", []any{1, 10})
}

// takeOver sets the password of admin.
func takeOver() *attempt {
	return &attempt{section: statements, verb: xrow.Update.String(), object: "the password of admin",
		run: func(n *node, c *client, _ string) verdict {
			hash := map[string]any{"chap-sha1": "vhvewKp0tNyweZQ+cFKAlsyphfg="}
			return c.ask(xrow.Update, fields{xrow.KeySpaceID: 304, xrow.KeyKey: []any{1}, xrow.KeyTuple: []any{[]any{"=", 4, hash}}})
		},
		after: func(n *node, _ string) {
			n.do("box.space._user:update", 1, []any{[]any{"=", 5, map[string]any{}}})
		}}
}
