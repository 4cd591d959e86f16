package instance

import (
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// TestRowsNotServed: rows of types that later versions have name the space.
func TestRowsNotServed(t *testing.T) {
	body := msgp.AppendUint32([]byte{0x82, byte(xrow.KeySpaceID)}, 512)
	body = msgp.AppendBytes(append(body, 0x36), []byte("arrow"))
	for typ, want := range map[xrow.Type]string{
		xrow.InsertArrow: "Tarragon does not support rows of type INSERT_ARROW (space 512)",
		xrow.DeleteRange: "Tarragon does not support rows of type DELETE_RANGE (space 512)",
		99:               "Unknown request type 99",
	} {
		err := new(Core).checkTxn([]xrow.Row{{Type: typ, ReplicaID: 1, LSN: 5, TSN: 5, Flags: xrow.FlagCommit, Body: body}})
		if err == nil || err.Error() != want && clientError(err).Message != want {
			t.Errorf("%v: %v", typ, err)
		}
	}
}
