package config

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	maxFormula = 1024 // bytes of text
	maxDepth   = 64   // of nesting, and of the stack that the code needs
)

type opKind uint8

const (
	opPush opKind = iota
	opN
	opQ
	opNeg
	opAdd
	opSub
	opMul
	opDiv
	opFloor
	opCeil
	opAbs
	opMin
	opMax
	opSqrt
	opFmod
)

// op is one instruction: it takes arity values off the stack and leaves one.
type op struct {
	kind  opKind
	arity int
	value float64 // of opPush
}

// functions and the number of their arguments; 0: one or more.
var functions = map[string]struct {
	kind  opKind
	arity int
}{
	"floor": {opFloor, 1},
	"ceil":  {opCeil, 1},
	"abs":   {opAbs, 1},
	"min":   {opMin, 0},
	"max":   {opMax, 0},
	"sqrt":  {opSqrt, 1},
	"fmod":  {opFmod, 2},
}

type token uint8

const (
	tokEnd token = iota
	tokNumber
	tokName
	tokSign // one of + - * / ( ) ,
)

// parser is recursive descent over
//
//	sum     = product { ("+" | "-") product }
//	product = unary { ("*" | "/") unary }
//	unary   = "-" unary | atom
//	atom    = number | "N" | "Q" | "(" sum ")" | "math." name "(" sum { "," sum } ")"
//
// and leaves postfix code. The first error stays.
type parser struct {
	text  string
	pos   int // behind tok
	start int // of tok
	tok   token
	stack int // values on the stack here
	code  []op
	err   error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("the formula %q is wrong at character %d: %s", p.text, p.start+1, fmt.Sprintf(format, args...))
	}
	p.tok = tokEnd
}

func (p *parser) describe() string {
	if p.tok == tokEnd {
		return "end"
	}
	return strconv.Quote(p.text[p.start:p.pos])
}

func (p *parser) next() {
	if p.err != nil {
		return
	}
	if len(p.text) > maxFormula {
		p.err = fmt.Errorf("the formula is longer than %d characters", maxFormula)
		p.tok = tokEnd
		return
	}
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	p.start = p.pos
	if p.pos == len(p.text) {
		p.tok = tokEnd
		return
	}
	c := p.text[p.pos]
	switch {
	case isDigit(c) || c == '.':
		p.tok = tokNumber
		for p.pos < len(p.text) && (isDigit(p.text[p.pos]) || p.text[p.pos] == '.') {
			p.pos++
		}
	case isLetter(c):
		p.tok = tokName
		for p.pos < len(p.text) && (isLetter(p.text[p.pos]) || isDigit(p.text[p.pos]) || p.text[p.pos] == '.') {
			p.pos++
		}
	case strings.IndexByte("+-*/(),", c) >= 0:
		p.tok = tokSign
		p.pos++
	default:
		p.fail("unexpected %q", c)
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func (p *parser) at(sign string) bool {
	return p.tok == tokSign && p.text[p.start:p.pos] == sign
}

func (p *parser) expect(sign string) {
	if !p.at(sign) {
		p.fail("%q expected, found %s", sign, p.describe())
		return
	}
	p.next()
}

func (p *parser) emit(o op) {
	p.stack += 1 - o.arity
	if p.stack > maxDepth {
		p.fail("too deep")
		return
	}
	p.code = append(p.code, o)
}

func (p *parser) sum(depth int) {
	p.product(depth)
	for p.at("+") || p.at("-") {
		kind := opAdd
		if p.at("-") {
			kind = opSub
		}
		p.next()
		p.product(depth)
		p.emit(op{kind: kind, arity: 2})
	}
}

func (p *parser) product(depth int) {
	p.unary(depth)
	for p.at("*") || p.at("/") {
		kind := opMul
		if p.at("/") {
			kind = opDiv
		}
		p.next()
		p.unary(depth)
		p.emit(op{kind: kind, arity: 2})
	}
}

func (p *parser) unary(depth int) {
	if depth > maxDepth {
		p.fail("too deep")
	}
	if p.at("-") {
		p.next()
		p.unary(depth + 1)
		p.emit(op{kind: opNeg, arity: 1})
		return
	}
	p.atom(depth)
}

func (p *parser) atom(depth int) {
	word := p.text[p.start:p.pos]
	switch {
	case p.tok == tokNumber:
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			p.fail("%q is no number", word)
			return
		}
		p.next()
		p.emit(op{kind: opPush, value: v})
	case p.tok == tokName && (word == "N" || word == "Q"):
		kind := opN
		if word == "Q" {
			kind = opQ
		}
		p.next()
		p.emit(op{kind: kind})
	case p.tok == tokName:
		p.call(word, depth)
	case p.at("("):
		p.next()
		p.sum(depth + 1)
		p.expect(")")
	default:
		p.fail("a number, N or math.* expected, found %s", p.describe())
	}
}

func (p *parser) call(word string, depth int) {
	name, prefixed := strings.CutPrefix(word, "math.")
	f, ok := functions[name]
	if !ok || !prefixed {
		p.fail("unknown name %q", word)
		return
	}
	p.next()
	p.expect("(")
	args := 0
	for p.err == nil {
		p.sum(depth + 1)
		args++
		if !p.at(",") {
			break
		}
		p.next()
	}
	p.expect(")")
	if f.arity != 0 && args != f.arity {
		p.fail("%s takes %d argument(s), not %d", word, f.arity, args)
		return
	}
	if p.err == nil {
		p.emit(op{kind: f.kind, arity: args})
	}
}
