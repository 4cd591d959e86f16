package attack

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/xrow"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/table.txt and docs/security.md anew")

const tableFile = "testdata/table.txt"

// row of the table: what became of one attempt, by kind.
type row struct {
	section, verb, object string
	ours, theirs          []verdict
}

func (r *row) key() string { return r.section + " " + r.verb + " " + r.object }

func (r *row) cells() (out []string) {
	for i, v := range r.ours {
		cell := string(v)
		if r.theirs[i] != v {
			cell += "/" + string(r.theirs[i])
		}
		out = append(out, cell)
	}
	return out
}

func (r *row) line() string {
	return strings.Join(append([]string{r.section, r.verb, r.object}, r.cells()...), "\t")
}

func parseRow(line string) (*row, error) {
	f := strings.Split(line, "\t")
	if len(f) != 3+len(kinds) {
		return nil, fmt.Errorf("%s: %q has %d columns", tableFile, line, len(f))
	}
	r := &row{section: f[0], verb: f[1], object: f[2]}
	for _, cell := range f[3:] {
		ours, theirs, differ := strings.Cut(cell, "/")
		if !differ {
			theirs = ours
		}
		r.ours, r.theirs = append(r.ours, verdict(ours)), append(r.theirs, verdict(theirs))
	}
	return r, nil
}

func readTable(t *testing.T) map[string]*row {
	t.Helper()
	text, err := os.ReadFile(tableFile)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	table := map[string]*row{}
	for _, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := parseRow(line)
		if err != nil {
			t.Fatal(err)
		}
		table[r.key()] = r
	}
	return table
}

// attempts in the order of the file.
func attempts() []*attempt {
	all := slices.Concat(requestAttempts(), statementAttempts(), procedureAttempts(proc.Names()))
	slices.SortStableFunc(all, func(a, b *attempt) int { return strings.Compare(a.key(), b.key()) })
	return all
}

// ask makes all attempts on a node.
func (n *node) ask(all []*attempt) map[string][]verdict {
	n.t.Helper()
	n.welcome()
	out := map[string][]verdict{}
	for _, a := range all {
		for _, k := range kinds {
			out[a.key()] = append(out[a.key()], n.try(a, login(k.name)))
		}
	}
	return out
}

// Every kind of user gets the answers of the table, which docs/security.md shows,
// and from a Tarantool, if there is one, those that stand beside them.
func TestAttackTable(t *testing.T) {
	all, table := attempts(), readTable(t)
	ours := startOurs(t).ask(all)
	var theirs map[string][]verdict
	if path := tarantool(t); path != "" {
		theirs = startTheirs(t, path, "").ask(all)
	}
	var rows []*row
	for _, a := range all {
		r := &row{section: a.section, verb: a.verb, object: a.object, ours: ours[a.key()]}
		old := table[a.key()]
		switch {
		case theirs != nil:
			r.theirs = theirs[a.key()]
		case old != nil:
			r.theirs = old.theirs
		default:
			r.theirs = slices.Repeat([]verdict{unknown}, len(kinds))
		}
		if old == nil {
			old = &row{}
		}
		if !*rewrite && r.line() != old.line() {
			t.Errorf("\n got %s\nwant %s", r.line(), old.line())
		}
		delete(table, a.key())
		rows = append(rows, r)
	}
	if *rewrite {
		writeTable(t, rows)
		writePage(t, rows)
		return
	}
	for _, r := range table {
		t.Errorf("nobody asks: %s", r.line())
	}
	if got, want := page(rows), readPage(t); got != want {
		t.Error("the tables of docs/security.md are not those of the file: go test ./test/attack -rewrite")
	}
}

func writeTable(t *testing.T, rows []*row) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by go test ./test/attack -rewrite. A cell is ours, or ours/Tarantool 3.8 where they differ.\n# section\trequest\tobject")
	for _, k := range kinds {
		fmt.Fprintf(&b, "\t%s", k.name)
	}
	b.WriteString("\n")
	for _, r := range rows {
		b.WriteString(r.line() + "\n")
	}
	if err := os.WriteFile(tableFile, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// No system space of a node is without its attempts, no request type, and no
// arguments are for a procedure that is not there.
func TestAttackTableIsWhole(t *testing.T) {
	n := startOurs(t)
	n.welcome()
	rows, v := n.boss.read(xrow.Select, fields{xrow.KeySpaceID: 280, xrow.KeyLimit: 1000, xrow.KeyKey: []any{}})
	if v != yes {
		t.Fatal(v)
	}
	for _, r := range rows {
		id, name := number(r.([]any)[0]), r.([]any)[2]
		known := slices.ContainsFunc(systemSpaces, func(s systemSpace) bool { return uint64(s.id) == id && s.name == name })
		if id < 512 && !known {
			t.Errorf("nobody tries space %d, %s", id, name)
		}
	}
	asked := map[string]bool{}
	for _, a := range requestAttempts() {
		asked[a.verb] = true
	}
	for typ := xrow.Type(1); typ <= xrow.Chunk; typ++ {
		if name := typ.String(); !strings.HasPrefix(name, "TYPE(") && !asked[name] {
			t.Errorf("nobody sends %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		if !slices.Contains(proc.Names(), name) {
			t.Errorf("there is no procedure %s", name)
		}
	}
}
