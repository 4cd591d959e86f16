package instance

import (
	"fmt"

	"tarragon.dev/tarragon/xrow"
)

// rowError says which row of a peer could not be applied: the operator finds
// it in the log of its author. space 0: the transaction as a whole.
func (c *Core) rowError(r *xrow.Row, space uint32, err error) *xrow.Error {
	e := *clientError(err)
	where := ""
	if s, ok := c.box.Space(space); ok {
		where = fmt.Sprintf(" in space '%s'", s.Name)
	} else if space != 0 {
		where = fmt.Sprintf(" in space %d", space)
	}
	e.Message = fmt.Sprintf("%v%s, LSN %d of instance %d: %s", r.Type, where, r.LSN, r.ReplicaID, e.Message)
	e.Err = err
	return &e
}
