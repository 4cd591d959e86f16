package proc

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// wanted is what the file says for which golden/credentials-3.8.txt was written.
// The function transfer and the sequence ids are not there.
func wanted() Credentials {
	grant := func(permissions string, objects ...Object) Grant {
		return Grant{Permissions: strings.Fields(permissions), Objects: objects}
	}
	universe := Object{Class: "universe"}
	return Credentials{
		Roles: []Account{
			{Name: "reader", Roles: []string{"public"}, Privileges: []Grant{grant("read", Object{"space", "accounts"}, Object{"space", ""})}},
			{Name: "sharding"},
		},
		Users: []Account{
			{Name: "guest", Roles: []string{"public"}},
			{Name: "replicator", Password: "secret", HasPassword: true, Roles: []string{"replication"}},
			{Name: "storage", Password: "secret", HasPassword: true, Roles: []string{"sharding"}},
			{Name: "client", Password: "client", HasPassword: true, Roles: []string{"super"}},
			{Name: "app", Password: "app", HasPassword: true, Roles: []string{"reader"}, Privileges: []Grant{
				grant("read write create alter drop", universe),
				grant("read write", Object{"space", "accounts"}, Object{"sequence", "ids"}),
				grant("execute", Object{"function", "transfer"}, Object{"function", ""}, Object{"lua_call", ""},
					Object{"lua_call", "box.info"}, Object{Class: "lua_eval"}, Object{"sql", ""}),
				grant("usage session", universe),
			}},
		},
	}
}

// align runs the transaction and returns the rows that it wrote.
func (c *caller) align() (rows []string) {
	c.t.Helper()
	req := AlignCredentials(9, wanted(), 1700000000)
	req.Sync = 77
	delete(c.node.replies, 77)
	c.node.submit(instance.Write{Requests: []instance.Request{req}})
	c.node.settle()
	if r, ok := c.node.replies[77]; !ok || r.Err != nil {
		c.t.Fatalf("align: %v, %v", ok, r.Err)
	}
	for _, d := range c.node.takeRows() {
		rows = append(rows, rowText(&d))
	}
	return rows
}

// replaceRows puts rows of JSON into a space.
func (c *caller) replaceRows(space uint32, rows []string) {
	c.t.Helper()
	c.node.submit(instance.Write{Requests: []instance.Request{{Conn: 9, Sync: 78, User: box.UserAdmin, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		for _, row := range rows {
			raw, err := fromJSON(row)
			if err != nil {
				return nil, err
			}
			if _, err := tx.Execute(box.UserAdmin, &xrow.DML{Type: xrow.Replace, SpaceID: space, Tuple: raw}); err != nil {
				return nil, fmt.Errorf("%s: %w", row, err)
			}
		}
		return nil, nil
	}}}})
	c.node.settle()
	if r := c.node.replies[78]; r.Err != nil {
		c.t.Fatal(r.Err)
	}
	c.node.takeRows()
}

// golden are the rows that Tarantool wrote, of _user and of _priv.
func golden(t *testing.T) (users, privs []string) {
	data, err := os.ReadFile("golden/credentials-3.8.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if row, ok := strings.CutPrefix(line, "_user "); ok {
			users = append(users, row)
		} else if row, ok := strings.CutPrefix(line, "_priv "); ok {
			privs = append(privs, row)
		}
	}
	if len(users) != 7 || len(privs) != 26 {
		t.Fatalf("%d rows of _user, %d of _priv", len(users), len(privs))
	}
	return users, privs
}

// A leader of ours that finds what one of Tarantool wrote for the same
// configuration writes nothing.
func TestAlignFindsTarantools(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	c.admin("box.schema.space.create", `["accounts"]`)
	users, privs := golden(t)
	c.replaceRows(xrow.SpaceUser, users)
	c.replaceRows(xrow.SpacePriv, privs)
	if rows := c.align(); rows != nil {
		t.Errorf("rewritten:\n%s", strings.Join(rows, "\n"))
	}
}

