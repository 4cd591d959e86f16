package proc

import (
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// dml hands a statement over as if it had come as a request of its own: the
// core answers with the tuple.
func (c *call) dml(d xrow.DML) error {
	d.SpaceID, d.IndexID = c.space.id, c.index.id
	if c.Txn != nil {
		r := instance.StreamRequest{ID: c.Txn.ID, Conn: c.Conn, Sync: c.Sync, Op: instance.StreamWrite, User: c.User, DML: d, Within: true}
		return c.hand(instance.Streams{Requests: []instance.StreamRequest{r}})
	}
	return c.submit(instance.Write{Requests: []instance.Request{{Conn: c.Conn, Sync: c.Sync, User: c.User, DML: d, Number: c.Number}}})
}

// needArray is a tuple or a list of operations.
func needArray(v value) error {
	if v.kind() != kindArray {
		return xrow.Errorf(xrow.ErrTupleNotArray)
	}
	return nil
}

// keyArg is a key in any spelling: nil, one value, or an array.
func keyArg(v value) []byte {
	switch v.kind() {
	case kindNil:
		return noParts
	case kindArray:
		return v
	}
	return append([]byte{0x91}, v...)
}

func insert(c *call) error {
	if err := needArray(c.arg(0)); err != nil {
		return err
	}
	return c.dml(xrow.DML{Type: xrow.Insert, Tuple: c.arg(0)})
}

func replace(c *call) error {
	if err := needArray(c.arg(0)); err != nil {
		return err
	}
	return c.dml(xrow.DML{Type: xrow.Replace, Tuple: c.arg(0)})
}

// update is :update(key, operations); fields count from 1, as in Lua.
func update(c *call) error {
	if err := needArray(c.arg(1)); err != nil {
		return err
	}
	return c.dml(xrow.DML{Type: xrow.Update, Key: keyArg(c.arg(0)), Tuple: c.arg(1), IndexBase: 1})
}

func del(c *call) error { return c.dml(xrow.DML{Type: xrow.Delete, Key: keyArg(c.arg(0))}) }

// upsert is :upsert(tuple, operations).
func upsert(c *call) error {
	for i := range 2 {
		if err := needArray(c.arg(i)); err != nil {
			return err
		}
	}
	if !c.arg(2).isNil() {
		return illegal("Error: extra argument in upsert call. Usage :upsert(tuple, operations)")
	}
	return c.dml(xrow.DML{Type: xrow.Upsert, Tuple: c.arg(0), Ops: c.arg(1), IndexBase: 1})
}

// autoIncrement is space:auto_increment(tuple): the tuple goes in behind the
// greatest key plus one.
func autoIncrement(c *call) error {
	rest := c.arg(0)
	if err := needArray(rest); err != nil {
		return err
	}
	n, at, _ := mp.ReadArrayHeader(rest)
	space := c.space
	return c.write(space.id < xrow.FirstUserSpace, func(t *txn) (values, error) {
		top, err := t.last(space.id)
		if err != nil {
			return nil, err
		}
		row := msgp.AppendArrayHeader(nil, uint32(n+1))
		row = append(msgp.AppendUint64(row, top.uint(0)+1), rest[at:]...)
		out, err := t.tx.Execute(t.user, &xrow.DML{Type: xrow.Insert, SpaceID: space.id, Tuple: row})
		return one(append([]byte(nil), out...)), err
	})
}
