package proc

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
	connector "github.com/tarantool/go-tarantool/v2/box"
	"github.com/vmihailenco/msgpack/v5"
)

// do serves a request as go-tarantool's box package encodes it, and decodes the
// answer as it does.
func (c *caller) do(req tarantool.Request, into any) *answer {
	c.t.Helper()
	var buf bytes.Buffer
	if err := req.Body(nil, msgpack.NewEncoder(&buf)); err != nil {
		c.t.Fatal(err)
	}
	body, err := value(buf.Bytes()).pairs()
	if err != nil {
		c.t.Fatal(err)
	}
	var name string
	var args []byte
	for _, p := range body {
		switch xrow.Key(p.num) {
		case xrow.KeyFunctionName:
			name, _ = p.val.str()
		case xrow.KeyTuple:
			args = p.val
		}
	}
	a := c.call(box.UserAdmin, xrow.Call, name, args)
	if a == nil {
		c.t.Fatalf("%s was not answered", name)
	}
	if a.err == nil && into != nil {
		if err := msgpack.Unmarshal(a.data, into); err != nil {
			c.t.Fatalf("%s: %v of %s", name, err, text(a.data))
		}
	}
	return a
}

// go-tarantool's box package speaks to us as to Tarantool.
func TestConnectorUsers(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	done := func(a *answer) {
		t.Helper()
		if a.err != nil {
			t.Error(a.err)
		}
	}
	done(c.do(connector.NewUserCreateRequest("u", connector.UserCreateOptions{Password: "p"}), nil))
	done(c.do(connector.NewUserCreateRequest("u", connector.UserCreateOptions{IfNotExists: true}), nil))
	if a := c.do(connector.NewUserCreateRequest("u", connector.UserCreateOptions{}), nil); a.err == nil || a.err.Code != xrow.ErrUserExists {
		t.Error(a)
	}
	var exists connector.UserExistsResponse
	done(c.do(connector.NewUserExistsRequest("u"), &exists))
	if !exists.Exists {
		t.Error("u does not exist")
	}
	var hash connector.UserPasswordResponse
	done(c.do(connector.NewUserPasswordRequest("x"), &hash))
	if hash.Hash != passwordHash("x") {
		t.Errorf("hash %s", hash.Hash)
	}
	passwd, err := connector.NewUserPasswdRequest("u", "other")
	if err != nil {
		t.Fatal(err)
	}
	done(c.do(passwd, nil))

	read := connector.Privilege{Permissions: []connector.Permission{connector.PermissionRead, connector.PermissionWrite},
		Type: connector.PrivilegeUniverse}
	role := connector.Privilege{Permissions: []connector.Permission{connector.PermissionExecute}, Type: connector.PrivilegeRole, Name: "super"}
	space := connector.Privilege{Permissions: []connector.Permission{connector.PermissionAlter}, Type: connector.PrivilegeSpace, Name: "_space"}
	for _, p := range []connector.Privilege{read, role, space} {
		done(c.do(connector.NewUserGrantRequest("u", p, connector.UserGrantOptions{}), nil))
		done(c.do(connector.NewUserGrantRequest("u", p, connector.UserGrantOptions{IfNotExists: true}), nil))
		if a := c.do(connector.NewUserGrantRequest("u", p, connector.UserGrantOptions{}), nil); a.err == nil {
			t.Errorf("%v was granted twice", p)
		}
	}
	var info connector.UserInfoResponse
	done(c.do(connector.NewUserInfoRequest("u"), &info))
	if got, want := show(info.Privileges), "[{Permissions:[execute] Type:role Name:public} {Permissions:[execute] Type:role Name:super}"+
		" {Permissions:[alter] Type:space Name:_space} {Permissions:[read write session usage] Type:universe Name:}"+
		" {Permissions:[alter] Type:user Name:u}]"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for _, p := range []connector.Privilege{read, role, space} {
		done(c.do(connector.NewUserRevokeRequest("u", p, connector.UserRevokeOptions{}), nil))
		done(c.do(connector.NewUserRevokeRequest("u", p, connector.UserRevokeOptions{IfExists: true}), nil))
		if a := c.do(connector.NewUserRevokeRequest("u", p, connector.UserRevokeOptions{}), nil); a.err == nil {
			t.Errorf("%v was revoked twice", p)
		}
	}
	done(c.do(connector.NewUserDropRequest("u", connector.UserDropOptions{}), nil))
	done(c.do(connector.NewUserDropRequest("u", connector.UserDropOptions{IfExists: true}), nil))
}

