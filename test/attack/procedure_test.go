package attack

import "strings"

// arguments of a procedure; user: who calls.
type arguments func(user string) []any

func args(v ...any) arguments { return func(string) []any { return v } }

// calls are the arguments with which each procedure is tried. What is missing takes none.
var calls = map[string]arguments{
	"box.broadcast":                   args("mine", 1),
	"box.cfg":                         args(map[string]any{"checkpoint_count": 2}),
	"box.ctl.set_on_shutdown_timeout": args(3),
	"box.ctl.wait_ro":                 args(0.001),
	"box.ctl.wait_rw":                 args(0.001),
	"box.schema.create_space":         args("made2", map[string]any{"id": madeSpace + 1}),
	"box.schema.space.create":         args("made2", map[string]any{"id": madeSpace + 1}),
	"box.schema.space.drop":           args(madeSpace, "made"),
	"box.schema.func.create":          args("a-new"),
	"box.schema.func.drop":            args("a-func"),
	"box.schema.func.exists":          args("a-func"),
	"box.schema.role.create":          args("a-new"),
	"box.schema.role.drop":            args("a-role"),
	"box.schema.role.exists":          args("a-role"),
	"box.schema.role.grant":           args("a-role", "read", "space", "hidden"),
	"box.schema.role.info":            args("a-role"),
	"box.schema.role.revoke":          args("a-role", "read", "space", "open"),
	"box.schema.user.create":          args("a-new"),
	"box.schema.user.disable":         args("a-other"),
	"box.schema.user.drop":            args("a-other"),
	"box.schema.user.enable":          args("a-other"),
	"box.schema.user.exists":          args("a-other"),
	"box.schema.user.grant":           args("a-other", "read", "space", "hidden"),
	"box.schema.user.info":            args("a-other"),
	"box.schema.user.passwd":          args("a-other", "new"),
	"box.schema.user.password":        args("x"),
	"box.schema.user.revoke":          args("a-other", "read", "space", "open"),
	"box.ctl.switchover":              args(map[string]any{"to": "nobody"}),
	"box.session.su":                  args("admin"),
	"tarragon.accept_loss":            args(),
	"tarragon.act_as":                 args("admin"),
	"tarragon.adopt_term":             args(1),
	"tarragon.copy.cancel":            args("nobody"),
	"tarragon.expel":                  args(31),
	"tarragon.history":                args(map[string]any{"limit": 1}),
	"tarragon.feature_raise":          args(),
	"tarragon.forward":                args(1, "admin", 2, map[any]any{0x10: openSpace, 0x21: []any{3, 30}}),
	"tarragon.filter.alter":           args(filterName, map[string]any{"rename": "a-renamed"}),
	"tarragon.filter.create":          args("a-new", map[string]any{"full": true}),
	"tarragon.filter.drop":            args(filterName),
	"tarragon.filter.show":            args(filterName),
	"tarragon.replica.alter":          args(replicaName, map[string]any{"filter": filterName}),
	"tarragon.replica.create":         args("a-new", map[string]any{"uuid": "00000000-0000-4000-8000-000000000091"}),
	"tarragon.replica.drop":           args(replicaName),
	"tarragon.pause":                  args(map[string]any{"seconds": 60}),
	"tarragon.lost.list":              args(map[string]any{"term": 0, "origin": 0, "lsn": 0, "limit": 1}),
	"tarragon.verify.digests":         args(map[string]any{"origin": 1, "from": 1, "to": 100, "step": 10}),
	"tarragon.verify.spaces":          args([]any{}),
	"tarragon.verify.rows":            args(map[string]any{"origin": 1, "from": 1, "to": 10}),

	"box.space.*:auto_increment": args([]any{1}),
	"box.space.*:create_index":   args("second"),
	"box.space.*:delete":         args(1),
	"box.space.*:get":            args(1),
	"box.space.*:insert":         args([]any{2, 20}),
	"box.space.*:put":            args([]any{1, 20}),
	"box.space.*:rename":         args("made2"),
	"box.space.*:replace":        args([]any{1, 20}),
	"box.space.*:update":         args(1, []any{[]any{"=", 2, 30}}),
	"box.space.*:upsert":         args([]any{1, 20}, []any{[]any{"=", 2, 30}}),

	"box.space.*.index.*:alter":  args(map[string]any{"name": "other"}),
	"box.space.*.index.*:delete": args(1),
	"box.space.*.index.*:get":    args(1),
	"box.space.*.index.*:random": args(1),
	"box.space.*.index.*:rename": args("other"),
	"box.space.*.index.*:update": args(1, []any{[]any{"=", 2, 30}}),
}

