package attack

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
	"github.com/vmihailenco/msgpack/v5"
)

// patience bounds what a test waits for: a broken node, not a slow machine.
const patience = 30 * time.Second

// client is a session of one user.
type client struct {
	*iproto.Client
	t      *testing.T
	stream uint64 // that its requests go in; 0: none
}

// node is a running server of either kind.
type node struct {
	t      *testing.T
	addr   string
	behind string // where the node is, if addr is a router's; empty: it is not
	// theirs: a Tarantool, where what the boss calls is Lua, whose results need no
	// place in a tuple.
	theirs bool
	boss   *client
	ids    map[string]uint64 // of the users
}

// dial opens a session; guest does not log in.
func (n *node) dial(user string) *client {
	n.t.Helper()
	return n.dialAt(n.addr, user)
}

// dialNode is the same, without a router between.
func (n *node) dialNode(user string) *client {
	n.t.Helper()
	if n.behind != "" {
		return n.dialAt(n.behind, user)
	}
	return n.dialAt(n.addr, user)
}

func (n *node) dialAt(addr, user string) *client {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	c, err := iproto.Dial(ctx, addr)
	if err == nil && user != guest {
		err = c.Login(user, password)
	}
	if err != nil {
		n.t.Fatalf("log in as %s: %v", user, err)
	}
	return &client{Client: c, t: n.t}
}

// raw is a value as MessagePack.
func (c *client) raw(v any) []byte {
	c.t.Helper()
	b, err := msgpack.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// fields are the keys of a body.
type fields map[xrow.Key]any

// ask sends a request and judges the answer.
func (c *client) ask(t xrow.Type, f fields) verdict {
	c.t.Helper()
	_, v := c.read(t, f)
	return v
}

// read sends a request and returns the DATA of its answer too.
func (c *client) read(t xrow.Type, f fields) ([]any, verdict) {
	c.t.Helper()
	var body []byte
	if f != nil {
		body = msgp.AppendMapHeader(nil, uint32(len(f)))
		for key := range xrow.Key(0x80) { // in the order of their numbers
			if v, ok := f[key]; ok {
				body = append(append(body, byte(key)), c.raw(v)...)
			}
		}
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	row, err := c.do(t, body)
	if err != nil {
		return nil, c.judge(err)
	}
	if len(row.Body) == 0 || t != xrow.Select {
		return nil, yes
	}
	var answer map[int]any
	dec := msgpack.NewDecoder(bytes.NewReader(row.Body))
	dec.SetMapDecoder(func(d *msgpack.Decoder) (any, error) { return d.DecodeUntypedMap() }) // vclocks
	if err := dec.Decode(&answer); err != nil {
		c.t.Fatal(err)
	}
	data, _ := answer[int(xrow.KeyData)].([]any)
	if len(data) == 0 {
		return nil, nothing
	}
	return data, yes
}

// judge turns an error into a verdict.
func (c *client) judge(err error) verdict {
	var e *xrow.Error
	switch {
	case err == nil:
		return yes
	case !errors.As(err, &e):
		return closed
	case e.Code == xrow.ErrAccessDenied:
		return no
	}
	return failed(e.Code)
}

func (c *client) call(name string, args ...any) verdict {
	c.t.Helper()
	return c.ask(xrow.Call, fields{xrow.KeyFunctionName: name, xrow.KeyTuple: append([]any{}, args...)})
}

// do calls as the boss; the verdict is of no interest where a case is prepared
// or undone, since what it made may be gone.
func (n *node) do(name string, args ...any) verdict {
	n.t.Helper()
	if !n.theirs {
		return n.boss.call(name, args...)
	}
	return n.boss.ask(xrow.Eval, fields{xrow.KeyExpr: name + "(...)", xrow.KeyTuple: append([]any{}, args...)})
}

// must is do, and has to succeed.
func (n *node) must(name string, args ...any) {
	n.t.Helper()
	if v := n.do(name, args...); v != yes {
		n.t.Fatalf("%s%v: %s", name, args, v)
	}
}
