package xrow

import (
	"bytes"

	"tarragon.dev/tarragon/internal/mp"

	"github.com/tinylib/msgp/msgp"
)

// Keys of one element of an error's stack (Tarantool: src/box/mp_error.cc).
const (
	errType    = 0
	errFile    = 1
	errLine    = 2
	errMessage = 3
	errErrno   = 4
	errCode    = 5
	errFields  = 6
)

// Row is the reply that carries e. Its header has the layout of rows, as in a
// replication stream; a client's reply is written by [AppendErrorReply].
func (e *Error) Row(sync, schemaVersion uint64) Row {
	return Row{Type: e.Reply(), Sync: sync, SchemaVersion: schemaVersion, Body: AppendErrorBody(nil, e)}
}

// Reply is the reply code of e: ErrorFlag and the error's code.
func (e *Error) Reply() Type { return ErrorFlag | Type(e.Code) }

// AppendErrorBody encodes {ERROR_24: message, ERROR: {0: [element]}}. The
// element has no file and line; errors of class ClientError without fields of
// their own get {name: SYMBOL}, as in Tarantool since 3.1.
func AppendErrorBody(dst []byte, e *Error) []byte {
	class := e.Class()
	dst = append(dst, 0x82, byte(KeyError24))
	dst = msgp.AppendString(dst, e.Message)
	dst = append(dst, byte(KeyError), 0x81, 0x00, 0x91)
	at := len(dst)
	dst = append(dst, 0x86, errType)
	dst = msgp.AppendString(dst, class)
	dst = append(dst, errLine, 0x00, errFile, 0xa0, errMessage)
	dst = msgp.AppendString(dst, e.Message)
	dst = append(dst, errErrno, 0x00, errCode)
	dst = msgp.AppendUint32(dst, uint32(e.Code))
	if e.Fields != nil {
		dst[at]++
		return append(append(dst, errFields), e.Fields...)
	}
	if known, ok := errCodes[e.Code]; ok && class == "ClientError" {
		dst[at]++
		dst = append(dst, errFields, 0x81)
		dst = msgp.AppendString(dst, "name")
		dst = msgp.AppendString(dst, known.symbol)
	}
	return dst
}

// AsError is the error that the row carries; nil: the row is no error. What
// the body does not tell is taken from the header.
func (r *Row) AsError() *Error {
	if r.Type&ErrorFlag == 0 {
		return nil
	}
	e := DecodeErrorBody(r.Body)
	if e.Code == ErrUnknown {
		e.Code = Code(r.Type &^ ErrorFlag)
	}
	return e
}

// DecodeErrorBody reads what it can of a scanned body: the newest element of
// the stack, its causes as Err, or the bare text of ERROR_24, which is a
// ClientError with code 0 then. It always returns an error, as there is no
// better answer to a damaged one. Nothing points into body.
func DecodeErrorBody(body []byte) *Error {
	e := &Error{Type: "ClientError"}
	f := openFields(body)
	for f.next() {
		switch f.key {
		case KeyError24:
			if s, _, ok := mp.ReadString(f.val); ok && e.Message == "" {
				e.Message = string(s)
			}
		case KeyError:
			if stack := decodeStack(f.val); stack != nil {
				return stack
			}
		}
	}
	return e
}

// decodeStack reads {0: [element, ...]}; nil: there is no usable element.
func decodeStack(b []byte) *Error {
	f := openFields(b)
	for f.next() {
		if f.key != 0 {
			continue
		}
		elems, n, ok := mp.ReadArrayHeader(f.val)
		if !ok {
			return nil
		}
		return decodeElements(f.val[n:], elems)
	}
	return nil
}

// decodeElements links the elements of a stack, the newest first.
func decodeElements(b []byte, elems int) (first *Error) {
	var last *Error
	for range elems {
		n, err := mp.Scan(b)
		if err != nil {
			return first
		}
		e, ok := decodeElement(b[:n])
		if !ok {
			return first
		}
		if last == nil {
			first = e
		} else {
			last.Err = e
		}
		last, b = e, b[n:]
	}
	return first
}

// decodeElement reads one error. Type, file and message are mandatory, as in
// Tarantool; the file is not kept.
func decodeElement(b []byte) (*Error, bool) {
	e := &Error{}
	var hasType, hasFile, hasMessage bool
	f := openFields(b)
	for f.next() {
		switch f.key {
		case errType, errFile, errMessage:
			s, _, ok := mp.ReadString(f.val)
			if !ok {
				return nil, false
			}
			switch f.key {
			case errType:
				e.Type, hasType = string(s), true
			case errFile:
				hasFile = true
			case errMessage:
				e.Message, hasMessage = string(s), true
			}
		case errCode:
			v, ok := u32(f.val)
			if !ok {
				return nil, false
			}
			e.Code = Code(v)
		case errFields:
			if mp.KindOf(f.val[0]) != mp.Map {
				return nil, false
			}
			e.Fields = bytes.Clone(f.val)
		}
	}
	return e, !f.bad && hasType && hasFile && hasMessage
}
