package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
	"github.com/tinylib/msgp/msgp"
)

// makeUser makes a user whose password is its name.
func (s *set) makeUser(name string, grants ...[]any) {
	s.t.Helper()
	s.leader().call("box.schema.user.create", name, map[string]any{"password": name})
	for _, g := range grants {
		s.leader().call("box.schema.user.grant", append([]any{name}, g...)...)
	}
}

// session logs in over the wire.
func (n *node1) session(user string) *iproto.Client {
	n.set.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	n.set.t.Cleanup(cancel)
	c, err := iproto.Dial(ctx, n.addr)
	if err == nil {
		err = c.Login(user, user)
	}
	if err != nil {
		n.set.t.Fatalf("log in as %s: %v", user, err)
	}
	n.set.t.Cleanup(func() { c.Close() })
	return c
}

// canLogin tells whether a user gets in.
func (n *node1) canLogin(user string) bool {
	conn, err := tarantool.Connect(context.Background(), tarantool.NetDialer{Address: n.addr, User: user, Password: user}, tarantool.Opts{Timeout: patience})
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// reads asks a session for a row of a space.
func reads(c *iproto.Client, space uint32) error {
	body := []byte{0x85, byte(xrow.KeySpaceID)}
	body = msgp.AppendUint32(body, space)
	body = append(body, byte(xrow.KeyIndexID), 0, byte(xrow.KeyLimit), 1, byte(xrow.KeyIterator), 2, byte(xrow.KeyKey), 0x90)
	_, err := c.Do(xrow.Select, body)
	return err
}

// sessionEnds waits for the end of a session; whatever was on its way is passed
// over. A request that the server has not read makes the end a reset.
func (s *set) sessionEnds(c *iproto.Client) {
	s.t.Helper()
	for {
		if _, err := c.ReadFrame(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.t.Error("the session does not end")
			}
			return
		}
	}
}

// A dropped user's session ends, and is nobody's: not the next user's either that
// gets the number. So is one that goes on as that user.
func TestAttackReusedUserNumber(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeUser("bob", []any{"read", "universe"})
	bob, watcher, su := s.leader().session("bob"), s.leader().session("bob"), s.leader().dial()
	defer su.Close()
	if err := reads(bob, 304); err != nil {
		t.Fatal(err)
	}
	if err := watcher.Watch("box.status"); err != nil {
		t.Fatal(err)
	}
	if _, err := su.Do(tarantool.NewCallRequest("box.session.su").Args([]any{"bob"})).Get(); err != nil {
		t.Fatal(err)
	}
	s.leader().call("box.schema.user.drop", "bob")
	if err := reads(bob, 281); err == nil {
		t.Error("a dropped user reads")
	}
	s.makeUser("alice", []any{"super"})
	if err := reads(bob, 304); err == nil {
		t.Error("the session of a dropped user is the next user's")
	}
	s.sessionEnds(bob)
	s.sessionEnds(watcher)
	s.until("a session that went on as the dropped user ends", func() bool { return !su.ConnectedNow() })
	if err := reads(s.leader().session("alice"), 304); err != nil {
		t.Errorf("alice: %v", err)
	}
}

// So it is at a follower, which learns of the drop by a row of its peer, and
// with users that have the number there after a restart.
func TestAttackReusedUserNumberAtFollower(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeUser("bob", []any{"read", "universe"})
	s.level()
	var sessions []*iproto.Client
	for _, n := range s.nodes {
		sessions = append(sessions, n.session("bob"))
	}
	s.leader().call("box.schema.user.drop", "bob")
	s.makeUser("alice", []any{"super"})
	s.level()
	for _, c := range sessions {
		if err := reads(c, 304); err == nil {
			t.Error("the session of a dropped user is the next user's")
		}
		s.sessionEnds(c)
	}
	n := s.nodes[0]
	if err := n.halt(); err != nil {
		t.Fatal(err)
	}
	n.start()
	s.until("alice is there after a restart", func() bool { return n.canLogin("alice") })
	if n.canLogin("bob") {
		t.Error("after a restart bob is there")
	}
}

