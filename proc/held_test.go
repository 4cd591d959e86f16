package proc

import (
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// slowNode keeps what it is given while it holds.
type slowNode struct {
	*testNode
	holds bool
	held  []instance.Event
}

func (n *slowNode) Submit(ev instance.Event) error {
	if n.holds {
		n.held = append(n.held, ev)
		return nil
	}
	return n.testNode.Submit(ev)
}

// A call that waits while its user is dropped, or loses the right to call, does
// nothing: not to the next user of the number either.
func TestAttackHeldCall(t *testing.T) {
	for _, c := range []struct {
		name  string
		while [][2]string
		code  xrow.Code
	}{
		{"nothing", nil, 0},
		{"the user is dropped, and the number given again", [][2]string{{"box.schema.user.drop", `["bob"]`},
			{"box.schema.user.create", `["alice", {"password": "secret"}]`}, {"box.schema.user.grant", `["alice", "execute", "universe"]`}}, xrow.ErrNoSuchUser},
		{"the right is revoked", [][2]string{{"box.schema.user.revoke", `["bob", "execute", "universe"]`}}, xrow.ErrAccessDenied},
	} {
		node := &slowNode{}
		caller := newCaller(t, instance.ModeCandidate, func(e *Env) {
			node.testNode = e.Loop.(*testNode)
			e.Loop = node
		})
		caller.expect("box.schema.user.create", `["bob"]`, "=> []")
		caller.expect("box.schema.user.grant", `["bob", "execute", "universe"]`, "=> []")
		bob, _ := caller.node.core.Box().UserByName("bob")
		args, err := fromJSON(`["stolen"]`)
		if err != nil {
			t.Fatal(err)
		}
		node.holds = true
		if a := caller.call(bob.ID, xrow.Call, "box.schema.user.passwd", args); a != nil {
			t.Fatalf("%s: answered at once: %s", c.name, a)
		}
		sync := caller.sync
		node.holds = false
		for _, w := range c.while {
			caller.expect(w[0], w[1], "=> []")
		}
		now, _ := caller.node.core.Box().Schema().User(bob.ID)
		if err := node.testNode.Submit(node.held[0]); err != nil {
			t.Fatal(err)
		}
		reply, ok := caller.node.replies[sync]
		if !ok || c.code == 0 && reply.Err != nil || c.code != 0 && (reply.Err == nil || reply.Err.Code != c.code) {
			t.Errorf("%s: answered %v with %v", c.name, ok, reply.Err)
		}
		after, _ := caller.node.core.Box().Schema().User(bob.ID)
		if changed := string(now.Hash) != string(after.Hash); changed != (c.code == 0) {
			t.Errorf("%s: the password of %q changed: %v", c.name, after.Name, changed)
		}
	}
}
