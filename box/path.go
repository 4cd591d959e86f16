package box

import (
	"bytes"
	"strconv"

	"tarragon/xrow"
)

// pathToken is one step of a JSON path: a key, or an index from 1.
type pathToken struct {
	key   []byte
	index int // 0: key counts
}

// nextToken reads the first token of a path and returns what follows it; bad is
// the position (from 1) of a mistake.
func nextToken(path []byte, start bool) (t pathToken, rest []byte, bad int) {
	if path[0] == '[' {
		end := bytes.IndexByte(path, ']')
		if end < 2 {
			return t, nil, len(path)
		}
		if q := path[1]; q == '"' || q == '\'' {
			stop := bytes.IndexByte(path[2:], q)
			if stop < 1 || 2+stop+1 >= len(path) || path[2+stop+1] != ']' {
				return t, nil, 2
			}
			return pathToken{key: path[2 : 2+stop]}, path[2+stop+2:], 0
		}
		n, err := strconv.ParseUint(string(path[1:end]), 10, 31)
		if err != nil || n == 0 {
			return t, nil, 2
		}
		return pathToken{index: int(n)}, path[end+1:], 0
	}
	at := 0
	if path[0] == '.' {
		at = 1
	} else if !start {
		return t, nil, 1
	}
	end := at
	for end < len(path) && path[end] != '.' && path[end] != '[' {
		c := path[end]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
		if !letter && !(end > at && c >= '0' && c <= '9') {
			return t, nil, end + 1
		}
		end++
	}
	if end == at {
		return t, nil, at + 1
	}
	return pathToken{key: path[at:end]}, path[end:], 0
}

func (o *op) badPath(rest []byte, bad int) error {
	pos := len(o.path) - len(rest) + bad
	return xrow.Errorf(xrow.ErrUpdateField, o.name(), "invalid JSON in position "+strconv.Itoa(pos))
}

// notThere is the error of a nested field that does not exist.
func (o *op) notThere() error { return xrow.Errorf(xrow.ErrNoSuchFieldName, o.name()) }

func (o *op) cannot(detail string) error { return xrow.Errorf(xrow.ErrUpdateField, o.name(), detail) }

// doPath applies an operation whose field is given by a path.
func (u *updater) doPath(o *op) error {
	if len(o.path) == 0 {
		return o.badPath(o.path, 1)
	}
	t, rest, bad := nextToken(o.path, true)
	if bad != 0 {
		return o.badPath(o.path, bad)
	}
	no := t.index - 1
	if t.index == 0 {
		var ok bool
		if no, ok = u.format.byName(t.key); !ok {
			return o.missing()
		}
	}
	if len(rest) == 0 {
		top := *o
		top.path, top.no = nil, int64(no)
		return u.do(&top)
	}
	if no >= u.n {
		return o.notThere()
	}
	i := u.single(no)
	if err := u.spend(len(u.bytes(&u.pieces[i])) + len(o.arg)); err != nil {
		return err
	}
	v, err := u.nested(o, u.bytes(&u.pieces[i]), rest)
	if err != nil {
		return err
	}
	if len(v) > u.maxSize {
		return tooLarge(len(v))
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
	k := kindOf(b)
	switch {
	case t.index == 0 && k != kindMap:
		return nil, o.cannot("can not access by key a non-map field")
	case t.index != 0 && k != kindArray:
		return nil, o.cannot("can not access by index a non-array field")
	}
	from, to, n, at := locate(b, t, k == kindMap)
	if len(rest) > 0 {
		if from < 0 {
			return nil, o.notThere()
		}
		v, err := u.nested(o, b[from:to], rest)
		if err != nil {
			return nil, err
		}
		return splice(b, from, to, v), nil
	}
	if k == kindMap {
		return u.inMap(o, b, t, from, to, n, at)
	}
	return u.inArray(o, b, t, from, to, n, at)
}

// locate finds the element of a container: from is -1 when it is not there, n
// the number of elements (pairs of a map), at where they begin.
func locate(b []byte, t pathToken, isMap bool) (from, to, n, at int) {
	first, inside := token(b, 0)
	at, n = first, inside
	if isMap {
		n = inside / 2
	}
	for i := range n {
		v := first
		if isMap {
			v = skip(b, first)
		}
		end := skip(b, v)
		if isMap && kindOf(b[first:]) == kindStr && bytes.Equal(text(b[first:]), t.key) || !isMap && i+1 == t.index {
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
			to = skip(b, to)
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
		out = append(out, pair...) // a new key comes first, as in the original
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
	case from < 0:
		return nil, o.notThere()
	case o.code == '#':
		key := at
		for skip(b, key) != from {
			key = skip(b, skip(b, key))
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