// Who may have no session any more has none.
func TestAttackDisabledUser(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	for _, disable := range [][]any{{"box.schema.user.disable", "bob"}, {"box.schema.user.revoke", "bob", "session", "universe"},
		{"box.schema.user.revoke", "bob", "session,usage", "universe"}} {
		s.makeUser("bob", []any{"read", "universe"})
		bob := s.leader().session("bob")
		s.leader().call(disable[0].(string), disable[1:]...)
		s.sessionEnds(bob)
		if s.leader().canLogin("bob") {
			t.Errorf("%v: bob logs in", disable)
		}
		s.leader().call("box.schema.user.drop", "bob")
	}
}

// What is revoked is gone with the answer to who revoked it: a right, a role, a
// right of a role, a role of a role, and a role that is dropped.
func TestAttackRevoked(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	for _, r := range []string{"inner", "outer"} {
		s.leader().call("box.schema.role.create", r)
	}
	give := func(args ...any) func() { return func() { s.leader().call(args[0].(string), args[1:]...) } }
	inner := give("box.schema.role.grant", "inner", "read", "space", "t")
	nested := give("box.schema.role.grant", "outer", "inner")
	outer := give("box.schema.user.grant", "bob", "outer")
	for _, way := range []struct {
		name  string
		given []func()
		taken func()
	}{
		{"a right", []func(){give("box.schema.user.grant", "bob", "read", "space", "t")}, give("box.schema.user.revoke", "bob", "read", "space", "t")},
		{"a role", []func(){inner, nested, outer}, give("box.schema.user.revoke", "bob", "outer")},
		{"a role of a role", []func(){outer}, give("box.schema.role.revoke", "outer", "inner")},
		{"a right of a role", []func(){nested}, give("box.schema.role.revoke", "inner", "read", "space", "t")},
		{"a role that is dropped", []func(){inner}, give("box.schema.role.drop", "inner")},
	} {
		if way.name == "a right" {
			s.makeUser("bob")
		}
		for _, f := range way.given {
			f()
		}
		bob := s.leader().session("bob")
		if err := reads(bob, 512); err != nil {
			t.Fatalf("%s: %v", way.name, err)
		}
		way.taken()
		if err := reads(bob, 512); !errors.Is(err, xrow.ErrAccessDenied) {
			t.Errorf("%s was revoked: %v", way.name, err)
		}
	}
}

// sinkFunc is a Sink.
type sinkFunc func(b []byte) error

func (f sinkFunc) Take(b []byte) error { return f(b) }

// A read that is being gathered when its right is revoked, or its user dropped,
// ends there.
func TestAttackRevokedWithinRead(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	s.fill(0, 5*box.SliceRows)
	for _, c := range []struct {
		end  []any
		code xrow.Code
	}{
		{[]any{"box.schema.user.revoke", "bob", "read", "space", "t"}, xrow.ErrAccessDenied},
		{[]any{"box.schema.user.drop", "bob"}, xrow.ErrNoSuchUser},
	} {
		s.makeUserAnew("bob", []any{"read", "space", "t"})
		var bob box.Credentials
		loop := s.leader().server().main().engine.Load().loop
		loop.Read(func(core *instance.Core) {
			u, _ := core.Box().UserByName("bob")
			bob, _ = core.Box().Schema().Credentials(u.ID)
		})
		slices := 0
		q := box.Query{Space: 512, Iterator: box.ALL, Key: []byte{0x90}, Limit: 1 << 30}
		_, err := loop.Select(bob, &q, sinkFunc(func([]byte) error {
			if slices++; slices == 1 {
				s.leader().call(c.end[0].(string), c.end[1:]...)
			}
			return nil
		}))
		if slices != 1 || !errors.Is(err, c.code) {
			t.Errorf("%v: %d slices, then %v", c.end, slices, err)
		}
	}
}

