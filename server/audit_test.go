package server

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/iproto"
)

// audited are the records of a node's audit log: who, from where, what.
type audited struct {
	User        string `json:"user"`
	SessionType string `json:"session_type"`
	Remote      string `json:"remote"`
	Type        string `json:"type"`
	Description string `json:"description"`
	Term        uint64 `json:"term"`
	LSN         uint64 `json:"lsn"`
	Outcome     string `json:"outcome"`
}

func (n *node1) audited() (all []audited, text string) {
	n.set.t.Helper()
	data, err := os.ReadFile(n.load().Audit.File)
	if err != nil {
		n.set.t.Fatal(err)
	}
	for l := range strings.Lines(string(data)) {
		var a audited
		if err := json.Unmarshal([]byte(l), &a); err != nil {
			n.set.t.Fatalf("%q: %v", l, err)
		}
		all = append(all, a)
	}
	return all, string(data)
}

// The audit log has who did what, and nothing that one could log in with.
func TestAudit(t *testing.T) {
	s := newSet(t, 1, "audit_log: {to: file, filter: [all]}\n")
	s.startAll()
	s.makeSpace()
	lead := s.leader()
	for _, c := range [][]any{
		{"box.schema.user.create", "bob", map[string]any{"password": "s3cret"}},
		{"box.schema.role.create", "crew"},
		{"box.schema.user.grant", "bob", "read,write", "space", "t"},
		{"box.schema.user.revoke", "bob", "write", "space", "t"},
		{"box.schema.role.grant", "crew", "execute", "universe"},
		{"box.schema.user.passwd", "bob", "0ther"},
		{"box.schema.space.create", "more"},
		{"box.space.more:create_index", "pk"},
		{"box.space.more:rename", "less"},
		{"box.space.less:truncate"},
		{"box.space.less:drop"},
		{"box.ctl.set_on_shutdown_timeout", 3},
	} {
		lead.call(c[0].(string), c[1:]...)
	}
	bob, err := iproto.Dial(t.Context(), lead.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := bob.Login("bob", "s3cret"); err == nil {
		t.Error("an old password is right")
	}
	if err := bob.Login("bob", "0ther"); err != nil {
		t.Fatal(err)
	}
	_, _ = bob.Call("box.ctl.promote", nil)
	if err := bob.Close(); err != nil {
		t.Fatal(err)
	}
	lead.call("box.schema.user.drop", "bob")
	if err := lead.halt(); err != nil {
		t.Fatal(err)
	}

	all, text := lead.audited()
	hash := iproto.HashPassword("0ther")
	for _, secret := range []string{"s3cret", "0ther", string(hash[:]), hex.EncodeToString(hash[:])} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	for _, want := range []audited{
		{User: "admin", SessionType: "background", Type: "leader_change", Description: "Instance 1 leads"},
		{User: "admin1", SessionType: "binary", Type: "auth_ok", Description: "Authenticate user admin1"},
		{User: "admin1", SessionType: "binary", Type: "user_create", Description: "Create user bob", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "role_create", Description: "Create role crew", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "user_grant_rights", Description: "Grant read,write on space t to user bob", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "user_revoke_rights", Description: "Revoke write on space t from user bob", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "role_grant_rights", Description: "Grant execute on universe to role crew", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "password_change", Description: "Change password of user bob", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "space_create", Description: "Create space more", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "space_alter", Description: "Create index pk of space more", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "space_alter", Description: "Alter space less", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "space_truncate", Description: "Truncate space less", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "space_drop", Description: "Drop space less", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "call", Description: "Call administrative procedure box.ctl.set_on_shutdown_timeout"},
		{User: "bob", SessionType: "binary", Type: "auth_fail", Description: "Failed to authenticate user bob: User not found or supplied credentials are invalid"},
		{User: "bob", SessionType: "binary", Type: "auth_ok", Description: "Authenticate user bob"},
		{User: "bob", SessionType: "binary", Type: "access_denied", Description: "Execute access to function 'box.ctl.promote' is denied for user 'bob'"},
		{User: "admin1", SessionType: "binary", Type: "user_drop", Description: "Drop user bob", Outcome: "done"},
		{User: "admin1", SessionType: "binary", Type: "disconnect", Description: "Close connection"},
	} {
		if !slices.ContainsFunc(all, func(a audited) bool {
			if (a.Remote == "") != (a.SessionType == "background") || (a.LSN == 0) != (a.Outcome == "" && a.Type != "leader_change") {
				t.Errorf("from %q, LSN %d: %+v", a.Remote, a.LSN, a)
			}
			a.Remote, a.Term, a.LSN = "", 0, 0
			return a == want
		}) {
			t.Errorf("there is no %+v", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
