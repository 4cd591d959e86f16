package lua

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// number reads what begins as a number: all letters, digits and dots behind it, and
// the sign of an exponent.
func (l *lexer) number() (token, error) {
	start := l.at
	exponent := byte('e')
	if l.peek(0) == '0' && l.peek(1)|0x20 == 'x' {
		exponent = 'p'
	}
	for l.at < len(l.src) {
		c := l.src[l.at]
		sign := (c == '+' || c == '-') && l.at > start && l.src[l.at-1]|0x20 == exponent
		if !isWord(c) && c != '.' && !sign {
			break
		}
		l.at++
	}
	raw := l.src[start:l.at]
	if _, ok := number64(raw); !ok {
		return token{}, l.wrong("malformed number", raw)
	}
	return token{kind: number, raw: raw, line: l.line}, nil
}

// number64 is what a number says. One with a suffix, and a binary one, is an [Opaque].
func number64(raw string) (Expr, bool) {
	if f, ok := ParseNumber(raw); ok {
		return Number(f), true
	}
	low := strings.ToLower(raw)
	digits, isBinary := strings.CutPrefix(low, "0b")
	for _, suffix := range []string{"ull", "ll"} {
		if cut, ok := strings.CutSuffix(digits, suffix); ok {
			digits = cut
			break
		}
	}
	base := 10
	switch {
	case isBinary:
		base = 2
	case strings.HasPrefix(digits, "0x"):
		base, digits = 16, digits[2:]
	case digits == low:
		imaginary, isImaginary := strings.CutSuffix(low, "i")
		if _, ok := ParseNumber(imaginary); !ok || !isImaginary {
			return nil, false
		}
		return Opaque{"the number " + raw}, true
	}
	if _, err := strconv.ParseUint(digits, base, 64); err != nil {
		return nil, false
	}
	return Opaque{"the number " + raw}, true
}

// ParseNumber reads a number as Lua does of a string: decimal, or hexadecimal behind
// 0x, with blanks around it.
func ParseNumber(s string) (f float64, ok bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || !isDigit(digits[0]) && digits[0] != '.' || strings.Contains(digits, "_") {
		return 0, false
	}
	if low := strings.ToLower(digits); strings.HasPrefix(low, "0x") && !strings.Contains(low, "p") {
		s += "p0"
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}

// quoted reads a string in quotes.
func (l *lexer) quoted(quote byte) (token, error) {
	start := l.at
	var out []byte
	l.at++
	for {
		if l.at == len(l.src) {
			return token{}, l.wrong("unfinished string", string(eof))
		}
		switch c := l.src[l.at]; c {
		case '\n', '\r':
			return token{}, l.wrong("unfinished string", l.src[start:l.at])
		case quote:
			l.at++
			return token{kind: text, raw: l.src[start:l.at], text: string(out), line: l.line}, nil
		case '\\':
			var ok bool
			if out, ok = l.escape(out); !ok {
				return token{}, l.wrong("invalid escape sequence", string(quote))
			}
		default:
			out = append(out, c)
			l.at++
		}
	}
}

var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '\\': '\\', '"': '"', '\'': '\''}

// escape reads what a backslash stands for. One at the end of the text is left to
// whoever finds that the string has no end.
func (l *lexer) escape(out []byte) ([]byte, bool) {
	l.at++
	if l.at == len(l.src) {
		return out, true
	}
	c := l.src[l.at]
	if plain, ok := escapes[c]; ok {
		l.at++
		return append(out, plain), true
	}
	switch {
	case c == '\n' || c == '\r':
		l.newline()
		return append(out, '\n'), true
	case c == 'z':
		l.at++
		for strings.IndexByte(" \t\n\v\f\r", l.peek(0)) >= 0 && l.at < len(l.src) {
			if b := l.peek(0); b == '\n' || b == '\r' {
				l.newline()
				continue
			}
			l.at++
		}
		return out, true
	case c == 'x':
		return l.code(out, l.at+1, min(l.at+3, len(l.src)), 16, 2)
	case c == 'u' && l.peek(1) == '{':
		return l.unicode(out)
	case isDigit(c):
		end := l.at + 1
		for end < len(l.src) && end < l.at+3 && isDigit(l.src[end]) {
			end++
		}
		return l.code(out, l.at, end, 10, 1)
	}
	return out, false
}

// code reads a byte by its number.
func (l *lexer) code(out []byte, from, to, base, least int) ([]byte, bool) {
	n, err := strconv.ParseUint(l.src[from:to], base, 8)
	l.at = to
	return append(out, byte(n)), err == nil && to-from >= least
}

// unicode reads \u{XXX}.
func (l *lexer) unicode(out []byte) ([]byte, bool) {
	end := strings.IndexByte(l.src[l.at:], '}')
	if end < 0 {
		return out, false
	}
	n, err := strconv.ParseUint(l.src[l.at+2:l.at+end], 16, 32)
	if err != nil || n > utf8.MaxRune {
		return out, false
	}
	l.at += end + 1
	return utf8.AppendRune(out, rune(n)), true
}
