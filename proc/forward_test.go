package proc

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// forwardArgs are those of tarragon.forward.
func forwardArgs(term uint64, user string, t xrow.Type, body []byte) []byte {
	b := msgp.AppendUint64([]byte{0x94}, term)
	b = msgp.AppendString(b, user)
	return append(msgp.AppendUint64(b, uint64(t)), body...)
}

// Members ask in the name of others, from where members are: with the rights of those,
// for what changes replicated spaces, of the leader of the term. Nobody else does.
func TestForward(t *testing.T) {
	member := true
	c := newCaller(t, instance.ModeCandidate, func(e *Env) { e.FromMember = func(uint64) bool { return member } })
	for _, s := range [][2]string{
		{"box.schema.space.create", `["open"]`}, {"box.space.open:create_index", `["pk"]`},
		{"box.schema.space.create", `["own", {"is_local": true}]`}, {"box.space.own:create_index", `["pk"]`},
		{"box.schema.user.create", `["bob"]`}, {"box.schema.user.grant", `["bob", "read,write", "space", "open"]`},
		{"box.schema.user.create", `["peer"]`}, {"box.schema.user.grant", `["peer", "replication"]`},
		{"box.schema.user.create", `["all"]`}, {"box.schema.user.grant", `["all", "execute,read,write", "universe"]`},
		{"box.schema.user.create", `["gone"]`}, {"box.schema.user.drop", `["gone"]`},
	} {
		if a := c.admin(s[0], s[1]); a.err != nil {
			t.Fatalf("%s%s: %s", s[0], s[1], a)
		}
	}
	open, _ := c.node.core.Box().ResolveSpace("open")
	own, _ := c.node.core.Box().ResolveSpace("own")
	term := c.node.core.Info(c.node.now.Mono).Term
	insert := func(space uint32, key uint64) []byte {
		d := xrow.DML{SpaceID: space, Tuple: msgp.AppendUint64([]byte{0x91}, key)}
		return d.AppendBody(nil)
	}
	call := func(name, args string) []byte {
		raw, err := fromJSON(args)
		if err != nil {
			t.Fatal(err)
		}
		return xrow.AppendCall(nil, name, raw)
	}
	for _, x := range []struct {
		what   string
		by     string
		away   bool
		args   []byte
		want   string // of the error; empty: it is done
		origin bool
	}{
		{"a write", "peer", false, forwardArgs(term, "bob", xrow.Insert, insert(open, 1)), "", true},
		{"by super", "admin", true, forwardArgs(term, "bob", xrow.Insert, insert(open, 2)), "", true},
		{"a call", "peer", false, forwardArgs(term, "admin", xrow.Call, call("box.schema.user.create", `["made"]`)), "", true},
		{"one that changes nothing", "peer", false, forwardArgs(term, "admin", xrow.Call, call("box.schema.user.exists", `["made"]`)), "", false},
		{"from elsewhere", "peer", true, forwardArgs(term, "bob", xrow.Insert, insert(open, 3)), "from the addresses at which the configuration has them", false},
		{"by one with all rights but the role", "all", false, forwardArgs(term, "bob", xrow.Insert, insert(open, 3)), "Execute access to function 'tarragon.forward' is denied for user 'all'", false},
		{"of another term", "peer", false, forwardArgs(term+1, "bob", xrow.Insert, insert(open, 3)), "read-only instance", false},
		{"of who may not write", "peer", false, forwardArgs(term, "peer", xrow.Insert, insert(open, 3)), "Write access to space 'open' is denied for user 'peer'", false},
		{"of who was dropped", "peer", false, forwardArgs(term, "gone", xrow.Insert, insert(open, 3)), "'gone' is not found: it was dropped", false},
		{"of a role", "peer", false, forwardArgs(term, "super", xrow.Insert, insert(open, 3)), "'super' is not found", false},
		{"of a local space", "peer", false, forwardArgs(term, "admin", xrow.Insert, insert(own, 3)), "only what changes replicated spaces is forwarded", false},
		{"of a read", "peer", false, forwardArgs(term, "admin", xrow.Select, insert(open, 1)), "takes INSERT, REPLACE", false},
		{"of itself", "peer", false, forwardArgs(term, "admin", xrow.Call, call("tarragon.forward", `[]`)), "'tarragon.forward' is for the instance that is asked", false},
		{"of what is the instance's", "peer", false, forwardArgs(term, "admin", xrow.Call, call("box.ctl.promote", `[]`)), "is for the instance that is asked", false},
		{"of another user for the session", "peer", false, forwardArgs(term, "admin", xrow.Call, call("box.session.su", `["admin"]`)), "is for the instance that is asked", false},
		{"without a body", "peer", false, forwardArgs(term, "admin", xrow.Insert, []byte{0xc0}), "Usage: tarragon.forward(term, user, type, body)", false},
		{"without a term", "peer", false, forwardArgs(0, "admin", xrow.Insert, insert(open, 3)), "Usage: ", false},
		{"with a bad body", "peer", false, forwardArgs(term, "admin", xrow.Insert, []byte{0x81, 0x10, 0xa0}), "Invalid MsgPack", false},
	} {
		member = !x.away
		by, _ := c.node.core.Box().UserByName(x.by)
		a := c.call(by.ID, xrow.Call, xrow.ForwardCall, x.args)
		switch {
		case a == nil:
			t.Errorf("%s: no answer", x.what)
		case x.want != "":
			if a.err == nil || !strings.Contains(a.err.Message, x.want) {
				t.Errorf("%s: %s", x.what, a)
			}
		case a.err != nil:
			t.Errorf("%s: %s", x.what, a)
		default:
			_, origin, lsn, err := xrow.DecodeForwarded(append([]byte{0x81, byte(xrow.KeyData)}, a.data...))
			if at := c.node.core.Info(c.node.now.Mono).VClock[1]; err != nil || x.origin && (origin != 1 || lsn == 0 || lsn > at) || !x.origin && lsn != 0 {
				t.Errorf("%s: %v, transaction %d:%d of %d", x.what, err, origin, lsn, at)
			}
		}
	}
}
