package iproto

import (
	"encoding/binary"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Logins is what a server needs to know of users, whoever executes their requests.
type Logins interface {
	// Ready is nil once the instance can serve data, else the error for the
	// client (116, LOADING). Login, data and calls ask it first.
	Ready() *xrow.Error

	// SchemaVersion is the number in every reply header.
	SchemaVersion() uint64

	// User looks a user up by name. hash is SHA1(SHA1(password)), nil: the user
	// cannot log in by password. name is only valid during the call.
	User(name []byte) (user User, hash []byte, ok bool)

	// CanLogin says whether the user may have a session (42, ACCESS_DENIED).
	CanLogin(user User) error

	// Stays says why a session must end: login is who logged in, 0 for nobody, and
	// user who it runs as. replicates: it is a stream of replication.
	Stays(login, user User, replicates bool) error

	// MayWrite says whether the user was given the right to change any data.
	MayWrite(user User) bool
}

// Relay carries the requests of clients to whoever executes them: it stands for the
// backend of a server that has no node. PING, ID, AUTH, WATCH and UNWATCH stay with the
// server; what takes a connection over is refused; all else is carried as it came.
type Relay interface {
	// Carrier is asked once for each connection, before its first request.
	Carrier(c *Conn) Carrier
}

// Carrier takes the requests of one connection.
type Carrier interface {
	// Carry takes requests, in the order in which they came. Each is answered once, by
	// Answers.Carried or Answers.Refuse, and released once, in any order and from any goroutine. The
	// slice is the caller's again when Carry returns. Carry may block: then the
	// connection is not read.
	Carry(requests []Carried)
	// Gone is called when the connection has ended: nothing more comes, and answers go
	// nowhere.
	Gone()
}

// Carried is a request as it came.
type Carried struct {
	Type          xrow.Type
	Sync          uint64
	Stream        uint64 // 0: it is in none
	SchemaVersion uint64 // that the client asks for; 0: any
	User          User
	Features      Features // of the client
	Body          []byte   // all behind the header, not looked at; it lies in the read buffer
	// Number is that of an exactly-once session, which the relay gives it; nil: it has none.
	Number *xrow.Number
	buf    *readBuf
}

// NewCarried is a request that a relay makes itself, without a body.
func NewCarried(t xrow.Type, stream uint64) Carried { return Carried{Type: t, Stream: stream} }

// Release gives back what the request points into.
func (q *Carried) Release() {
	q.Body = nil
	if q.buf != nil {
		q.buf.release()
	}
}

// AppendCarried encodes a request for another connection, with a SYNC of that.
func AppendCarried(dst []byte, q *Carried, sync uint64) []byte {
	at := len(dst)
	pairs := byte(0x82)
	dst = append(dst, 0xce, 0, 0, 0, 0, 0, byte(xrow.KeyType))
	dst = msgp.AppendUint64(dst, uint64(q.Type))
	dst = binary.BigEndian.AppendUint64(append(dst, byte(xrow.KeySync), 0xcf), sync)
	if q.Stream != 0 {
		pairs++
		dst = msgp.AppendUint64(append(dst, byte(xrow.KeyStreamID)), q.Stream)
	}
	if q.SchemaVersion != 0 {
		pairs++
		dst = msgp.AppendUint64(append(dst, byte(xrow.KeySchemaVersion)), q.SchemaVersion)
	}
	if q.Number != nil {
		var more int
		dst, more = q.Number.AppendPairs(dst)
		pairs += byte(more)
	}
	dst[at+xrow.FrameHead] = pairs
	return endFrame(append(dst, q.Body...), at)
}

// SpaceOf is the space that the body of a DML request or of a SELECT names, without
// looking at more of it than that takes: by number, or by name if that is there.
func (q *Carried) SpaceOf() (id uint32, name []byte) {
	f := mapReader{b: q.Body}
	for f.next() {
		switch f.key {
		case xrow.KeySpaceID:
			if n, _, ok := mp.ReadUint(f.value); ok {
				id = uint32(n)
			}
		case xrow.KeySpaceName:
			if s, _, ok := mp.ReadString(f.value); ok {
				name = s
			}
		}
	}
	return id, name
}

// FunctionOf is the name of the function that a CALL asks for.
func (q *Carried) FunctionOf() (name []byte) { return q.textOf(xrow.KeyFunctionName) }

// EventOf is the key that a WATCH names.
func (q *Carried) EventOf() (key []byte) { return q.textOf(xrow.KeyEventKey) }

func (q *Carried) textOf(key xrow.Key) (text []byte) {
	f := mapReader{b: q.Body}
	for f.next() {
		if f.key != key {
			continue
		}
		if s, _, ok := mp.ReadString(f.value); ok {
			text = s
		}
	}
	return text
}

// NewRelayServer returns a server without a node, and without listeners: what it is asked
// for goes to a relay.
func NewRelayServer(cfg Config, l Logins, r Relay) (*Server, error) {
	s, err := newServer(cfg)
	if err == nil {
		s.logins, s.relay = l, r
	}
	return s, err
}

// carriedBytes is how many bytes of requests of one connection may be with a relay: the
// connection is not read on beyond it. One request may be larger.
const carriedBytes = 16 << 20

// relayed takes a request of a server that has a relay. n is the length of its header.
func (c *Conn) relayed(frame []byte, n int) error {
	c.srv.meter.request(c.head.typ)
	if c.head.number != nil { // the header is made anew behind us
		c.fail(errUnsupported("numbered requests through a router"))
		return nil
	}
	switch t := c.head.typ; t {
	case xrow.Join, xrow.Subscribe, xrow.Register, xrow.FetchSnap:
		c.fail(errUnsupported("replication through a router"))
		return nil
	case xrow.Ping, xrow.ID, xrow.Auth, xrow.Watch, xrow.Unwatch:
		if c.head.stream != 0 {
			break
		}
		if t == xrow.Auth {
			c.submit()
		}
		e := c.body.decode(frame[n:])
		if e != nil {
			c.bad(e)
		} else {
			e = c.handleSmall(t)
		}
		if e != nil {
			c.fail(e)
		}
		return nil
	}
	return c.carry(frame[n:])
}

// carry gathers a request for the relay, once one more of that size may be with it.
func (c *Conn) carry(body []byte) error {
	for !c.takesOn(len(c.carried), len(body)) {
		c.submit()
		c.emit()
		if err := c.waitFor(func() bool { return c.mayCarryLocked(c.windowLocked()/4, len(body)) }); err != nil {
			return err
		}
	}
	h := &c.head
	c.buf.refs.Add(1)
	c.carried = append(c.carried, Carried{Type: h.typ, Sync: h.sync, Stream: h.stream, SchemaVersion: h.schemaVersion,
		User: c.User(), Features: c.features, Body: body, buf: c.buf})
	return nil
}

// takesOn counts one more request of a size among those of the relay, if that may have it beside some others.
func (c *Conn) takesOn(others, size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	may := c.mayCarryLocked(others, size)
	if may {
		c.carrying += size
	}
	return may
}

// mayCarryLocked tells whether a relay may have one more request of a size than it has, and
// beside some others.
func (c *Conn) mayCarryLocked(others, size int) bool {
	return c.inflight+others < c.windowLocked() && (c.carrying == 0 || c.carrying+size <= carriedBytes)
}

// submitCarried hands what was gathered to the relay.
func (c *Conn) submitCarried() {
	if c.carrier == nil {
		c.carrier = c.srv.relay.Carrier(c)
	}
	c.addInFlight(len(c.carried))
	c.carrier.Carry(c.carried)
	clear(c.carried)
	c.carried = c.carried[:0]
}

// Carried gives the answer to a request that a carrier was given: body is all behind its
// header. A CHUNK is none yet.
func (a *Answers) Carried(c *Conn, q *Carried, t xrow.Type, schemaVersion uint64, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t != xrow.Chunk {
		c.carriedLocked(q, len(body))
	}
	if c.cause != nil {
		return
	}
	if t != xrow.OK && t != xrow.Chunk {
		c.srv.meter.add(countErrors, 1)
	}
	b := c.room()
	at := len(b.B)
	b.B = xrow.AppendReplyHead(b.B, t, q.Sync, schemaVersion)
	b.B = endFrame(append(b.B, body...), at)
	c.limitLocked()
	a.dirtyLocked(c)
}

// Refuse answers a request that a carrier was given with an error; nil: with an empty body.
func (a *Answers) Refuse(c *Conn, q *Carried, e *xrow.Error) {
	version := c.srv.logins.SchemaVersion()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.carrying -= len(q.Body)
	c.replyLocked(q.Sync, version, nil, e)
	a.dirtyLocked(c)
}

// carriedLocked ends a request that a relay had.
func (c *Conn) carriedLocked(q *Carried, size int) {
	c.inflight--
	c.carrying -= len(q.Body)
	c.typical = max(size, c.typical-c.typical/16)
	c.notifyLocked()
}
