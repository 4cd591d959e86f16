-- What an application does by net.box, against the instance at arg[1] as the user arg[2]
-- with the password arg[3]. It runs in a Tarantool that has not been configured.
local net, fiber = require('net.box'), require('fiber')
local version = tonumber(_TARANTOOL:match('^(%d+)'))

local function same(what, got, want)
    local a, b = require('json').encode(got), require('json').encode(want)
    if a ~= b then error(what .. ': got ' .. a .. ', want ' .. b, 0) end
end

local function refused(what, code, f, ...)
    local ok, err = pcall(f, ...)
    if ok then error(what .. ': was not refused', 0) end
    if err.code ~= code then error(what .. ': ' .. tostring(err) .. ', code ' .. tostring(err.code) .. ', want ' .. code, 0) end
end

local c = net.connect(arg[1], {user = arg[2], password = arg[3], wait_connected = true})
assert(c:ping(), 'no answer to a ping')
assert(c:is_connected() and c.state == 'active', c.error)
same('the protocol', c.peer_uuid ~= nil, true)

-- Space and index objects: made from _vspace and _vindex.
-- A Tarantool cannot send what these return, and has done it.
local function make(...) pcall(c.call, c, ...) end
make('box.schema.space.create', {'net', {if_not_exists = true}})
make('box.space.net:create_index', {'pk', {if_not_exists = true, parts = {{1, 'unsigned'}}}})
make('box.space.net:create_index', {'name', {if_not_exists = true, unique = false, parts = {{2, 'string'}}}})
c:reload_schema()
local s = c.space.net
assert(s ~= nil and c.space[s.id] == s, 'no object for a space')
same('the indexes', {s.index.pk.id, s.index[0].name, s.index.name.id, s.index.name.unique}, {0, 'pk', 1, false})
same('the parts', {s.index.name.parts[1].fieldno, s.index.name.parts[1].type}, {2, 'string'})

-- Every statement.
same('insert', s:insert{1, 'a', 1}, {1, 'a', 1})
refused('a second insert', box.error.TUPLE_FOUND, s.insert, s, {1, 'b'})
same('replace', s:replace{2, 'b', 1}, {2, 'b', 1})
same('update', s:update(1, {{'+', 3, 5}, {'=', 2, 'c'}}), {1, 'c', 6})
same('update by an index', s.index.pk:update({2}, {{'-', 3, 1}}), {2, 'b', 0})
same('upsert', s:upsert({3, 'd', 0}, {{'+', 3, 1}}), nil)
s:upsert({3, 'd', 0}, {{'+', 3, 1}})
same('get', s:get(3), {3, 'd', 1})
same('get of nothing', s:get(99), nil)
same('get by an index', s.index.pk:get{1}, {1, 'c', 6})
same('select', s:select(), {{1, 'c', 6}, {2, 'b', 0}, {3, 'd', 1}})
same('select with options', s:select({1}, {iterator = 'GT', limit = 1, offset = 1}), {{3, 'd', 1}})
same('select by an index', s.index.name:select('b'), {{2, 'b', 0}})
same('select backwards', s.index.name:select({}, {iterator = 'REQ'}), {{3, 'd', 1}, {1, 'c', 6}, {2, 'b', 0}})
same('min, max, count', {s.index.pk:min(), s.index.pk:max(), s.index.pk:count()}, {{1, 'c', 6}, {3, 'd', 1}, 3})
same('delete', s:delete(2), {2, 'b', 0})
same('delete of nothing', s:delete(2), nil)
refused('a wrong type', box.error.FIELD_TYPE, s.insert, s, {'x', 'y', 1})
refused('a wrong key', box.error.KEY_PART_TYPE, s.get, s, 'x')

-- Calls, and futures.
same('call', c:call('box.space.net:len'), 2)
same('eval', {c:eval('return ...', {1, 'x'})}, {1, 'x'})
refused('a call of nothing', box.error.NO_SUCH_PROC, c.call, c, 'nothing')
local futures = {}
for i = 10, 109 do futures[i] = s:replace({i, 'f', i}, {is_async = true}) end
for i = 10, 109 do same('future ' .. i, futures[i]:wait_result(10), {i, 'f', i}) end
same('what futures have written', s.index.pk:count(), 102)

-- Side by side on one connection.
local done, failed = fiber.channel(20), nil
for f = 1, 20 do
    fiber.create(function()
        for i = 1, 50 do
            local ok, err = pcall(function() same('own write', s:replace{1000 * f + i, 'g', i}, {1000 * f + i, 'g', i}) end)
            if not ok then failed = err end
        end
        done:put(true)
    end)
end
for _ = 1, 20 do done:get() end
if failed then error(failed, 0) end
same('what fibers have written', s.index.pk:count(), 1102)

-- A change of the schema is seen by the next request.
make('box.space.net:create_index', {'three', {parts = {{3, 'unsigned'}}, unique = false}})
c:ping()
c:reload_schema()
s:update(1, {{'=', 3, 5000}})
same('a new index', c.space.net.index.three:select(5000), {{1, 'c', 5000}})

if version >= 3 then
    local told = fiber.channel(10)
    local watcher = c:watch('box.status', function(key, value) told:put({key, value ~= nil and value.is_ro}) end)
    same('a watcher', told:get(10), {'box.status', false})
    watcher:unregister()
    local stream = c:new_stream()
    stream:begin()
    stream.space.net:replace{5, 'in', 5}
    same('not seen outside', s:get(5), nil)
    same('seen inside', stream.space.net:get(5), {5, 'in', 5})
    stream:commit()
    same('seen behind COMMIT', s:get(5), {5, 'in', 5})
    stream:begin()
    stream.space.net:delete(5)
    stream:rollback()
    same('there behind ROLLBACK', s:get(5), {5, 'in', 5})
end
c:call('box.space.net:drop')
c:reload_schema()
same('a dropped space', c.space.net, nil)
c:close()
print('all is well')
os.exit(0)
