package box

import (
	"bytes"
	"strconv"
	"unicode"
	"unicode/utf8"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// pathToken is one step of a JSON path: a key, an index from 1, or neither for
// [*].
type pathToken struct {
	key   []byte
	index int // 0: key counts
}

// nextToken reads the first token of a path, which is not empty, and returns
// what follows it; bad is the position of a mistake, in characters from 1.
// Tarantool: json_lexer_next_token.
func nextToken(path []byte, start bool) (t pathToken, rest []byte, bad int) {
	switch {
	case path[0] == '[':
		return bracketToken(path)
	case path[0] == '.':
		if len(path) == 1 {
			return t, nil, 2
		}
		t, rest, bad = nameToken(path[1:])
		if bad != 0 {
			bad++
		}
		return t, rest, bad
	case !start:
		return t, nil, 1
	}
	return nameToken(path)
}

// bracketToken reads [1], ["key"], ['key'] or [*].
func bracketToken(path []byte) (t pathToken, rest []byte, bad int) {
	if len(path) == 1 {
		return t, nil, 1
	}
	at := 1
	switch c := path[1]; {
	case c == '"' || c == '\'':
		end := bytes.IndexByte(path[2:], c)
		switch {
		case end < 0:
			return t, nil, utf8.RuneCount(path) + 1
		case end == 0:
			return t, nil, 3
		}
		if bad := invalidAt(path[2 : 2+end]); bad != 0 {
			return t, nil, 2 + bad
		}
		t.key, at = path[2:2+end], 3+end
	case c == '*':
		at = 2
	default:
		n := int32(0) // it wraps, as in Tarantool
		for at < len(path) && path[at] >= '0' && path[at] <= '9' {
			n = n*10 + int32(path[at]-'0')
			at++
		}
		if n < 1 {
			return t, nil, 2
		}
		t.index = int(n)
	}
	if at == len(path) || path[at] != ']' {
		return t, nil, utf8.RuneCount(path[:at]) + 1
	}
	return t, path[at+1:], 0
}

// invalidAt is the position of the first character that is not UTF-8, from 1.
func invalidAt(s []byte) int {
	for n := 1; len(s) > 0; n++ {
		r, size := utf8.DecodeRune(s)
		if r == utf8.RuneError && size == 1 {
			return n
		}
		s = s[size:]
	}
	return 0
}

// nameToken reads letters, digits and underscores.
func nameToken(path []byte) (t pathToken, rest []byte, bad int) {
	at := 0
	for at < len(path) {
		r, size := utf8.DecodeRune(path[at:])
		letter := r == '_' || unicode.IsLetter(r)
		if r == utf8.RuneError && size == 1 || !letter && !(at > 0 && (unicode.IsDigit(r) || unicode.Is(unicode.Other_Alphabetic, r) || unicode.Is(unicode.Nl, r))) {
			break
		}
		at += size
	}
	if at == 0 {
		return t, nil, 1
	}
	return pathToken{key: path[:at]}, path[at:], 0
}

func (o *op) badPath(rest []byte, bad int) error {
	pos := utf8.RuneCount(o.path[:len(o.path)-len(rest)]) + bad
	return xrow.Errorf(xrow.ErrUpdateField, o.name(), "invalid JSON in position "+strconv.Itoa(pos))
}

// notThere is the error of a nested field that does not exist.
func (o *op) notThere() error { return xrow.Errorf(xrow.ErrNoSuchFieldName, o.name()) }

func (o *op) cannot(detail string) error { return xrow.Errorf(xrow.ErrUpdateField, o.name(), detail) }

// doPath applies an operation to what lies inside of a field.
func (u *updater) doPath(o *op) error {
	no := int(o.no)
	if no >= u.n {
		return o.notThere()
	}
	i := u.single(no)
	if err := u.spend(len(u.bytes(&u.pieces[i])) + len(o.arg)); err != nil {
		return err
	}
	v, err := u.nested(o, u.bytes(&u.pieces[i]), o.rest)
	if err != nil {
		return err
	}
	if len(v) > u.maxSize {
		return tooLarge(len(v), u.maxSize)
	}
	u.pieces[i] = piece{from: -1, n: 1, data: v}
	return nil
}

// nested is the value of a container with the operation done inside of it.
func (u *updater) nested(o *op, b, path []byte) ([]byte, error) {
	t, rest, bad := nextToken(path, false)
	if bad != 0 {
		return nil, o.badPath(path, bad)
	}
	if t.key == nil && t.index == 0 { // [*]
		return nil, o.badPath(path, 2)
	}
	creates := o.code == '=' || o.code == '!'
	k, from := mp.KindOf(b[0]), -1
	var to, n, at int
	if t.key != nil && k == mp.Map || t.index > 0 && k == mp.Array {
		from, to, n, at = locate(b, t, k == mp.Map)
	}
	if len(rest) > 0 {
		if from >= 0 {
			v, err := u.nested(o, b[from:to], rest)
			if err != nil {
				return nil, err
			}
			return splice(b, from, to, v), nil
		}
		if _, _, bad := nextToken(rest, false); creates && bad != 0 {
			return nil, o.badPath(rest, bad)
		}
		return nil, o.notThere()
	}
	switch {
	case t.key != nil && k != mp.Map && creates:
		return nil, o.cannot("can not access by key a non-map field")
	case t.key == nil && k != mp.Array && creates:
		return nil, o.cannot("can not access by index a non-array field")
	case from < 0 && !creates:
		return nil, o.notThere()
	}
	if k == mp.Map {
		return u.inMap(o, b, t, from, to, n, at)
	}
	return u.inArray(o, b, t, from, to, n, at)
}

// locate finds the element of a container: from is -1 when it is not there, n
// the number of elements (pairs of a map), at where they begin.
func locate(b []byte, t pathToken, isMap bool) (from, to, n, at int) {
	first, inside := mp.Token(b, 0)
	at, n = first, inside
	if isMap {
		n = inside / 2
	}
	for i := range n {
		v := first
		if isMap {
			v = mp.Skip(b, first)
		}
		end := mp.Skip(b, v)
		if isMap && mp.KindOf(b[first]) == mp.Str && bytes.Equal(mp.TextOf(b[first:]), t.key) || !isMap && i+1 == t.index {
			return v, end, n, at
		}
		first = end
	}
	return -1, -1, n, at
}

// splice is b with b[from:to] replaced by v.
func splice(b []byte, from, to int, v []byte) []byte {
	out := make([]byte, 0, len(b)-(to-from)+len(v))
	out = append(out, b[:from]...)
	out = append(out, v...)
	return append(out, b[to:]...)
}

func (u *updater) inArray(o *op, b []byte, t pathToken, from, to, n, at int) ([]byte, error) {
	end := len(b)
	rebuilt := func(n, cut, upto int, v []byte) []byte {
		out := appendArrayHead(make([]byte, 0, len(b)+len(v)+5), n)
		out = append(out, b[at:cut]...)
		out = append(out, v...)
		return append(out, b[upto:]...)
	}
	switch {
	case (o.code == '=' || o.code == '!') && t.index == n+1:
		return rebuilt(n+1, end, end, o.arg), nil
	case from < 0:
		return nil, o.notThere()
	case o.code == '!':
		return rebuilt(n+1, from, from, o.arg), nil
	case o.code == '=':
		return splice(b, from, to, o.arg), nil
	case o.code == '#':
		k := int(min(o.count, uint64(n-t.index+1)))
		for range k - 1 {
			to = mp.Skip(b, to)
		}
		return rebuilt(n-k, from, to, nil), nil
	}
	v, err := u.compute(o, b[from:to], typeAny)
	if err != nil {
		return nil, err
	}
	return splice(b, from, to, v), nil
}

func (u *updater) inMap(o *op, b []byte, t pathToken, from, to, n, at int) ([]byte, error) {
	rebuilt := func(n, keyFrom, upto int, pair []byte) []byte {
		out := appendMapHead(make([]byte, 0, len(b)+len(pair)+5), n)
		out = append(out, pair...) // a new key comes first, as in Tarantool
		out = append(out, b[at:keyFrom]...)
		return append(out, b[upto:]...)
	}
	switch {
	case from < 0 && (o.code == '=' || o.code == '!'):
		pair := append(appendStrHead(nil, len(t.key)), t.key...)
		return rebuilt(n+1, len(b), len(b), append(pair, o.arg...)), nil
	case o.code == '!':
		return nil, o.cannot("the key exists already")
	case o.code == '#' && o.count != 1:
		return nil, o.cannot("can delete only 1 field from a map in a row")
	case o.code == '#':
		key := at
		for mp.Skip(b, key) != from {
			key = mp.Skip(b, mp.Skip(b, key))
		}
		return rebuilt(n-1, key, to, nil), nil
	case o.code == '=':
		return splice(b, from, to, o.arg), nil
	}
	v, err := u.compute(o, b[from:to], typeAny)
	if err != nil {
		return nil, err
	}
	return splice(b, from, to, v), nil
}

func appendMapHead(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x80|byte(n))
	case n < 1<<16:
		return append(dst, 0xde, byte(n>>8), byte(n))
	}
	return append(dst, 0xdf, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}
