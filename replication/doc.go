// Package replication joins the instances of a replica set: streams of rows,
// acks, election messages and heartbeats become events of the core, effects of
// the core become streams. It also answers JOIN and SUBSCRIBE, copies a whole
// state to a new member, and decides at the first start who begins the set.
//
// Each pair of instances has two connections. On each one the applier, which
// opened it, reads rows and sends acks; the relay at the other end sends rows
// and reads acks.
//
//	applier                                relay
//	  ID, AUTH                 ->            (package iproto)
//	  SUBSCRIBE                ->
//	                           <-            OK {REPLICASET_UUID, VCLOCK}, REPLICA_ID of the relay
//	                           <-            RAFT
//	                           <-            rows, RAFT and heartbeats between transactions
//	  acks                     ->
//
// A peer whose request has no RULES is of Tarantool's kind. It gets what the
// Tarantool sends to its version, and its acks are read as Tarantool means
// them. An anonymous one is a reader: it has no replica ID, the core does not
// hear of it, and nothing waits for its acks but the log's retention.
//
// # Goroutines
//
//	who               started by        owns                          stopped by
//	applier           Hub.Start         its connection's read side    Hub.Close, expulsion
//	ack writer        its applier       that connection's write side  end of the connection
//	relay             iproto's reader   a subscribed connection       end of the connection, Hub.Close
//	ack reader        its relay         its read side                 its relay
//	join server       iproto's reader   a view, until it gives it up  end of the transfer
//
// # Invariants
//
//  1. Nothing here blocks the loop: Handle takes a lock that is never held
//     over I/O, and wakes.
//  2. A group is sent only after the mark Effects.Relay has passed it, in the
//     order of the log, each row at most once on a connection.
//  3. PROMOTE of a term leaves after a RAFT of that term or a later one, unless
//     the peer takes no RAFT at all.
//  4. RAFT and heartbeats go between transactions, and a heartbeat goes only
//     when the core has said so: it proves the core alive, not this package.
//  5. An ack is what the core has said last; on one connection its vclock
//     never goes back.
//  6. A slow peer costs no more than its write buffer: behind the ring of
//     recent groups it reads the log.
//  7. The core gets whole transactions only.
//  8. At most one relay serves an instance UUID.
//
// Sources: Tarantool, src/box/{relay,applier,replication,box}.cc; where we differ,
// docs/protocol/divergence.md.
package replication
