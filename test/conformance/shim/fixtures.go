package main

import (
	"slices"

	"github.com/google/uuid"
	_ "github.com/tarantool/go-tarantool/v2/uuid" // encodes uuids
)

// fixture is what an init script makes.
type fixture struct {
	followsItself bool // the instance is its own peer
	calls         []function
	procedures    procedures // nil: it has none
}

// function is a procedure, and the arguments of each call of it. These are sent
// together: none needs what another one does.
type function struct {
	name  string
	calls [][]any
}

func call(name string, args ...any) function { return function{name, [][]any{args}} }

// options are a table of options.
type options map[string]any

// fixtures by the SHA-256 of the script. Scripts of v2.4.2 and v3.0.0 are the same,
// but for that of box. Their functions in Lua are procedures in Go. What is left out:
// a function with a body, which nobody may call, the objects of box.error, and rows that
// say that box.once ran.
var fixtures = map[string]fixture{
	"bd154a263d7033fe7d4af8ecb52d4a524ce605383bb7abc9d049657ea4bfd2cd": {calls: root(), procedures: rootProcedures},
	"e7b721c153f1f77ce559e95fdabd57cd4e981c7ca7be806ada4cb821966984a6": {calls: pool(), procedures: poolProcedures},
	"627a861799ee8b772adc23cea45762047db731f3e9e25b5d606c172ae2efb45e": {followsItself: true, calls: box(everything, "universe")},
	"b4b847c66437417f68575d897a08680b07e262866b7c7e4e133a971244f0f32b": {followsItself: true, calls: box("super", nil)},
	"7e1ba4aec9941f6396f3e169b59094de9419a2456aeff8358483fda5c92f07ea": {calls: datetimes(), procedures: datetimeProcedures},
	"43d0527861e44db07b7e8c2d6e95008766842f3483e54b9d6a968cf67badb9e9": {calls: decimals()},
	"e3d40d16a4b7fb9725cdc89f889ba011e5249c3aed4f9acd7bb8d3add7a4760f": {calls: uuids()},
	"f826a4280e70f86235fb053030b781d6cd2eefa4547b9813265afcd5ce225bb1": {calls: arrow()},
	"e5945710404bffd87c2869c2d589abbac8722f9fb03a9e9dd5ab52a6573d4de8": {calls: user(sqlGrants()...)},
}

const everything = "session,usage,alter,drop,read,write,create,execute"

// user makes the user test, with grants; he can log in once all is there.
func user(rest ...function) []function {
	all := append([]function{call("box.schema.user.create", "test")}, rest...)
	return append(all, call("box.schema.user.passwd", "test", "test"))
}

func grant(privileges string, object ...any) function {
	return call("box.schema.user.grant", append([]any{"test", privileges}, object...)...)
}

// administers grants a procedure by name. In Tarantool execute on universe is enough for
// those that act on the instance, here it is not.
func administers(procedure string) function { return grant("execute", "lua_call", procedure) }

// sqlGrants are what the scripts grant for SQL.
func sqlGrants() []function {
	return []function{grant("create,read,write,drop,alter", "space"), grant("create", "sequence")}
}

func space(name string, o options) function { return call("box.schema.space.create", name, o) }

func index(space, name string, o options) function {
	return call("box.space."+space+":create_index", name, o)
}

func primary(space, kind string, parts ...any) function {
	return index(space, "primary", options{"type": kind, "parts": parts})
}

// columns is a format of pairs of name and type.
func columns(pairs ...string) (out []options) {
	for pair := range slices.Chunk(pairs, 2) {
		out = append(out, options{"name": pair[0], "type": pair[1]})
	}
	return out
}

func sqlTest(id int) []function {
	return []function{
		space("SQL_TEST", options{"id": id, "format": columns("NAME0", "unsigned", "NAME1", "string", "NAME2", "string")}),
		primary("SQL_TEST", "tree", 1, "uint"),
		call("box.space.SQL_TEST:insert", []any{1, "test", "test"}),
	}
}

