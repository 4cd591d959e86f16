package client

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/vmihailenco/msgpack/v5"
)

// fake is an instance that answers by a script. What it tells of itself changes when a
// test says so.
type fake struct {
	t    *testing.T
	addr string
	l    net.Listener
	wg   sync.WaitGroup

	mu     sync.Mutex
	values map[string]any
	newest map[string]int // how many values a key has had
	dead   bool
	conns  map[*fakeConn]bool
	script func(r *request) // nil: everything succeeds
	feats  []int            // of those that it announces
	got    []iproto.Type    // requests, but for what a connection needs for itself
}

// fakeConn is one connection to it.
type fakeConn struct {
	net.Conn
	f     *fake
	wmu   sync.Mutex
	watch map[string]bool // keys of which it waits for news
	told  map[string]int  // which value it was told last, from 1 on
}

// request is one that a script answers, or does not.
type request struct {
	typ  iproto.Type
	sync uint64
	on   *fakeConn
	num  *xrow.Number // nil: it has none
	body []byte
	call string // the function that a CALL asks for
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, values: map[string]any{}, newest: map[string]int{}, conns: map[*fakeConn]bool{}, feats: []int{0, 1, 2, 3, 4, 5, 6}}
	f.listen("127.0.0.1:0")
	f.addr = f.l.Addr().String()
	t.Cleanup(f.stop)
	return f
}

func (f *fake) listen(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.l = l
	f.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { f.serve(&fakeConn{Conn: c, f: f, watch: map[string]bool{}, told: map[string]int{}}) })
		}
	})
}

// stop ends it like a process that dies.
func (f *fake) stop() {
	_ = f.l.Close()
	f.mu.Lock()
	f.dead = true
	f.mu.Unlock()
	f.drop()
	f.wg.Wait()
}

// drop ends all connections.
func (f *fake) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
}

// tells sets what it tells of the leader and of itself, as a Tarragon does.
func (f *fake) tells(leader any, term uint64, ro bool) {
	f.set(eventLeader, map[string]any{"id": leader, "uuid": nil, "name": nil, "uri": nil, "term": term})
	f.set(eventElection, map[string]any{"term": term, "role": "follower", "is_ro": ro, "leader": 0})
}

func (f *fake) set(key string, value any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values[key] = value
	f.newest[key]++
	for c := range f.conns {
		if c.watch[key] {
			c.event(key)
		}
	}
}

// does sets the script.
func (f *fake) does(script func(r *request)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = script
}

// announces sets the features that it announces from now on, beside the usual ones.
func (f *fake) announces(more ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.feats = append([]int{0, 1, 2, 3, 4, 5, 6}, more...)
}

func (f *fake) features() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.feats
}

// count is how many requests of a type have come.
func (f *fake) count(t iproto.Type) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.got {
		if g == t {
			n++
		}
	}
	return n
}

func (f *fake) serve(c *fakeConn) {
	defer c.Close()
	f.mu.Lock()
	f.conns[c] = true
	dead := f.dead
	f.mu.Unlock()
	if dead {
		return
	}
	defer func() {
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
	}()
	greeting := fmt.Sprintf("%-63s\n%-63s\n", "Tarantool 3.8.0 (Binary) 2b3a0d4c-6bbf-4b45-9d0b-1d6f2d3a4c5e", "QK2HoFZGXTXBq2vFj7soCsHqTo6PGTF575ssUBAJLAI=")
	if _, err := io.WriteString(c, greeting); err != nil {
		return
	}
	for r := bufio.NewReader(c); ; {
		if err := c.one(r); err != nil {
			return
		}
	}
}

