package proc

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// filterCaller has spaces 512 to 514, an index beside the primary one, and a sequence.
func filterCaller(t *testing.T) *caller {
	c := newCaller(t, instance.ModeCandidate, nil)
	c.expect("tarragon.feature_raise", `[]`, "=> []")
	for _, name := range []string{"orders", "staff", "a.b"} {
		if a := c.admin("box.schema.space.create", `["`+name+`"]`); a.err != nil {
			t.Fatal(a)
		}
	}
	for _, call := range [][2]string{{"box.space.orders:create_index", `["pk"]`}, {"box.space.orders:create_index", `["by_date", {"parts": [{"field": 2, "type": "unsigned"}]}]`},
		{`box.space["a.b"]:create_index`, `["pk"]`}, {`box.space["a.b"]:create_index`, `["c", {"parts": [{"field": 2, "type": "unsigned"}]}]`}} {
		if a := c.admin(call[0], call[1]); a.err != nil {
			t.Fatal(call, a)
		}
	}
	c.node.submit(instance.Write{Requests: []instance.Request{{Conn: 9, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		row, err := fromJSON(`[7, 1, "bills", 1, 1, 9, 1, 0, false]`)
		if err != nil {
			return nil, err
		}
		return nil, tx.ExecuteInternal(&xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceSequence, Tuple: row})
	}}}})
	return c
}

// A filter from its beginning to its end, and what list and show tell of it.
func TestFilter(t *testing.T) {
	c := filterCaller(t)
	c.expect("tarragon.filter.list", `[]`, "=> [[]]")
	c.expect("tarragon.filter.create", `["hr", {"empty": true}]`, "=> [1]")
	c.expect("tarragon.filter.create", `["all", {"full": true, "empty": false}]`, "=> [2]")
	c.expect("tarragon.filter.create", `["now", {"full": true, "exclude_new": true}]`, "=> [3]")
	c.expect("tarragon.filter.create", `["later", {"empty": true, "include_new": true}]`, "=> [4]")
	c.expect("tarragon.filter.alter", `["hr", {"add": {"space": ["orders", 513], "sequence": "bills"}}]`, "=> [5]")
	c.expect("tarragon.filter.alter", `["hr", {"remove": {"index": [["orders", "by_date"]]}}]`, "=> [6]")
	c.expect("tarragon.filter.alter", `["hr", {"add": {"index": "orders.by_date", "space": {}}, "remove": {"space": "staff"}}]`, "=> [7]")
	c.expect("tarragon.filter.alter", `["all", {"remove": {"index": ["a.b.c", [512, 1]], "sequence": [7]}}]`, "=> [8]")
	c.expect("tarragon.filter.alter", `["hr", {"rename": "hr"}]`, "=> [7]")
	c.expect("tarragon.filter.list", `[]`, `=> [[{"name": "all", "version": 8, "include_new": true, "spaces": 3, "absent": 0, "indexes": 2, "sequences": 1, "replicas": []}, `+
		`{"name": "hr", "version": 7, "include_new": false, "spaces": 1, "absent": 2, "indexes": 0, "sequences": 0, "replicas": []}, `+
		`{"name": "later", "version": 4, "include_new": true, "spaces": 0, "absent": 3, "indexes": 0, "sequences": 1, "replicas": []}, `+
		`{"name": "now", "version": 3, "include_new": false, "spaces": 3, "absent": 0, "indexes": 0, "sequences": 0, "replicas": []}]]`)
	c.expect("tarragon.filter.show", `["all"]`, `=> [{"name": "all", "version": 8, "include_new": true, `+
		`"spaces": [{"id": 512, "name": "orders"}, {"id": 513, "name": "staff"}, {"id": 514, "name": "a.b"}], "absent": [], `+
		`"indexes": [{"space": "orders", "space_id": 512, "name": "by_date", "id": 1}, {"space": "a.b", "space_id": 514, "name": "c", "id": 1}], `+
		`"sequences": [{"id": 7, "name": "bills"}], "former": [2], "replicas": []}]`)
	c.expect("tarragon.filter.show", `["hr"]`, `=> [{"name": "hr", "version": 7, "include_new": false, "spaces": [{"id": 512, "name": "orders"}], `+
		`"absent": [{"id": 513, "name": "staff"}, {"id": 514, "name": "a.b"}], "indexes": [], "sequences": [], "former": [6, 5, 1], "replicas": []}]`)
	if a := c.admin("box.space.staff:drop", `[]`); a.err != nil {
		t.Fatal(a)
	}
	c.expect("tarragon.filter.show", `["now"]`, `=> [{"name": "now", "version": 10, "include_new": false, `+
		`"spaces": [{"id": 512, "name": "orders"}, {"id": 514, "name": "a.b"}], "absent": [], "indexes": [], "sequences": [], "former": [3], "replicas": []}]`)
	c.expect("tarragon.filter.alter", `["hr", {"rename": "people"}]`, "=> [11]")
	c.expect("tarragon.filter.drop", `["people", {"force": true}]`, "=> [[]]")
	c.expect("tarragon.filter.show", `["people"]`, "! 1 IllegalParams: Filter 'people' does not exist")
	c.expect("tarragon.filter.create", `["people", {"empty": true}]`, "=> [12]")
}

