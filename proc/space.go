package proc

import (
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

var createSpaceOptions = template{
	"if_not_exists": "boolean", "engine": "string", "id": "number", "field_count": "number", "user": "string, number",
	"format": "table", "type": "string", "is_local": "boolean", "temporary": "boolean", "is_sync": "boolean",
	"defer_deletes": "boolean", "constraint": "string, table", "foreign_key": "table",
}

// createSpace is box.schema.space.create(name, options).
func createSpace(c *call) error {
	name, err := needString(c.arg(0), "name")
	if err != nil {
		return err
	}
	opts, err := readOptions(c.arg(1), createSpaceOptions)
	if err != nil {
		return err
	}
	if err := checkSpaceOptions(opts); err != nil {
		return err
	}
	return c.write(true, func(t *txn) (values, error) {
		if id, err := t.schema().FindSpace(name); err == nil && t.schema().SeesSpace(t.user, id) {
			if !opts.isTrue("if_not_exists") {
				return nil, xrow.Errorf(xrow.ErrSpaceExists, clip(name))
			}
			return t.defined(uint64(id), "not created")
		}
		id, err := t.createSpace(name, opts)
		if err != nil {
			return nil, err
		}
		return t.defined(id, "created")
	})
}

func checkSpaceOptions(opts options) error {
	switch opts.str("type") {
	case "", "normal", "data-temporary", "temporary":
	default:
		return illegal("unknown space type, must be one of: 'normal', 'data-temporary', 'temporary'.")
	}
	switch {
	case opts.has("type") && opts.has("temporary"):
		return illegal("only one of 'type' or 'temporary' may be specified")
	case opts.has("constraint"):
		return unsupported("constraints of a space")
	case opts.has("foreign_key"):
		return unsupported("foreign keys")
	}
	return nil
}

// createSpace inserts the row of _space.
func (t *txn) createSpace(name string, opts options) (id uint64, err error) {
	var ok bool
	if opts.has("id") {
		if id, ok = opts["id"].integer(); !ok {
			return 0, illegal("options parameter 'id' should be a positive integer")
		}
	} else if id, err = t.nextSpaceID(opts.str("type") == "temporary"); err != nil {
		return 0, err
	}
	owner := uint64(t.user.User())
	if opts.has("user") {
		if owner, err = t.userOrRole(opts["user"]); err != nil {
			return 0, err
		}
	}
	format, err := t.normalizeFormat(opts["format"])
	if err != nil {
		return 0, err
	}
	engine := opts.str("engine")
	if engine == "" {
		engine = "memtx"
	}
	count := value{0}
	if opts.has("field_count") {
		count = opts["field_count"].shortest()
	}
	return id, t.insert(xrow.SpaceSpace, mp.Tuple(id, owner, name, engine, count, flagsOf(opts), formatOf(format)))
}

// nextSpaceID: temporary spaces have a range of their own, and an older schema
// counts the others.
func (t *txn) nextSpaceID(temporary bool) (uint64, error) {
	if !temporary {
		next := uint64(t.schema().NextSpaceID())
		if _, kept := t.schema().LastSpaceID(); kept {
			return next, t.as(box.UserAdmin).update(xrow.SpaceSchema, keyStr("max_id"), assign(2, next))
		}
		return next, nil
	}
	q := box.Query{Space: xrow.SpaceSpace, Iterator: box.LE, Key: keyOf(xrow.LastSpace), Limit: 1}
	raw, n, err := t.tx.Query(box.UserAdmin, &q, nil)
	if err != nil {
		return 0, err
	}
	rows, err := tuples(raw, n)
	if err != nil || n == 0 || rows[0].uint(0) < xrow.FirstTempSpace {
		return xrow.FirstTempSpace, err
	}
	return rows[0].uint(0) + 1, nil
}

// flagsOf is the map of flags: what was said, in a fixed order.
func flagsOf(opts options) (out mp.Pairs) {
	if opts.isTrue("is_local") {
		out.Put("group_id", 1)
	}
	for _, name := range [...]string{"temporary", "type", "is_sync"} {
		if opts.has(name) {
			out.Put(name, opts[name])
		}
	}
	if opts.isTrue("defer_deletes") {
		out.Put("defer_deletes", true)
	}
	return out
}

// userOrRole resolves a name or an ID.
func (t *txn) userOrRole(v value) (uint64, error) {
	u, ok := t.account(v)
	if !ok {
		return 0, noSuchUser(v)
	}
	return uint64(u.ID), nil
}

// dropSpace is space:drop().
func dropSpace(c *call) error {
	space := c.space
	return c.write(true, func(t *txn) (values, error) { return nil, t.dropSpace(uint64(space.id), space.name) })
}

// dropSpaceByID is box.schema.space.drop(id, name, options).
func dropSpaceByID(c *call) error {
	id, ok := c.arg(0).integer()
	if !ok {
		return illegal("space_id should be a number")
	}
	opts, err := readOptions(c.arg(2), template{"if_exists": "boolean"})
	if err != nil {
		return err
	}
	name, ok := c.arg(1).str()
	if !ok {
		name = "#" + numText(id)
	}
	return c.write(true, func(t *txn) (values, error) {
		err := t.dropSpace(id, name)
		if opts.isTrue("if_exists") && isCode(err, xrow.ErrNoSuchSpace) {
			err = nil
		}
		return nil, err
	})
}

// dropSpace deletes all that hangs on a space, in Tarantool's order, and
// the row of _space at last.
func (t *txn) dropSpace(id uint64, name string) error {
	if err := t.dropSpaceSequence(id); err != nil {
		return err
	}
	if err := t.dropRows(xrow.SpaceTrigger, 1, keyOf(id), func(r tuple) []byte { return keyStr(r.str(0)) }); err != nil {
		return err
	}
	if err := t.dropRows(xrow.SpaceFuncIndex, 0, keyOf(id), func(r tuple) []byte { return keyOf(id, r.uint(1)) }); err != nil {
		return err
	}
	indexes, err := t.list(xrow.SpaceIndex, 0, keyOf(id), maxRows)
	if err != nil {
		return err
	}
	for i := len(indexes) - 1; i >= 0; i-- {
		if err := t.delete(xrow.SpaceIndex, keyOf(id, indexes[i].uint(1))); err != nil {
			return err
		}
	}
	if err := t.revokeAll("space", id); err != nil {
		return err
	}
	if err := t.dropRows(xrow.SpaceTruncate, 0, keyOf(id), func(tuple) []byte { return keyOf(id) }); err != nil {
		return err
	}
	row, err := t.get(xrow.SpaceSpace, 0, keyOf(id))
	if err != nil {
		return err
	}
	if row == nil {
		return xrow.Errorf(xrow.ErrNoSuchSpace, clip(name))
	}
	return t.delete(xrow.SpaceSpace, keyOf(id))
}

// maxRows is a limit of SELECT that limits nothing.
const maxRows = 1<<32 - 1

// dropRows deletes the rows that an index has under a key.
func (t *txn) dropRows(space, index uint32, key []byte, primary func(tuple) []byte) error {
	rows, err := t.list(space, index, key, maxRows)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := t.delete(space, primary(r)); err != nil {
			return err
		}
	}
	return nil
}

