package attack

import (
	"tarragon.dev/tarragon/xrow"

	"github.com/google/uuid"
)

// body of a request, nil for none.
type body func(n *node) fields

func fixed(f fields) body { return func(*node) fields { return f } }

func requestAttempts() (out []*attempt) {
	add := func(t xrow.Type, object string, b body) *attempt {
		a := &attempt{section: requests, verb: t.String(), object: object, run: func(n *node, c *client, _ string) verdict {
			return c.ask(t, b(n))
		}}
		out = append(out, a)
		return a
	}
	key, tuple, ops := []any{1}, []any{1, 10}, []any{[]any{"=", 1, 10}}
	restore := func(n *node, _ string) {
		n.do("box.space.open:replace", tuple)
		n.do("box.space.hidden:replace", tuple)
	}
	for object, id := range map[string]int{"of a space granted": openSpace, "of another space": hiddenSpace} {
		for t, f := range map[xrow.Type]fields{
			xrow.Select:  {xrow.KeyKey: key, xrow.KeyLimit: 1},
			xrow.Insert:  {xrow.KeyTuple: []any{2, 20}},
			xrow.Replace: {xrow.KeyTuple: tuple},
			xrow.Update:  {xrow.KeyKey: key, xrow.KeyTuple: ops},
			xrow.Delete:  {xrow.KeyKey: key},
			xrow.Upsert:  {xrow.KeyTuple: tuple, xrow.KeyOps: ops},
		} {
			f[xrow.KeySpaceID] = id
			a := add(t, object, fixed(f))
			a.after = restore
			if t == xrow.Insert {
				a.after = func(n *node, _ string) {
					n.do("box.space.open:delete", 2)
					n.do("box.space.hidden:delete", 2)
				}
			}
		}
	}
	add(xrow.InsertArrow, "", fixed(fields{xrow.KeySpaceID: openSpace}))
	add(xrow.DeleteRange, "", fixed(fields{xrow.KeySpaceID: openSpace}))
	add(xrow.Nop, "", fixed(fields{}))
	for _, t := range []xrow.Type{xrow.Call, xrow.Call16} {
		add(t, "of no function", fixed(fields{xrow.KeyFunctionName: "no_such_function", xrow.KeyTuple: []any{}}))
	}
	add(xrow.Eval, "of `return box.cfg`", fixed(fields{xrow.KeyExpr: "return box.cfg", xrow.KeyTuple: []any{}}))
	add(xrow.Eval, "of other Lua", fixed(fields{xrow.KeyExpr: "local x = 1", xrow.KeyTuple: []any{}}))
	add(xrow.Execute, "", fixed(fields{xrow.KeySQLText: "SELECT 1", 0x41: []any{}}))
	add(xrow.Prepare, "", fixed(fields{xrow.KeySQLText: "SELECT 1"}))
	for _, t := range []xrow.Type{xrow.Begin, xrow.Commit, xrow.RollbackTxn} {
		add(t, "", fixed(fields{}))
	}
	add(xrow.Ping, "", fixed(nil))
	add(xrow.ID, "", fixed(fields{xrow.KeyVersion: 3, xrow.KeyFeatures: []any{}}))
	add(xrow.Auth, "with a wrong password", fixed(fields{xrow.KeyUserName: victim, xrow.KeyTuple: []any{"chap-sha1", string(make([]byte, 20))}}))
	add(xrow.Auth, "of nobody", fixed(fields{xrow.KeyUserName: "nobody", xrow.KeyTuple: []any{"chap-sha1", string(make([]byte, 20))}}))
	add(xrow.Vote, "", fixed(nil))
	add(xrow.Vote, noGroup, fixed(fields{xrow.KeyGroup: "nowhere"}))
	add(xrow.VoteOld, "", fixed(nil))
	for _, key := range []string{"mine", "box.status", "box.schema", "internal.ballot"} {
		add(xrow.WatchOnce, "of `"+key+"`", fixed(fields{xrow.KeyEventKey: key}))
	}
	out = append(out, watch(), unwatch())
	add(xrow.Event, "", fixed(fields{xrow.KeyEventKey: "box.status"}))
	out = append(out, replicationAttempts()...)
	for _, t := range []xrow.Type{xrow.RaftState, xrow.Promote, xrow.Demote, xrow.Confirm, xrow.Rollback, xrow.JoinMeta, xrow.JoinSnapshot, xrow.Chunk, 99} {
		add(t, "", fixed(fields{}))
	}
	return out
}

// watch waits for its event.
func watch() *attempt {
	return &attempt{section: requests, verb: "WATCH", object: "of `internal.ballot`", run: func(_ *node, c *client, _ string) verdict {
		if err := c.Watch("internal.ballot"); err != nil {
			return c.judge(err)
		}
		_, _, err := c.ReadEvent()
		return c.judge(err)
	}}
}

// unwatch has no answer, so a PING shows what became of the session.
func unwatch() *attempt {
	return &attempt{section: requests, verb: "UNWATCH", run: func(_ *node, c *client, _ string) verdict {
		err := c.WriteRow(&xrow.Row{Type: xrow.Unwatch, Body: append([]byte{0x81, byte(xrow.KeyEventKey)}, 0xa1, 'k')})
		if err != nil {
			return c.judge(err)
		}
		return c.ask(xrow.Ping, nil)
	}}
}

// replicationAttempts: the first answer tells who was let in.
func replicationAttempts() (out []*attempt) {
	for t, f := range map[xrow.Type]fields{
		xrow.Join:      {xrow.KeyServerVersion: version},
		xrow.Register:  {xrow.KeyVClock: map[int]int{}},
		xrow.FetchSnap: {xrow.KeyServerVersion: version},
		xrow.Subscribe: {xrow.KeyVClock: map[int]int{}, xrow.KeyServerVersion: version, xrow.KeyReplicaAnon: true},
	} {
		a := &attempt{section: requests, verb: t.String()}
		a.run = func(n *node, c *client, _ string) verdict {
			joiner := uuid.NewString() // the stream of the one before may be open yet
			f[xrow.KeyInstanceUUID] = joiner
			if t == xrow.Subscribe {
				f[xrow.KeyReplicasetUUID] = n.replicaset()
			}
			defer n.expel(joiner)
			return c.ask(t, f)
		}
		if t == xrow.Subscribe {
			a.object = "as an anonymous reader"
		}
		grouped := *a
		grouped.object = noGroup
		grouped.run = func(n *node, c *client, user string) verdict {
			f[xrow.KeyGroup] = "nowhere"
			defer delete(f, xrow.KeyGroup)
			return a.run(n, c, user)
		}
		out = append(out, a, &grouped)
	}
	return out
}

// noGroup is what requests are about that name a group which is nowhere. A Tarantool
// passes over the name.
const noGroup = "of no group"

// version that joiners have, 3.8.0.
const version = 3<<16 | 8<<8

// expel takes back what a JOIN or REGISTER brought.
func (n *node) expel(joiner string) {
	if !n.theirs {
		n.do("tarragon.expel", joiner)
		return
	}
	n.do("box.space._cluster.index.uuid:delete", joiner)
}

// replicaset is the uuid of the replica set.
func (n *node) replicaset() string {
	for _, key := range []string{"replicaset_uuid", "cluster"} { // of 3.x, of older ones
		rows, v := n.boss.read(xrow.Select, fields{xrow.KeySpaceID: 272, xrow.KeyLimit: 1, xrow.KeyKey: []any{key}})
		if v == yes {
			return rows[0].([]any)[1].(string)
		}
	}
	n.t.Fatal("the replica set has no uuid")
	return ""
}
