package interop

import "github.com/tarantool/go-tarantool/v2"

// fill gives a Tarantool one of everything.
func (n *node) fill() {
	n.r.t.Helper()
	n.eval(fill)
	id, err := n.spaceID("typed")
	if err == nil {
		_, err = n.do(tarantool.NewInsertRequest(uint32(id)).Tuple([]any{"binary", 1, true, []byte{0, 255, 1}, map[string]any{"a": map[string]any{"b": 1}}}))
	}
	if err != nil {
		n.r.t.Fatal(err)
	}
}

// fill gives a Tarantool one of everything that a replica must carry, whether
// or not it can use it. It calls what 2.6 and 3.x both have.
const fill = `
local s = box.schema.space.create('tree', {format = {{'id', 'unsigned'}, {'name', 'string'}, {'n', 'integer', is_nullable = true}}})
s:create_index('primary', {parts = {{1, 'unsigned'}, {2, 'string'}}})
s:create_index('by_name', {parts = {{2, 'string'}}, unique = false})
s:create_index('by_n', {parts = {{3, 'integer', is_nullable = true}}, unique = false})
for i = 1, 200 do s:insert{i, 'name ' .. i % 17, i % 3 > 0 and -i or nil, {deep = {i, 2.5, true, 'x'}}} end
s:update({7, 'name 7'}, {{'=', 3, 1000}, {'!', 4, 'in between'}})
s:upsert({8, 'name 8', 1}, {{'+', 3, 5}})
s:delete{9, 'name 9'}

s = box.schema.space.create('hashed')
s:create_index('primary', {type = 'hash', parts = {{1, 'string'}}})
for i = 1, 300 do s:replace{'key ' .. i, i} end

s = box.schema.space.create('typed')
s:create_index('primary', {parts = {{1, 'scalar'}}})
s:create_index('num', {parts = {{2, 'number'}}, unique = false})
s:create_index('bool', {parts = {{3, 'boolean'}}, unique = false})
s:create_index('bin', {parts = {{4, 'varbinary', is_nullable = true}}, unique = false})
s:create_index('path', {parts = {{5, 'unsigned', path = 'a.b'}}, unique = false})
for i, key in ipairs{1, -5, 2.25, 'text', true, 18446744073709551615ULL} do
	s:insert{key, i % 2 == 0 and i or i + 0.5, i % 2 == 0, box.NULL, {a = {b = i}}}
end

box.schema.sequence.create('ids', {start = 100, step = 10})
s = box.schema.space.create('counted')
s:create_index('primary', {sequence = 'ids'})
for i = 1, 20 do s:insert{box.NULL, 'counted ' .. i} end

s = box.schema.space.create('emptied')
s:create_index('primary')
for i = 1, 50 do s:insert{i} end
s:truncate()
s:insert{1, 'after'}

s = box.schema.space.create('dropped')
s:create_index('primary')
s:insert{1}
s:drop()

s = box.schema.space.create('altered')
s:create_index('primary')
s:create_index('second', {parts = {{2, 'unsigned'}}})
for i = 1, 20 do s:insert{i, 100 - i, 'three'} end
s:format({{'id', 'unsigned'}, {'rank', 'unsigned'}, {'text', 'string'}})
s.index.second:drop()
s:rename('renamed')

s = box.schema.space.create('own', {is_local = true})
s:create_index('primary')
for i = 1, 5 do s:insert{i} end

s = box.schema.space.create('fleeting', {temporary = true})
s:create_index('primary')
s:insert{1}

local plain = box.schema.space.create('plain')
plain:create_index('primary')
box.begin() for i = 1, 50 do plain:insert{i, 'of one transaction'} end box.commit()
box.begin() box.space.own:insert{100} plain:insert{60, 'between'} box.space.own:insert{101} box.commit()
box.begin() plain:insert{61, 'first'} box.space.own:insert{102} box.commit()

box.schema.func.create('twice', {body = 'function(x) return 2 * x end', is_deterministic = true})
box.schema.user.create('alice', {password = 'secret of alice'})
box.schema.role.create('reader')
box.schema.user.grant('alice', 'reader')
box.schema.role.grant('reader', 'read', 'space', 'tree')
box.schema.user.grant('alice', 'execute', 'function', 'twice')
`

// fillMore adds spaces that Tarragon carries when it is told to: another engine,
// other kinds of indexes and of order.
const fillMore = `
local s = box.schema.space.create('cold', {engine = 'vinyl'})
s:create_index('primary')
for i = 1, 100 do s:insert{i, 'cold ' .. i} end
s = box.schema.space.create('places')
s:create_index('primary')
s:create_index('where', {type = 'rtree', unique = false, parts = {{2, 'array'}}})
for i = 1, 20 do s:insert{i, {i, i + 1}} end
s = box.schema.space.create('sorted')
s:create_index('primary')
s:create_index('by_name', {unique = false, parts = {{2, 'string', collation = 'unicode_ci'}}})
for i = 1, 20 do s:insert{i, 'Name ' .. i} end
s = box.schema.space.create('masks')
s:create_index('primary')
s:create_index('bits', {type = 'bitset', unique = false, parts = {{2, 'unsigned'}}})
for i = 1, 20 do s:insert{i, i} end
`

// change writes the next round of changes.
func (n *node) change() {
	n.r.t.Helper()
	n.r.rounds++
	n.eval(change, n.r.rounds)
}

// change is what a replica follows: every kind of statement, and of changes of
// the schema.
const change = `
local round = ...
local tree, plain = box.space.tree, box.space.plain
for i = 1, 40 do
	tree:replace{1000 * round + i, 'round', i}
	tree:update({1000 * round + i, 'round'}, {{'+', 3, 1}, {'=', 4, 'updated'}})
	if i % 4 == 0 then tree:delete{1000 * round + i, 'round'} end
	tree:upsert({1000 * round + i, 'round', 7}, {{'-', 3, 2}})
end
box.space.tree.index.by_name:select('round', {limit = 1})
box.begin()
plain:insert{1000 * round + 1, 'one'}
plain:insert{1000 * round + 2, 'two'}
plain:replace{1000 * round + 1, 'one again'}
box.space.own:replace{1000 * round}
box.commit()
box.begin() plain:insert{1000 * round + 9, 'never'} box.rollback()
box.space.counted:insert{box.NULL, 'round ' .. round}
local s = box.schema.space.create('round ' .. round, {format = {{'id', 'unsigned'}, {'text', 'string'}}})
s:create_index('primary')
for i = 1, 30 do s:insert{i, string.rep('x', i)} end
s:create_index('text', {parts = {{2, 'string'}}})
s:delete{3}
s:truncate()
s:insert{4, 'left'}
box.schema.user.create('user ' .. round, {password = 'x'})
box.schema.user.grant('user ' .. round, 'read,write', 'space', 'tree')
if round > 1 then
	box.space['round ' .. round - 1]:drop()
	box.schema.user.drop('user ' .. round - 1)
end
`
