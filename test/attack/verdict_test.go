package attack

import (
	"fmt"

	"tarragon.dev/tarragon/xrow"
)

// verdict is how a request ended, in the words of the file.
type verdict string

const (
	yes     verdict = "yes"
	no      verdict = "no"      // ACCESS_DENIED
	nothing verdict = "nothing" // a SELECT without rows
	closed  verdict = "closed"  // the connection
	unknown verdict = "?"       // not asked yet
)

// failed is an error that is not about rights.
func failed(code xrow.Code) verdict { return verdict(fmt.Sprintf("error-%d", code)) }

// guest does not log in; the others have one password.
const (
	guest    = "guest"
	password = "secret"
)

// kinds of users, in the order of the columns.
var kinds = []struct {
	name   string
	grants [][]any // arguments of box.schema.user.grant
}{
	{guest, nil},
	{"reader", [][]any{{"read", "space", "open"}}},
	{"writer", [][]any{{"read,write", "space", "open"}}},
	{"caller", [][]any{{"execute", "universe"}}},
	{"ddl", [][]any{{"read,write,create,alter,drop", "universe"}}},
	{"replication", [][]any{{"replication"}}},
	{"super", [][]any{{"super"}}},
}

// login is the name of a kind's user: replication and super are roles.
func login(kind string) string {
	if kind == guest {
		return guest
	}
	return "a-" + kind
}

// setUp makes the users, a space that some may use, and one that is nobody's.
func (n *node) setUp() {
	n.t.Helper()
	if n.theirs { // as it gets them by replication
		n.makeOwn()
	} else {
		n.must("box.ctl.promote")
		n.must("tarragon.feature_raise")
		n.must("tarragon.pause", map[string]any{"seconds": 60, "reason": "to make it"})
		n.must("tarragon.resume")
		n.must("tarragon.filter.create", filterName, map[string]any{"full": true})
		n.must("tarragon.replica.create", replicaName, map[string]any{"uuid": replica})
	}
	for _, s := range []struct {
		name string
		id   int
	}{{"open", openSpace}, {"hidden", hiddenSpace}} {
		n.must("box.schema.space.create", s.name, map[string]any{"id": s.id})
		n.must("box.space."+s.name+":create_index", "pk")
		n.must("box.space."+s.name+":insert", []any{1, 10})
	}
	n.must("box.schema.user.create", victim, map[string]any{"password": password})
	n.ids = map[string]uint64{guest: 0}
	for _, k := range kinds {
		if k.name == guest {
			continue
		}
		n.must("box.schema.user.create", login(k.name), map[string]any{"password": password})
		for _, g := range k.grants {
			n.must("box.schema.user.grant", append([]any{login(k.name)}, g...)...)
		}
	}
	for _, name := range append(logins(), victim) {
		n.ids[name] = n.id(name)
	}
}

// makeOwn makes what a Tarantool gets of our own spaces by replication, where it is not there.
func (n *node) makeOwn() {
	n.t.Helper()
	for id, name := range map[int]string{ownSpace: ownName, filterSpace: filterSpaceName, replicaSpace: replicaSpaceName} {
		n.must("box.schema.space.create", name, map[string]any{"id": id, "if_not_exists": true})
		n.must("box.space."+name+":create_index", "primary", map[string]any{"parts": []any{[]any{1, "string"}}, "if_not_exists": true})
	}
}

func logins() (out []string) {
	for _, k := range kinds {
		out = append(out, login(k.name))
	}
	return out
}

// id of a user.
func (n *node) id(name string) uint64 {
	n.t.Helper()
	rows, v := n.boss.read(xrow.Select, fields{xrow.KeySpaceID: 304, xrow.KeyIndexID: 2, xrow.KeyLimit: 1, xrow.KeyOffset: 0,
		xrow.KeyIterator: 0, xrow.KeyKey: []any{name}})
	if v != yes {
		n.t.Fatalf("no user %s: %s", name, v)
	}
	return number(rows[0].([]any)[0])
}

func number(v any) uint64 {
	switch v := v.(type) {
	case int8:
		return uint64(v)
	case uint8:
		return uint64(v)
	case uint16:
		return uint64(v)
	case uint32:
		return uint64(v)
	case uint64:
		return v
	case int64:
		return uint64(v)
	}
	panic(fmt.Sprintf("%T is no number", v))
}

// What cases are about.
const (
	ownSpace     = 512 // of Tarragon's own, which are made first
	filterSpace  = 513
	replicaSpace = 514
	openSpace    = 600
	hiddenSpace  = 601
	madeSpace    = 700 // made for one case

	ownName          = "_tarragon_set"
	filterSpaceName  = "_tarragon_filter"
	filterName       = "a-filter"
	replicaSpaceName = "_tarragon_replica"
	replicaName      = "a-replica"
	replica          = "00000000-0000-4000-8000-000000000090"
	victim           = "a-victim"
)
