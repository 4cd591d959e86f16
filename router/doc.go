// Package router lets clients of a replica set know one address: it takes their connections
// and carries their requests to whoever leads, or, by another port, to readers.
//
//	clients ──► iproto.Server ──► session ──► lane ──► backend ──► instance
//	                ▲                                     │
//	                └────────── delivery ◄────────────────┘
//
// A [session] is a client's connection; a lane is what has to keep its order in it; a
// backend is a connection to an instance, which many clients share whose user is the same.
// Bodies of requests and answers are never looked at: they lie in the read buffer of the
// client until they are answered, so that they can be sent once more.
//
// What is decided lies in values without sockets and clocks: where the ports lead to
// ([route]), what may go and where ([lane.next]), what an answer means ([judge]) and what
// becomes of requests whose connection has ended ([lane.ended]), how far readers are behind ([lags]).
//
// # Goroutines
//
// The reader of a client's connection decides about its requests, and writes to backends
// what their sockets take. A backend has one that connects and then reads answers, and
// one that waits for a full socket, while there is one. An instance has one that listens to what it
// tells. Of the router's own, one decides where ports lead to when an instance has told
// something new, and one looks at what waits.
//
// # Invariants
//
//  1. Each request is answered once.
//  2. What may have been executed and may change something is not sent again. What was
//     certainly not executed, and what changes nothing, is.
//  3. Requests of a lane are with one backend at a time, so they keep their order over a
//     failover.
//  4. A session of a backend is of one user from its first request to its end, and no
//     request that would change that goes to it.
//  5. What waits is bounded in time and in bytes; what is under way, by the connection
//     that it is from.
//  6. Locks are taken in the order session, port, pool, backend; and hub, port, instance. No
//     socket is waited for with a lock of a session.
package router
