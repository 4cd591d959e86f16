package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/raft"
)

const page = "../docs/configuration.md"

// A table of options on the page: its first line, which nothing else has, and
// what comes in it.
const tableHead = "| option | type | default | in `box.cfg` | what it does |\n|---|---|---|---|---|\n"

// TestDocs keeps docs/configuration.md true: its tables are made of schema.txt. After a
// change of that, go test ./config -run TestDocs -rewrite makes them anew.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(data), tableHead)
	if len(parts) != 3 {
		t.Fatalf("%s has %d tables of options, want those of Tarantool and ours", page, len(parts)-1)
	}
	for i, ours := range []bool{false, true} {
		old, rest, _ := strings.Cut(parts[i+1], "\n\n")
		want := strings.TrimSuffix(rowsOf(ours), "\n")
		parts[i+1] = want + "\n\n" + rest
		if old != want && !rewriting() {
			t.Errorf("the table is out of date; it has\n%s\nwant\n%s", old, want)
		}
	}
	if rewriting() {
		if err := os.WriteFile(page, []byte(strings.Join(parts, tableHead)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// rewriting: the flag is that of the script tests.
func rewriting() bool { return flag.Lookup("rewrite").Value.String() == "true" }

func rowsOf(ours bool) string {
	var b strings.Builder
	for _, o := range schemaTable.options {
		if o.about != "" && ours == strings.HasPrefix(o.path, "tarragon.") {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", o.path, o.kindText(), o.defaultText(), o.boxText(), strings.ReplaceAll(o.about, "(docs/", "("))
		}
	}
	return b.String()
}

func (o *option) kindText() string {
	switch n, _ := schema.lookup(strings.Split(o.path, ".")); n.kind {
	case leaf:
		return n.typ
	case list:
		return "list"
	}
	return "map"
}

// defaultText is in the letters of a program where it is a word or a formula.
func (o *option) defaultText() string {
	switch {
	case o.shown != "":
		return o.shown
	case o.leaf == nil || o.leaf.def == "":
		return ""
	case o.leaf.typ == "string" || o.leaf.typ == "enum" || o.leaf.typ == "quorum":
		return "`" + o.leaf.def + "`"
	}
	return o.leaf.def
}

func (o *option) boxText() string {
	switch {
	case o.box == nil:
		return ""
	case o.box.Dynamic:
		return "`" + o.box.Name + "` *"
	}
	return "`" + o.box.Name + "`"
}

// Every option that is served is told of, by itself or in the line of a section.
func TestEveryOptionIsToldOf(t *testing.T) {
	schema.walk(nil, func(path []string, n *node) {
		if n.unserved != served {
			return
		}
		for up := len(path); up > 1 || up == len(path); up-- {
			if o := schemaTable.byPath[strings.Join(path[:up], ".")]; o != nil && o.about != "" {
				return
			}
		}
		t.Errorf("schema.txt says nothing about %s", strings.Join(path, "."))
	})
}

// What the default of an option says is a value of it.
func TestDefaultsAreValues(t *testing.T) {
	for _, o := range schemaTable.options {
		if o.leaf == nil || !o.leaf.hasDef {
			continue
		}
		if err := o.leaf.check(scalar{text: o.leaf.def}); err != nil {
			t.Errorf("%s: %v", o.path, err)
		}
		if n, err := ParseSize(o.leaf.def); o.limits != nil && err == nil && !o.limits.Allow(float64(n)) {
			t.Errorf("%s: %s is out of its limits", o.path, o.leaf.def)
		}
		if l := o.box; l != nil && l.Limits != nil {
			if f, ok := l.Default.(float64); ok && !l.Limits.Allow(f) {
				t.Errorf("%s: box.cfg does not take its default, %v", o.path, f)
			}
		}
	}
}

// The words of modes are those that their types have.
func TestModesAreTheirTypes(t *testing.T) {
	for _, word := range schemaTable.byPath["replication.election_mode"].leaf.allowed {
		if _, ok := raft.ParseMode(word); !ok {
			t.Errorf("no election mode %q", word)
		}
	}
	for _, word := range schemaTable.byPath["replication.election_fencing_mode"].leaf.allowed {
		if _, ok := raft.ParseFencing(word); !ok {
			t.Errorf("no fencing mode %q", word)
		}
	}
}