func TestConnectorInfo(t *testing.T) {
	const other = "22222222-0000-4000-8000-000000000002"
	c := newCaller(t, instance.ModeCandidate, func(e *Env) {
		e.Started = time.Second
		e.Listen = func() []string { return []string{"127.0.0.1:3301"} }
		e.OldestGroup = func() uint64 { return 3 }
		e.Peers = func() []PeerStatus {
			return []PeerStatus{{UUID: "33333333-0000-4000-8000-000000000003", Downstream: &Downstream{Status: "follow"}}, {ID: 2, UUID: other,
				Upstream:   &Upstream{Status: "follow", Idle: 500 * time.Millisecond, Lag: time.Millisecond, Peer: "r@127.0.0.1:3302"},
				Downstream: &Downstream{Status: "stopped", Message: "gone", SystemMessage: "EOF"}}}
		}
	})
	row := instance.MemberTuple(2, other, "i2", 1)
	c.node.putMember(row)

	var r connector.InfoResponse
	if a := c.do(connector.NewInfoRequest(), &r); a.err != nil {
		t.Fatal(a.err)
	}
	i := r.Info
	if i.Version != "3.8.0-0-g0" || i.ID == nil || *i.ID != 1 || i.UUID != testUUID || i.RO || i.PID != 7 || i.Status != "running" || i.LSN == 0 {
		t.Errorf("info %+v", i)
	}
	want := connector.Replication{ID: 2, UUID: other,
		Upstream:   connector.Upstream{Status: "follow", Idle: 0.5, Lag: 0.001, Peer: "r@127.0.0.1:3302"},
		Downstream: connector.Downstream{Status: "stopped", Message: "gone", SystemMessage: "EOF"}}
	if len(i.Replication) != 2 || show(i.Replication[2]) != show(want) || i.Replication[1].LSN != i.LSN {
		t.Errorf("replication %+v", i.Replication)
	}
	whole := text(mp.Encode(c.p.info(box.UserAdmin)))
	for _, part := range []string{`"name": "i1"`, `"replicaset": {"uuid": "` + testReplicaset + `", "name": "r1"}`, `"listen": "127.0.0.1:3301"`,
		`"election": {"state": "leader", "term": 2, "vote": 1, "leader": 1, "leader_name": "i1", "leader_idle": 0f}`,
		`"synchro": {"quorum": 2, "queue": {"owner": 1, "term": 2, `, `"tarragon": {"mode": "candidate", "stalled": false, "expelled": false, "failed": nil`,
		`"rules": "strong", "kinds": {1: "Tarragon", 2: "Tarragon"}, "split_brain": [], "not_served": []`, `"replication_anon": {"count": 1}`, `"history": [{"term": 2, "owner": 1, "uuid": `, `"first_group": 3`, `"memory": []`, `"uptime": 1`,
		`"hierarchy": {"group": "g1", "replicaset": "r1", "instance": "i1"}`} {
		if !strings.Contains(whole, part) {
			t.Errorf("box.info lacks %s: %s", part, whole)
		}
	}
	if strings.Contains(whole, "ro_reason") {
		t.Error("a writable instance has a reason to be read-only")
	}
	c.cfg(`{"read_only": true}`)
	if whole := text(mp.Encode(c.p.info(box.UserAdmin))); !strings.Contains(whole, `"ro": true, "ro_reason": "config"`) {
		t.Error(whole)
	}
}

func TestInfoReadOnly(t *testing.T) {
	c := newCaller(t, instance.ModeVoter, nil)
	whole := text(mp.Encode(c.p.info(box.UserAdmin)))
	if !strings.Contains(whole, `"ro": true, "ro_reason": "synchro"`) {
		t.Error(whole)
	}
}
