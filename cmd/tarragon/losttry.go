package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
	"github.com/vmihailenco/msgpack/v5"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// verdict is what came of a voided transaction when it was tried at the leader.
type verdict struct {
	words    [][]string // by row
	conflict bool
	changes  bool // something is to be written
}

func (v *verdict) say(row int, format string, args ...any) {
	v.words[row] = append(v.words[row], fmt.Sprintf(format, args...))
}

func (v *verdict) conflicts(row int, format string, args ...any) {
	v.conflict = true
	v.say(row, "CONFLICT: "+format, args...)
}

// attempt does the rows of a transaction within one of the leader, and commits that if it is
// to and nothing conflicts.
func (r *replaying) attempt(ctx context.Context, l *lostTxn, commit bool) (v *verdict, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	conn := r.target.dialControl(ctx, r.timeout)
	if conn == nil {
		if conn, err = r.target.dial(ctx, r.timeout, r.target.login, r.target.password); err != nil {
			return nil, answered(err)
		}
	}
	defer conn.Close()
	stream, err := conn.NewStream()
	if err != nil {
		return nil, err
	}
	t := trial{ctx: ctx, conn: conn, stream: stream, overwrite: r.overwrite, verdict: verdict{words: make([][]string, len(l.Rows))}}
	if _, err := t.do(iproto.IPROTO_BEGIN, emptyMap); err != nil {
		return nil, err
	}
	for i := range l.Rows {
		if err := t.row(i, &l.Rows[i]); err != nil {
			return nil, err
		}
	}
	if commit && !t.conflict && t.changes {
		_, err = t.do(iproto.IPROTO_COMMIT, emptyMap)
		return &t.verdict, err
	}
	_, err = t.do(iproto.IPROTO_ROLLBACK, emptyMap)
	return &t.verdict, err
}

var emptyMap = []byte{0x80}

// trial is one transaction at the leader.
type trial struct {
	verdict
	ctx       context.Context
	conn      *tarantool.Connection
	stream    *tarantool.Stream
	overwrite bool
}

// do sends a request whose body is given; the answer is raw tuples.
func (t *trial) do(typ iproto.Type, body []byte) (tuples []msgpack.RawMessage, err error) {
	err = t.stream.Do(scanned{&rawRequest{typ, body, t.ctx}}).GetTyped(&tuples)
	return tuples, answered(err)
}

// rawRequest is a request whose body is given.
type rawRequest struct {
	typ  iproto.Type
	body msgpack.RawMessage
	ctx  context.Context
}

func (r *rawRequest) Type() iproto.Type    { return r.typ }
func (r *rawRequest) Async() bool          { return false }
func (r *rawRequest) Ctx() context.Context { return r.ctx }
func (r *rawRequest) Body(_ tarantool.SchemaResolver, enc *msgpack.Encoder) error {
	return enc.Encode(r.body)
}
func (r *rawRequest) Response(h tarantool.Header, body io.Reader) (tarantool.Response, error) {
	return tarantool.DecodeBaseResponse(h, body)
}

// row tries one row.
func (t *trial) row(i int, r *lostRow) error {
	d := &r.dml
	switch {
	case d.Type == 0:
		return nil // a NOP
	case d.SpaceID < xrow.FirstUserSpace:
		t.conflicts(i, "it changes the schema, users or members: do that by hand")
		return nil
	case d.Type == xrow.Insert || d.Type == xrow.Replace:
		return t.put(i, r)
	}
	key := d.Key
	if d.Type == xrow.Upsert {
		var err error
		if key, err = t.keyOf(d.SpaceID, d.Tuple); err != nil {
			return t.refused(i, err)
		}
	}
	now, err := t.find(d.SpaceID, d.IndexID, key)
	if err != nil {
		return t.refused(i, err)
	}
	switch {
	case now == nil && d.Type == xrow.Update:
		t.conflicts(i, "there is no tuple with this key to update")
		return nil
	case now == nil && d.Type == xrow.Delete:
		t.say(i, "is deleted already")
		return nil
	case now != nil:
		t.say(i, "changes what is there now: %s", tupleText(now))
	}
	if _, err := t.do(iproto.Type(d.Type), r.raw); err != nil {
		return t.refused(i, err)
	}
	t.changes = true
	return nil
}

