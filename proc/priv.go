package proc

import (
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// privWords are the names of privileges in order of their bits.
var privWords = [...]string{"read", "write", "execute", "session", "usage", "create", "drop", "alter", "reference",
	"trigger", "insert", "update", "delete", "grant", "metagrant"}

// classPrivs is what may be granted on each class of objects.
var classPrivs = map[string]box.Priv{
	"universe": box.PrivAll,
	"lua_call": box.PrivExecute | box.PrivUsage,
	"lua_eval": box.PrivExecute | box.PrivUsage,
	"sql":      box.PrivExecute | box.PrivUsage,
	"space": box.PrivRead | box.PrivWrite | box.PrivUsage | box.PrivCreate | box.PrivDrop | box.PrivAlter |
		box.PrivReference | box.PrivTrigger | box.PrivInsert | box.PrivUpdate | box.PrivDelete,
	"sequence": box.PrivRead | box.PrivWrite | box.PrivUsage | box.PrivCreate | box.PrivAlter | box.PrivDrop,
	"function": box.PrivExecute | box.PrivUsage | box.PrivCreate | box.PrivDrop,
	"role":     box.PrivExecute | box.PrivUsage | box.PrivCreate | box.PrivDrop,
	"user":     box.PrivCreate | box.PrivAlter | box.PrivDrop,
}

// checkPriv reads privileges, a number or names, and checks that they may be
// granted on a class.
func checkPriv(v value, class string) (box.Priv, error) {
	allowed, ok := classPrivs[class]
	if !ok {
		return 0, xrow.Errorf(xrow.ErrUnknownSchemaObject, clip(class))
	}
	var bits uint64
	if s, isText := v.str(); isText {
		bits = uint64(parsePrivs(s))
	} else {
		bits, _ = v.integer()
	}
	if bits == 0 || bits&^uint64(allowed) != 0 {
		return 0, xrow.Errorf(xrow.ErrUnsupportedPriv, clip(class), valueText(v))
	}
	return box.Priv(bits), nil
}

// parsePrivs reads names of privileges, separated by anything that is no
// letter; 0: there is a word that is none. As in Tarantool the separator may
// be missing.
func parsePrivs(s string) (bits box.Priv) {
	s = trimNonLetters(lower(s))
next:
	for s != "" {
		for i, word := range privWords {
			if rest, ok := strings.CutPrefix(s, word); ok {
				bits |= 1 << i
				s = trimNonLetters(rest)
				continue next
			}
		}
		return 0
	}
	return bits
}

func trimNonLetters(s string) string {
	return strings.TrimLeftFunc(s, func(r rune) bool { return r < 'a' || r > 'z' })
}

// privNames lists the names of bits, separated by commas.
func privNames(bits box.Priv) string {
	var names []string
	for i, word := range privWords {
		if bits&(1<<i) != 0 {
			names = append(names, word)
		}
	}
	return strings.Join(names, ",")
}
