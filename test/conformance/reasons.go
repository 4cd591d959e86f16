package main

import (
	_ "embed"
	"fmt"
	"strings"
)

// reasons.txt has the reasons as lines at the margin, and below each, indented, the
// tests that do not pass for it: version, package, test. A version * is all.
//
//go:embed reasons.txt
var reasonsText string

// router.txt has the same of tests that pass at a node and not through its router.
//
//go:embed router.txt
var routerText string

const unexplained = "not explained"

// sometimes begins the reason of a test that passes in some runs.
const sometimes = "may pass"

// reasons by version, package and test.
type reasons map[string]string

// readReasons reads those of a node, and those of its router.
func readReasons() (node, router reasons, err error) {
	node, router = reasons{}, reasons{}
	if err = node.read("reasons.txt", reasonsText); err == nil {
		err = router.read("router.txt", routerText)
	}
	return node, router, err
}

// of is the reason of a test; false: it has none.
func (known reasons) of(f *outcome) (reason string, ok bool) {
	if reason, ok = known[f.key(f.version)]; !ok {
		reason, ok = known[f.key("*")]
	}
	return reason, ok
}

func (known reasons) read(file, text string) error {
	reason := ""
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case line[0] != ' ':
			reason = line
		case len(words) != 3 || reason == "":
			return fmt.Errorf("%s:%d: want version, package, test", file, i+1)
		default:
			known[strings.Join(words, " ")] = reason
		}
	}
	return nil
}

// explain gives each test that failed its reason, and each that was skipped what it
// said. It returns what is not as the reasons say.
func (known reasons) explain(all []outcome) (complaints []string) {
	for i := range all {
		f := &all[i]
		reason, ok := known.of(f)
		switch {
		case f.verdict == skipped:
			f.reason = strings.TrimSuffix("skips itself: "+f.said, ": ")
		case f.verdict == failed && ok:
			f.reason = reason
		case f.verdict == failed:
			f.reason = unexplained
			complaints = append(complaints, "FAIL "+f.key(f.version)+": "+f.said)
		case ok && !strings.HasPrefix(reason, sometimes):
			complaints = append(complaints, "passes: "+f.key(f.version))
		}
	}
	return complaints
}

func (f *outcome) key(version string) string { return version + " " + f.pkg + " " + f.test }
