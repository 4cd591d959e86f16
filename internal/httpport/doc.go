// Package httpport is a port that answers short questions by HTTP: health checks, metrics. It
// has no login, and is bounded instead.
//
// # Invariants
//
//  1. A client that says nothing, or takes nothing, holds a connection for [Time] and nothing
//     else: no lock and no other client.
//  2. There are [Clients] connections at most. One more is closed at once: who asks such
//     questions asks again, and must not wait behind those that say nothing.
//  3. A request has no body, and [MaxHeader] bytes at most.
package httpport
