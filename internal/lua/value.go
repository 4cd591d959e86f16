package lua

import (
	"slices"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

// list reads expressions between commas.
func (p *parser) list() []Expr {
	list := []Expr{p.expr()}
	for p.accept(",") {
		list = append(list, p.expr())
	}
	return list
}

func (p *parser) expr() Expr { return p.binary(0) }

// binds are the priorities of a binary operator, to its left and to its right.
type binds struct{ left, right int }

var operators = map[kind]binds{
	"or": {1, 1}, "and": {2, 2},
	"<": {3, 3}, ">": {3, 3}, "<=": {3, 3}, ">=": {3, 3}, "~=": {3, 3}, "==": {3, 3},
	"..": {5, 4}, "+": {6, 6}, "-": {6, 6}, "*": {7, 7}, "/": {7, 7}, "%": {7, 7}, "^": {10, 9},
}

const unaryBinds = 8

// binary reads operators that bind more tightly than limit.
func (p *parser) binary(limit int) Expr {
	levels := p.level
	defer func() { p.level = levels }()
	p.enter()
	left := p.unary()
	for {
		op, ok := operators[p.tok.kind]
		if !ok || op.left <= limit {
			return left
		}
		e := &Binary{Op: p.tok.raw, Left: left, Line: p.tok.line}
		p.enter() // what walks the chunk goes down a level for each
		p.advance()
		e.Right = p.binary(op.right)
		left = e
	}
}

func (p *parser) unary() Expr {
	switch p.tok.kind {
	case "not", "-", "#":
		e := &Unary{Op: p.tok.raw, Line: p.tok.line}
		p.advance()
		e.Of = p.binary(unaryBinds)
		return e
	}
	return p.simple()
}

var words = map[kind]Expr{"nil": Nil{}, "true": True{}, "false": False{}, "...": Dots{}}

// simple reads what has no operator.
func (p *parser) simple() Expr {
	line := p.tok.line
	if e, ok := words[p.tok.kind]; ok {
		if p.tok.kind == "..." && !p.vararg {
			p.fail("cannot use '...' outside a vararg function")
		}
		p.advance()
		return e
	}
	switch p.tok.kind {
	case number:
		e, _ := number64(p.tok.raw)
		p.advance()
		return e
	case text:
		e := String(p.tok.text)
		p.advance()
		return e
	case "{":
		p.table()
		return Opaque{"table constructors"}
	case "function":
		p.advance()
		p.body(line)
		return Opaque{"functions"}
	}
	return p.suffixed()
}

// suffixed reads a variable or what is in parentheses, and fields and calls behind it.
func (p *parser) suffixed() Expr {
	var e Expr
	switch line := p.tok.line; p.tok.kind {
	case "(":
		p.advance()
		e = &Paren{p.expr()}
		p.closing(")", "(", line)
	case name:
		e = &Name{p.tok.raw, line}
		p.advance()
	default:
		p.fail("unexpected symbol")
	}
	for levels := p.level; ; {
		next := p.suffix(e)
		if next == nil {
			p.level = levels
			return e
		}
		p.enter() // as above
		e = next
	}
}

// suffix reads a field or a call; nil: there is none.
func (p *parser) suffix(of Expr) Expr {
	line := p.tok.line
	switch p.tok.kind {
	case ".":
		p.advance()
		return &Index{of, String(p.name()), line}
	case "[":
		p.advance()
		key := p.expr()
		p.expect("]")
		return &Index{of, key, line}
	case ":":
		p.advance()
		method := p.name()
		return &Call{of, method, p.arguments(), line}
	case "(", "{", text:
		return &Call{of, "", p.arguments(), line}
	}
	return nil
}

func (p *parser) arguments() (args []Expr) {
	switch line := p.tok.line; p.tok.kind {
	case text:
		args = []Expr{String(p.tok.text)}
		p.advance()
	case "{":
		p.table()
		args = []Expr{Opaque{"table constructors"}}
	case "(":
		if line != p.last {
			p.fail("ambiguous syntax (function call x new statement)")
		}
		p.advance()
		if p.tok.kind != ")" {
			args = p.list()
		}
		p.closing(")", "(", line)
	default:
		p.fail("function arguments expected")
	}
	return args
}

// table reads a table constructor.
func (p *parser) table() {
	line := p.tok.line
	p.expect("{")
	for p.tok.kind != "}" {
		switch {
		case p.tok.kind == "[":
			p.advance()
			p.expr()
			p.expect("]")
			p.expect("=")
		case p.tok.kind == name && p.follows() == "=":
			p.advance()
			p.advance()
		}
		p.expr()
		if !slices.Contains([]kind{",", ";"}, p.tok.kind) {
			break
		}
		p.advance()
	}
	p.closing("}", "{", line)
}
