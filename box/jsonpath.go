package box

import (
	"encoding/binary"
	"strconv"

	"tarragon.dev/tarragon/internal/mp"
)

// jsonPath is a compiled path of an index part, below its field: for each step
// a byte, 'k' for the key of a map or 'i' for an element of an array, then a
// length and the key, or the index from 0, as uvarints. Equal paths are equal
// strings, however they were written.
type jsonPath string

// compilePath reads a path as it stands in _index. multikey tells that it has
// a [*], which the compiled path ends before.
func compilePath(text string) (p jsonPath, multikey, ok bool) {
	rest := []byte(text)
	var out []byte
	for start := true; len(rest) > 0; start = false {
		if len(rest) >= 3 && string(rest[:3]) == "[*]" {
			return jsonPath(out), true, true
		}
		t, next, bad := nextToken(rest, start)
		if bad != 0 {
			return "", false, false
		}
		if t.index > 0 {
			out = binary.AppendUvarint(append(out, 'i'), uint64(t.index-1))
		} else {
			out = binary.AppendUvarint(append(out, 'k'), uint64(len(t.key)))
			out = append(out, t.key...)
		}
		rest = next
	}
	return jsonPath(out), false, true
}

// container is what a value must be for the first step to be taken.
func (p jsonPath) container() fieldType {
	if p[0] == 'k' {
		return typeMap
	}
	return typeArray
}

// step takes the path apart: a key, or an index, and what follows.
func (p jsonPath) step() (key string, index uint64, rest jsonPath) {
	n, at := uint64(0), 1
	for shift := 0; ; shift += 7 {
		c := p[at]
		at++
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			break
		}
	}
	if p[0] == 'i' {
		return "", n, p[at:]
	}
	return string(p[at : at+int(n)]), 0, p[at+int(n):]
}

// follow begins at the value that the path leads to; nilValue: there is none.
func (p jsonPath) follow(b []byte) []byte {
	for len(p) > 0 {
		if !p.container().accepts(b) {
			return nilValue
		}
		var found bool
		if b, p, found = p.enter(b); !found {
			return nilValue
		}
	}
	return b
}

// enter takes the first step from a container of the right kind.
func (p jsonPath) enter(b []byte) (inner []byte, rest jsonPath, found bool) {
	key, index, rest := p.step()
	at, n := mp.Token(b, 0)
	if p[0] == 'i' {
		if index >= uint64(n) {
			return nil, rest, false
		}
		for range index {
			at = mp.Skip(b, at)
		}
		return b[at:], rest, true
	}
	for range n / 2 {
		k := b[at:]
		at = mp.Skip(b, at)
		if mp.KindOf(k[0]) == mp.Str && string(mp.TextOf(k)) == key {
			return b[at:], rest, true
		}
		at = mp.Skip(b, at)
	}
	return nil, rest, false
}

// name is how messages call what the path leads to: [2]["a"][1] in field 2.
func (p jsonPath) name(field int) string {
	s := "[" + strconv.Itoa(field+1) + "]"
	for len(p) > 0 {
		key, index, rest := p.step()
		if p[0] == 'i' {
			s += "[" + strconv.FormatUint(index+1, 10) + "]"
		} else {
			s += "[\"" + key + "\"]"
		}
		p = rest
	}
	return s
}
