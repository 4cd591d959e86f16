package config

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestFormula(t *testing.T) {
	for _, c := range []struct {
		text    string
		n, q    int
		want    int
		wantErr bool
	}{
		{"N / 2 + 1", 1, 0, 1, false},
		{"N / 2 + 1", 2, 0, 2, false},
		{"N / 2 + 1", 3, 0, 2, false},
		{"N / 2 + 1", 31, 0, 16, false},
		{"N - Q + 1", 5, 3, 3, false},
		{"2", 9, 0, 2, false},
		{"2 + 3 * 2", 1, 0, 8, false},
		{"(2 + 3) * 2", 1, 0, 10, false},
		{"10 - 2 - 3", 1, 0, 5, false},
		{"- -N", 7, 0, 7, false},
		{"-N + 3", 1, 0, 2, false},
		{"math.ceil(N / 2) + 1", 3, 0, 3, false},
		{"math.min(N, 3, 2) + math.max(1, N)", 5, 0, 7, false},
		{"math.floor(2.9) + math.abs(-1) + math.sqrt(9) + math.fmod(7, 4)", 1, 0, 9, false},
		{"N - 5", 1, 0, 0, true},
		{"N / 0", 1, 0, 0, true},
		{"0 / 0", 1, 0, 0, true},
		{"math.sqrt(-1)", 1, 0, 0, true},
		{"0.5", 1, 0, 0, true},
	} {
		f, err := Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got, err := f.Eval(c.n, c.q)
		if got != c.want || (err != nil) != c.wantErr {
			t.Errorf("%s for N=%d Q=%d: %d, %v; want %d", c.text, c.n, c.q, got, err, c.want)
		}
	}
	if n, err := Number(4).Eval(1, 0); n != 4 || err != nil {
		t.Errorf("Number(4): %d, %v", n, err)
	}
	if _, err := (Formula{}).Eval(1, 0); err == nil {
		t.Error("the zero formula has a value")
	}
}

func TestFormulaMistakes(t *testing.T) {
	for _, text := range []string{
		"", "N N", "N +", "(N", "N)", "1..2", "math.floor()", "math.floor(1, 2)", "math.fmod(1)", "math.random(3)",
		"floor(1)", "x", "N % 2", "os.exit()", "N ^ 2", ",", "math.max(,)",
	} {
		if f, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %v", text, f)
		}
	}
	if f, err := Parse("Q"); err != nil || f.Check(nil) == nil {
		t.Error("Q is taken where it is not known")
	}
}

// TestFormulaTwin compares with an evaluation that walks the tree while it is
// drawn.
func TestFormulaTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n, q = 7, 3
		text, want := drawFormula(t, n, q, 0)
		f, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := f.run(n, q); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%s: %v, want %v", text, got, want)
		}
	})
}

func drawFormula(t *rapid.T, n, q float64, depth int) (string, float64) {
	most := 6
	if depth > 5 {
		most = 2
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		return "N", n
	case 1:
		return "Q", q
	case 2:
		return "2.5", 2.5
	case 3:
		s, v := drawFormula(t, n, q, depth+1)
		return "-(" + s + ")", -v
	case 4:
		s, v := drawFormula(t, n, q, depth+1)
		return "math.floor(" + s + ")", math.Floor(v)
	case 5:
		a, va := drawFormula(t, n, q, depth+1)
		b, vb := drawFormula(t, n, q, depth+1)
		return "math.fmod(" + a + ", " + b + ")", math.Mod(va, vb)
	}
	a, va := drawFormula(t, n, q, depth+1)
	b, vb := drawFormula(t, n, q, depth+1)
	switch rapid.SampledFrom([]string{"+", "-", "*", "/"}).Draw(t, "sign") {
	case "+":
		return "(" + a + ") + (" + b + ")", va + vb
	case "-":
		return "(" + a + ") - (" + b + ")", va - vb
	case "*":
		return "(" + a + ") * (" + b + ")", va * vb
	}
	return "(" + a + ") / (" + b + ")", va / vb
}