// more are calls beside the one of each procedure: what is another question.
var more = []struct {
	name, object string
	args         arguments
}{
	{"box.cfg", "box.cfg without options", args()},
	{"box.broadcast", "box.broadcast of a key `internal.*`", args("internal.ballot", 1)},
	{"box.broadcast", "box.broadcast of a key `box.*`", args("box.status", 1)},
	{"box.schema.func.create", "box.schema.func.create of language GO", args("a-new", map[string]any{"language": "GO"})},
	{"box.schema.func.create", "box.schema.func.create with setuid", args("a-new", map[string]any{"setuid": true})},
	{"box.schema.func.create", "box.schema.func.create of one that is there, if_not_exists", args("a-func", map[string]any{"if_not_exists": true})},
	{"box.schema.user.info", "box.schema.user.info of oneself", args()},
	{"box.schema.user.info", "box.schema.user.info of admin", args("admin")},
	{"box.schema.user.exists", "box.schema.user.exists of admin", args("admin")},
	{"box.schema.user.passwd", "box.schema.user.passwd of oneself", args(password)},
	{"box.schema.user.passwd", "box.schema.user.passwd of admin", args("admin", "new")},
	{"box.schema.user.grant", "box.schema.user.grant of super to oneself", func(user string) []any { return []any{user, "super"} }},
	{"box.schema.space.create", "box.schema.space.create of one that is there, if_not_exists", args("made", map[string]any{"if_not_exists": true})},
	{"box.schema.user.create", "box.schema.user.create of one that is there, if_not_exists", args("a-other", map[string]any{"if_not_exists": true})},
	{"box.session.su", "box.session.su to oneself", func(user string) []any { return []any{user} }},
	{"box.space._user:len", "box.space._user:len", args()},
	{"box.space._user:bsize", "box.space._user:bsize", args()},
	{"box.space._user:format", "box.space._user:format", args()},
	{"box.space._tarragon_set:drop", "box.space._tarragon_set:drop", args()},
	{"box.space._tarragon_set:rename", "box.space._tarragon_set:rename", args("made2")},
	{"box.space._tarragon_set:truncate", "box.space._tarragon_set:truncate", args()},
	{"box.space._tarragon_set:create_index", "box.space._tarragon_set:create_index", args("second")},
	{"box.space._tarragon_set.index.primary:drop", "box.space._tarragon_set.index.primary:drop", args()},
	{"box.space._tarragon_filter:drop", "box.space._tarragon_filter:drop", args()},
	{"box.space._tarragon_filter:truncate", "box.space._tarragon_filter:truncate", args()},
	{"box.space._tarragon_replica:drop", "box.space._tarragon_replica:drop", args()},
	{"box.space._tarragon_replica:truncate", "box.space._tarragon_replica:truncate", args()},
	{"box.schema.space.create", "box.schema.space.create of a name `_tarragon_*`", args("_tarragon_mine", map[string]any{"id": madeSpace + 1})},
}

func procedureAttempts(names []string) (out []*attempt) {
	for _, name := range names {
		a := calls[name]
		if a == nil {
			a = args()
		}
		out = append(out, procedureAttempt(name, name, a))
	}
	for _, m := range more {
		out = append(out, procedureAttempt(m.name, m.object, m.args))
	}
	return out
}

func procedureAttempt(name, object string, a arguments) *attempt {
	called := strings.Replace(strings.Replace(name, "space.*", "space.made", 1), "index.*", "index.pk", 1)
	return &attempt{section: procedures, verb: "CALL", object: object, before: prepareObjects, after: dropObjects,
		run: func(_ *node, c *client, user string) verdict { return c.call(called, a(user)...) }}
}

// prepareObjects makes a space, a user and a role, which are the boss's.
func prepareObjects(n *node, _ string) {
	n.do("box.schema.space.create", "made", map[string]any{"id": madeSpace})
	n.do("box.space.made:create_index", "pk")
	n.do("box.space.made:insert", []any{1, 10})
	n.do("box.schema.user.create", "a-other", map[string]any{"password": password})
	n.do("box.schema.user.grant", "a-other", "read", "space", "open")
	n.do("box.schema.func.create", "a-func")
	n.do("box.schema.role.create", "a-role")
	n.do("box.schema.role.grant", "a-role", "read", "space", "open")
}

// dropObjects undoes what anybody was allowed to do.
func dropObjects(n *node, user string) {
	if n.theirs {
		n.do("box.ctl.demote") // and all may write
		n.do("box.space.made2:rename", ownName)
		n.makeOwn() // whoever was allowed to drop it
	} else {
		n.do("box.ctl.promote") // the boss may have been deposed
		n.do("tarragon.resume")
		n.do("tarragon.replica.drop", "a-new")
		n.do("tarragon.replica.alter", replicaName, map[string]any{"filter": ""})
		for _, name := range []string{"a-new", "a-renamed"} {
			n.do("tarragon.filter.drop", name)
		}
		n.do("tarragon.filter.create", filterName, map[string]any{"full": true})
	}
	for _, id := range []int{madeSpace, madeSpace + 1} {
		n.do("box.schema.space.drop", id, "made", map[string]any{"if_exists": true})
	}
	for _, name := range []string{"a-other", "a-new"} {
		n.do("box.schema.user.drop", name, map[string]any{"if_exists": true})
	}
	for _, name := range []string{"a-func", "a-new"} {
		n.do("box.schema.func.drop", name, map[string]any{"if_exists": true})
	}
	for _, name := range []string{"a-role", "a-new"} {
		n.do("box.schema.role.drop", name, map[string]any{"if_exists": true})
	}
	if user != login("super") {
		n.do("box.schema.user.revoke", user, "super")
	}
	n.do("box.schema.user.passwd", login("super"), password)
	n.do("box.space._user:update", 1, []any{[]any{"=", 5, map[string]any{}}})
	n.do("box.broadcast", "internal.ballot")
}
