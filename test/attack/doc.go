// Package attack asks every kind of user for everything: each request type, each
// statement on each system space, each procedure, against a lone node. What is
// answered is kept in testdata/table.txt, beside what a Tarantool 3.8 answers, and
// the tables of docs/security.md are made of it.
//
//	go test ./test/attack                               ours, against the file and the page
//	TARANTOOL=/path/to/3.8 go test ./test/attack        theirs too
//	TARANTOOL=/path/to/3.8 go test ./test/attack -rewrite
//
// # Invariants
//
//  1. A case leaves the node as it was, whoever was allowed what: each begins on a
//     connection of its own and is undone by a super user.
//  2. No procedure, no system space and no request type is missing: those that the
//     node names itself are compared with the cases.
package attack
