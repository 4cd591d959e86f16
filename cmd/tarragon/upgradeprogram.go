package main

import (
	"cmp"
	"strconv"
	"strings"
)

// boxProgram is what an instance says of the program that runs it. An instance of a version
// before the first that told it says nothing.
type boxProgram struct {
	Version string  `msgpack:"version"`
	Commit  string  `msgpack:"commit"`
	Changed bool    `msgpack:"changed"`
	Time    number  `msgpack:"time"`    // of the commit, seconds since 1970; 0: not known
	Started float64 `msgpack:"started"` // of the process, seconds since 1970
}

// same tells whether two are of one build, as far as they tell.
func (p *boxProgram) same(q *boxProgram) bool {
	return p.Version == q.Version && p.Commit == q.Commit && p.Changed == q.Changed
}

// olderThan tells whether p is certainly older than q: by the release, and by the commit
// where that is the same.
func (p *boxProgram) olderThan(q *boxProgram) bool {
	if p.Version != q.Version {
		return compareReleases(p.Version, q.Version) < 0
	}
	return p.Time != 0 && q.Time != 0 && p.Time < q.Time
}

func (p *boxProgram) text() string {
	if p.Version == "" {
		return "a build that does not say which it is"
	}
	s := p.Version
	if p.Commit != "" {
		s += " (" + p.Commit
		if p.Changed {
			s += " with changes"
		}
		s += ")"
	}
	return plain(s)
}

// compareReleases orders versions as 1.2.3 and 1.2.3-rc1, which comes before the former. Those
// of another form have no order: 0.
func compareReleases(a, b string) int {
	a, pre, _ := strings.Cut(a, "-")
	b, post, _ := strings.Cut(b, "-")
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	if len(x) != len(y) {
		return 0
	}
	order := 0
	for i := range x {
		n, err := strconv.ParseUint(x[i], 10, 32)
		m, err2 := strconv.ParseUint(y[i], 10, 32)
		if err != nil || err2 != nil {
			return 0
		}
		order = cmp.Or(order, cmp.Compare(n, m))
	}
	switch {
	case order != 0 || pre == post:
		return order
	case pre == "":
		return 1
	case post == "":
		return -1
	}
	return strings.Compare(pre, post)
}
