package xrow

import (
	"tarragon.dev/tarragon/internal/mp"

	"github.com/tinylib/msgp/msgp"
)

// NilUUID is the text of the UUID that stands for none.
const NilUUID = "00000000-0000-0000-0000-000000000000"

// readUUID reads a UUID in text form, in lower case; empty: the nil UUID.
func readUUID(v []byte) (string, bool) {
	s, _, ok := mp.ReadString(v)
	if !ok || len(s) != len(NilUUID) {
		return "", false
	}
	var low [len(NilUUID)]byte
	for i, c := range s {
		switch {
		case NilUUID[i] == '-':
			ok = c == '-'
		case c >= 'A' && c <= 'F':
			c += 'a' - 'A'
		default:
			ok = c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		}
		if !ok {
			return "", false
		}
		low[i] = c
	}
	if string(low[:]) == NilUUID {
		return "", true
	}
	return string(low[:]), true
}

// ParseUUID reads a UUID in text form, and gives it in lower case; false: it is none, or
// the nil UUID.
func ParseUUID(text string) (uuid string, ok bool) {
	uuid, ok = readUUID(msgp.AppendString(nil, text))
	return uuid, ok && uuid != ""
}

// MaxName is the greatest length of an instance's or replica set's name.
const MaxName = 63

// ValidName tells whether s may name an instance or a replica set: a lower
// case letter, then letters, digits, - and _, at most [MaxName] of all.
func ValidName[S string | []byte](s S) bool {
	if len(s) == 0 || len(s) > MaxName || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func readName(v []byte) (string, bool) {
	s, _, ok := mp.ReadString(v)
	if !ok || !ValidName(s) {
		return "", false
	}
	return string(s), true
}
