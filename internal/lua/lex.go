package lua

import (
	"fmt"
	"strings"
)

// Error is a syntax error.
type Error struct {
	Line int
	Text string // of LuaJIT, as "'=' expected near 'x'"
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Line, e.Text) }

// kind of a token. Of words and signs it is their text.
type kind string

const (
	eof    kind = "<eof>"
	name   kind = "<name>"
	number kind = "<number>"
	text   kind = "<string>"
)

// token is a word of the text.
type token struct {
	kind kind
	raw  string // as it stands there
	text string // of a string: what it is
	line int
}

var keywords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`and break do else elseif end false for function if in local nil not or repeat return then true until while`) {
		m[w] = true
	}
	return m
}()

// signs of more than one byte, the longest first.
var signs = []string{"...", "..", "==", "~=", "<=", ">=", "::"}

// lexer cuts a text into tokens.
type lexer struct {
	src  string
	at   int
	line int
}

func newLexer(src string) *lexer {
	l := &lexer{src: src, line: 1}
	if strings.HasPrefix(src, "#") { // as a file that is a script
		l.at = lineEnd(src, 0)
	}
	return l
}

func lineEnd(s string, at int) int {
	if n := strings.IndexAny(s[at:], "\r\n"); n >= 0 {
		return at + n
	}
	return len(s)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWord: letters are those of ASCII and all bytes beyond.
func isWord(c byte) bool {
	return isDigit(c) || c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80
}

// peek is the byte at a distance; 0 behind the end.
func (l *lexer) peek(n int) byte {
	if l.at+n < len(l.src) {
		return l.src[l.at+n]
	}
	return 0
}

// next is the next token.
func (l *lexer) next() (token, error) {
	if err := l.space(); err != nil {
		return token{}, err
	}
	if l.at == len(l.src) {
		return token{kind: eof, raw: string(eof), line: l.line}, nil
	}
	start, c := l.at, l.peek(0)
	switch {
	case isDigit(c), c == '.' && isDigit(l.peek(1)):
		return l.number()
	case isWord(c):
		for l.at < len(l.src) && isWord(l.src[l.at]) {
			l.at++
		}
		word := l.src[start:l.at]
		if keywords[word] {
			return token{kind: kind(word), raw: word, line: l.line}, nil
		}
		return token{kind: name, raw: word, line: l.line}, nil
	case c == '"', c == '\'':
		return l.quoted(c)
	case c == '[':
		if level, ok := l.longOpen(); ok {
			return l.long(level, "string")
		} else if level > 0 {
			return token{}, l.wrong("invalid long string delimiter", l.src[start:start+1+level])
		}
	}
	for _, s := range signs {
		if strings.HasPrefix(l.src[l.at:], s) {
			l.at += len(s)
			return token{kind: kind(s), raw: s, line: l.line}, nil
		}
	}
	l.at++
	return token{kind: kind(l.src[start:l.at]), raw: l.src[start:l.at], line: l.line}, nil
}

// space passes over blanks and comments.
func (l *lexer) space() error {
	for l.at < len(l.src) {
		switch c := l.src[l.at]; {
		case c == '\n' || c == '\r':
			l.newline()
		case c == ' ' || c == '\t' || c == '\v' || c == '\f':
			l.at++
		case c == '-' && l.peek(1) == '-':
			l.at += 2
			if level, ok := l.longOpen(); ok {
				if _, err := l.long(level, "comment"); err != nil {
					return err
				}
				continue
			}
			l.at = lineEnd(l.src, l.at)
		default:
			return nil
		}
	}
	return nil
}

// newline passes over the end of a line: \n, \r, or both.
func (l *lexer) newline() {
	c := l.src[l.at]
	l.at++
	if d := l.peek(0); (d == '\n' || d == '\r') && d != c {
		l.at++
	}
	l.line++
}

// longOpen is the number of = in an opening [==[, if there is one here. Where there is
// none it is that of a [== without a bracket behind it.
func (l *lexer) longOpen() (level int, ok bool) {
	if l.peek(0) != '[' {
		return 0, false
	}
	for l.peek(1+level) == '=' {
		level++
	}
	return level, l.peek(1+level) == '['
}

// long reads a long string or comment. A first end of line in it does not count.
func (l *lexer) long(level int, what string) (token, error) {
	start := l.line
	l.at += level + 2
	if c := l.peek(0); c == '\n' || c == '\r' {
		l.newline()
	}
	from, end := l.at, "]"+strings.Repeat("=", level)+"]"
	n := strings.Index(l.src[from:], end)
	if n < 0 {
		l.at = len(l.src)
		l.line += lines(l.src[from:])
		return token{}, l.wrong("unfinished long "+what, string(eof))
	}
	body := l.src[from : from+n]
	l.at = from + n + len(end)
	l.line += lines(body)
	return token{kind: text, raw: l.src[from-level-2 : l.at], text: unixLines(body), line: start}, nil
}

// unixLines has \n for each end of a line.
func unixLines(s string) string {
	if !strings.Contains(s, "\r") {
		return s
	}
	s = strings.NewReplacer("\r\n", "\n", "\n\r", "\n", "\r", "\n").Replace(s)
	return s
}

func lines(s string) int { return strings.Count(unixLines(s), "\n") }

func (l *lexer) wrong(text, near string) error { return &Error{l.line, text + near_(near)} }

// near_ is the end of a message: where the error is.
func near_(raw string) string {
	if len(raw) == 1 && (raw[0] < ' ' || raw[0] == 0x7f) {
		raw = fmt.Sprintf("char(%d)", raw[0])
	}
	return " near '" + raw + "'"
}
