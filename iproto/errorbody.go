package iproto

import (
	"tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

func appendErrorBody(dst []byte, e *xrow.Error) []byte {
	dst = append(dst, 0x82, byte(xrow.KeyError24))
	dst = msgp.AppendString(dst, e.Message)
	dst = append(dst, byte(xrow.KeyError), 0x81, 0x00, 0x91)
	at := len(dst)
	dst = append(dst, 0x86, 0)
	dst = msgp.AppendString(dst, e.Class())
	dst = append(dst, 2, 0x00, 1, 0xa0, 3)
	dst = msgp.AppendString(dst, e.Message)
	dst = append(dst, 4, 0x00, 5)
	dst = msgp.AppendUint32(dst, uint32(e.Code))
	if e.Fields != nil {
		dst[at]++
		dst = append(append(dst, 6), e.Fields...)
	}
	return dst
}

func decodeErrorBody(body []byte) *xrow.Error {
	_, n, _ := xrow.ReadMapHeader(body)
	s, _, _ := xrow.ReadString(body[n+1:])
	return &xrow.Error{Message: string(s)}
}
