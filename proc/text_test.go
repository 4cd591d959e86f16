package proc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// fromJSON encodes a JSON text. Numbers without a point become integers, a
// string "0x.." in a key stays a string, {"1": v} keeps its key a string and
// {"#1": v} makes it a number.
func fromJSON(text string) ([]byte, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	b, err := appendJSON(nil, d)
	if err == nil && d.More() {
		err = fmt.Errorf("junk behind %q", text)
	}
	return b, err
}

func appendJSON(b []byte, d *json.Decoder) ([]byte, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	return appendToken(b, d, tok)
}

func appendToken(b []byte, d *json.Decoder, tok json.Token) ([]byte, error) {
	switch v := tok.(type) {
	case nil:
		return msgp.AppendNil(b), nil
	case bool:
		return msgp.AppendBool(b, v), nil
	case string:
		if n, ok := strings.CutPrefix(v, "#"); ok {
			u, err := strconv.ParseUint(n, 10, 64)
			return msgp.AppendUint64(b, u), err
		}
		return msgp.AppendString(b, v), nil
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return append(b, value(msgp.AppendInt64(nil, i)).shortest()...), nil // as Lua encodes it
		}
		f, err := v.Float64()
		return msgp.AppendFloat64(b, f), err
	case json.Delim:
		var body []byte
		n := 0
		for d.More() {
			var err error
			if body, err = appendJSON(body, d); err != nil {
				return nil, err
			}
			n++
		}
		_, err := d.Token()
		if v == '{' {
			return append(msgp.AppendMapHeader(b, uint32(n/2)), body...), err
		}
		return append(msgp.AppendArrayHeader(b, uint32(n)), body...), err
	}
	return nil, fmt.Errorf("odd token %v", tok)
}

// text prints raw MessagePack in JSON's manner, keys in their order.
func text(b []byte) string {
	var out strings.Builder
	rest := writeText(&out, b)
	if len(rest) > 0 {
		fmt.Fprintf(&out, " + %d bytes", len(rest))
	}
	return out.String()
}

func writeText(out *strings.Builder, b []byte) []byte {
	v := value(b)
	switch v.kind() {
	case kindNil:
		out.WriteString("nil")
	case kindBool:
		t, _ := v.boolean()
		fmt.Fprint(out, t)
	case kindString:
		s, _ := v.str()
		out.WriteString(strconv.Quote(s))
	case kindArray:
		n, at, _ := mp.ReadArrayHeader(b)
		return writeMany(out, b[at:], n, "[", "]", false)
	case kindMap:
		n, at, _ := mp.ReadMapHeader(b)
		return writeMany(out, b[at:], 2*n, "{", "}", true)
	case kindNumber:
		if i, _, err := msgp.ReadInt64Bytes(b); err == nil {
			fmt.Fprint(out, i)
		} else if u, _, ok := mp.ReadUint(b); ok {
			fmt.Fprint(out, u)
		} else {
			f, _ := v.number()
			fmt.Fprintf(out, "%gf", f)
		}
	default:
		n, _ := mp.Scan(b)
		fmt.Fprintf(out, "0x%x", b[:n])
	}
	n, err := mp.Scan(b)
	if err != nil {
		out.WriteString(" MALFORMED")
		return nil
	}
	return b[n:]
}

func writeMany(out *strings.Builder, b []byte, n int, open, end string, isMap bool) []byte {
	out.WriteString(open)
	for i := range n {
		switch {
		case isMap && i%2 == 1:
			out.WriteString(": ")
		case i > 0:
			out.WriteString(", ")
		}
		b = writeText(out, b)
	}
	out.WriteString(end)
	return b
}

// rowText prints a row as the log has it.
func rowText(d *xrow.DML) string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %d", strings.ToLower(d.Type.String()), d.SpaceID)
	if d.IndexBase != 0 {
		fmt.Fprintf(&out, " base=%d", d.IndexBase)
	}
	for _, part := range []struct {
		name string
		raw  []byte
	}{{"key", d.Key}, {"ops", d.Ops}, {"tuple", d.Tuple}} {
		if part.raw != nil {
			fmt.Fprintf(&out, " %s=%s", part.name, text(part.raw))
		}
	}
	return out.String()
}