// makeUserAnew is makeUser for one that may be there.
func (s *set) makeUserAnew(name string, grants ...[]any) {
	s.t.Helper()
	s.leader().call("box.schema.user.drop", name, map[string]any{"if_exists": true})
	s.makeUser(name, grants...)
}

// Nobody else is sent away: not those of other users, nor who has not logged in
// yet when guests may have no session, nor who changed the password.
func TestAttackNobodyElseIsSentAway(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeUser("bob")
	s.makeUser("carol", []any{"read", "universe"})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	guest, err := iproto.Dial(ctx, s.leader().addr)
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	carol := s.leader().session("carol")
	s.leader().call("box.schema.user.drop", "bob")
	s.leader().call("box.schema.user.revoke", "guest", "session,usage", "universe")
	s.leader().call("box.schema.user.passwd", "carol", "other")
	if err := reads(carol, 304); err != nil {
		t.Errorf("carol was sent away: %v", err)
	}
	if err := guest.Login("carol", "other"); err != nil {
		t.Errorf("who had not logged in was sent away: %v", err)
	}
}

// Write on _user is no more than that: nobody's password changes by it, nobody's
// owner, and no number that it can insert is the node itself.
func TestAttackWriteOnUser(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeUser("joe")
	s.makeUser("mallory", []any{"read,write", "space", "_user"}, []any{"create", "user"})
	users := map[string]uint64{}
	admin := s.leader().dial()
	defer admin.Close()
	rows, err := admin.Do(tarantool.NewSelectRequest("_user").Iterator(tarantool.IterAll).Key([]any{}).Limit(100)).Get()
	if err != nil {
		t.Fatal(err)
	}
	before := map[uint64]string{}
	for _, r := range rows {
		row := r.([]any)
		id := asUint(t, row[0])
		users[row[2].(string)] = id
		before[id] = fmt.Sprint(row)
	}
	conn, err := tarantool.Connect(context.Background(), tarantool.NetDialer{Address: s.leader().addr, User: "mallory", Password: "mallory"},
		tarantool.Opts{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	me := users["mallory"]
	hash := map[string]any{"chap-sha1": "M+CyEsxxray3AXo3kLjWYphuUEs="}
	for name, id := range users {
		if name == "mallory" {
			continue
		}
		ops := tarantool.NewOperations().Assign(1, me).Assign(4, hash)
		for what, req := range map[string]tarantool.Request{
			"UPDATE":      tarantool.NewUpdateRequest(304).Key([]any{id}).Operations(ops),
			"UPDATE_HASH": tarantool.NewUpdateRequest(304).Key([]any{id}).Operations(tarantool.NewOperations().Assign(4, hash)),
			"REPLACE":     tarantool.NewReplaceRequest(304).Tuple([]any{id, me, name, "user", hash, []any{}, 0}),
			"UPSERT":      tarantool.NewUpsertRequest(304).Tuple([]any{id, me, name, "user", hash, []any{}, 0}).Operations(ops),
			"DELETE":      tarantool.NewDeleteRequest(304).Key([]any{id}),
		} {
			if _, err := conn.Do(req).Get(); err == nil {
				t.Errorf("%s of %s was taken", what, name)
			}
		}
	}
	for _, id := range []uint64{1<<31 - 1, 1<<32 - 1, 1 << 32, 1<<63 | 1} {
		if _, err := conn.Do(tarantool.NewInsertRequest(304).Tuple([]any{id, me, "evil", "user", hash, []any{}, 0})).Get(); err == nil {
			t.Errorf("user %d was taken", id)
		}
	}
	after, err := admin.Do(tarantool.NewSelectRequest("_user").Iterator(tarantool.IterAll).Key([]any{}).Limit(100)).Get()
	if err != nil || len(after) != len(rows) {
		t.Fatalf("%d users, there were %d: %v", len(after), len(rows), err)
	}
	for _, r := range after {
		row := r.([]any)
		if was := before[asUint(t, row[0])]; was != fmt.Sprint(row) {
			t.Errorf("%v was %s", row, was)
		}
	}
}

func asUint(t *testing.T, v any) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(fmt.Sprint(v), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