func root() []function {
	schematest := columns("name0", "unsigned", "name1", "unsigned", "name2", "string", "name3", "unsigned", "name4", "unsigned", "name5", "string")
	schematest = append(schematest, options{"name": "nullable", "is_nullable": true})
	calls := []function{
		space("schematest", options{"id": 616, "temporary": true, "field_count": 8, "format": schematest}),
		primary("schematest", "hash", 1, "uint"),
		index("schematest", "secondary", options{"id": 3, "type": "tree", "unique": false, "parts": []any{2, "uint", 3, "string"}}),
		space("test", options{"id": 617}),
		primary("test", "tree", 1, "uint"),
		space("teststring", options{"id": 618}),
		primary("teststring", "tree", 1, "string"),
		space("testintint", options{"id": 619}),
		primary("testintint", "tree", 1, "int", 2, "int"),
	}
	calls = append(calls, sqlTest(620)...)
	calls = append(calls,
		space("test_perf", options{"id": 621, "temporary": true, "field_count": 3,
			"format": columns("id", "unsigned", "name", "string", "arr1", "array")}),
		primary("test_perf", "tree", 1, "unsigned"),
		index("test_perf", "secondary", options{"id": 5, "type": "tree", "unique": false, "parts": []any{2, "string"}}),
	)
	numbers := make([]int, 100)
	for i := range numbers {
		numbers[i] = i + 1
	}
	fill := function{name: "box.space.test_perf:insert"}
	for i := 1; i <= 1000; i++ {
		row := []any{i, "test_name", numbers}
		fill.calls = append(fill.calls, []any{row})
	}
	calls = append(calls,
		fill,
		space("test_error_type", options{"id": 622, "temporary": true, "field_count": 2}),
		primary("test_error_type", "tree", 1, "string"),
		call("box.schema.func.create", "box.info"),
		call("box.schema.func.create", "simple_concat"),
		call("box.schema.user.create", "no_grants"),
		grant("execute", "universe"),
		administers("box.ctl.set_on_shutdown_timeout"),
	)
	for _, name := range []string{"test", "schematest", "test_perf", "test_error_type"} {
		calls = append(calls, grant("read,write", "space", name))
	}
	return user(append(calls, sqlGrants()...)...)
}

func pool() []function {
	calls := []function{
		grant("read,write,execute", "universe"),
		administers("box.cfg"),
		call("box.schema.user.create", "test_noexec", options{"password": "test"}),
		call("box.schema.user.grant", "test_noexec", "read,write", "universe"),
		space("testPool", options{"id": 520, "format": columns("key", "string", "value", "string")}),
		index("testPool", "pk", options{"type": "tree", "parts": []any{1, "string"}}),
	}
	calls = append(calls, sqlTest(521)...)
	return user(append(calls, sqlGrants()...)...)
}

// box grants one thing to everybody: a test counts what its user was granted.
func box(privileges string, object any) []function {
	su := call("box.schema.role.grant", "public", "execute", "lua_call", "box.session.su")
	return user(space("space1", options{}), grant(privileges, object), su)
}

// own are spaces that the user may read and write.
func own(name string, id any, kind string) []function {
	return []function{space(name, options{"id": id}), primary(name, "tree", 1, kind), grant("read,write", "space", name)}
}

func datetimes() []function {
	return user(slices.Concat([]function{grant("execute", "universe"), call("box.schema.func.create", "call_datetime_testdata")},
		own("testDatetime_1", 524, "datetime"), own("testDatetime_2", 526, "uint"))...)
}

func decimals() []function {
	return user(append(own("testDecimal", 524, "decimal"), grant("execute", "universe"))...)
}

func uuids() []function {
	row := []any{uuid.MustParse("c8f0fa1f-da29-438c-a040-393f1126ad39")}
	return user(append(own("testUUID", 524, "uuid"), grant("execute", "universe"), call("box.space.testUUID:insert", row))...)
}

func arrow() []function {
	return user(append(own("testArrow", nil, "integer"), grant("execute", "universe"))...)
}
