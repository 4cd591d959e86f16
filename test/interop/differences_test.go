package interop

import (
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"tarragon.dev/tarragon/xrow"
)

// What Tarantool 2.6 says and does otherwise than 3.8, case by case. With 3.8
// nothing of this is allowed but what is listed as always.

// wording is a text that changed; ours, rewritten, is the older one.
type wording struct {
	name string
	code xrow.Code
	ours *regexp.Regexp
	old  string
}

var wordings = []wording{
	{"duplicate without tuples", xrow.ErrTupleFound, regexp.MustCompile(`^Duplicate key exists in unique index "(\w+)" in space "(\w+)" with old tuple - .*$`), "Duplicate key exists in unique index '$1' in space '$2'"},
	{"field without name and type", xrow.ErrFieldType, regexp.MustCompile(`^Tuple field (\d+)(?: \(\w+\))? (type .*), got \w+$`), "Tuple field $1 $2"},
	{"missing field without name", xrow.ErrFieldMissing, regexp.MustCompile(`^Tuple field (\d+) \(\w+\) `), "Tuple field $1 "},
	{"update of the primary key", xrow.ErrCantUpdatePrimaryKey, regexp.MustCompile(`^(.* which is part of) primary index (in space .*)$`), "$1 index 'pk' $2"},
	{"splice of a string", xrow.ErrUpdateArgType, regexp.MustCompile(`a string or varbinary$`), "a string"},
	{"illegal parameters", xrow.ErrIllegalParams, regexp.MustCompile(`^(update |field |Invalid )`), "Illegal parameters, $1"},
}

// older is how 2.6 tells an error of ours, and by which wording.
func older(a answer) (answer, string) {
	if a.code == xrow.ErrMissingRequestField {
		name := missing.FindStringSubmatch(a.text)
		if name != nil {
			old := strings.ToLower(strings.ReplaceAll(name[0], "_", " "))
			if old == "'ops'" {
				old = "'operations'"
			}
			a.text = strings.Replace(a.text, name[0], old, 1)
		}
		return a, "missing key in small letters"
	}
	for _, w := range wordings {
		if a.code == w.code && w.ours.MatchString(a.text) {
			a.text = w.ours.ReplaceAllString(a.text, w.old)
			return a, w.name
		}
	}
	return a, ""
}

var missing = regexp.MustCompile(`'[A-Z_]+'`)

func hasUUID(q request) bool { return strings.Contains(string(pack(q.body)), "\xd8\x02") }

// difference is a way in which a Tarantool before 2.8.1 is not like 3.8.
type difference struct {
	name string
	is   func(c *clash) bool
}

// clash is a request that was answered in two ways, or did two things.
type clash struct {
	q            request
	ours, theirs answer
	same         bool   // the tuples are
	after        string // the tuples that ours has then
}

// ops of the request that are whole.
func (c *clash) ops() (out [][]any) {
	key := xrow.KeyTuple
	if c.q.typ == xrow.Upsert {
		key = xrow.KeyOps
	}
	all, _ := c.q.field(key).([]any)
	for _, o := range all {
		if op, ok := o.([]any); ok && len(op) >= 3 {
			out = append(out, op)
		}
	}
	return out
}

// changes tells whether it is UPDATE or UPSERT.
func (c *clash) changes() bool { return c.q.typ == xrow.Update || c.q.typ == xrow.Upsert }

// skips tells whether ours did something that theirs refused, by UPDATE with one
// of the codes, by UPSERT in silence.
func (c *clash) skips(codes ...xrow.Code) bool {
	if c.q.typ == xrow.Upsert {
		return !c.same || c.ours.code != c.theirs.code // what the next operation meets is another tuple, too
	}
	return c.q.typ == xrow.Update && slices.Contains(codes, c.theirs.code)
}

// always are differences from every Tarantool.
var always = []difference{
	{"26 of a field number beyond 32 bits names any field", func(c *clash) bool {
		return c.ours.code == xrow.ErrUpdateArgType && c.theirs.code == c.ours.code && strings.HasSuffix(c.ours.text, "expected an integer") && strings.HasSuffix(c.theirs.text, "expected an integer")
	}},
}

var differences = []difference{
	{"the key is looked at before the iterator", func(c *clash) bool {
		return c.ours.code == xrow.ErrUnsupportedIndexFeature && (c.theirs.code == xrow.ErrKeyPartCount || c.theirs.code == xrow.ErrKeyPartType)
	}},
	{"a field from the end is called by its place", func(c *clash) bool {
		return c.ours.code == c.theirs.code && fromEnd.MatchString(c.ours.text) &&
			fromEnd.ReplaceAllString(strings.Replace(c.ours.text, " or varbinary", "", 1), "field N") == anyField.ReplaceAllString(c.theirs.text, "field N")
	}},
	{"no field behind the end is set, and none deleted", func(c *clash) bool {
		return c.skips(xrow.ErrNoSuchFieldNo, xrow.ErrNoSuchFieldName) && slices.ContainsFunc(c.ops(), func(op []any) bool {
			_, nested := op[1].(string)
			return (op[0] == "=" || op[0] == "!" || op[0] == "#") && (!nested || !strings.ContainsAny(op[1].(string)[1:], "[."))
		})
	}},
	{"wrong types are told before missing fields", func(c *clash) bool {
		return c.ours.code == xrow.ErrFieldMissing && c.theirs.code == xrow.ErrFieldType && c.same
	}},
	{"a uuid is no scalar", func(c *clash) bool {
		return strings.HasSuffix(c.theirs.text, "expected scalar") && hasUUID(c.q)
	}},
	{"a decimal has 38 digits", func(c *clash) bool {
		return c.changes() && (long.MatchString(hex.EncodeToString([]byte(c.after))) || long.MatchString(hex.EncodeToString([]byte(c.ours.data)))) && (c.theirs.code == 0 || c.theirs.code == xrow.ErrUpdateDecimalOverflow)
	}},
	{"a double from 1e38 on is no decimal", func(c *clash) bool {
		return c.q.typ == xrow.Update && c.ours.code == 0 && c.theirs.code == xrow.ErrUpdateArgType && strings.HasSuffix(c.theirs.text, "a number convertible to decimal")
	}},
	{"only a string is spliced", func(c *clash) bool {
		return slices.ContainsFunc(c.ops(), func(op []any) bool { return op[0] == ":" }) && c.skips(xrow.ErrUpdateArgType) && (c.q.typ == xrow.Upsert || strings.HasSuffix(c.theirs.text, "expected a string"))
	}},
	{"one operation on a field", func(c *clash) bool {
		return len(c.ops()) > 1 && c.skips(xrow.ErrUpdateField) && (c.q.typ == xrow.Upsert || strings.HasSuffix(c.theirs.text, "double update of the same field"))
	}},
}

// long matches a decimal of more than 38 digits.
var long = regexp.MustCompile(`c71501..[1-9]|c7(1[6-9a-f]|2[0-9])01`)

var fromEnd, anyField = regexp.MustCompile(`field -\d+`), regexp.MustCompile(`field \d+`)
