package proc

import (
	"errors"
	"strconv"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// defined is what creating a space returns: its definition, as Tarantool
// cannot encode a space object, and a word.
func (t *txn) defined(id uint64, word string) (values, error) {
	def, err := t.definition(id)
	return values{def, msgp.AppendString(nil, word)}, err
}

// definition describes a space with the names of Tarantool's space object.
func (t *txn) definition(id uint64) ([]byte, error) {
	row, err := t.get(spaceSpace, 0, keyOf(id))
	if err != nil {
		return nil, err
	}
	indexes, err := t.list(spaceIndex, 0, keyOf(id), maxRows)
	if err != nil {
		return nil, err
	}
	flags := row.field(5)
	keys, err := flags.pairs()
	if err != nil {
		return nil, err
	}
	group, _ := pick(keys, "group_id", 0).integer()
	typ, _ := pick(keys, "type", 0).str()
	var w writer
	w.openMap()
	w.num("id", id)
	w.str("name", row.str(2))
	w.str("engine", row.str(3))
	w.num("field_count", row.uint(4))
	w.boolean("is_local", group == 1)
	w.boolean("is_sync", flagged(flags, "is_sync"))
	w.boolean("temporary", flagged(flags, "temporary") || isTemporaryType(typ))
	w.boolean("enabled", len(indexes) > 0)
	w.raw("format", row.field(6))
	w.mapKey("index")
	for _, ix := range indexes {
		w.key(ix.str(2))
		if err := w.index(ix); err != nil {
			return nil, err
		}
	}
	w.close()
	w.close()
	return w.b, nil
}

// index describes an index by its row of _index.
func (w *writer) index(row tuple) error {
	w.openMap()
	w.num("id", row.uint(1))
	w.str("name", row.str(2))
	w.num("space_id", row.uint(0))
	w.str("type", upper(row.str(3)))
	unique := true
	if opts, err := row.field(4).pairs(); err == nil {
		if b, ok := pick(opts, "unique", 0).boolean(); ok {
			unique = b
		}
	}
	w.boolean("unique", unique)
	w.arrayKey("parts")
	parts, err := row.field(5).array()
	if err != nil {
		return err
	}
	for _, p := range parts {
		w.count()
		if err := w.part(p); err != nil {
			return err
		}
	}
	w.close()
	w.close()
	return nil
}

// part describes a stored part, its field counted from 1.
func (w *writer) part(v value) error {
	given, err := optionPairs(v)
	if err != nil {
		return err
	}
	no, _ := pick(given, "field", 1).integer()
	typ, _ := pick(given, "type", 2).str()
	nullable, _ := pick(given, "is_nullable", 0).boolean()
	exclude, _ := pick(given, "exclude_null", 0).boolean()
	w.openMap()
	w.num("fieldno", no+1)
	w.str("type", typ)
	w.boolean("is_nullable", nullable)
	w.boolean("exclude_null", exclude)
	for _, name := range [...]string{"collation", "path", "sort_order"} {
		if v := pick(given, name, 0); v != nil {
			w.raw(name, v)
		}
	}
	w.close()
	return nil
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

func numText(n uint64) string { return strconv.FormatUint(n, 10) }

func isCode(err error, code xrow.Code) bool { return errors.Is(err, code) }
