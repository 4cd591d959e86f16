package iproto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Client is the calling side of a connection, as replication and tools need
// it: one request at a time, in blocking calls that the deadline of the Link
// bounds. It is used by one goroutine.
type Client struct {
	*Link
	Greeting Greeting
	Features Features // of the server, after Hello
	Protocol uint64   // its protocol version, after Hello

	sync uint64
}

// ErrProtocol is the cause when a server's answer makes no sense.
var ErrProtocol = errors.New("iproto: protocol violated")

// Dial connects and reads the greeting. The deadline of ctx bounds both, and
// stays set as the Link's deadline.
func Dial(ctx context.Context, addr string) (*Client, error) { return DialSecure(ctx, addr, nil) }

// DialSecure is Dial with TLS, where secure is not nil.
func DialSecure(ctx context.Context, addr string, secure Secure) (*Client, error) {
	nc, err := Connect(ctx, addr, secure)
	if err != nil {
		return nil, err
	}
	c, err := newClient(ctx, nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return c, nil
}

// Connect is DialSecure without the greeting.
func Connect(ctx context.Context, addr string, secure Secure) (net.Conn, error) {
	network, address := SplitAddr(addr)
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, address)
	if err != nil || secure == nil {
		return nc, err
	}
	s, err := shake(ctx, nc, secure(hostOf(network, address)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return s, nil
}

// newClient reads the greeting of an open connection.
func newClient(ctx context.Context, nc net.Conn) (*Client, error) {
	if t, ok := ctx.Deadline(); ok {
		if err := nc.SetDeadline(t); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var b [GreetingSize]byte
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		if _, isTLS := nc.(*secured); errors.Is(err, os.ErrDeadlineExceeded) && !isTLS {
			return nil, fmt.Errorf("no greeting: does the port want TLS? %w", err)
		}
		return nil, fmt.Errorf("read the greeting: %w", err)
	}
	g, err := ParseGreeting(b[:])
	if err != nil {
		return nil, err
	}
	return &Client{Link: NewLink(nc, xrow.MaxFrame), Greeting: g}, nil
}

// Do sends a request and waits for its answer. body is a raw map or nil. An
// error answer is returned as *xrow.Error with its class. The row is valid
// until the next read. Events that arrive meanwhile are lost.
func (c *Client) Do(t xrow.Type, body []byte) (xrow.Row, error) {
	c.sync++
	if err := c.WriteRow(&xrow.Row{Type: t, Sync: c.sync, Body: body}); err != nil {
		return xrow.Row{}, err
	}
	for {
		row, err := c.ReadRow()
		if err != nil {
			return row, err
		}
		if row.Type == xrow.Event || row.Type == xrow.Chunk {
			continue
		}
		if row.Sync != c.sync {
			return row, fmt.Errorf("%w: answer to %d, not to %d", ErrProtocol, row.Sync, c.sync)
		}
		return row, answerError(&row)
	}
}

// answerError is the error that a reply carries; nil: it is none.
func answerError(row *xrow.Row) error {
	if e := row.AsError(); e != nil {
		return e
	}
	return nil
}

// Hello exchanges versions and features by ID. A server that does not know ID
// has none, which is no error.
func (c *Client) Hello(features Features) error {
	row, err := c.Do(xrow.ID, appendVersionFeatures([]byte{0x82}, features))
	if errors.Is(err, xrow.ErrUnknownRequestType) {
		c.Features, c.Protocol = 0, 0
		return nil
	}
	if err != nil {
		return err
	}
	return c.TakeHello(row.Body)
}

// HelloRow is the request of Hello, for who takes answers elsewhere.
func HelloRow(sync uint64, features Features) *xrow.Row {
	return &xrow.Row{Type: xrow.ID, Sync: sync, Body: appendVersionFeatures([]byte{0x82}, features)}
}

// TakeHello takes the body of its answer.
func (c *Client) TakeHello(body []byte) error {
	f := mapReader{b: body}
	for f.next() {
		ok := true
		switch f.key {
		case xrow.KeyVersion:
			c.Protocol, _, ok = mp.ReadUint(f.value)
		case xrow.KeyFeatures:
			c.Features, ok = decodeFeatures(f.value)
		}
		if !ok {
			return fmt.Errorf("%w: answer to ID", ErrProtocol)
		}
	}
	return nil
}

// Login logs in by chap-sha1.
func (c *Client) Login(user, password string) error {
	scramble := Scramble(password, &c.Greeting.Salt)
	body := []byte{0x82, byte(xrow.KeyUserName)}
	body = msgp.AppendString(body, user)
	body = append(body, byte(xrow.KeyTuple), 0x92)
	body = msgp.AppendString(body, MethodChapSHA1)
	body = msgp.AppendStringFromBytes(body, scramble[:])
	_, err := c.Do(xrow.Auth, body)
	return err
}

// Vote asks for the ballot: the raw map under the key BALLOT, valid until the
// next read.
func (c *Client) Vote() ([]byte, error) {
	row, err := c.Do(xrow.Vote, nil)
	if err != nil {
		return nil, err
	}
	return findKey(row.Body, xrow.KeyBallot)
}

// Watch asks for events of a key, and acknowledges the last one: the next one
// comes when the value changes.
func (c *Client) Watch(key string) error {
	body := append([]byte{0x81, byte(xrow.KeyEventKey)}, msgp.AppendString(nil, key)...)
	return c.WriteRow(&xrow.Row{Type: xrow.Watch, Sync: 0, Body: body})
}

// ReadEvent waits for the next EVENT. value is raw and valid until the next
// read; nil: the key has no value. An error that answers a WATCH is returned as
// *xrow.Error.
func (c *Client) ReadEvent() (key string, value []byte, err error) {
	row, err := c.ReadRow()
	if err != nil {
		return "", nil, err
	}
	if err := answerError(&row); err != nil {
		return "", nil, err
	}
	if row.Type != xrow.Event {
		return "", nil, fmt.Errorf("%w: %v among events", ErrProtocol, row.Type)
	}
	return DecodeEvent(row.Body)
}

// DecodeEvent reads the body of an EVENT that was scanned. value is raw; nil: the key has
// none.
func DecodeEvent(body []byte) (key string, value []byte, err error) {
	f := mapReader{b: body}
	for f.next() {
		switch f.key {
		case xrow.KeyEventKey:
			s, _, ok := mp.ReadString(f.value)
			if !ok {
				return "", nil, fmt.Errorf("%w: key of an event", ErrProtocol)
			}
			key = string(s)
		case xrow.KeyEventData:
			value = f.value
		}
	}
	return key, value, nil
}

// Call calls a function with a raw array of arguments (nil: none) and returns
// the raw array of its results, valid until the next read.
func (c *Client) Call(function string, args []byte) ([]byte, error) {
	if args == nil {
		args = emptyArray
	}
	body := []byte{0x82, byte(xrow.KeyFunctionName)}
	body = msgp.AppendString(body, function)
	body = append(append(body, byte(xrow.KeyTuple)), args...)
	row, err := c.Do(xrow.Call, body)
	if err != nil {
		return nil, err
	}
	return findKey(row.Body, xrow.KeyData)
}

// DataOf is the raw array under DATA in the body of an answer that was scanned.
func DataOf(body []byte) ([]byte, error) { return findKey(body, xrow.KeyData) }

// findKey returns the raw value of one key of a body.
func findKey(body []byte, key xrow.Key) ([]byte, error) {
	f := mapReader{b: body}
	for f.next() {
		if f.key == key {
			return f.value, nil
		}
	}
	return nil, fmt.Errorf("%w: no key 0x%02x in an answer", ErrProtocol, byte(key))
}

// mapReader goes over the pairs of a body that xrow.Decode has found
// well-formed, and passes over keys that no body has.
type mapReader struct {
	b     []byte
	n     int
	left  int
	begun bool

	key   xrow.Key
	value []byte
}

func (f *mapReader) next() bool {
	if !f.begun {
		f.begun = true
		f.left, f.n, _ = mp.ReadMapHeader(f.b)
	}
	for ; f.left > 0; f.left-- {
		key, size, known := mp.ReadUint(f.b[f.n:])
		if !known {
			size, _ = skip(f.b[f.n:])
		}
		f.n += size
		size, ok := skip(f.b[f.n:])
		if !ok {
			return false
		}
		value := f.b[f.n : f.n+size]
		f.n += size
		if known && key <= 0xff {
			f.left--
			f.key, f.value = xrow.Key(key), value
			return true
		}
	}
	return false
}
