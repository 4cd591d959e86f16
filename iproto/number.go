package iproto

import (
	"fmt"

	"tarragon.dev/tarragon/xrow"
)

// Numbered is what the header of a request says of an exactly-once session
// (docs/protocol/sessions.md).
type Numbered struct {
	xrow.Number
	// Fault is why the request fails, found before the node has seen it; nil: it may
	// succeed. A repeat goes to the node all the same, which keeps what it was answered.
	Fault *xrow.Error
}

// readNumber takes a key of the header that is of the number.
func (h *header) readNumber(k xrow.Key, b []byte) (size int, ok bool) {
	if h.number == nil {
		h.number = &Numbered{}
	}
	return h.number.Read(k, b)
}

// checkNumber completes the number of a request. The error is that of one which takes
// none.
func (h *header) checkNumber(body []byte) *xrow.Error {
	switch h.typ {
	case xrow.Insert, xrow.Replace, xrow.Update, xrow.Delete, xrow.Upsert, xrow.Call, xrow.Call16:
	case xrow.Commit:
		if h.stream == 0 {
			return errOutOfStream(h.typ)
		}
	default:
		return xrow.Errorf(xrow.ErrNoNumber, fmt.Sprintf("it is of type %v", h.typ))
	}
	if e := h.number.Check(); e != nil {
		return e
	}
	h.number.Digest = xrow.DigestOf(h.typ, body)
	return nil
}

// fails tells whether the failure of a request is the node's to remember: of a repeat that
// names what is not there now, and may have been when the first copy came.
func (n *Numbered) fails(e *xrow.Error) bool {
	if n == nil || !n.Repeat || e.Code != xrow.ErrNoSuchSpace && e.Code != xrow.ErrNoSuchIndexName {
		return false
	}
	n.Fault = e
	return true
}

func errSettingNumber() *xrow.Error {
	return xrow.Errorf(xrow.ErrNoNumber, "it changes a setting of the session")
}