// put inserts what was inserted or replaced, so that a key which is taken is seen.
func (t *trial) put(i int, r *lostRow) error {
	_, err := t.do(iproto.IPROTO_INSERT, r.raw)
	if said := new(answerError); !errors.As(err, &said) || said.code != xrow.ErrTupleFound {
		if err == nil {
			t.changes = true
			return nil
		}
		return t.refused(i, err)
	}
	taken := err
	key, err := t.keyOf(r.dml.SpaceID, r.dml.Tuple)
	if err != nil {
		return t.refused(i, err)
	}
	now, err := t.find(r.dml.SpaceID, 0, key)
	switch {
	case err != nil:
		return t.refused(i, err)
	case now == nil: // it is the key of another index
		t.conflicts(i, "%v", taken)
	case bytes.Equal(now, r.dml.Tuple):
		t.say(i, "is there already")
	case !t.overwrite:
		t.conflicts(i, "its key is taken with another value: %s", tupleText(now))
	default:
		if _, err := t.do(iproto.IPROTO_REPLACE, r.raw); err != nil {
			return t.refused(i, err)
		}
		t.changes = true
		t.say(i, "writes over what is there now: %s", tupleText(now))
	}
	return nil
}

// refused takes what the leader says to a row for a conflict; other errors end it all.
func (t *trial) refused(i int, err error) error {
	said := new(answerError)
	switch {
	case !errors.As(err, &said):
		return err
	case said.code == xrow.ErrReadonly, said.code == xrow.ErrAccessDenied, said.code == xrow.ErrTransactionConflict:
		return err
	case said.code == xrow.ErrNoSuchSpace:
		t.conflicts(i, "its space is gone: %v", err)
	default:
		t.conflicts(i, "%v", err)
	}
	return nil
}

// find is the tuple of a key; nil: there is none.
func (t *trial) find(space, index uint32, key []byte) (tuple []byte, err error) {
	tuples, err := t.do(iproto.IPROTO_SELECT, mp.Encode(map[xrow.Key]any{xrow.KeySpaceID: space, xrow.KeyIndexID: index, xrow.KeyLimit: 1,
		xrow.KeyOffset: 0, xrow.KeyIterator: 0, xrow.KeyKey: mp.Raw(key)}))
	if err != nil || len(tuples) == 0 {
		return nil, err
	}
	return tuples[0], nil
}

// errNoKey: the key of a tuple cannot be taken from it.
var errNoKey = &answerError{text: "the key of the tuple cannot be told: its space has no primary index, or one with a path, or the tuple is too short for it"}

// keyOf takes the primary key out of a tuple, by the definition that the index has now.
func (t *trial) keyOf(space uint32, tuple []byte) (key []byte, err error) {
	row, err := t.find(xrow.ViewIndex, 0, mp.Tuple(space, 0))
	if err != nil {
		return nil, err
	}
	var index []msgpack.RawMessage
	if row == nil || mp.Decode(row, &index) != nil || len(index) < 6 {
		return nil, errNoKey
	}
	var parts []msgpack.RawMessage
	if err := mp.Decode(index[5], &parts); err != nil {
		return nil, errNoKey
	}
	var fields, picked []msgpack.RawMessage
	if err := mp.Decode(tuple, &fields); err != nil {
		return nil, errNoKey
	}
	for _, p := range parts {
		n, ok := fieldOf(p)
		if !ok || n >= uint64(len(fields)) {
			return nil, errNoKey
		}
		picked = append(picked, fields[n])
	}
	return mp.Encode(picked), nil
}

// fieldOf is the field of a part of an index: [field, type, ...] or a map.
func fieldOf(part []byte) (n uint64, ok bool) {
	var list []msgpack.RawMessage
	if mp.Decode(part, &list) == nil && len(list) > 0 {
		n, _, ok = mp.ReadUint(list[0])
		return n, ok
	}
	var named struct {
		Field *number `msgpack:"field"`
		Path  string  `msgpack:"path"`
	}
	if mp.Decode(part, &named) != nil || named.Field == nil || named.Path != "" {
		return 0, false
	}
	return uint64(*named.Field), true
}

func tupleText(tuple []byte) string {
	return string(xrow.RenderBody(xrow.Replace, mp.Encode(map[xrow.Key]any{xrow.KeyTuple: mp.Raw(tuple)})))
}
