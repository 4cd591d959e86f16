package lua

import "slices"

// maxLevels bounds how deep statements and expressions may be nested.
const maxLevels = 200

// parser reads statements.
type parser struct {
	lex    *lexer
	tok    token
	ahead  *token // read already; nil: not
	last   int    // line of the token before tok
	level  int
	loops  int    // around the place, in its function
	vararg bool   // of the function
	stray  *Error // a break without a loop; found where its function ends
	other  string
}

// Parse reads a chunk. The error of a text that is none is an [*Error].
func Parse(src string) (chunk *Chunk, err error) {
	p := &parser{lex: newLexer(src), vararg: true}
	defer func() { // the parts below panic with an error, so as not to hand it on at each step
		if stop, ok := recover().(*Error); ok {
			chunk, err = nil, stop
		}
	}()
	p.advance()
	chunk = &Chunk{}
	chunk.Returns = p.block()
	if p.tok.kind != eof {
		p.expected(string(eof))
	}
	p.settle()
	chunk.Other = p.other
	return chunk, nil
}

// advance goes on to the next token.
func (p *parser) advance() {
	p.last = p.tok.line
	if p.ahead != nil {
		p.tok, p.ahead = *p.ahead, nil
		return
	}
	p.tok = p.read()
}

func (p *parser) read() token {
	t, err := p.lex.next()
	if err != nil {
		panic(err)
	}
	return t
}

// follows tells what comes behind the token.
func (p *parser) follows() kind {
	if p.ahead == nil {
		t := p.read()
		p.ahead = &t
	}
	return p.ahead.kind
}

func (p *parser) fail(text string) { panic(&Error{p.tok.line, text + near_(p.tok.raw)}) }

func (p *parser) expected(what string) { p.fail("'" + what + "' expected") }

// accept goes on if the token is of a kind.
func (p *parser) accept(k kind) bool {
	if p.tok.kind != k {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(k kind) {
	if !p.accept(k) {
		p.expected(string(k))
	}
}

// closing expects what ends something that began on a line.
func (p *parser) closing(k, opened kind, line int) {
	switch {
	case p.accept(k):
	case line == p.tok.line:
		p.expected(string(k))
	default:
		p.fail("'" + string(k) + "' expected (to close '" + string(opened) + "' at line " + itoa(line) + ")")
	}
}

func (p *parser) name() string {
	word := p.tok.raw
	p.expect(name)
	return word
}

// enter counts a level of nesting; the caller leaves it by p.level--.
func (p *parser) enter() {
	if p.level++; p.level > maxLevels {
		panic(&Error{p.tok.line, "chunk has too many syntax levels"})
	}
}

// ends tells whether a block ends here.
func (p *parser) ends() bool {
	return slices.Contains([]kind{eof, "end", "else", "elseif", "until"}, p.tok.kind)
}

// block reads statements, and the values of a return that ends them.
func (p *parser) block() []Expr {
	p.enter()
	defer func() { p.level-- }()
	for !p.ends() {
		if p.accept("return") {
			return p.returned()
		}
		isLast := p.tok.kind == "break"
		p.statement()
		p.accept(";")
		if isLast {
			break
		}
	}
	return nil
}

func (p *parser) returned() (list []Expr) {
	if !p.ends() && p.tok.kind != ";" {
		list = p.list()
	}
	p.accept(";")
	return list
}

// statement reads one that is no return.
func (p *parser) statement() {
	what, line := p.tok.kind, p.tok.line
	if p.other == "" {
		p.other = p.called()
	}
	switch what {
	case "if":
		p.branches(line)
	case "while":
		p.advance()
		p.expr()
		p.loop(line, what)
	case "do":
		p.advance()
		p.block()
		p.closing("end", what, line)
	case "for":
		p.loopOver(line)
	case "repeat":
		p.advance()
		p.loops++
		p.block()
		p.loops--
		p.closing("until", what, line)
		p.expr()
	case "function":
		p.function(line)
	case "local":
		p.local(line)
	case "break":
		p.advance()
		if p.loops == 0 {
			p.stray = &Error{line, "no loop to break"}
		}
	case "::":
		p.advance()
		p.name()
		p.expect("::")
	default:
		if what == name && p.tok.raw == "goto" && p.follows() == name {
			p.advance()
			p.advance()
			return
		}
		p.assignment()
	}
}

// called is what a statement is called in the refusal of it.
func (p *parser) called() string {
	switch {
	case p.tok.kind == name || p.tok.kind == "(":
		return "assignments and calls as statements"
	case p.tok.kind == "::":
		return "labels"
	}
	return "the statement '" + p.tok.raw + "'"
}

func (p *parser) branches(line int) {
	p.advance()
	p.expr()
	p.expect("then")
	p.block()
	for p.accept("elseif") {
		p.expr()
		p.expect("then")
		p.block()
	}
	if p.accept("else") {
		p.block()
	}
	p.closing("end", "if", line)
}

// loop is the body of a loop.
func (p *parser) loop(line int, what kind) {
	p.expect("do")
	p.loops++
	p.block()
	p.loops--
	p.closing("end", what, line)
}

func (p *parser) loopOver(line int) {
	p.advance()
	p.name()
	switch p.tok.kind {
	case "=":
		p.advance()
		p.expr()
		p.expect(",")
		p.expr()
		if p.accept(",") {
			p.expr()
		}
	case ",", "in":
		for p.accept(",") {
			p.name()
		}
		p.expect("in")
		p.list()
	default:
		p.fail("'=' or 'in' expected")
	}
	p.loop(line, "for")
}

func (p *parser) function(line int) {
	p.advance()
	p.name()
	for p.accept(".") {
		p.name()
	}
	if p.accept(":") {
		p.name()
	}
	p.body(line)
}

func (p *parser) local(line int) {
	p.advance()
	if p.accept("function") {
		p.name()
		p.body(line)
		return
	}
	p.name()
	for p.accept(",") {
		p.name()
	}
	if p.accept("=") {
		p.list()
	}
}

// body reads parameters and statements of a function.
func (p *parser) body(line int) {
	outer, loops := p.vararg, p.loops
	p.vararg, p.loops = false, 0
	p.expect("(")
	if p.tok.kind != ")" {
		p.parameters()
	}
	p.expect(")")
	p.block()
	p.vararg, p.loops = outer, loops
	p.closing("end", "function", line)
	p.settle()
}

// settle ends a function.
func (p *parser) settle() {
	if p.stray != nil {
		panic(p.stray)
	}
}

func (p *parser) parameters() {
	for {
		switch {
		case p.tok.kind == name:
			p.advance()
		case p.accept("..."):
			p.vararg = true
			return
		default:
			p.fail("<name> or '...' expected")
		}
		if !p.accept(",") {
			return
		}
	}
}

// assignment reads one, or a call.
func (p *parser) assignment() {
	first := p.suffixed()
	if _, isCall := first.(*Call); isCall {
		return
	}
	for target := first; ; target = p.suffixed() {
		switch target.(type) {
		case *Name, *Index:
		default:
			p.fail("syntax error")
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect("=")
	p.list()
}
