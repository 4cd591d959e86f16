package sim

import (
	"fmt"
	"regexp"
	"strconv"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// locks is how many keys the space of locks has.
const locks = 3

func (k opKind) isConditional() bool { return k >= opLock && k <= opSwap }

func (k opKind) writesRegister() bool { return k >= opRegister && k <= opPair }

// condition is the transaction of a conditional write.
func (l *load) condition(o *op, r *instance.Request) {
	o.key = 1 + o.key%locks
	switch o.kind {
	case opLock:
		r.DML = insert(spaceLocks, o.key, o.id)
	case opUnlock:
		r.Do = unlock(o.key, o.id)
	case opSwap:
		o.expect = l.lastSeen[o.key]
		r.Do = swap(o.key, o.expect, o.id)
	}
}

// unlock deletes a lock and notes in the journal who did it: the row of a DELETE
// names nobody. The answer is what was there.
func unlock(key uint64, id opID) func(*box.Txn) ([]byte, error) {
	return func(tx *box.Txn) ([]byte, error) {
		d := xrow.DML{Type: xrow.Delete, SpaceID: spaceLocks, Key: msgp.AppendUint64([]byte{0x91}, key)}
		old, err := tx.Execute(admin, &d)
		if err != nil || old == nil {
			return saw(0), err
		}
		_, was, err := readTuple(old)
		if err != nil {
			return nil, err
		}
		note := insert(spaceJournal, uint64(id), id)
		_, err = tx.Execute(admin, &note)
		return saw(was), err
	}
}

// swap replaces a lock if it is the one expected. The answer is what was there.
func swap(key uint64, expect, id opID) func(*box.Txn) ([]byte, error) {
	return func(tx *box.Txn) ([]byte, error) {
		q := box.Query{Space: spaceLocks, Iterator: box.EQ, Key: msgp.AppendUint64([]byte{0x91}, key), Limit: 1}
		tuples, n, err := tx.Query(admin, &q, nil)
		if err != nil {
			return nil, err
		}
		was := opID(0)
		if n > 0 {
			if _, was, err = readTuple(tuples); err != nil {
				return nil, err
			}
		}
		if was == expect {
			d := replace(spaceLocks, key, id)
			_, err = tx.Execute(admin, &d)
		}
		return saw(was), err
	}
}

func saw(id opID) []byte { return msgp.AppendUint64(nil, uint64(id)) }

// found reads from an answer what a conditional write found.
func (l *load) found(o *op, data []byte, err *xrow.Error) {
	if !o.kind.isConditional() {
		return
	}
	switch {
	case err != nil && err.Code == xrow.ErrTupleFound:
		o.saw = foundTuple(err.Message)
		if o.saw == 0 {
			l.w.fail("answers", "op %d is told of a duplicate without the tuple: %s", o.id, err.Message)
		}
	case err != nil:
		return
	case o.kind == opLock:
		l.lastSeen[o.key] = o.id
		return
	default:
		was, _, err := msgp.ReadUint64Bytes(data)
		if err != nil {
			l.w.fail("answers", "op %d gets an answer that nobody gave: %v", o.id, err)
		}
		o.saw = opID(was)
		o.empty = o.kind == opUnlock && was == 0 || o.kind == opSwap && o.saw != o.expect
	}
	l.lastSeen[o.key] = o.saw
	if o.kind == opSwap && !o.empty {
		l.lastSeen[o.key] = o.id
	} else if o.kind == opUnlock {
		l.lastSeen[o.key] = 0
	}
}

var oldTuple = regexp.MustCompile(`with old tuple - \[\d+, (\d+)\]`)

// foundTuple is the op that a duplicate key error shows.
func foundTuple(text string) opID {
	m := oldTuple.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	id, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		panic(fmt.Sprintf("%q: %v", text, err)) // digits
	}
	return opID(id)
}

// deleter reads who wrote the row behind a DELETE of a lock.
func (c *checks) deleter(g *xrow.Group, i int) (opID, error) {
	if i >= len(g.Table) {
		return 0, fmt.Errorf("a lock is deleted without a note")
	}
	note, _, err := c.readRow(g, i)
	if err == nil && note.space != spaceJournal {
		err = fmt.Errorf("a lock is deleted without a note")
	}
	if err != nil {
		return 0, err
	}
	return note.op, nil
}
