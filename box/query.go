package box

// Iterator types of SELECT.
const (
	EQ  uint32 = 0
	REQ uint32 = 1
	ALL uint32 = 2
	LT  uint32 = 3
	LE  uint32 = 4
	GE  uint32 = 5
	GT  uint32 = 6
	NP  uint32 = 12
	PP  uint32 = 13
)

// Query is a SELECT. The slices passed xrow.Scan where they are MessagePack.
type Query struct {
	Space, Index         uint32
	SpaceName, IndexName string // win over the IDs when not empty
	Iterator             uint32
	Key                  []byte // raw array
	Offset, Limit        uint32
	FetchPosition        bool   // fill in Position
	AfterPosition        []byte // base64 as received; empty: from the start
	AfterTuple           []byte // raw array; nil: absent

	// MaxRows bounds how many tuples one call looks at; 0: no bound. When More
	// is set on return the caller lets go of its latch and calls again with the
	// same Query, which has gone on to Offset, Limit and resume by itself.
	MaxRows int
	More    bool
	// Position of the last row that was returned, base64; nil: no row.
	Position []byte

	resume []byte // comparison key of the last tuple that was looked at
}

// Select appends the tuples back to back (no array header) to out, and tells
// their number. It sees confirmed and shown versions. Safe for readers.
func (b *Box) Select(user uint32, q *Query, out []byte) (res []byte, n int, err error) {
	return out, 0, nil
}
