package server

import (
	"testing"

	"github.com/tarantool/go-tarantool/v2"
)

// box.session.su changes whom a session runs as, for all that comes behind it.
func TestSessionSu(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	s.leader().call("box.schema.user.create", "watcher")
	s.leader().call("box.schema.user.grant", "watcher", "execute", "lua_call", "box.session.user")
	conn := s.leader().dial()
	defer conn.Close()
	call := func(name string, args ...any) (string, error) {
		out, err := conn.Do(tarantool.NewCallRequest(name).Args(append([]any{}, args...))).Get()
		if err != nil || len(out) == 0 {
			return "", err
		}
		return out[0].(string), nil
	}
	if _, err := call("box.session.su", "watcher"); err != nil {
		t.Fatal(err)
	}
	if who, err := call("box.session.user"); who != "watcher" || err != nil {
		t.Errorf("the session is of %q: %v", who, err)
	}
	if _, err := call("box.session.su", "admin"); err == nil {
		t.Error("a user without rights became admin")
	}
	if _, err := conn.Do(tarantool.NewInsertRequest(512).Tuple([]any{1})).Get(); err == nil {
		t.Error("it writes with the rights that it gave up")
	}
}

// A session that a router has made that of a user stays his, by whatever name it is asked to
// be another's, and ends when he may have none.
func TestAttackActAs(t *testing.T) {
	s := newSet(t, 1, "")
	s.startAll()
	s.makeSpace()
	for _, user := range []string{"chief", "locked"} {
		s.leader().call("box.schema.user.create", user)
	}
	s.leader().call("box.schema.user.grant", "chief", "super")
	s.leader().call("box.schema.user.disable", "locked")
	conn := s.leader().dial()
	defer conn.Close()
	call := func(name string, args ...any) error {
		_, err := conn.Do(tarantool.NewCallRequest(name).Args(append([]any{}, args...))).Get()
		return err
	}
	if err := call("tarragon.act_as", "locked"); err == nil {
		t.Error("the session became that of a user who may have none")
	}
	if err := call("tarragon.act_as", "chief"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"box.session.su", `box["session"]["su"]`, "tarragon.act_as", `tarragon["act_as"]`} {
		if err := call(name, "admin"); err == nil {
			t.Errorf("%s: a session that clients share became another user's", name)
		}
	}
	s.leader().call("box.schema.user.drop", "chief")
	for call("box.session.user") == nil && t.Context().Err() == nil { // it is being closed
	}
}
