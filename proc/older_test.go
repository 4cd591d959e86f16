package proc

import (
	"math/rand/v2"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// TestOlderSchema: in a schema that counts the IDs of spaces a new space takes
// the next one, also behind one that is gone, and a function that a peer made
// is named.
func TestOlderSchema(t *testing.T) {
	n := &testNode{t: t, replies: map[uint64]instance.Reply{}, now: instance.Now{Mono: time.Second, Wall: 1700000000.5}}
	core, err := instance.New(instance.Config{UUID: testUUID, Name: "i1", Mode: instance.ModeCandidate, Rand: rand.New(rand.NewPCG(1, 2)),
		Trace: func(instance.Fact) {}}, box.New(box.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	n.core = core
	core.Start(n.now)
	rows := box.BootstrapRows(box.Profile2_10_4, testReplicaset, testUUID, "i1", "r1")
	for i := range rows {
		if rows[i].SpaceID == xrow.SpaceFunc { // one more, before the row that follows in the order of spaces
			f := msgp.AppendUint32(msgp.AppendUint32([]byte{0xdc, 0, 19}, 66), 0)
			f = msgp.AppendUint32(msgp.AppendString(f, "mine"), 0)
			f = msgp.AppendString(msgp.AppendString(f, "LUA"), "function() end")
			f = append(msgp.AppendString(f, "function"), 0x90)
			for _, s := range [...]string{"any", "none", "none"} {
				f = msgp.AppendString(f, s)
			}
			f = append(f, 0xc2, 0xc2, 0xc3, 0x91)
			f = append(msgp.AppendString(f, "LUA"), 0x80)
			for range 3 {
				f = msgp.AppendString(f, "")
			}
			more := rows[i]
			more.Tuple = f
			rows = append(rows, more)
			break
		}
	}
	n.submit(instance.BootstrapRows{Rows: rows, ID: 1})
	n.settle()
	n.takeRows()
	c := &caller{t: t, node: n, p: New(Env{Loop: n, Settings: NewSettings(testFormula)})}
	for i, name := range []string{"a", "b"} {
		if a := c.admin("box.schema.space.create", `["`+name+`"]`); a.err != nil {
			t.Fatal(a)
		}
		if id, ok := core.Box().ResolveSpace(name); !ok || id != uint32(512+i) {
			t.Errorf("space %s has ID %d", name, id)
		}
	}
	c.expect("box.space.b:drop", `[]`, "=> []")
	if a := c.admin("box.schema.space.create", `["c"]`); a.err != nil {
		t.Fatal(a)
	}
	if id, _ := core.Box().ResolveSpace("c"); id != 514 {
		t.Errorf("the third space has ID %d", id)
	}
	if last, kept := core.Box().Schema().LastSpaceID(); !kept || last != 514 {
		t.Errorf("max_id %d %v", last, kept)
	}
	c.expect("mine", `[]`, "! 5: Tarragon does not support function 'mine' (LUA)")
	if a := c.call(box.UserGuest, 0x0a, "mine", []byte{0x90}); a.err != nil && a.err.Message != "Tarragon does not support function 'mine' (LUA)" {
		t.Errorf("its owner: %v", a.err)
	}
	if a := c.admin("box.schema.user.create", `["joe", {"password": "x"}]`); a.err != nil {
		t.Error(a)
	}
	joe, _ := core.Box().UserByName("joe")
	if a := c.call(joe.ID, 0x0a, "mine", []byte{0x90}); a.err == nil || a.err.Message != "Execute access to function 'mine' is denied for user 'joe'" {
		t.Errorf("another: %v", a.err)
	}
}
