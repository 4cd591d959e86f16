package config

import (
	"fmt"
	"math"
	"strconv"

	"tarragon.dev/tarragon/vclock"
)

// Formula is a quorum as a function of the number of members: a number or an
// expression over N, Q (the synchro quorum, in linearizable_quorum only),
// numbers, + - * / ( ) and the functions math.floor, ceil, abs, min, max, sqrt
// and fmod. It is safe for concurrent use.
type Formula struct {
	text string
	code []op
}

// Parse reads a formula. It does not evaluate it; see [Formula.Check].
func Parse(text string) (Formula, error) {
	p := parser{text: text}
	p.next()
	p.sum(0)
	if p.err == nil && p.tok != tokEnd {
		p.fail("unexpected %s", p.describe())
	}
	if p.err != nil {
		return Formula{}, p.err
	}
	return Formula{text: text, code: p.code}, nil
}

// Number is the formula that is always n.
func Number(n int) Formula {
	return Formula{text: strconv.Itoa(n), code: []op{{kind: opPush, value: float64(n)}}}
}

// String is the formula as it was written.
func (f Formula) String() string { return f.text }

// UsesQ reports whether the formula depends on Q.
func (f Formula) UsesQ() bool {
	for _, o := range f.code {
		if o.kind == opQ {
			return true
		}
	}
	return false
}

// Eval is the quorum for n members, rounded down; q is the synchro quorum. The
// result is in 1..31 or there is an error, in Tarantool's words.
func (f Formula) Eval(n, q int) (int, error) {
	if len(f.code) == 0 {
		return 0, fmt.Errorf("the formula is empty")
	}
	v := math.Floor(f.run(float64(n), float64(q)))
	if math.IsNaN(v) || v < 1 || v > vclock.MaxID {
		return 0, fmt.Errorf("the formula is evaluated to the quorum %s for replica number %d, which is out of range [1;%d]",
			strconv.FormatFloat(v, 'f', -1, 64), n, vclock.MaxID)
	}
	return int(v), nil
}

// Check evaluates the formula for every possible number of members. synchro
// gives Q; nil: Q may not be used. A set with fewer members than Q confirms
// nothing, so what the formula makes of it is no mistake: N - Q + 1 is what
// everybody has who writes a synchro quorum as a number.
func (f Formula) Check(synchro *Formula) error {
	if len(f.code) == 1 && f.code[0].kind == opPush {
		if v := math.Floor(f.code[0].value); v < 1 || v > vclock.MaxID {
			return fmt.Errorf("the value must be greater than zero and less than maximal number of replicas")
		}
	}
	if synchro == nil && f.UsesQ() {
		return fmt.Errorf("only linearizable_quorum knows Q")
	}
	for n := 1; n <= vclock.MaxID; n++ {
		q := 0
		if synchro != nil {
			var err error
			if q, err = synchro.Eval(n, 0); err != nil {
				return nil // the mistake is synchro's
			}
			if q > n {
				continue
			}
		}
		if _, err := f.Eval(n, q); err != nil {
			return err
		}
	}
	return nil
}

// run interprets the postfix code. The parser bounds the depth of the stack.
func (f Formula) run(n, q float64) float64 {
	var stack [maxDepth + 2]float64
	sp := 0
	for _, o := range f.code {
		switch o.kind {
		case opPush:
			stack[sp] = o.value
			sp++
		case opN:
			stack[sp] = n
			sp++
		case opQ:
			stack[sp] = q
			sp++
		default:
			args := stack[sp-o.arity : sp]
			stack[sp-o.arity] = o.apply(args)
			sp -= o.arity - 1
		}
	}
	return stack[0]
}

func (o op) apply(a []float64) float64 {
	switch o.kind {
	case opNeg:
		return -a[0]
	case opAdd:
		return a[0] + a[1]
	case opSub:
		return a[0] - a[1]
	case opMul:
		return a[0] * a[1]
	case opDiv:
		return a[0] / a[1]
	case opFloor:
		return math.Floor(a[0])
	case opCeil:
		return math.Ceil(a[0])
	case opAbs:
		return math.Abs(a[0])
	case opSqrt:
		return math.Sqrt(a[0])
	case opFmod:
		return math.Mod(a[0], a[1])
	case opMin, opMax:
		best := a[0]
		for _, v := range a[1:] {
			if (o.kind == opMin) == (v < best) && v != best {
				best = v
			}
		}
		return best
	}
	panic(fmt.Sprintf("config: unknown operation %d", o.kind))
}
