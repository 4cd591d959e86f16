package xlog

import (
	"bytes"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2"
)

// How terms began stands in a named value beside the checkpoints and not in them, whose end
// records earlier versions read to the last byte. It is written in front of a checkpoint of
// which it tells more than the value that is there: what the log says of a term may go only
// when the value has it. A value that knows of later terms than a checkpoint does no harm, for
// what is told of a term stays as it is.

// movesName is the named value: a byte for the version, and what [xrow.AppendMoves] writes.
const (
	movesName    = "moves"
	movesVersion = 1
)

// keepMoves writes the value, unless it says that already. metaMu is held.
func (sl *Slot) keepMoves(history []terms.Span) error {
	value := xrow.AppendMoves([]byte{movesVersion}, history, 0)
	if len(value) == 2 {
		return nil // nothing is known
	}
	if was, ok, err := sl.Meta(movesName); err != nil || ok && bytes.Equal(was, value) {
		return err
	}
	key := metaKey(sl.number, movesName)
	return sl.s.ingestOne(key, value, pebble.KeyRange{Start: key, End: successor(key)})
}

// addMoves puts what the value says into the terms of a checkpoint. What a later version wrote
// in another way is not known here.
func (sl *Slot) addMoves(history []terms.Span) error {
	value, ok, err := sl.Meta(movesName)
	if err != nil || !ok || len(value) == 0 || value[0] != movesVersion {
		return err
	}
	if !xrow.ReadMoves(value[1:], history) {
		sl.s.log(Warn, nil, "the value %s cannot be read: how earlier terms began is not known here", movesName)
	}
	return nil
}
