package vclock

import (
	"testing"

	"pgregory.net/rapid"
)

func clock(t *testing.T, s string) VClock {
	t.Helper()
	v, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCompareIgnoresComponent0(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want Order
	}{
		{"{}", "{}", Equal},
		{"{0: 5}", "{}", Equal},
		{"{1: 5}", "{1: 6}", Less},
		{"{0: 9, 1: 7}", "{1: 6}", Greater},
		{"{1: 1}", "{2: 1}", Incomparable},
		{"{1: 1, 31: 2}", "{1: 1, 31: 1}", Greater},
	} {
		a, b := clock(t, c.a), clock(t, c.b)
		if got := a.Compare(&b); got != c.want {
			t.Errorf("%s against %s: %d, want %d", c.a, c.b, got, c.want)
		}
		covers := c.want == Equal || c.want == Greater
		if got := a.Covers(&b); got != covers {
			t.Errorf("%s covers %s: %v", c.a, c.b, got)
		}
	}
}

func TestFollowRefusesToGoBack(t *testing.T) {
	v := clock(t, "{1: 5}")
	v.Follow(1, 7)
	if v[1] != 7 {
		t.Fatalf("component 1 is %d", v[1])
	}
	defer func() {
		if recover() == nil {
			t.Fatal("Follow took the same LSN twice")
		}
	}()
	v.Follow(1, 7)
}

func TestTextForm(t *testing.T) {
	v := clock(t, "{1: 10, 3: 5}")
	if v.String() != "{1: 10, 3: 5}" || v.Signature() != 15 || v.Len() != 2 {
		t.Fatalf("%s signature %d len %d", v, v.Signature(), v.Len())
	}
	for _, bad := range []string{"", "1: 2", "{1}", "{32: 1}", "{x: 1}", "{1: -1}", "{1: 1, 1: 2}"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestParseReadsWhatStringWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var v VClock
		for i := range v {
			v[i] = rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(1, 1<<63-1)).Draw(t, "lsn")
		}
		w, err := Parse(v.String())
		if err != nil || w != v {
			t.Fatalf("%s became %s: %v", v, w, err)
		}
	})
}

func TestMergeAndMinAreBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b VClock
		for i := range a {
			a[i] = rapid.Uint64Range(0, 3).Draw(t, "a")
			b[i] = rapid.Uint64Range(0, 3).Draw(t, "b")
		}
		up, down := a, a
		up.Merge(&b)
		down.Min(&b)
		if !up.Covers(&a) || !up.Covers(&b) || !a.Covers(&down) || !b.Covers(&down) {
			t.Fatalf("%s %s: merge %s, min %s", a, b, up, down)
		}
	})
}
