package proc

import "strings"

// builtinGlobals are what a Lua of Tarantool knows before anybody defines
// something. A lua_call grant for all functions does not cover them, so that it
// is no way to box or os; that most of them do not exist here changes nothing
// about who may ask. Source: Tarantool, tarantool_lua_is_builtin_global.
var builtinGlobals = func() map[string]bool {
	m := map[string]bool{"tarragon": true}
	for _, name := range strings.Fields(`_G _VERSION arg assert bit box collectgarbage coroutine debug dofile dostring error
		gcinfo getfenv getmetatable help io ipairs jit load loadfile loadstring math module newproxy next os package
		pairs pcall print rawequal rawget rawset require select setfenv setmetatable string table tonumber tonumber64
		tostring tutorial type unpack utf8 xpcall`) {
		m[name] = true
	}
	return m
}()

// IsBuiltin tells whether a name leads into such a global.
func IsBuiltin(name string) bool { return builtin(name) }

// builtin tells whether a name leads into such a global.
func builtin(name string) bool {
	if at := strings.IndexAny(name, ".:["); at >= 0 {
		name = name[:at]
	}
	return builtinGlobals[name]
}
