package proc

import (
	"strconv"
	"strings"
)

// path is the name of a procedure, split: a.b["c"][1]:method.
type path struct {
	steps  []step
	method bool // the last step follows a colon: it gets what is before it
}

// step is a name, or a number in brackets.
type step struct {
	name  string
	num   uint32
	isNum bool
}

// maxSteps bounds a path: no name of ours is longer.
const maxSteps = 8

// parsePath splits a name; false: it is none.
func parsePath(s string) (p path, ok bool) {
	if s == "" || s[0] == '.' || s[0] == ':' {
		return p, false
	}
	for first := true; s != ""; first = false {
		if p.method || len(p.steps) == maxSteps {
			return p, false
		}
		switch s[0] {
		case '[':
			end := strings.IndexByte(s, ']')
			if first || end < 0 {
				return p, false
			}
			st, ok := bracket(s[1:end])
			if !ok {
				return p, false
			}
			p.steps, s = append(p.steps, st), s[end+1:]
			continue
		case ':':
			p.method = true
			s = s[1:]
		case '.':
			s = s[1:]
		default:
			if !first {
				return p, false
			}
		}
		end := strings.IndexAny(s, ".:[")
		if end < 0 {
			end = len(s)
		}
		if end == 0 {
			return p, false
		}
		p.steps, s = append(p.steps, step{name: s[:end]}), s[end:]
	}
	return p, true
}

// bracket reads what is between brackets: a number or a quoted name.
func bracket(s string) (step, bool) {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return step{num: uint32(n), isNum: true}, true
	}
	if len(s) < 3 || s[0] != s[len(s)-1] || s[0] != '"' && s[0] != '\'' {
		return step{}, false
	}
	return step{name: s[1 : len(s)-1]}, true
}

// dotted joins steps that are all names; "" if one is not.
func dotted(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		if s.isNum {
			return ""
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
	}
	return b.String()
}