// What we write is what Tarantool writes, but for the numbers of users.
func TestAlignWritesAsTarantool(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	c.admin("box.schema.space.create", `["accounts"]`)
	c.node.takeRows()
	c.align()
	if rows := c.align(); rows != nil {
		t.Errorf("written again:\n%s", strings.Join(rows, "\n"))
	}
	users, privs := golden(t)
	want := named(t, decode(t, users), decode(t, privs))
	have := named(t, c.rows(xrow.SpaceUser), c.rows(xrow.SpacePriv))
	for _, row := range want {
		if !slices.Contains(have, row) {
			t.Errorf("missing: %s", row)
		}
	}
	for _, row := range have {
		if strings.Contains(row, "config") && !slices.Contains(want, row) {
			t.Errorf("Tarantool does not write: %s", row)
		}
	}
}

// An account of a call gets the mark of the configuration beside its own, and
// dropping it by a call leaves what the configuration gave.
func TestOrigins(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	c.admin("box.schema.space.create", `["accounts"]`)
	c.admin("box.schema.user.create", `["app", {"password": "app"}]`)
	c.admin("box.schema.user.grant", `["app", "write,alter", "universe"]`)
	c.node.takeRows()
	if rows := strings.Join(c.align(), "\n"); !strings.Contains(rows, `{"origins": {"": 154, "config": 251}}`) || strings.Contains(rows, "insert 304 tuple=[32") {
		t.Errorf("rows:\n%s", rows)
	}
	c.expect("box.schema.user.revoke", `["app", "read", "universe"]`,
		"! 91: User 'app' does not have read access on universe '' provided by default origin")
	c.expect("box.schema.user.revoke", `["app", "alter", "universe"]`, "=> []")
	c.expect("box.schema.user.drop", `["app"]`, "=> []")
	c.expect("box.schema.user.exists", `["app"]`, "=> [true]")
	c.expect("box.schema.user.drop", `["app"]`, "! 45: User 'app' is not found")
	c.node.takeRows()
	if rows := c.align(); rows != nil {
		t.Errorf("the rights of the configuration are gone:\n%s", strings.Join(rows, "\n"))
	}
	c.expect("box.schema.user.drop", `["app", {"_origin": "config"}]`, "=> []")
	c.expect("box.schema.user.exists", `["app"]`, "=> [false]")
}

func (c *caller) rows(space uint32) (out []tuple) {
	c.t.Helper()
	raw, n, err := (&call{p: c.p}).definition(&box.Query{Space: space, Key: []byte{0x90}, Limit: maxRows})
	if err != nil {
		c.t.Fatal(err)
	}
	if out, err = tuples(raw, n); err != nil {
		c.t.Fatal(err)
	}
	return out
}

func decode(t *testing.T, rows []string) (out []tuple) {
	for _, row := range rows {
		raw, err := fromJSON(row)
		if err != nil {
			t.Fatal(err)
		}
		fields, err := value(raw).array()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fields)
	}
	return out
}

// named are the rows with names in the place of the numbers of users.
func named(t *testing.T, users, privs []tuple) (out []string) {
	names := map[uint64]string{2: "public", 3: "replication", 31: "super"}
	for _, u := range users {
		names[u.uint(0)] = u.str(2)
		if u.field(fieldUserOpts) != nil {
			out = append(out, fmt.Sprintf("%s %s %s %s", u.str(2), u.str(3), text(u.field(4)), text(u.field(fieldUserOpts))))
		}
	}
	for _, p := range privs {
		object := text(p.field(3))
		if class := p.str(2); class == "role" || class == "user" {
			object = names[p.uint(3)]
		}
		opts := value(msgp.AppendNil(nil))
		if o := p.field(fieldPrivOpts); o != nil {
			opts = o
		}
		out = append(out, fmt.Sprintf("%s may %d on %s %s %s", names[p.uint(1)], p.uint(4), p.str(2), object, text(opts)))
	}
	return out
}
