package config

import (
	_ "embed"
	"errors"
	"fmt"
	"sort"
	"strings"
)

//go:embed schema.txt
var schemaText string

// schemaTable is all that is known of options, and schema their tree. They are
// never changed.
var (
	schemaTable = mustParseTable(schemaText)
	schema      = schemaTable.root
)

type kind uint8

const (
	record kind = iota // fixed keys
	dict               // any names, one item
	list
	leaf
)

// use says what becomes of an option that is set.
type use uint8

const (
	served  use = iota
	quiet       // nothing to do: accepted without a word
	later       // a warning
	ee          // a warning that names the Enterprise Edition
	lua         // a warning that this instance runs no application
	refused     // a mistake: must not be ignored
)

var uses = map[string]use{"served": served, "quiet": quiet, "later": later, "ee": ee, "lua": lua, "refused": refused}

// scope is a place in the file.
type scope uint8

const (
	noScope scope = iota // environment and flags: allowed everywhere
	globalScope
	groupScope
	replicasetScope
	instanceScope
)

func (s scope) String() string {
	return [...]string{"instance", "global", "group", "replicaset", "instance"}[s]
}

// node is one place of the schema.
type node struct {
	kind   kind
	fields map[string]*node // of a record
	names  []string         // of fields, sorted
	item   *node            // of a dict or list

	// Of a leaf:
	typ     string   // enum, or a type of schema.txt
	allowed []string // of an enum
	use     use
	scopes  string // "", "-i", "g", "i"
	def     string // default before templates
	hasDef  bool

	// unserved is the use that all leaves below share when it is not served.
	unserved use
}

// allows reports whether the option may stand in the scope.
func (n *node) allows(s scope) bool {
	switch n.scopes {
	case "-i":
		return s != instanceScope
	case "g":
		return s == globalScope || s == noScope
	case "i":
		return s == instanceScope || s == noScope
	}
	return true
}

// mustParseTable panics on a mistake: the text is part of the program.
func mustParseTable(text string) *table {
	t := &table{root: &node{fields: map[string]*node{}}, byPath: map[string]*option{}}
	var last *option
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		var err error
		if last, err = t.line(line, last); err != nil {
			panic(fmt.Sprintf("config: schema.txt:%d: %v: %s", i+1, err, line))
		}
	}
	t.root.finish()
	return t
}

// line reads a line; last is the option of the one before.
func (t *table) line(line string, last *option) (*option, error) {
	words := strings.Fields(line)
	switch {
	case line[0] == ' ':
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		return last, t.attribute(last, words[0], strings.TrimSpace(rest))
	case len(words) == 2 && words[0] == "box":
		t.box = append(t.box, newBoxOption(&option{leaf: &node{typ: "string"}}, words[1:]))
		return nil, nil
	case len(words) == 1:
		return t.at(words[0], nil), nil
	case len(words) < 3:
		return nil, errors.New("a path, a type and a use expected")
	}
	use, ok := uses[words[2]]
	if !ok {
		return nil, errors.New("no use")
	}
	n := newLeaf(words[1], use)
	if len(words) > 3 {
		n.def, n.hasDef = strings.Join(words[3:], " "), true
	}
	t.root.insert(strings.Split(words[0], "."), n)
	return t.at(words[0], n), nil
}

func newLeaf(typ string, u use) *node {
	n := &node{kind: leaf, typ: typ, use: u}
	if head, tail, ok := strings.Cut(typ, "{"); ok {
		n.typ, n.scopes = head, strings.TrimSuffix(tail, "}")
	}
	if _, ok := scalars[n.typ]; !ok {
		n.allowed = strings.Split(n.typ, "|")
		n.typ = "enum"
	}
	return n
}

// insert puts a leaf under the path and makes what is missing on the way.
func (n *node) insert(path []string, l *node) {
	if len(path) == 0 {
		panic("config: empty path")
	}
	name, isList := strings.CutSuffix(path[0], "[]")
	var child *node
	if name == "*" {
		n.kind = dict
		child = n.item
	} else {
		child = n.fields[name]
	}
	if child == nil {
		child = &node{fields: map[string]*node{}}
		if isList {
			child = &node{kind: list}
		}
		if len(path) == 1 && !isList {
			child = l
		}
		if name == "*" {
			n.item = child
		} else {
			n.fields[name] = child
		}
	}
	if isList {
		if child.item == nil {
			child.item = &node{fields: map[string]*node{}}
			if len(path) == 1 {
				child.item = l
			}
		}
		child = child.item
	}
	if len(path) > 1 {
		child.insert(path[1:], l)
	}
}

// finish sorts names and finds subtrees of which nothing is served.
func (n *node) finish() {
	switch n.kind {
	case leaf:
		n.unserved = n.use
	case dict, list:
		n.item.finish()
		n.unserved = n.item.unserved
	case record:
		for name, child := range n.fields {
			n.names = append(n.names, name)
			child.finish()
		}
		sort.Strings(n.names)
		for i, name := range n.names {
			u := n.fields[name].unserved
			if i == 0 {
				n.unserved = u
			} else if n.unserved != u {
				n.unserved = served
			}
		}
	}
}

// walk calls f for every option as the environment knows them: leaves, lists
// and dicts, not what is inside of them.
func (n *node) walk(path []string, f func(path []string, n *node)) {
	if n.kind != record {
		f(path, n)
		return
	}
	for _, name := range n.names {
		n.fields[name].walk(append(path[:len(path):len(path)], name), f)
	}
}

// lookup finds the option of a dotted path, names under dicts included. The
// second result is how much of the path is known.
func (n *node) lookup(path []string) (*node, int) {
	for i, name := range path {
		switch {
		case n.kind == record && n.fields[name] != nil:
			n = n.fields[name]
		case n.kind == dict:
			n = n.item
		default:
			return nil, i
		}
	}
	return n, len(path)
}

// nearest finds the known key that an unknown one was probably meant to be: the
// same name somewhere else, or the sibling with the fewest changes.
func (n *node) nearest(name string, siblings []string) string {
	best := nearestOf(name, siblings)
	if best != "" && editDistance(name, best) <= 2 {
		return best
	}
	elsewhere := ""
	schema.walk(nil, func(path []string, _ *node) {
		if elsewhere == "" && path[len(path)-1] == name {
			elsewhere = strings.Join(path, ".")
		}
	})
	if elsewhere != "" {
		return elsewhere
	}
	return best
}

// nearestOf is the name with the fewest changes.
func nearestOf(name string, names []string) string {
	best, distance := "", 0
	for _, s := range names {
		if d := editDistance(name, s); best == "" || d < distance {
			best, distance = s, d
		}
	}
	return best
}

// editDistance counts inserts, deletes, changes and swaps of neighbours. Long
// names are cut: nobody means them.
func editDistance(a, b string) int {
	const longest = 64
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	var rows [3][longest + 1]int
	prev2, prev, cur := &rows[0], &rows[1], &rows[2]
	for j := 0; j <= len(b); j++ {
		cur[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev2, prev, cur = prev, cur, prev2
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
	}
	return cur[len(b)]
}
