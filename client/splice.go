package client

import (
	"context"
	"encoding/binary"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
)

// A frame is its length, a map that is the header, and a map that is the body. go-tarantool makes the header,
// and asks a request for the rest. One with a number puts the pairs of that in front of its body, and what goes
// to the socket passes splice, which makes them part of the header: a key is no map, so they can be told apart.
//
//	0xce length(4) 0x82 type sync | 0xcc 0x83 session 0xcc 0x84 slot 0xcc 0x85 number | 0x82 body
//	               0x85

// splicer makes connections whose requests may have numbers.
type splicer struct{ tarantool.Dialer }

// Dial connects.
func (d splicer) Dial(ctx context.Context, opts tarantool.DialOpts) (tarantool.Conn, error) {
	conn, err := d.Dialer.Dial(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &spliced{conn}, nil
}

type spliced struct{ tarantool.Conn }

// Write writes whole frames: go-tarantool gives no others.
func (s *spliced) Write(b []byte) (int, error) {
	from := 0 // of what is not written yet
	for at := 0; at < len(b); {
		header, more, next := pairsBehind(b, at)
		if more > 0 {
			if _, err := s.Conn.Write(b[from:header]); err != nil {
				return from, err
			}
			if _, err := s.Conn.Write([]byte{b[header] + byte(more)}); err != nil {
				return header, err
			}
			from = header + 1
		}
		at = next
	}
	n, err := s.Conn.Write(b[from:])
	return from + n, err
}

// frameHead is the length of a frame's length.
const frameHead = 5

// pairsBehind looks at the frame that begins at a place: where its header is, how many pairs of a number are behind
// that, and where the next frame is.
func pairsBehind(b []byte, at int) (header, more, next int) {
	header = at + frameHead
	if len(b) < header || b[at] != 0xce {
		return 0, 0, len(b) // not as go-tarantool makes it
	}
	next = header + int(binary.BigEndian.Uint32(b[at+1:]))
	if next > len(b) || header == next || b[header]&0xf0 != 0x80 {
		return 0, 0, len(b)
	}
	i := header + 1
	for range 2 * int(b[header]&0x0f) {
		i = mp.Skip(b, i)
	}
	for i+2 < next && b[i] == 0xcc && xrow.IsNumberKey(uint64(b[i+1])) {
		i = mp.Skip(b, i+2)
		more++
	}
	return header, more, next
}
