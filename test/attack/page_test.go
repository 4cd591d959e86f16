package attack

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	pageFile = "../../docs/security.md"
	begin    = "<!-- made of test/attack/testdata/table.txt by go test ./test/attack -rewrite -->\n"
	end      = "<!-- end of what is made -->\n"
)

// page is the tables of docs/security.md: rows with the same verdicts are one.
func page(rows []*row) string {
	var b strings.Builder
	for _, s := range []struct{ section, title string }{
		{requests, "Requests"}, {statements, "Statements on system spaces"}, {procedures, "Procedures"},
	} {
		fmt.Fprintf(&b, "### %s\n| |", s.title)
		for _, k := range kinds {
			fmt.Fprintf(&b, " %s |", k.name)
		}
		fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat("---|", len(kinds)))
		for _, g := range groups(rows, s.section) {
			fmt.Fprintf(&b, "| %s | %s |\n", g.names(), strings.Join(g.words(), " | "))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// group is rows of the same verdicts.
type group []*row

// groups in the order of their first rows.
func groups(rows []*row, section string) (out []group) {
	at := map[string]int{}
	for _, r := range rows {
		if r.section != section {
			continue
		}
		key := strings.Join(r.cells(), "\t")
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], r)
	}
	return out
}

// names lists what is in a group: the objects behind each request.
func (g group) names() string {
	var verbs []string
	objects := map[string][]string{}
	for _, r := range g {
		if objects[r.verb] == nil {
			verbs = append(verbs, r.verb)
		}
		if r.object != "" {
			objects[r.verb] = append(objects[r.verb], code(r.object))
		}
	}
	var sets, lists []string // requests that are about the same objects share them
	for _, v := range verbs {
		list := strings.Join(objects[v], ", ")
		if i := index(lists, list); i >= 0 {
			sets[i] += ", " + v
			continue
		}
		sets, lists = append(sets, v), append(lists, list)
	}
	for i := range sets {
		if g[0].section == procedures {
			sets[i] = lists[i]
		} else if lists[i] != "" {
			sets[i] += " " + lists[i]
		}
	}
	return strings.Join(sets, "; ")
}

func index(list []string, s string) int {
	for i, e := range list {
		if e == s {
			return i
		}
	}
	return -1
}

// code sets the first word in code if it is a name.
func code(object string) string {
	name, rest, _ := strings.Cut(object, " ")
	if !strings.HasPrefix(name, "_") && !strings.Contains(name, ".") {
		return object
	}
	return strings.TrimSuffix("`"+name+"` "+rest, " ")
}

// words are the cells of a group: ours, and that of Tarantool 3.8 where it is another.
func (g group) words() (out []string) {
	r := g[0]
	for i, v := range r.ours {
		word := v.word()
		if r.theirs[i] != v {
			word += " (" + r.theirs[i].word() + ")"
		}
		out = append(out, word)
	}
	return out
}

func (v verdict) word() string { return strings.Replace(string(v), "error-", "error ", 1) }

// readPage is the part of the page that is made.
func readPage(t *testing.T) string {
	t.Helper()
	_, _, middle := splitPage(t)
	return middle
}

func splitPage(t *testing.T) (head, tail, middle string) {
	t.Helper()
	text, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	middle, tail, also := strings.Cut(rest, end)
	if !ok || !also {
		t.Fatalf("%s has no place for the tables", pageFile)
	}
	return head, tail, middle
}

func writePage(t *testing.T, rows []*row) {
	t.Helper()
	head, tail, _ := splitPage(t)
	if err := os.WriteFile(pageFile, []byte(head+begin+page(rows)+end+tail), 0o600); err != nil {
		t.Fatal(err)
	}
}
