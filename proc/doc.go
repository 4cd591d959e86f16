// Package proc serves CALL, CALL_16 and EVAL: the functions of the box module
// by their Tarantool names, and a few of ours under tarragon.
//
// It is no Lua. Names are looked up in a table; EVAL tells what a text returns that
// needs no Lua, such as tools and pools send, and refuses all others by name.
//
// A [Procs] is an adapter like the server of client connections: its methods
// are called on the goroutines of many connections and never block long. What
// changes spaces becomes one request of the Loop, whose function runs inside
// the core's Step; all others are answered on the spot.
//
// # Invariants
//
//  1. A function that runs inside a Step is deterministic: it reads the
//     transaction and its own arguments and nothing else. Time is an argument,
//     taken when the call came in.
//  2. Rows are written with the caller's rights, in the order and layout of the
//     Tarantool (src/box/lua/schema.lua), by admin where Tarantool does so.
//  3. Nothing is asked of box that the execute right on universe, or a row of
//     _func, does not allow first.
//  4. Every call is answered exactly once.
//
// Sources: Tarantool, src/box/lua/schema.lua, load_cfg.lua, info.c, stat.c,
// src/box/call.c.
package proc
