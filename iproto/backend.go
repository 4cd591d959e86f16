package iproto

import (
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// User is who a session runs as: a number that the backend gives, and never
// another user the same one. 0 is the guest that every session begins as.
type User uint64

// Backend is what a server needs of the node. Its methods are called by the
// readers of many connections at the same time, each with what belongs to its
// own connection. Errors that go to the client are *xrow.Error; any other error
// is told as code 0 (unknown error).
type Backend interface {
	Logins

	// TakesNumbers says whether requests may have numbers of exactly-once sessions. What
	// was said once stays so.
	TakesNumbers() bool

	// ResolveSpace and ResolveIndex turn names in requests into numbers: 36
	// NO_SUCH_SPACE, 148 NO_SUCH_INDEX_NAME. name is only valid during the call.
	ResolveSpace(name []byte) (uint32, error)
	ResolveIndex(space uint32, name []byte) (uint32, error)

	// Select reads confirmed state: it gives the tuples to the sink, back to back
	// and in slices, and returns their number. While the sink is called nobody
	// waits for the read. position is set when the request asks for one and there
	// was a tuple: the text of POSITION. It must not keep q or anything in it.
	Select(q *Select, to Sink) (n uint32, position []byte, err error)

	// Lookups answers what it can of several lookups, each as Select would. Their
	// tuples lie in room, as far as that goes. Those that are not Done it gets again,
	// each by Select. It must not keep anything in them.
	Lookups(all []Lookup, room []byte)

	// UpdateSetting is UPDATE of a setting of a session: it reads and changes
	// settings, and returns the raw array of DATA. d points into the read buffer.
	UpdateSetting(user User, d *xrow.DML, settings map[string][]byte) ([]byte, error)

	// Submit hands over writes. Each is answered once by Answers.Reply under
	// batch.Conn and its own sync, in any order; batch.Release may be called as
	// soon as nothing reads the requests any more. Submit may block: then the
	// connection is not read.
	Submit(batch *Batch)

	// Linear hands over a read that must see everything acknowledged before it.
	// The backend owns q. It ends with one call of Conn.FinishSelect, or of
	// Conn.Reply with an error.
	Linear(c *Conn, q *Select)

	// Call hands over CALL, CALL_16 or EVAL. The backend owns q and answers with
	// one ReplyCall, at once or later from any goroutine. It may call Conn.LargeAnswer,
	// and must not block but for that.
	Call(c *Conn, q *Call)

	// Stream hands over requests of different streams, which it has to see in this
	// order. What they point to is the backend's until it answers them, and the slice itself
	// until it returns. Each is answered once, and is the only one of its
	// stream until then: by ReplyStream of Answers or of the connection, with DATA as
	// for a Batch, or an empty body to BEGIN, COMMIT and ROLLBACK; a SELECT by FinishStream
	// of either when it may run, or by ReplyStream with an error. Stream may block. Config.Streams must be set.
	Stream(c *Conn, requests []StreamRequest)

	// StreamsGone is called when a connection whose client has used streams has ended:
	// nothing more comes of them. Where the server has ended it some requests may not be
	// answered yet.
	StreamsGone(conn uint64)

	// AppendBallot appends the body of the answer to a VOTE, {BALLOT: map}. request is
	// the body of the VOTE; nil: it has none.
	AppendBallot(dst, request []byte) ([]byte, *xrow.Error)

	// VClock is the vclock for the old form of VOTE.
	VClock() vclock.VClock

	// Replicate takes a connection over for JOIN, SUBSCRIBE, REGISTER or
	// FETCH_SNAPSHOT. It runs on the reader; nothing else touches the connection
	// before it returns. An *xrow.Error is sent to the peer; then, and after nil,
	// the connection serves further requests, but is closed after SUBSCRIBE in
	// any case and after any other error.
	Replicate(l *Link, user User, row *xrow.Row) error
}

// Select is a SELECT request. Its slices point into the read buffer, but for
// one that was handed to Backend.Linear.
type Select struct {
	Sync          uint64
	Conn, Stream  uint64 // of which connection's stream it is; 0: of none
	User          User
	Space, Index  uint32
	Iterator      uint32
	Offset, Limit uint32
	Key           []byte // raw array
	FetchPosition bool
	AfterPosition []byte // nil: none; may be empty: from the start
	AfterTuple    []byte // raw array; nil: none
	// Settings of the session, raw values by name; nil: none. It must not be changed.
	Settings map[string][]byte
}

// Sink takes the tuples of an answer. b is valid during the call; an error ends
// the read and is what its client gets.
type Sink interface {
	Take(b []byte) error
}

// Batch is the writes that one read of a connection brought, in order.
type Batch struct {
	Conn   uint64 // names the connection in Answers.Reply
	Writes []Write
	buf    *readBuf // what the writes point into; returned by Release
}

// Write is one INSERT, REPLACE, UPDATE, DELETE or UPSERT with its names
// resolved. The slices in DML point into the batch's read buffer.
type Write struct {
	Sync uint64
	User User
	DML  xrow.DML
	// Number is that of an exactly-once session; nil: it has none. With a Fault in it DML is
	// nothing.
	Number *Numbered
}

// StreamRequest is a request of a stream that the node has to see.
type StreamRequest struct {
	Stream uint64
	User   User
	Type   xrow.Type   // BEGIN, COMMIT, ROLLBACK, SELECT, or that of DML
	DML    xrow.DML    // of a change
	Select *Select     // of SELECT
	Linear bool        // of SELECT: outside of a transaction it is to see everything acknowledged before it
	Txn    TxnOptions  // of BEGIN and COMMIT
	Fault  *xrow.Error // of BEGIN: the answer to its options, where there is no transaction yet; nil: they are well
	Number *Numbered   // as in Write, of a change and of COMMIT
}

// Call is a CALL, CALL_16 or EVAL request.
type Call struct {
	Sync   uint64
	Stream uint64 // 0: it is in none
	User   User
	Type   xrow.Type
	Name   string // of the function; the text of EVAL
	Args   []byte // raw array
	// Features are the client's: without FeatureErrorExtension an error object
	// among the results is sent as a string.
	Features Features
	Number   *Numbered // as in Write; nil: it has none
}
