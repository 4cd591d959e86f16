package proc

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// isInTxn is box.is_in_txn().
func isInTxn(c *call) error {
	c.reply(one(mp.Encode(c.Txn != nil)))
	return nil
}

// txn is a transaction inside a Step. Statements run with the rights of user
// unless they say otherwise; reads see everything.
type txn struct {
	tx   *box.Txn
	user box.Credentials
	now  uint64 // seconds since the epoch when the call came in
}

func (t *txn) schema() *box.Schema { return t.tx.Schema() }

// as is the same transaction with the rights of another user.
func (t *txn) as(user box.Credentials) *txn { return &txn{tx: t.tx, user: user, now: t.now} }

func (t *txn) insert(space uint32, tuple []byte) error {
	_, err := t.tx.Execute(t.user, &xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: tuple})
	return err
}

func (t *txn) replace(space uint32, tuple []byte) error {
	_, err := t.tx.Execute(t.user, &xrow.DML{Type: xrow.Replace, SpaceID: space, Tuple: tuple})
	return err
}

func (t *txn) delete(space uint32, key []byte) error {
	_, err := t.tx.Execute(t.user, &xrow.DML{Type: xrow.Delete, SpaceID: space, Key: key})
	return err
}

// update takes operations with field numbers from 1, as Tarantool's Lua.
func (t *txn) update(space uint32, key, ops []byte) error {
	_, err := t.tx.Execute(t.user, &xrow.DML{Type: xrow.Update, SpaceID: space, IndexBase: 1, Key: key, Tuple: ops})
	return err
}

// get reads one tuple; nil: there is none. The tuple is a copy.
func (t *txn) get(space, index uint32, key []byte) (tuple, error) {
	rows, err := t.list(space, index, key, 1)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// list reads the tuples with a key, in the order of the index.
func (t *txn) list(space, index uint32, key []byte, limit uint32) ([]tuple, error) {
	q := box.Query{Space: space, Index: index, Iterator: box.EQ, Key: key, Limit: limit}
	raw, n, err := t.tx.Query(box.UserAdmin, &q, nil)
	if err != nil {
		return nil, err
	}
	return tuples(raw, n)
}

// tuple is the fields of a tuple.
type tuple []value

func tuples(raw []byte, n int) ([]tuple, error) {
	rows, err := split(raw, n)
	if err != nil {
		return nil, err
	}
	out := make([]tuple, n)
	for i, row := range rows {
		if out[i], err = row.array(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t tuple) field(n int) value {
	if n < len(t) {
		return t[n]
	}
	return nil
}

func (t tuple) uint(n int) uint64 {
	u, _ := t.field(n).integer()
	return u
}

func (t tuple) str(n int) string {
	s, _ := t.field(n).str()
	return s
}

// keyOf is a key of unsigned parts.
func keyOf(parts ...uint64) []byte { return mp.Encode(parts) }

// keyStr is a key of one string.
func keyStr(s string) []byte { return mp.Tuple(s) }

// noParts is the key that all tuples have; also an array without elements
// where a row has one.
var noParts = []byte{0x90}