// Every mistake is an error that names it, and changes nothing.
func TestFilterMistakes(t *testing.T) {
	c := filterCaller(t)
	c.expect("tarragon.filter.create", `["hr", {"empty": true}]`, "=> [1]")
	if a := c.admin("box.schema.space.create", `["own", {"is_local": true}]`); a.err != nil {
		t.Fatal(a)
	}
	if a := c.admin("box.schema.space.create", `["brief", {"temporary": true}]`); a.err != nil {
		t.Fatal(a)
	}
	for _, test := range []struct{ verb, args, want string }{
		{"create", `[]`, "Usage: tarragon.filter.create(name, {full = true | empty = true[, include_new = true | exclude_new = true]})"},
		{"create", `[5, {"full": true}]`, "name should be a string"},
		{"create", `["hr", {"full": true}]`, "Filter 'hr' exists"},
		{"create", `["Hr", {"full": true}]`, "'Hr' cannot name a filter"},
		{"create", `["", {"full": true}]`, "'' cannot name a filter"},
		{"create", `["x", {}]`, "one of the options 'full' and 'empty' should be true"},
		{"create", `["x", {"full": true, "empty": true}]`, "one of the options 'full' and 'empty' should be true"},
		{"create", `["x", {"full": true, "include_new": true, "exclude_new": true}]`, "'include_new' and 'exclude_new' exclude each other"},
		{"create", `["x", {"all": true}]`, "unexpected option 'all'"},
		{"create", `["x", {"full": "yes"}]`, "options parameter 'full' should be of type boolean"},
		{"alter", `["hr"]`, "nothing is changed: the options are 'rename', 'add' and 'remove'"},
		{"alter", `["none", {"rename": "x"}]`, "Filter 'none' does not exist"},
		{"alter", `["hr", {"rename": "No"}]`, "'No' cannot name a filter"},
		{"alter", `["hr", {"add": {"table": ["orders"]}}]`, "unexpected option 'table'"},
		{"alter", `["hr", {"add": ["orders"]}]`, "unexpected option '1'"},
		{"alter", `["hr", {"add": {"space": ["nowhere"]}}]`, "Space 'nowhere' does not exist"},
		{"alter", `["hr", {"add": {"space": [999]}}]`, "Space '999' does not exist"},
		{"alter", `["hr", {"add": {"space": [1.5]}}]`, "options parameter 'add.space' should have names and IDs"},
		{"alter", `["hr", {"add": {"space": [-1]}}]`, "options parameter 'add.space' should have names and IDs"},
		{"alter", `["hr", {"add": {"space": [""]}}]`, "options parameter 'add.space' should have names and IDs"},
		{"alter", `["hr", {"add": {"space": {"a": 1}}}]`, "options parameter 'add.space' should be an array"},
		{"alter", `["hr", {"add": {"space": ["_user"]}}]`, "Space '_user' is a system space: every replica has it"},
		{"alter", `["hr", {"add": {"space": ["_vtarragon_history"]}}]`, "Space '_vtarragon_history' is a system space: every replica has it"},
		{"alter", `["hr", {"remove": {"space": ["_tarragon_filter"]}}]`, "Space '_tarragon_filter' is Tarragon's own: every replica has it"},
		{"alter", `["hr", {"add": {"space": ["own"]}}]`, "Space 'own' is local: no replica gets its rows"},
		{"alter", `["hr", {"add": {"space": ["brief"]}}]`, "Space 'brief' is temporary: no replica gets its tuples"},
		{"alter", `["hr", {"add": {"space": ["orders"]}, "remove": {"space": [512]}}]`, "'512' cannot be both added and removed"},
		{"alter", `["hr", {"remove": {"index": ["orders.by_date"]}}]`, "Index 'by_date' cannot be without its space: filter 'hr' leaves space 'orders' out"},
		{"alter", `["hr", {"add": {"index": ["orders.pk"]}}]`, "Index 'pk' is the primary one of space 'orders'"},
		{"alter", `["hr", {"add": {"index": ["orders.by_name"]}}]`, "No index 'by_name' is defined in space 'orders'"},
		{"alter", `["hr", {"add": {"index": [["orders", 9]]}}]`, "No index '9' is defined in space 'orders'"},
		{"alter", `["hr", {"add": {"index": ["nowhere.pk"]}}]`, "Space 'nowhere' does not exist"},
		{"alter", `["hr", {"add": {"index": ["by_date"]}}]`, "Index 'by_date' is given without its space: SPACE.INDEX"},
		{"alter", `["hr", {"add": {"index": [["orders"]]}}]`, "options parameter 'add.index' should have 'space.index' and pairs of a space and an index"},
		{"alter", `["hr", {"add": {"index": 5}}]`, "options parameter 'index' should be one of types: string, table"},
		{"alter", `["hr", {"add": {"sequence": ["none"]}}]`, "Sequence 'none' does not exist"},
		{"alter", `["hr", {"add": {"sequence": [9]}}]`, "Sequence '9' does not exist"},
		{"alter", `["hr", {"add": {"sequence": [true]}}]`, "options parameter 'add.sequence' should have names and IDs"},
		{"drop", `["none"]`, "Filter 'none' does not exist"},
		{"drop", `[""]`, "Filter '' does not exist"},
		{"drop", `["hr", {"now": true}]`, "unexpected option 'now'"},
		{"drop", `[]`, "Usage: tarragon.filter.drop(name[, {force = true}])"},
		{"list", `["hr"]`, "Usage: tarragon.filter.list()"},
		{"show", `[]`, "Usage: tarragon.filter.show(name)"},
		{"show", `[5]`, "name should be a string"},
		{"show", `["none"]`, "Filter 'none' does not exist"},
		{"show", `[""]`, "Filter '' does not exist"},
	} {
		if a := c.admin("tarragon.filter."+test.verb, test.args); a.err == nil || !strings.Contains(a.err.Message, test.want) {
			t.Errorf("%s%s: %s\nwant %s", test.verb, test.args, a, test.want)
		}
	}
	c.expect("tarragon.filter.show", `["hr"]`, `=> [{"name": "hr", "version": 1, "include_new": false, "spaces": [], "absent": [{"id": 512, "name": "orders"}, `+
		`{"id": 513, "name": "staff"}, {"id": 514, "name": "a.b"}], "indexes": [], "sequences": [{"id": 7, "name": "bills"}], "former": [], "replicas": []}]`)
}

