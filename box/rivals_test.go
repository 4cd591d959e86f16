package box

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"pgregory.net/rapid"
)

// dec is a decimal as a client sends it: "-12.30", "1e-38".
func dec(s string) raw {
	mantissa, exp, _ := strings.Cut(s, "e")
	d := decimal{minus: strings.HasPrefix(s, "-")}
	if exp != "" {
		_, _ = fmt.Sscan(exp, &d.scale)
		d.scale = -d.scale
	}
	if whole, fraction, ok := strings.Cut(mantissa, "."); ok {
		d.scale += len(fraction)
		mantissa = whole + fraction
	}
	d.coef, _ = new(big.Int).SetString(mantissa, 10)
	d.minus = d.minus && d.coef.Sign() == 0
	return d.append(nil)
}

// TestOneKey: which numbers are one key, as Tarantool 3.8 has it: a decimal is
// the double that it is in fifteen digits, if the first part of a tree also has
// one integer part for both.
func TestOneKey(t *testing.T) {
	for _, c := range []struct {
		a, b any
		one  bool
	}{
		{dec("0.1"), 0.1, true},
		{dec("0.1"), math.Nextafter(0.1, 1), true},
		{0.1, math.Nextafter(0.1, 1), false},
		{dec("0.1"), 0.100000000000001, false},
		{dec("0.1000000000000000055511151231257827"), 0.1, false}, // its exact value
		{dec("1e-38"), 1e-38, true},
		{dec("-123456789.123"), -123456789.123, true},
		{dec("3"), math.Nextafter(3, 4), true},
		{dec("3"), math.Nextafter(3, 2), false}, // integer part 2
		{dec("-3"), math.Nextafter(-3, -2), false},
		{dec("0.5"), 0.5, true},
		{dec("1e30"), 1e30, true},
		{dec("1e300"), 1e300, true},
		{dec("1e39"), math.Inf(1), false},
		{dec("0"), math.NaN(), false},
		{dec("9007199254740991"), 9007199254740991, true},
		{dec("9007199254740991"), float64(1<<53 - 1), false},
		{9007199254740991, float64(1<<53 - 1), true},
		{dec("18446744073709551615"), uint64(math.MaxUint64), true},
		{dec("18446744073709551616"), float64(1 << 64), false},
		{dec("-9223372036854775808"), math.MinInt64, true},
		{dec("0.1"), raw{0xca, 0x3d, 0xcc, 0xcc, 0xcd}, false}, // float 0.1 is 0.100000001490116
		{dec("0.100000001490116"), raw{0xca, 0x3d, 0xcc, 0xcc, 0xcd}, true},
		{dec("1.50"), raw{0xca, 0x3f, 0xc0, 0, 0}, true},
		{dec("0"), math.Copysign(0, -1), true},
		{dec("-0"), 0, true},
		{dec("1.0"), 1, true},
	} {
		for _, typ := range []string{"number", "scalar"} {
			for _, p := range [][2]any{{c.a, c.b}, {c.b, c.a}} {
				w := newWorld(t)
				w.space(512, "n", nil, nil, pkIndex([]any{0, typ}), []any{1, "sk", "tree", m{"unique": true}, []any{[]any{1, typ}}})
				name := fmt.Sprintf("%s: %s and %s", typ, tupleText(appendAny(nil, p[0])), tupleText(appendAny(nil, p[1])))
				w.must(insert(512, p[0], p[0]))
				found, also := w.sel(512, 0, EQ, p[1]) != "", w.sel(512, 1, REQ, p[1]) != ""
				_, err := w.run(insert(512, p[1], p[1]))
				if found != c.one || (codeOf(err) == uint32(xrow.ErrTupleFound)) != c.one || also != c.one {
					t.Fatalf("%s: found %v, INSERT says %v, one key: %v", name, found, err, c.one)
				}
				n := 1
				view := w.b.OpenView()
				before := w.sel(512, 0, ALL)
				x := w.prepare(func(x *Txn) error { d := replace(512, p[1], p[1]); _, err := x.Execute(UserAdmin, &d); return err })
				w.b.Rollback(x.seq)
				if got := w.sel(512, 0, ALL); got != before {
					t.Fatalf("%s: %s after a rollback", name, got)
				}
				w.must(replace(512, p[1], p[1]))
				view.Close()
				for w.b.Work(10) {
				}
				for index := range uint32(2) {
					if got := strings.Count(w.sel(512, index, ALL), "["); got != n && c.one {
						t.Fatalf("%s: index %d has %d tuples after REPLACE, want %d", name, index, got, n)
					}
					if ge, gt := w.sel(512, index, GE, p[0]), w.sel(512, index, GT, p[0]); c.one && (strings.Count(ge, "[") != 1 || gt != "") {
						t.Fatalf("%s: index %d has %q not below and %q above", name, index, ge, gt)
					}
					if le, lt := w.sel(512, index, LE, p[0]), w.sel(512, index, LT, p[0]); c.one && (strings.Count(le, "[") != 1 || lt != "") {
						t.Fatalf("%s: index %d has %q not above and %q below", name, index, le, lt)
					}
				}
				if c.one {
					w.must(upd(512, arr(p[0]), []any{"=", 0, p[0]})) // the key stays one
					w.must(ups(512, arr(p[1], p[1]), []any{"=", 1, p[0]}))
					w.must(del(512, p[1]))
					if got := w.sel(512, 0, ALL); got != "" {
						t.Fatalf("%s: %s is left after DELETE", name, got)
					}
				}
			}
		}
	}
}

