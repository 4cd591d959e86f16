package proc

import (
	"errors"
	"strconv"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// defined is what creating a space returns: its definition, as Tarantool
// cannot encode a space object, and a word.
func (t *txn) defined(id uint64, word string) (values, error) {
	def, err := t.definition(id)
	return values{def, mp.Encode(word)}, err
}

// definition describes a space with the names of Tarantool's space object.
func (t *txn) definition(id uint64) ([]byte, error) {
	row, err := t.get(xrow.SpaceSpace, 0, keyOf(id))
	if err != nil {
		return nil, err
	}
	indexes, err := t.list(xrow.SpaceIndex, 0, keyOf(id), maxRows)
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
	def := spaceDef{
		ID:         id,
		Name:       row.str(2),
		Engine:     row.str(3),
		FieldCount: row.uint(4),
		Local:      group == 1,
		Sync:       flagged(flags, "is_sync"),
		Temporary:  flagged(flags, "temporary") || isTemporaryType(typ),
		Enabled:    len(indexes) > 0,
		Format:     row.field(6),
	}
	for _, ix := range indexes {
		d, err := defineIndex(ix)
		if err != nil {
			return nil, err
		}
		def.Index.Put(d.Name, d)
	}
	return mp.Encode(def), nil
}

// spaceDef describes a space with the names of Tarantool's space object.
type spaceDef struct {
	ID         uint64   `msgpack:"id"`
	Name       string   `msgpack:"name"`
	Engine     string   `msgpack:"engine"`
	FieldCount uint64   `msgpack:"field_count"`
	Local      bool     `msgpack:"is_local"`
	Sync       bool     `msgpack:"is_sync"`
	Temporary  bool     `msgpack:"temporary"`
	Enabled    bool     `msgpack:"enabled"`
	Format     value    `msgpack:"format"`
	Index      mp.Pairs `msgpack:"index"` // indexDef by name
}

type indexDef struct {
	ID      uint64    `msgpack:"id"`
	Name    string    `msgpack:"name"`
	SpaceID uint64    `msgpack:"space_id"`
	Type    string    `msgpack:"type"`
	Unique  bool      `msgpack:"unique"`
	Parts   []partDef `msgpack:"parts"`
}

// partDef has its field counted from 1.
type partDef struct {
	Field       uint64 `msgpack:"fieldno"`
	Type        string `msgpack:"type"`
	Nullable    bool   `msgpack:"is_nullable"`
	ExcludeNull bool   `msgpack:"exclude_null"`
	Collation   value  `msgpack:"collation,omitempty"`
	Path        value  `msgpack:"path,omitempty"`
	SortOrder   value  `msgpack:"sort_order,omitempty"`
}

// defineIndex describes an index by its row of _index.
func defineIndex(row tuple) (*indexDef, error) {
	d := &indexDef{ID: row.uint(1), Name: row.str(2), SpaceID: row.uint(0), Type: upper(row.str(3)), Unique: true}
	if opts, err := row.field(4).pairs(); err == nil {
		if b, ok := pick(opts, "unique", 0).boolean(); ok {
			d.Unique = b
		}
	}
	parts, err := row.field(5).array()
	if err != nil {
		return nil, err
	}
	d.Parts = make([]partDef, len(parts))
	for i, p := range parts {
		if d.Parts[i], err = definePart(p); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func definePart(v value) (d partDef, err error) {
	given, err := optionPairs(v)
	if err != nil {
		return d, err
	}
	no, _ := pick(given, "field", 1).integer()
	d.Field = no + 1
	d.Type, _ = pick(given, "type", 2).str()
	d.Nullable, _ = pick(given, "is_nullable", 0).boolean()
	d.ExcludeNull, _ = pick(given, "exclude_null", 0).boolean()
	d.Collation = pick(given, "collation", 0)
	d.Path = pick(given, "path", 0)
	d.SortOrder = pick(given, "sort_order", 0)
	return d, nil
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
