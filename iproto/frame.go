package iproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// MaxFrameBeforeAuth is the limit of a frame before a login; [xrow.MaxFrame] is behind it.
const MaxFrameBeforeAuth = 64 << 10

// ErrFrame is the cause when bytes cannot be cut into frames: nothing that
// follows can be understood.
var ErrFrame = errors.New("iproto: bad frame")

type frameError struct {
	details string // as the client is told, behind "Invalid MsgPack - "
	limit   int    // that the frame is beyond; 0: that is not its fault
}

func (e *frameError) Error() string {
	text := ErrFrame.Error() + ": " + e.details
	switch e.limit {
	case 0:
		return text
	case MaxFrameBeforeAuth:
		return fmt.Sprintf("%s, the limit is %d for who has not logged in by password and may not write", text, e.limit)
	}
	return fmt.Sprintf("%s, the limit is %d", text, e.limit)
}

func (e *frameError) Is(target error) bool { return target == ErrFrame }

// frameHead reads the length in front of a frame. head is the length's own
// size, 0: more bytes are needed to tell. As in Tarantool the length is
// looked at only when at least one byte follows it.
func frameHead(b []byte, limit int) (head, size int, err error) {
	if len(b) == 0 {
		return 0, 0, nil
	}
	if b[0] == 0xce && len(b) > xrow.FrameHead { // what every client sends
		n := binary.BigEndian.Uint32(b[1:])
		if uint64(n) <= uint64(limit) {
			return xrow.FrameHead, int(n), nil
		}
		return 0, 0, tooBig(uint64(n), limit)
	}
	if mp.KindOf(b[0]) != mp.Uint {
		return 0, 0, &frameError{details: "packet length"}
	}
	n, head, ok := mp.ReadUint(b)
	if !ok || len(b) == head {
		return 0, 0, nil
	}
	if n > math.MaxInt32 || n > uint64(limit) {
		return 0, 0, tooBig(n, limit)
	}
	return head, int(n), nil
}

func tooBig(n uint64, limit int) error {
	return &frameError{fmt.Sprintf("too big packet size in the header: %d", n), limit}
}
