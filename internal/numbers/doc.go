// Package numbers is what whoever gives requests numbers of exactly-once sessions has to know
// (docs/protocol/sessions.md): the router does for its clients, package client for its program.
//
// It is values: it asks for no session, sends nothing, and reads no clock. Whoever uses it brings the
// time, as what has passed since a moment of its own.
//
// # Invariants
//
//  1. A slot is with one request at a time, and each that gets it has a greater number than those before.
//     So nobody needs to know what became of an earlier one.
//  2. What an answer says of one copy of a request is no answer to the request, as long as another
//     copy may be executed.
package numbers
