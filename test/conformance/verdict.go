package main

import (
	"bytes"
	"regexp"
	"strings"
)

// mark precedes each line of the testing package in its own output.
const mark = "\x16"

var (
	ended   = regexp.MustCompile(`(?m)` + mark + `--- (PASS|FAIL|SKIP): (\w+) \(`)
	begun   = regexp.MustCompile(`(?m)` + mark + `=== RUN +(\w+)$`)
	logged  = regexp.MustCompile(`(?m)^ +[\w/]+\.go:\d+: *(.*)$`)
	because = regexp.MustCompile(`(?m)^\s+Error: +(.*)$((?:\n {4}\s+\t {2,}.*)*)`)
)

// verdictsOf reads the output of a test binary. A test that began and did not end has
// failed: the process ended in it.
func verdictsOf(output []byte) (all []outcome) {
	at := map[string]int{}
	for _, m := range begun.FindAllSubmatchIndex(output, -1) {
		name := string(output[m[2]:m[3]])
		at[name] = len(all)
		all = append(all, outcome{test: name, verdict: failed, said: said(upToNext(output[m[1]:]))})
	}
	for _, m := range ended.FindAllSubmatch(output, -1) {
		if i, ok := at[string(m[2])]; ok {
			all[i].verdict = verdict(m[1])
		}
	}
	return all
}

// upToNext is the output until another test begins.
func upToNext(output []byte) []byte {
	if next := begun.FindIndex(output); next != nil {
		return output[:next[0]]
	}
	return output
}

// said is what a test gives as its error, or else what it logged last.
func said(output []byte) string {
	if m := because.FindSubmatch(output); m != nil {
		return strings.Join(strings.Fields(string(bytes.Join(m[1:], nil))), " ")
	}
	if all := logged.FindAllSubmatch(output, -1); all != nil {
		return strings.TrimSpace(string(all[len(all)-1][1]))
	}
	return ""
}