// A dot stands between a space and its index; where names have some themselves it is the
// one that makes sense, and two of these are an error.
func TestFilterIndexPath(t *testing.T) {
	c := filterCaller(t)
	if a := c.admin("box.schema.space.create", `["a"]`); a.err != nil {
		t.Fatal(a)
	}
	c.expect("tarragon.filter.create", `["hr", {"full": true}]`, "=> [1]")
	c.expect("tarragon.filter.alter", `["hr", {"remove": {"index": "a.b.c"}}]`, "=> [2]")
	for _, call := range [][2]string{{`box.space["a"]:create_index`, `["pk"]`}, {`box.space["a"]:create_index`, `["b.c", {"parts": [{"field": 2, "type": "unsigned"}]}]`}} {
		if a := c.admin(call[0], call[1]); a.err != nil {
			t.Fatal(call, a)
		}
	}
	c.expect("tarragon.filter.alter", `["hr", {"add": {"index": "a.b.c"}}]`, "! 1 IllegalParams: 'a.b.c' names 2 indexes: give the space and the index of one as a pair")
	c.expect("tarragon.filter.alter", `["hr", {"add": {"index": [["a.b", "c"]]}}]`, "=> [3]")
}

// There are a hundred and twenty-eight filters at most: all are read for each change.
func TestFilterCount(t *testing.T) {
	c := filterCaller(t)
	for i := range 128 {
		name := "f" + strings.Repeat("x", i%60) + string(rune('a'+i/60))
		if a := c.admin("tarragon.filter.create", `["`+name+`", {"empty": true}]`); a.err != nil {
			t.Fatalf("filter %d: %s", i, a)
		}
	}
	c.expect("tarragon.filter.create", `["more", {"empty": true}]`, "! 1 IllegalParams: Filter 'more' is refused: there are 128 filters, and no more may be")
	c.expect("tarragon.filter.drop", `["fa"]`, "=> [[]]")
	c.expect("tarragon.filter.create", `["more", {"empty": true}]`, "=> [129]")
}
