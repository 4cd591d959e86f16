package xrow

import (
	"bytes"
	"testing"
)

// What one instance asks another, and what it answers, come back as they went; a body
// that is cut anywhere is an error.
func TestForward(t *testing.T) {
	name, args, err := DecodeCall(AppendCall(nil, "box.space.x:insert", []byte{0x91, 5}))
	if err != nil || name != "box.space.x:insert" || !bytes.Equal(args, []byte{0x91, 5}) {
		t.Errorf("%q %x, %v", name, args, err)
	}
	body := AppendForward(nil, 7, "bob", Insert, func(b []byte) []byte { return append(b, 0x80) })
	name, args, err = DecodeCall(body)
	want := append([]byte{0x94, 7, 0xa3}, "bob"...)
	if want = append(want, byte(Insert), 0x80); err != nil || name != ForwardCall || !bytes.Equal(args, want) {
		t.Errorf("%q %x, want %x, %v", name, args, want, err)
	}
	for _, data := range [][]byte{nil, {0x90}, {0xdd, 0, 0, 0, 1, 0x91, 5}} {
		answer := append([]byte{0x81, byte(KeyData)}, ForwardedData(data, 3, 1<<40)...)
		got, origin, lsn, err := DecodeForwarded(answer)
		if err != nil || !bytes.Equal(got, data) || (got == nil) != (data == nil) || origin != 3 || lsn != 1<<40 {
			t.Errorf("%x: %x %d:%d, %v", data, got, origin, lsn, err)
		}
		for cut := range answer {
			if _, _, _, err := DecodeForwarded(answer[:cut]); err == nil {
				t.Errorf("%x, cut at %d, is none", answer, cut)
			}
		}
	}
	for _, bad := range [][]byte{{0x80}, {0x81, byte(KeyData), 0x90}, {0x81, byte(KeyData), 0x93, 0xc0, 32, 1}, {0x81, byte(KeyData), 0x93, 0xc0, 1, 0xc0}, {0xc0}} {
		if _, _, _, err := DecodeForwarded(bad); err == nil {
			t.Errorf("%x is taken", bad)
		}
	}
}
