package router

import (
	"slices"
	"testing"
	"time"

	"tarragon.dev/tarragon/vclock"
)

// says is a word of an instance that takes no writes.
func says(term uint64, leader uint32) word {
	return word{heard: true, ours: true, ro: true, term: term, leader: leader, lags: true}
}

// leads is a word of an instance that takes writes.
func leads(term uint64, id uint32) word {
	return word{heard: true, ours: true, term: term, leader: id, id: id, lags: true}
}

func TestRoute(t *testing.T) {
	late := says(5, 1)
	late.lag = time.Minute
	fenced, fencedLeader := says(5, 1), leads(5, 1)
	fenced.fenced, fencedLeader.fenced = true, true
	unknown := says(5, 1)
	unknown.lags = false
	for name, c := range map[string]struct {
		words   []word
		leader  int
		readers []int
	}{
		"a leader":                           {[]word{leads(5, 1), says(5, 1), says(5, 1)}, 0, []int{1, 2}},
		"nobody answers":                     {make([]word, 3), -1, nil},
		"nobody leads":                       {[]word{{}, says(5, 0), says(5, 0)}, -1, []int{1, 2}},
		"one that lies about a great term":   {[]word{leads(5, 1), says(5, 1), leads(1<<60, 3)}, 0, []int{1, 2}},
		"one that lies about the term":       {[]word{leads(5, 1), says(5, 1), leads(5, 3)}, 0, []int{1, 2}},
		"one that was cut off":               {[]word{leads(5, 1), leads(6, 2), says(6, 2)}, 1, []int{0, 2}},
		"the newer one, where nobody judges": {[]word{leads(5, 1), leads(6, 2)}, 1, []int{0}},
		"alone":                              {[]word{{}, leads(6, 2), {}}, 1, []int{1}},
		"no elections":                       {[]word{{heard: true, lags: true}, {heard: true, ro: true, lags: true}}, 0, []int{1}},
		"a fenced reader":                    {[]word{leads(5, 1), fenced, says(5, 1)}, 0, []int{2}},
		"fenced readers":                     {[]word{leads(5, 1), fenced, fenced}, 0, []int{0}},
		"a fenced leader":                    {[]word{fencedLeader, says(5, 1), says(5, 1)}, -1, []int{1, 2}},
		"nobody but a fenced leader":         {[]word{fencedLeader, {}, {}}, -1, nil},
		"late readers":                       {[]word{leads(5, 1), late, unknown}, 0, []int{0}},
	} {
		got := route(c.words, []string{"a", "b", "c"}[:len(c.words)], routing{maxLag: time.Second, leaderReads: true})
		if got.leader != c.leader || !slices.Equal(got.readers, c.readers) {
			t.Errorf("%s: leader %d, readers %v (%q); want %d, %v", name, got.leader, got.readers, got.why, c.leader, c.readers)
		}
	}
	if got := route([]word{leads(5, 1), late}, []string{"a", "b"}, routing{maxLag: time.Second}); len(got.readers) > 0 || got.why[RO] != "no reader; too far behind: b" {
		t.Errorf("the leader reads: %+v", got)
	}
}

func TestLags(t *testing.T) {
	var l lags
	l.init(2)
	if _, known := l.of(1, 0); known {
		t.Error("the lag of nobody is known")
	}
	l.leader = 0
	at := func(n uint64) (v vclock.VClock) { v[1] = n; v[0] = 1000 * n; return v }
	is := func(now, want time.Duration) {
		t.Helper()
		if lag, known := l.of(1, now); lag != want || !known {
			t.Errorf("at %d the lag is %d, %v; want %d", now, lag, known, want)
		}
	}
	l.saw(0, at(5), 10)
	l.saw(0, at(5), 20) // nothing new
	l.saw(1, at(5), 20)
	is(20, 0)
	l.saw(0, at(6), 30)
	is(35, 5)
	is(100, 70) // its stream has ended, whatever it says itself
	l.saw(0, at(7), 110)
	l.saw(1, at(6), 120)
	is(120, 10)
	l.saw(1, at(7), 130)
	is(130, 0)
	for n := range uint64(2 * pastKept) {
		l.saw(0, at(8+n), time.Duration(200+n))
	}
	if len(l.past) != pastKept {
		t.Errorf("%d positions are kept", len(l.past))
	}
	is(3000, 3000-200-pastKept)
	// What a new leader does not have, nobody has to have.
	l = lags{}
	l.init(2)
	l.leads(0, 5)
	l.saw(0, at(5), 10)
	l.saw(0, at(6), 20)
	l.saw(1, at(5), 25)
	is(30, 10)
	l.leads(1, 30)
	l.saw(1, at(5), 40)
	is(1000, 0)
}