// dropSpaceSequence takes the sequence off a space, and drops it if it was made
// for the space.
func (t *txn) dropSpaceSequence(space uint64) error {
	row, err := t.get(xrow.SpaceSpaceSequence, 0, keyOf(space))
	if err != nil || row == nil {
		return err
	}
	if err := t.delete(xrow.SpaceSpaceSequence, keyOf(space)); err != nil {
		return err
	}
	if generated, _ := row.field(2).boolean(); !generated {
		return nil
	}
	return t.dropSequence(row.uint(1))
}

func (t *txn) dropSequence(id uint64) error {
	if err := t.revokeAll("sequence", id); err != nil {
		return err
	}
	if err := t.delete(xrow.SpaceSequenceData, keyOf(id)); err != nil {
		return err
	}
	return t.delete(xrow.SpaceSequence, keyOf(id))
}

// renameSpace is space:rename(name).
func renameSpace(c *call) error {
	name, err := needString(c.arg(0), "space_name")
	if err != nil {
		return err
	}
	id := uint64(c.space.id)
	return c.write(true, func(t *txn) (values, error) {
		return nil, t.update(xrow.SpaceSpace, keyOf(id), assign(3, name))
	})
}

// assign is the operations of an update that sets a field, counted from 1, and
// those behind it.
func assign(field int, values ...any) []byte {
	ops := make([]any, len(values))
	for i, v := range values {
		ops[i] = []any{"=", field + i, v}
	}
	return mp.Encode(ops)
}

// spaceFormat is space:format() and space:format(format).
func spaceFormat(c *call) error {
	id := uint64(c.space.id)
	given := c.arg(0)
	if c.space.id > xrow.LastSpace && !given.isNil() {
		return xrow.Errorf(xrow.ErrViewIsRO, c.space.name)
	}
	if given.isNil() {
		if err := c.seesSpace(); err != nil {
			return err
		}
		if c.space.id > xrow.LastSpace {
			c.reply(one(c.computedFormat()))
			return nil
		}
		rows, err := c.rows(&box.Query{Space: xrow.ViewSpace, Key: keyOf(id), Limit: 1})
		if err == nil && len(rows) == 0 { // dropped meanwhile
			err = xrow.Errorf(xrow.ErrNoSuchSpace, c.space.name)
		}
		if err != nil {
			return err
		}
		c.reply(one(rows[0].field(6)))
		return nil
	}
	if !given.isTable() {
		return illegal("format should be a table")
	}
	return c.write(true, func(t *txn) (values, error) {
		format, err := t.normalizeFormat(given)
		if err != nil {
			return nil, err
		}
		return nil, t.update(xrow.SpaceSpace, keyOf(id), assign(7, formatOf(format)))
	})
}

// computedFormat is the format of a space that no row defines.
func (c *call) computedFormat() []byte {
	type field struct {
		Name     string `msgpack:"name"`
		Type     string `msgpack:"type"`
		Nullable bool   `msgpack:"is_nullable"`
	}
	info, _ := c.spaceInfo()
	format := make([]field, len(info.Fields))
	for i, f := range info.Fields {
		format[i] = field(f)
	}
	return mp.Encode(format)
}

// truncateSpace is space:truncate(): the row of _truncate empties the space.
func truncateSpace(c *call) error {
	id := uint64(c.space.id)
	return c.write(true, func(t *txn) (values, error) {
		ops := mp.Tuple([]any{"+", 1, 1})
		_, err := t.tx.Execute(t.user, &xrow.DML{Type: xrow.Upsert, SpaceID: xrow.SpaceTruncate, Tuple: keyOf(id, 1), Ops: ops})
		return nil, err
	})
}

// flagged tells whether a map of flags has a flag that is true.
func flagged(flags value, name string) bool {
	keys, err := flags.pairs()
	if err != nil {
		return false
	}
	b, _ := pick(keys, name, 0).boolean()
	return b
}

func isTemporaryType(typ string) bool { return strings.HasSuffix(typ, "temporary") }