// one reads a request and answers it.
func (c *fakeConn) one(r *bufio.Reader) error {
	var length uint32
	d := msgpack.NewDecoder(r)
	if err := d.Decode(&length); err != nil {
		return err
	}
	frame := make([]byte, length)
	if _, err := io.ReadFull(r, frame); err != nil {
		return err
	}
	header, rest := decodeHeader(frame)
	req := &request{typ: iproto.Type(header[iproto.IPROTO_REQUEST_TYPE]), sync: header[iproto.IPROTO_SYNC], on: c, num: numberOf(frame), body: rest}
	var body map[int]any
	_ = msgpack.Unmarshal(rest, &body) // not all have one
	req.call, _ = body[int(iproto.IPROTO_FUNCTION_NAME)].(string)
	f := c.f
	switch req.typ {
	case iproto.IPROTO_ID:
		req.answer(map[int]any{int(iproto.IPROTO_VERSION): 6, int(iproto.IPROTO_FEATURES): f.features()})
		return nil
	case iproto.IPROTO_WATCH:
		key, _ := body[int(iproto.IPROTO_EVENT_KEY)].(string)
		f.mu.Lock()
		defer f.mu.Unlock()
		if c.told[key] != f.newest[key]+1 {
			c.event(key)
			return nil
		}
		c.watch[key] = true
		return nil
	case iproto.IPROTO_PING: // by which a connection sees that we live, whenever it likes
		req.ok()
		return nil
	case iproto.IPROTO_UNWATCH:
		return nil
	}
	f.mu.Lock()
	f.got = append(f.got, req.typ)
	script := f.script
	f.mu.Unlock()
	if script != nil {
		script(req)
		return nil
	}
	req.ok()
	return nil
}

// decodeHeader is a header without what is no number, and what is behind it.
func decodeHeader(frame []byte) (map[iproto.Key]uint64, []byte) {
	out := map[iproto.Key]uint64{}
	pairs, at, _ := mp.ReadMapHeader(frame)
	for range pairs {
		key, size, _ := mp.ReadUint(frame[at:])
		at += size
		if v, _, ok := mp.ReadUint(frame[at:]); ok {
			out[iproto.Key(key)] = v
		}
		at = mp.Skip(frame, at)
	}
	return out, frame[at:]
}

// numberOf is the number that a request has in its header.
func numberOf(frame []byte) *xrow.Number {
	n := &xrow.Number{}
	pairs, at, _ := mp.ReadMapHeader(frame)
	for range pairs {
		key, size, _ := mp.ReadUint(frame[at:])
		at += size
		if xrow.IsNumberKey(key) {
			_, _ = n.Read(xrow.Key(key), frame[at:])
		}
		at = mp.Skip(frame, at)
	}
	if n.Session == "" {
		return nil
	}
	return n
}

// event sends a value; the fake's lock is held.
func (c *fakeConn) event(key string) {
	c.watch[key], c.told[key] = false, c.f.newest[key]+1
	c.send(map[int]any{int(iproto.IPROTO_REQUEST_TYPE): int(iproto.IPROTO_EVENT)},
		map[int]any{int(iproto.IPROTO_EVENT_KEY): key, int(iproto.IPROTO_EVENT_DATA): c.f.values[key]})
}

func (c *fakeConn) send(header, body map[int]any) {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	if err := e.Encode(header); err != nil {
		c.f.t.Error(err)
	}
	if err := e.Encode(body); err != nil {
		c.f.t.Error(err)
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_, _ = c.Write(append(binary.BigEndian.AppendUint32([]byte{0xce}, uint32(b.Len())), b.Bytes()...)) // else it was dropped
}

func (r *request) answer(body map[int]any) {
	r.on.send(map[int]any{int(iproto.IPROTO_REQUEST_TYPE): 0, int(iproto.IPROTO_SYNC): r.sync}, body)
}

// ok answers with the address of the instance.
func (r *request) ok() { r.answer(map[int]any{int(iproto.IPROTO_DATA): []any{[]any{r.on.f.addr}}}) }

// fails answers with an error.
func (r *request) fails(code iproto.Error, text string) {
	fields := map[string]any{"leader_uuid": aUUID}
	if code == iproto.ER_LOADING {
		fields["odd"] = odd
	}
	r.on.send(map[int]any{int(iproto.IPROTO_REQUEST_TYPE): int(iproto.IPROTO_TYPE_ERROR) | int(code), int(iproto.IPROTO_SYNC): r.sync},
		map[int]any{int(iproto.IPROTO_ERROR_24): text, int(iproto.IPROTO_ERROR): map[int]any{0: []any{map[int]any{
			0: "ClientError", 1: "fake", 2: 1, 3: text, 4: 0, 5: int(code), 6: fields}}}})
}

// What READONLY has in its fields: a uuid; and an extension that nobody knows.
var (
	aUUID = msgpack.RawMessage("\xd8\x02\x2b\x3a\x0d\x4c\x6b\xbf\x4b\x45\x9d\x0b\x1d\x6f\x2d\x3a\x4c\x5e")
	odd   = msgpack.RawMessage("\xd4\x63\x00")
)

// hangUp ends the connection without an answer.
func (r *request) hangUp() { _ = r.on.Close() }
