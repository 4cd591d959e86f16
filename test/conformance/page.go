package main

import (
	"fmt"
	"slices"
	"strings"
)

const head = `# Conformance

The test suites of go-tarantool, run against Tarragon by ` + "`make conformance`" + `, which writes this page. Left out are the packages queue and crud, which
need modules in Lua. Before a suite begins the server gets what the suite's init script would make; its functions in Lua are procedures in Go
(test/conformance/shim/procedures.go), of a program in which the server is embedded. One thing is granted besides: to call by name what a suite calls of
` + "`box.cfg`, `box.ctl.set_on_shutdown_timeout` and `box.session.su`" + `, where execute on universe is
enough for Tarantool (docs/security.md#administrators). A test that fails in a run of its package is run again alone, and that counts.

`

// count is how many tests there are of each verdict.
type count map[verdict]int

func (c count) row() string {
	return fmt.Sprintf("%d | %d | %d | %d", c[passed], c[failed], c[skipped], c[passed]+c[failed]+c[skipped])
}

// tally counts by a name, and keeps the order in which the names came.
func tally(all []outcome, name func(outcome) string) (names []string, counts map[string]count) {
	counts = map[string]count{}
	for _, f := range all {
		n := name(f)
		if counts[n] == nil {
			names, counts[n] = append(names, n), count{}
		}
		counts[n][f.verdict]++
	}
	return names, counts
}

// summary is a line for each version.
func summary(all []outcome) string {
	var b strings.Builder
	names, counts := tally(all, func(f outcome) string { return f.version })
	for _, n := range names {
		c := counts[n]
		fmt.Fprintf(&b, "%s: %d passed, %d failed, %d skipped\n", n, c[passed], c[failed], c[skipped])
	}
	return b.String()
}

// routerHead begins the part of the page that a run through a router writes.
const routerHead = `
## Through a router

The same suites by ` + "`ROUTER=1 make conformance`" + `: they come in by the port rw of a router in the server. What does not pass at a node is not listed again.

`

// page is the page anew: of what it was the other one of its two parts stays.
func page(all []outcome, was []byte, router bool, byRouter reasons) []byte {
	atNode, through, _ := strings.Cut(string(was), routerHead)
	if router {
		var b strings.Builder
		b.WriteString(atNode + routerHead)
		writeTables(&b, all, func(f *outcome) bool { _, ok := byRouter.of(f); return ok || f.reason == unexplained })
		return []byte(b.String())
	}
	var b strings.Builder
	b.WriteString(head)
	writeTables(&b, all, func(*outcome) bool { return true })
	if through != "" {
		b.WriteString(routerHead + through)
	}
	return []byte(b.String())
}

// writeTables counts all, and lists what did not pass, but for some.
func writeTables(b *strings.Builder, all []outcome, lists func(*outcome) bool) {
	b.WriteString("| suite | passed | failed | skipped | tests |\n|---|---|---|---|---|\n")
	for _, by := range []func(outcome) string{
		func(f outcome) string { return "**" + f.version + "**" },
		func(f outcome) string { return f.version + " " + f.pkg },
	} {
		names, counts := tally(all, by)
		for _, n := range names {
			fmt.Fprintf(b, "| %s | %s |\n", n, counts[n].row())
		}
	}
	b.WriteString("\n### What does not pass\n\n| test | where | reason |\n|---|---|---|\n")
	for _, l := range missing(all, lists) {
		b.WriteString(l)
	}
}

// missing is a row for each test that did not pass, by reason; the versions of one stand together.
func missing(all []outcome, lists func(*outcome) bool) (rows []string) {
	where := map[string][]string{}
	for _, f := range all {
		if f.verdict != passed && lists(&f) {
			row := fmt.Sprintf("%s\x00`%s` | %s", f.reason, f.test, f.pkg)
			where[row] = append(where[row], f.version)
		}
	}
	for row, versions := range where {
		reason, test, _ := strings.Cut(row, "\x00")
		rows = append(rows, fmt.Sprintf("%s\x00| %s %s | %s |\n", reason, test, strings.Join(versions, ", "), strings.ReplaceAll(reason, "|", "\\|")))
	}
	slices.Sort(rows)
	for i, row := range rows {
		_, rows[i], _ = strings.Cut(row, "\x00")
	}
	return rows
}
