package raft

import "testing"

// What is held comes before a priority, and a priority before an ID: who lacks rows could not win.
func TestBefore(t *testing.T) {
	r := New(Config{}, Record{})
	p := Preference{}
	p.Priority[3], p.Priority[4] = 5, -5
	r.Prefer(p, 0)
	for _, c := range []struct {
		a, b   uint32
		ah, bh uint64
		want   bool
	}{
		{1, 2, 7, 7, true}, {2, 1, 7, 7, false}, {2, 1, 8, 7, true},
		{3, 1, 7, 7, true}, {1, 3, 7, 7, false}, {1, 3, 8, 7, true}, {3, 1, 7, 8, false},
		{1, 4, 7, 7, true}, {4, 1, 7, 7, false}, {4, 5, 7, 7, false},
	} {
		if got := r.before(c.a, c.b, c.ah, c.bh); got != c.want {
			t.Errorf("%+v", c)
		}
	}
}
