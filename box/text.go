package box

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"tarragon.dev/tarragon/internal/mp"

	"github.com/google/uuid"
)

// maxText bounds a tuple in an error message.
const maxText = 1 << 12

// tupleText prints a value as Tarantool does in its messages: JSON with
// spaces behind commas and colons.
func tupleText(b []byte) string {
	s, _ := appendText(nil, b, 0)
	if len(s) > maxText {
		s = append(s[:maxText], "..."...)
	}
	return string(s)
}

// appendText prints the value at b[at:]; it stops early once enough is printed.
func appendText(dst, b []byte, at int) ([]byte, int) {
	end, inside := mp.Token(b, at)
	v := b[at:]
	switch mp.KindOf(v[0]) {
	case mp.Nil:
		return append(dst, "null"...), end
	case mp.Bool:
		return strconv.AppendBool(dst, v[0] == 0xc3), end
	case mp.Uint, mp.Int, mp.Float, mp.Double:
		return append(dst, numberText(v)...), end
	case mp.Str:
		return appendQuoted(dst, mp.TextOf(v)), end
	case mp.Bin:
		return appendQuoted(dst, mp.TextOf(v)), end
	case mp.Ext:
		return append(dst, extText(v)...), end
	case mp.Map:
		dst = append(dst, '{')
		at = end
		for i := 0; i < inside && len(dst) < maxText; i += 2 {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst, at = appendText(dst, b, at)
			dst = append(dst, ": "...)
			dst, at = appendText(dst, b, at)
		}
		return append(dst, '}'), at
	}
	dst = append(dst, '[')
	at = end
	for i := 0; i < inside && len(dst) < maxText; i++ {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst, at = appendText(dst, b, at)
	}
	return append(dst, ']'), at
}

func appendQuoted(dst, s []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

func numberText(v []byte) string {
	switch mp.KindOf(v[0]) {
	case mp.Float:
		return floatText(float(v), 32)
	case mp.Double:
		return floatText(float(v), 64)
	}
	u, neg := mp.IntOf(v)
	if neg {
		return strconv.FormatInt(int64(u), 10)
	}
	return strconv.FormatUint(u, 10)
}

// floatText is %g of C, which Tarantool's messages have: six digits.
func floatText(v float64, bits int) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(v, 'g', -1, bits)), "+")
	}
	return strconv.FormatFloat(v, 'g', 6, bits)
}

func extText(v []byte) string {
	typ, p := mp.ExtOf(v)
	switch typ {
	case mp.ExtDecimal:
		if d, ok := readDecimal(p); ok {
			return d.String()
		}
	case mp.ExtUUID:
		if id, err := uuid.FromBytes(p); err == nil {
			return id.String()
		}
	}
	return fmt.Sprintf("(extension: type %d, len %d)", typ, len(p))
}

// printable tells whether a name may be given to an object: not empty, not too
// long, UTF-8 without control characters.
func printable(s string) bool {
	if s == "" || len(s) > 65000 || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return false
		}
	}
	return true
}
