package proc

import (
	"strconv"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
)

// part is a part of an index as a row of _index has it, its field counted
// from 0.
type part struct {
	field       uint64
	typ         string
	collation   value
	nullable    value // nil: not said
	excludeNull value
	path        string
	other       []pair
}

const wrongPairs = "options.parts: expected field_no (number), type (string) pairs"

// normalizeParts turns any spelling of parts into the one of _index.
func (t *txn) normalizeParts(format []formatField, v value) ([]part, error) {
	if !v.isTable() {
		return nil, illegal("options.parts parameter should be a table")
	}
	list, err := partList(v)
	if err != nil {
		return nil, err
	}
	parts := make([]part, len(list))
	for i, given := range list {
		if parts[i], err = t.normalizePart(format, given, "options.parts["+strconv.Itoa(i+1)+"]"); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// partList tells the spellings apart: {1, 'unsigned'}, {1, 'unsigned', 2,
// 'string'}, and a list of parts.
func partList(v value) ([][]pair, error) {
	if v.kind() == kindMap {
		return nil, illegal("options.parts must have at least one part")
	}
	list, err := v.array()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, illegal("options.parts must have at least one part")
	}
	var out [][]pair
	if list[0].kind() == kindNumber && (len(list) == 1 || list[1].isNil() || list[1].kind() == kindString) {
		if len(list) <= 2 {
			return [][]pair{numbered(list)}, nil
		}
		if len(list)%2 != 0 {
			return nil, illegal(wrongPairs)
		}
		for i := 0; i < len(list); i += 2 {
			if list[i].kind() != kindNumber || list[i+1].kind() != kindString {
				return nil, illegal(wrongPairs)
			}
			if n, _ := list[i].number(); n == 0 {
				return nil, illegal("invalid index parts: field_no must be one-based")
			}
			out = append(out, numbered(list[i:i+2]))
		}
		return out, nil
	}
	for _, e := range list {
		given := []pair{{num: 1, val: e}}
		if e.isTable() {
			if given, err = optionPairs(e); err != nil {
				return nil, err
			}
		}
		out = append(out, given)
	}
	return out, nil
}

func numbered(list []value) []pair {
	out := make([]pair, len(list))
	for i, e := range list {
		out[i] = pair{num: uint64(i + 1), val: e}
	}
	return out
}

func (t *txn) normalizePart(format []formatField, given []pair, what string) (p part, err error) {
	if p.field, p.path, err = resolveField(format, pick(given, "field", 1), what); err != nil {
		return p, err
	}
	if err := t.partOptions(&p, given, what); err != nil {
		return p, err
	}
	typ := pick(given, "type", 2)
	var fmtField formatField
	if p.field < uint64(len(format)) {
		fmtField = format[p.field]
	}
	switch s, ok := typ.str(); {
	case ok:
		p.typ = alias(s)
	case !typ.isNil():
		return p, illegal("%s: type (string) is expected", what)
	case fmtField.typ != "":
		p.typ = alias(fmtField.typ)
	default:
		p.typ = "scalar"
	}
	if p.collation == nil {
		p.collation = fmtField.collation
	}
	if fmtField.scale != nil && pick(p.other, "scale", 0) == nil {
		p.other = append(p.other, pair{name: "scale", val: fmtField.scale})
	}
	if p.nullable == nil && fmtField.nullable {
		p.nullable = value{0xc3}
	}
	return p, p.checkNull(what)
}

// partOptions takes what a part says besides its field and its type.
func (t *txn) partOptions(p *part, given []pair, what string) error {
	for _, o := range given {
		switch {
		case o.name == "field" || o.name == "type" || o.val.isNil():
		case o.name == "" && o.num <= 2:
		case o.name == "":
			s, _ := o.val.str()
			return illegal("%s: unexpected option %s", what, clip(s))
		case o.name == "collation":
			id, err := t.collation(o.val)
			if err != nil {
				return err
			}
			if id == nil {
				s, _ := o.val.str()
				return illegal("%s: collation was not found by name '%s'", what, clip(s))
			}
			p.collation = id
		case o.name == "is_nullable" || o.name == "exclude_null":
			if o.val.kind() != kindBool {
				return illegal("%s: type (boolean) is expected", what)
			}
			if o.name == "is_nullable" {
				p.nullable = o.val
			} else {
				p.excludeNull = o.val
			}
		case o.name == "path":
			if p.path == "" {
				p.path, _ = o.val.str()
			}
		default:
			p.other = append(p.other, o)
		}
	}
	return nil
}

// checkNull: exclude_null implies is_nullable.
func (p *part) checkNull(what string) error {
	exclude, _ := p.excludeNull.boolean()
	if nullable, _ := p.nullable.boolean(); nullable || !exclude {
		return nil
	}
	if p.nullable != nil {
		return illegal("%s: exclude_null=true and is_nullable=false are incompatible", what)
	}
	p.nullable = value{0xc3}
	return nil
}

// resolveField finds a field by its number from 1, by its name, or by a path
// that begins with either.
func resolveField(format []formatField, v value, what string) (no uint64, path string, err error) {
	if v.kind() == kindNumber {
		n, ok := v.integer()
		if !ok || n == 0 {
			return 0, "", illegal("%s: field (number) must be one-based", what)
		}
		return n - 1, "", nil
	}
	s, ok := v.str()
	if !ok {
		return 0, "", illegal("%s: field (name or number) is expected", what)
	}
	if i := fieldByName(format, s); i >= 0 {
		return uint64(i), "", nil
	}
	head, rest := splitPath(s)
	if n, err := strconv.ParseUint(head, 10, 32); err == nil && s[0] == '[' {
		if n == 0 {
			return 0, "", illegal("%s: field (number) must be one-based", what)
		}
		return n - 1, rest, nil
	}
	if i := fieldByName(format, head); i >= 0 {
		return uint64(i), rest, nil
	}
	return 0, "", illegal("%s: field was not found by name '%s'", what, clip(s))
}

func fieldByName(format []formatField, name string) int {
	for i := range format {
		if format[i].name == name {
			return i
		}
	}
	return -1
}

// splitPath cuts the first step off a JSON path: [2], ["name"] or name.
func splitPath(s string) (head, rest string) {
	if !strings.HasPrefix(s, "[") {
		end := strings.IndexAny(s, ".[")
		if end < 0 {
			return s, ""
		}
		return s[:end], s[end:]
	}
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return s, ""
	}
	return strings.Trim(s[1:end], `"'`), s[end+1:]
}

