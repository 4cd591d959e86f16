package xrow

import (
	"encoding/binary"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// ForwardCall is the function by which an instance asks the leader for what one of its
// clients has asked of it.
//
//	arguments  [term, user, type, body]: of the leader; the user's name; a request
//	DATA       [data, origin, lsn]: DATA of the request's answer, or nil; its transaction,
//	           or the newest one that the leader held. lsn 0: it stands on none
const ForwardCall = "tarragon.forward"

// ActAsCall is the function by which a router makes a session that of one of its clients'
// users: its argument is the name.
const ActAsCall = "tarragon.act_as"

// AppendForward appends the body of that CALL. body is that of the request.
func AppendForward(dst []byte, term uint64, user string, t Type, body func(dst []byte) []byte) []byte {
	dst = append(dst, 0x82, byte(KeyFunctionName))
	dst = msgp.AppendString(dst, ForwardCall)
	dst = append(dst, byte(KeyTuple), 0x94)
	dst = msgp.AppendUint64(dst, term)
	dst = msgp.AppendString(dst, user)
	dst = msgp.AppendUint64(dst, uint64(t))
	return body(dst)
}

// ForwardedData is the DATA of its answer. data nil: there is none.
func ForwardedData(data []byte, origin uint32, lsn uint64) []byte {
	if data == nil {
		data = []byte{0xc0}
	}
	b := make([]byte, 0, len(data)+20)
	b = append(binary.BigEndian.AppendUint32(append(b, 0xdd), 3), data...)
	return msgp.AppendUint64(msgp.AppendUint32(b, origin), lsn)
}

// DecodeForwarded reads the body of its answer. data points into it; nil: there is none.
func DecodeForwarded(body []byte) (data []byte, origin uint32, lsn uint64, err error) {
	bad := badMsgpack("answer of "+ForwardCall, nil)
	f := openFields(body)
	for f.next() {
		if f.key != KeyData {
			continue
		}
		n, size, ok := mp.ReadArrayHeader(f.val)
		if !ok || n != 3 {
			return nil, 0, 0, bad
		}
		rest := f.val[size:]
		if size, err = mp.Scan(rest); err != nil {
			return nil, 0, 0, bad
		}
		data, rest = rest[:size], rest[size:]
		from, size, okOrigin := mp.ReadUint(rest)
		if !okOrigin || from > vclock.MaxID {
			return nil, 0, 0, bad
		}
		upTo, _, okLSN := mp.ReadUint(rest[size:])
		if !okLSN {
			return nil, 0, 0, bad
		}
		if data[0] == 0xc0 {
			data = nil
		}
		return data, uint32(from), upTo, nil
	}
	return nil, 0, 0, bad
}

// AppendCall appends the body of a CALL. args is a raw array.
func AppendCall(dst []byte, name string, args []byte) []byte {
	dst = append(dst, 0x82, byte(KeyFunctionName))
	dst = msgp.AppendString(dst, name)
	return append(append(dst, byte(KeyTuple)), args...)
}

// DecodeCall reads the body of a CALL that Scan went over. args point into it; they are
// an empty array where there are none.
func DecodeCall(body []byte) (name string, args []byte, err error) {
	args = []byte{0x90}
	f := openFields(body)
	for f.next() {
		if !f.key.Accepts(f.val[0]) {
			return "", nil, badMsgpack("packet body", nil)
		}
		switch f.key {
		case KeyFunctionName:
			s, _, _ := mp.ReadString(f.val)
			name = string(s)
		case KeyTuple:
			args = f.val
		}
	}
	switch {
	case f.bad:
		return "", nil, badMsgpack("packet body", nil)
	case name == "":
		return "", nil, missing("FUNCTION_NAME")
	}
	return name, args, nil
}
