// Package replay holds tests that replay recorded conversations of Tarantool
// (docs/protocol/captures.md): a scripted peer sends exactly the recorded bytes
// of one side to our node, which has the other side's part, and what ours
// answers is compared with what the real one answered, field by field.
//
// As a replica (followers of a recorded master) our requests and acks are
// compared; as a master its answers, rows and errors. What may differ, and why,
// is declared in one place, differences_test.go; anything else fails the test.
//
// Nothing here depends on time: a scripted peer sends the next frame when the
// other side has said what it said in the recording.
package replay
