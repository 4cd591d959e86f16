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

// reasons by version, package and test.
type reasons map[string]string

func readReasons() (reasons, error) {
	known, reason := reasons{}, ""
	for i, line := range strings.Split(reasonsText, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case line[0] != ' ':
			reason = line
		case len(words) != 3 || reason == "":
			return nil, fmt.Errorf("reasons.txt:%d: want version, package, test", i+1)
		default:
			known[strings.Join(words, " ")] = reason
		}
	}
	return known, nil
}

// explain gives each test that failed its reason, and each that was skipped what it
// said. It returns what is not as the reasons say.
func (known reasons) explain(all []outcome) (complaints []string) {
	for i := range all {
		f := &all[i]
		reason, ok := known[f.key(f.version)]
		if !ok {
			reason, ok = known[f.key("*")]
		}
		switch {
		case f.verdict == skipped:
			f.reason = strings.TrimSuffix("skips itself: "+f.said, ": ")
		case f.verdict == failed && ok:
			f.reason = reason
		case f.verdict == failed:
			f.reason = "not explained"
			complaints = append(complaints, "FAIL "+f.key(f.version)+": "+f.said)
		case ok:
			complaints = append(complaints, "passes: "+f.key(f.version))
		}
	}
	return complaints
}

func (f *outcome) key(version string) string { return version + " " + f.pkg + " " + f.test }
