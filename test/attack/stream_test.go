package attack

import (
	"errors"
	"slices"
	"testing"

	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// inStreams are the requests that a stream takes.
var inStreams = []xrow.Type{xrow.Select, xrow.Insert, xrow.Replace, xrow.Update, xrow.Upsert, xrow.Delete, xrow.Call, xrow.Call16, xrow.Eval, xrow.Ping}

// TestAttackStreams: within a transaction of a stream whoever may not do something does not
// do it, and nobody else is told so. What no transaction may have is refused there for what
// it is, before anybody looks at the object.
func TestAttackStreams(t *testing.T) { attackStreams(t, startOurs(t)) }

func attackStreams(t *testing.T, n *node) {
	t.Helper()
	n.welcome()
	table := readTable(t)
	all := slices.Concat(requestAttempts(), statementAttempts(), procedureAttempts(proc.Names()))
	asked := 0
	for _, a := range all {
		if !slices.ContainsFunc(inStreams, func(t xrow.Type) bool { return t.String() == a.verb }) || table[a.key()] == nil {
			continue
		}
		run := a.run
		within := *a
		within.run = func(n *node, c *client, user string) verdict {
			return c.within(func() verdict { return run(n, c, user) })
		}
		for i, k := range kinds {
			got, outside := n.try(&within, login(k.name)), table[a.key()].ours[i]
			asked++
			if got == no && outside != no || outside == no && !slices.Contains(refusals, got) {
				t.Errorf("%s by %s: %s in a transaction, %s outside", a.key(), k.name, got, outside)
			}
		}
	}
	if asked < 1000 {
		t.Errorf("%d attempts", asked)
	}
}

// refusals of a transaction: a right, a change of the schema, a procedure that makes one.
var refusals = []verdict{no, failed(xrow.ErrMultistatementTransaction), failed(xrow.ErrUnsupported)}

// stream of a client that is within a transaction.
const stream = 7

// within runs requests in a transaction, which is rolled back.
func (c *client) within(run func() verdict) verdict {
	c.t.Helper()
	c.stream = stream
	defer func() { c.stream = 0 }()
	if v := c.ask(xrow.Begin, nil); v != yes {
		c.t.Fatalf("BEGIN: %s", v)
	}
	v := run()
	if v == closed {
		return v
	}
	if end := c.ask(xrow.RollbackTxn, nil); end != yes {
		c.t.Fatalf("ROLLBACK: %s", end)
	}
	return v
}

// do sends a request, in the client's stream if it has one, and waits for its answer.
func (c *client) do(t xrow.Type, body []byte) (xrow.Row, error) {
	if c.stream == 0 {
		return c.Do(t, body)
	}
	const sync = 1 << 40 // none of those outside
	if err := c.WriteRow(&xrow.Row{Type: t, Sync: sync, StreamID: c.stream, Body: body}); err != nil {
		return xrow.Row{}, err
	}
	for {
		row, err := c.ReadRow()
		if err == nil {
			if e := row.AsError(); e != nil {
				err = e
			}
		}
		if err != nil || row.Sync == sync {
			return row, err
		}
	}
}

// A right that is lost in the midst of a transaction is lost for the statements that come.
// What was done before stays done, as in Tarantool, unless the user is dropped.
func TestAttackRightsLostWithin(t *testing.T) {
	n := startOurs(t)
	n.welcome()
	user := login("writer")
	key, tuple := []any{1}, []any{1, 11}
	statements := map[string]func(c *client) verdict{
		"SELECT": func(c *client) verdict {
			return c.ask(xrow.Select, fields{xrow.KeySpaceID: openSpace, xrow.KeyKey: key, xrow.KeyLimit: 1})
		},
		"REPLACE": func(c *client) verdict {
			return c.ask(xrow.Replace, fields{xrow.KeySpaceID: openSpace, xrow.KeyTuple: tuple})
		},
		"UPDATE": func(c *client) verdict {
			return c.ask(xrow.Update, fields{xrow.KeySpaceID: openSpace, xrow.KeyKey: key, xrow.KeyTuple: []any{[]any{"=", 1, 12}}})
		},
		"UPSERT": func(c *client) verdict {
			return c.ask(xrow.Upsert, fields{xrow.KeySpaceID: openSpace, xrow.KeyTuple: tuple, xrow.KeyOps: []any{}})
		},
		"DELETE": func(c *client) verdict {
			return c.ask(xrow.Delete, fields{xrow.KeySpaceID: openSpace, xrow.KeyKey: key})
		},
	}
	for name, ask := range statements {
		t.Run(name, func(t *testing.T) {
			n.must("box.schema.user.grant", user, "read,write", "space", "open", map[string]any{"if_not_exists": true})
			c := n.dial(user)
			c.stream = stream
			if v := c.ask(xrow.Begin, nil); v != yes {
				t.Fatal(v)
			}
			if v := c.ask(xrow.Replace, fields{xrow.KeySpaceID: openSpace, xrow.KeyTuple: tuple}); v != yes {
				t.Fatal(v)
			}
			n.must("box.schema.user.revoke", user, "read,write", "space", "open")
			if v := ask(c); v != no {
				t.Errorf("%s, the right was lost", v)
			}
			if v := c.ask(xrow.Commit, nil); v != yes {
				t.Errorf("COMMIT: %s", v)
			}
			n.must("box.space.open:replace", []any{1, 10})
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("dropped", func(t *testing.T) {
		n.must("box.schema.user.create", "a-gone", map[string]any{"password": password})
		n.must("box.schema.user.grant", "a-gone", "read,write", "space", "open")
		c := n.dial("a-gone")
		c.stream = stream
		for _, v := range []verdict{c.ask(xrow.Begin, nil), c.ask(xrow.Replace, fields{xrow.KeySpaceID: openSpace, xrow.KeyTuple: tuple})} {
			if v != yes {
				t.Fatal(v)
			}
		}
		n.must("box.schema.user.drop", "a-gone")
		if v := c.ask(xrow.Commit, nil); v != closed && v != failed(xrow.ErrNoSuchUser) {
			t.Errorf("COMMIT of nobody: %s", v)
		}
	})
	rows, v := n.boss.read(xrow.Select, fields{xrow.KeySpaceID: openSpace, xrow.KeyKey: key, xrow.KeyLimit: 1})
	if v != yes || number(rows[0].([]any)[1]) != 10 {
		t.Errorf("the space has %v, %s", rows, v)
	}
}

// A position is the client's to forge: whatever comes, the answer is an error, or rows of
// the index that the user may read, in and out of a transaction, and the session goes on.
func TestAttackPositions(t *testing.T) { attackPositions(t, startOurs(t)) }

func attackPositions(t *testing.T, n *node) {
	t.Helper()
	n.welcome()
	n.must("box.space.open:create_index", "by_value", map[string]any{"unique": false, "parts": []any{[]any{2, "unsigned"}}})
	for i := range 20 {
		n.must("box.space.open:replace", []any{i + 1, 100 - i})
	}
	positions := []string{"k", "kQ", "kQI", "kQI=", "kmQB", "!!!!", "\x00\x01", "kqFhAQ", "kcA", "3////w", "kc///////////w", "gA", "k////w", string(make([]byte, 70000))}
	for _, index := range []int{0, 1} {
		row, err := n.boss.do(xrow.Select, pageOf(t, index, nil))
		if err != nil {
			t.Fatal(err)
		}
		at := positionOf(t, row.Body)
		for i := range at {
			positions = append(positions, at[:i], at[:i]+"A"+at[i+1:])
		}
		positions = append(positions, at+at, at)
	}
	c := n.dial(login("reader"))
	for _, stream := range []uint64{0, stream} {
		if c.stream = stream; stream != 0 {
			if v := c.ask(xrow.Begin, nil); v != yes {
				t.Fatal(v)
			}
		}
		for _, p := range positions {
			for _, index := range []int{0, 1} {
				_, err := c.do(xrow.Select, pageOf(t, index, &p))
				var e *xrow.Error
				if err != nil && !errors.As(err, &e) {
					t.Fatalf("index %d, position %q: %v", index, p, err)
				}
				if e != nil && e.Code != xrow.ErrIteratorPosition {
					t.Errorf("index %d, position %q: %v", index, p, err)
				}
			}
		}
		if v := c.ask(xrow.Ping, nil); v != yes {
			t.Errorf("behind all: %s", v)
		}
	}
}

// pageOf is the body of a SELECT of two rows of the space, behind a position.
func pageOf(t *testing.T, index int, after *string) []byte {
	t.Helper()
	body := msgp.AppendMapHeader(nil, 6)
	for _, f := range []struct {
		key xrow.Key
		v   int
	}{{xrow.KeySpaceID, openSpace}, {xrow.KeyIndexID, index}, {xrow.KeyLimit, 2}} {
		body = msgp.AppendUint(append(body, byte(f.key)), uint(f.v))
	}
	body = append(body, byte(xrow.KeyFetchPosition), 0xc3, byte(xrow.KeyKey), 0x90, byte(xrow.KeyAfterPosition))
	if after == nil {
		return msgp.AppendString(body, "")
	}
	return msgp.AppendString(body, *after)
}

// positionOf an answer.
func positionOf(t *testing.T, body []byte) string {
	t.Helper()
	at, rest, err := msgp.ReadMapHeaderBytes(body)
	for range at {
		var key int
		if key, rest, err = msgp.ReadIntBytes(rest); err != nil {
			break
		}
		if xrow.Key(key) == xrow.KeyPosition {
			text, _, err := msgp.ReadStringBytes(rest)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		if rest, err = msgp.Skip(rest); err != nil {
			break
		}
	}
	t.Fatalf("no position in %x: %v", body, err)
	return ""
}
