package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// output is what a test binary says, its lines marked as with -test.v=test2json.
var output = strings.NewReplacer("^", mark).Replace(`^=== RUN   TestGood
^=== RUN   TestGood/part
^--- PASS: TestGood (0.01s)
^    --- PASS: TestGood/part (0.00s)
^=== RUN   TestBad
    bad_test.go:12: 
        	Error Trace:	bad_test.go:12
        	Error:      	Received unexpected error:
        	            	Tarragon does not support SQL
        	Test:       	TestBad
^--- FAIL: TestBad (0.02s)
^=== RUN   TestOld
    utils.go:5: Skipping test for a new server
^--- SKIP: TestOld (0.00s)
^=== RUN   ExampleUnfinished
written without an end of line^--- FAIL: ExampleUnfinished (0.00s)
^=== RUN   TestEndsTheProcess
panic: it ended
`)

func TestVerdicts(t *testing.T) {
	want := []outcome{
		{test: "TestGood", verdict: passed},
		{test: "TestBad", verdict: failed, said: "Received unexpected error: Tarragon does not support SQL"},
		{test: "TestOld", verdict: skipped, said: "Skipping test for a new server"},
		{test: "ExampleUnfinished", verdict: failed},
		{test: "TestEndsTheProcess", verdict: failed},
	}
	if got := verdictsOf([]byte(output)); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A test that fails needs a reason, and a reason a test that fails.
func TestExplain(t *testing.T) {
	known := reasons{"* root TestBoth": "needs SQL", "v1 root TestOne": "needs Lua", "* root TestLuck": "may pass, by timing"}
	all := []outcome{
		{version: "v1", pkg: "root", test: "TestBoth", verdict: failed},
		{version: "v2", pkg: "root", test: "TestBoth", verdict: passed},
		{version: "v1", pkg: "root", test: "TestOne", verdict: failed},
		{version: "v2", pkg: "root", test: "TestOne", verdict: failed, said: "why"},
		{version: "v1", pkg: "root", test: "TestLuck", verdict: failed},
		{version: "v2", pkg: "root", test: "TestLuck", verdict: passed},
		{version: "v1", pkg: "root", test: "TestOld", verdict: skipped, said: "too new"},
	}
	got := known.explain(all)
	want := []string{"passes: v2 root TestBoth", "FAIL v2 root TestOne: why"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for i, reason := range []string{"needs SQL", "", "needs Lua", "not explained", "may pass, by timing", "", "skips itself: too new"} {
		if all[i].reason != reason {
			t.Errorf("%s: reason %q, want %q", all[i].key(all[i].version), all[i].reason, reason)
		}
	}
}

func TestReasonsAreRead(t *testing.T) {
	node, router, err := readReasons()
	if err != nil || len(node) == 0 {
		t.Fatalf("%d reasons, %v", len(node), err)
	}
	for key := range router {
		if node[key] != "" {
			t.Errorf("%s does not pass at a node either", key)
		}
	}
}

// The page has two parts: each run writes its own, and leaves the other one.
func TestPageHasTwoParts(t *testing.T) {
	byRouter := reasons{"* root TestTwo": "counts connections"}
	one := outcome{version: "v1", pkg: "root", test: "TestOne", verdict: failed, reason: "needs SQL"}
	two := outcome{version: "v1", pkg: "root", test: "TestTwo", verdict: failed, reason: "counts connections"}
	node := page([]outcome{one}, nil, false, byRouter)
	both := page([]outcome{one, two}, node, true, byRouter)
	if !bytes.HasPrefix(both, node) || !bytes.Contains(both, []byte(routerHead)) || bytes.Count(both, []byte("TestOne")) != 1 || !bytes.Contains(both, []byte("`TestTwo` | root v1 | counts connections |")) {
		t.Errorf("%s", both)
	}
	if again := page([]outcome{one, two}, both, true, byRouter); !bytes.Equal(again, both) {
		t.Errorf("the router's part again: %s", again)
	}
	if again := page([]outcome{one}, both, false, byRouter); !bytes.Equal(again, both) {
		t.Errorf("the node's part again: %s", again)
	}
}