// TestRivalsTwin compares an index on numbers with a list and a rule for pairs.
func TestRivalsTwin(t *testing.T) {
	var pool []any
	for _, f := range []float64{0.1, 0.3, 1.0 / 3, 1e15 + 0.5, 1 << 53, 1 << 60, 1e17, 1e22, -0.7} {
		d, _ := ofDouble(f)
		pool = append(pool, f, math.Nextafter(f, 0), raw(d.append(nil)), raw(exactly(f).trimmed(0).append(nil)))
		if f == math.Trunc(f) && f < 1<<62 {
			pool = append(pool, int(f))
		}
	}
	pool = slices.DeleteFunc(pool, func(v any) bool { return checkExts(appendAny(nil, v)) != nil })
	first := func(v any) []byte { return appendAny(nil, v) }
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(testingT{r: t})
		desc := rapid.SampledFrom([]string{"asc", "desc"}).Draw(t, "order")
		w.space(512, "n", nil, nil, pkIndex(m{"field": 0, "type": "number", "sort_order": desc}, []any{1, "unsigned"}),
			[]any{1, "sk", "tree", m{"unique": false}, []any{[]any{0, "number"}}})
		type row struct{ v, k any }
		var rows []row
		same := func(a, b row) bool {
			return a.k == b.k && oneKey(typeNumber, first(a.v), first(b.v), true)
		}
		for range 25 {
			r := row{rapid.SampledFrom(pool).Draw(t, "value"), rapid.IntRange(0, 2).Draw(t, "k")}
			at := -1
			for i := range rows {
				if same(rows[i], r) {
					if at >= 0 {
						at = -2 // which of several it is, is nobody's promise
						break
					}
					at = i
				}
			}
			if at == -2 {
				continue
			}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				_, err := w.run(insert(512, r.v, r.k))
				if (err == nil) != (at < 0) {
					t.Fatalf("INSERT of %v: %v, there is %v", r, err, at)
				}
				if err == nil {
					rows = append(rows, r)
				}
			case 1:
				w.must(replace(512, r.v, r.k))
				if at >= 0 {
					rows[at] = r
				} else {
					rows = append(rows, r)
				}
			case 2:
				w.must(del(512, r.v, r.k))
				if at >= 0 {
					rows = slices.Delete(rows, at, at+1)
				}
			default:
				for index := range uint32(2) {
					n := 0
					for _, o := range rows {
						if oneKey(typeNumber, first(o.v), first(r.v), true) {
							n++
						}
					}
					for _, it := range []uint32{EQ, REQ} {
						q := Query{Space: 512, Index: index, Iterator: it, Key: arr(r.v), Limit: 100, MaxRows: 1}
						got := 0
						var out []byte
						for q.More = true; q.More; {
							var k int
							var err error
							if out, k, err = w.b.Select(UserAdmin, &q, out); err != nil {
								t.Fatal(err)
							}
							got += k
						}
						if got != n {
							t.Fatalf("index %d iterator %d of %v: %d tuples, want %d: %s", index, it, r, got, n, w.sel(512, index, ALL))
						}
					}
				}
			}
			if got := strings.Count(w.sel(512, 0, ALL), "["); got != len(rows) {
				t.Fatalf("%d tuples, want %d", got, len(rows))
			}
			for _, ix := range w.b.head.spaces[512].indexes {
				if err := ix.validate(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestDecimalSums: what '+' and '-' make of a decimal and any other number.
func TestDecimalSums(t *testing.T) {
	nines := strings.Repeat("9", maxDigits)
	for _, c := range []struct {
		old  any
		op   string
		arg  any
		want raw
	}{
		{dec("100.10"), "+", 38.48105055282514, dec("138.5810505528251")},
		{dec("1"), "-", 0.1 + 0.2, dec("0.7")},
		{dec("0"), "+", 1.0 / 3, dec("0.333333333333333")},
		{0.1, "+", dec("0.10"), dec("0.20")},
		{dec("0"), "+", 1e300, dec("1" + strings.Repeat("0", maxDigits-1) + "e225")},
		{dec("1"), "+", 1e300, dec("1" + strings.Repeat("0", maxDigits-1) + "e225")},
		{dec("1"), "-", dec("1e-999999"), dec("1." + strings.Repeat("0", maxDigits-1))},
		{dec(nines), "+", 1, dec("1" + strings.Repeat("0", maxDigits-1) + "e1")},
		{dec(nines), "+", dec("0.4"), dec(nines)},
		{dec("0.50"), "-", dec("0.5"), dec("0.00")},
		{dec("1e5"), "+", 1, dec("100001")},
		{dec("1.5"), "+", uint64(math.MaxUint64), dec("18446744073709551616.5")},
		{dec("-0"), "-", dec("0"), dec("-0")},
		{dec("-0"), "+", dec("0"), dec("0")},
		{dec("0"), "+", math.Copysign(0, -1), dec("0")},
		{raw{0xca, 0x3d, 0xcc, 0xcc, 0xcd}, "+", dec("0"), dec("0.100000001490116")},
	} {
		w := newWorld(t)
		w.space(512, "n", nil, nil, pkIndex([]any{0, "unsigned"}))
		w.must(insert(512, 1, c.old))
		if got, want := w.must(upd(512, arr(1), []any{c.op, 1, c.arg})), "[1, "+tupleText(c.want)+"]"; got != want {
			t.Errorf("%s %s %s: %s, want %s", tupleText(appendAny(nil, c.old)), c.op, tupleText(appendAny(nil, c.arg)), got, want)
		}
	}
	w := newWorld(t)
	w.space(512, "n", nil, nil, pkIndex([]any{0, "unsigned"}))
	w.must(insert(512, 1, 1))
	got, err := w.run(upd(512, arr(1), []any{"-", 1, math.NaN()}))
	if want := arr(1, math.NaN()); err != nil || string(got) != string(want) {
		t.Errorf("1 - NaN: %x, %v, want %x", got, err, want)
	}
	w.must(replace(512, 1, dec("9e999999")))
	_, err = w.run(upd(512, arr(1), []any{"+", 1, dec("9e999999")}))
	wantError(t, err, xrow.ErrUpdateDecimalOverflow, "")
	_, err = w.run(upd(512, arr(1), []any{"+", 1, math.Inf(1)}))
	wantError(t, err, xrow.ErrUpdateArgType, "")
}