// alias is the name under which _index keeps a type.
func alias(s string) string {
	switch s = lower(s); s {
	case "num", "uint":
		return "unsigned"
	case "str":
		return "string"
	case "int":
		return "integer"
	case "*":
		return "any"
	}
	return s
}

func lower(s string) string { return strings.ToLower(s) }

// partsOf is parts as a row of _index has them: pairs if nothing but field and
// type is said, else all of them maps.
func partsOf(parts []part) []any {
	simple := true
	for i := range parts {
		simple = simple && parts[i].simple()
	}
	out := make([]any, len(parts))
	for i := range parts {
		if p := &parts[i]; simple {
			out[i] = []any{p.field, p.typ}
		} else {
			out[i] = p.pairs()
		}
	}
	return out
}

func (p *part) simple() bool {
	return p.collation == nil && p.nullable == nil && p.excludeNull == nil && p.path == "" && p.other == nil
}

func (p *part) pairs() (out mp.Pairs) {
	out.Put("field", p.field)
	out.Put("type", p.typ)
	put := func(name string, v value) {
		if v != nil {
			out.Put(name, v.shortest())
		}
	}
	put("collation", p.collation)
	put("is_nullable", p.nullable)
	put("exclude_null", p.excludeNull)
	if p.path != "" {
		out.Put("path", p.path)
	}
	for _, o := range p.other {
		put(o.name, o.val)
	}
	return out
}
