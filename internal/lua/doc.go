// Package lua reads chunks of Lua, and runs none. It tells a syntax error in the words
// of LuaJIT, and gives the expressions of a chunk that does nothing but return some.
//
// What it reads is the syntax of LuaJIT 2.1 without the options of Lua 5.2: that of Lua
// 5.1, goto and labels, and the suffixes LL, ULL and i of numbers. Whether the label of a
// goto is there it does not look up.
//
// # Invariants
//
//  1. The depth of what is read is bounded by maxLevels, and so is the recursion of those
//     who walk a [Chunk].
//  2. A chunk costs memory in proportion to its length.
//
// Sources: LuaJIT 2.1, lj_lex.c, lj_parse.c, lj_errmsg.h; testdata/syntax.txt is what
// Tarantool 3.8 says.
package lua
