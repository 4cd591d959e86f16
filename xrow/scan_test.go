package xrow

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"
)

// slowScan is what Scan must do, in the words of the MessagePack
// specification: a recursion over one value. It returns the bytes behind the
// value; ok is false when it is cut, has the reserved byte or is too deep.
func slowScan(b []byte, depth int) (rest []byte, ok bool) {
	take := func(n uint64) ([]byte, bool) {
		if uint64(len(b)) < n {
			return nil, false
		}
		return b[n:], true
	}
	// size reads a big endian number.
	size := func(width int) (n uint64, ok bool) {
		if len(b) < width {
			return 0, false
		}
		for _, c := range b[:width] {
			n = n<<8 | uint64(c)
		}
		b = b[width:]
		return n, true
	}
	values := func(n uint64) ([]byte, bool) {
		if n > 0 && depth == 0 {
			return nil, false
		}
		for range n {
			if b, ok = slowScan(b, depth-1); !ok {
				return nil, false
			}
		}
		return b, true
	}
	if len(b) == 0 {
		return nil, false
	}
	c := b[0]
	b = b[1:]
	width := map[byte]int{0xc4: 1, 0xc5: 2, 0xc6: 4, 0xc7: 1, 0xc8: 2, 0xc9: 4, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4}
	fixed := map[byte]uint64{0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8,
		0xd4: 2, 0xd5: 3, 0xd6: 5, 0xd7: 9, 0xd8: 17}
	var n uint64
	if w, has := width[c]; has {
		if n, ok = size(w); !ok {
			return nil, false
		}
	}
	switch {
	case c <= 0x7f || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3:
		return b, true
	case c <= 0x8f:
		return values(2 * uint64(c&15))
	case c <= 0x9f:
		return values(uint64(c & 15))
	case c <= 0xbf:
		return take(uint64(c & 31))
	case c == 0xc1:
		return nil, false
	case c <= 0xc6 || c >= 0xd9 && c <= 0xdb:
		return take(n)
	case c <= 0xc9:
		return take(n + 1)
	case c <= 0xd8:
		return take(fixed[c])
	case c <= 0xdd:
		return values(n)
	}
	return values(2 * n)
}

func checkScan(t *testing.T, b []byte) {
	t.Helper()
	n, err := Scan(b)
	rest, ok := slowScan(b, MaxDepth-1)
	if ok != (err == nil) || ok && n != len(b)-len(rest) {
		t.Fatalf("%x: Scan says %d, %v, the twin %d, %v", b, n, err, len(b)-len(rest), ok)
	}
	if err != nil && !errors.Is(err, ErrMsgpack) {
		t.Fatalf("%x: %v is no ErrMsgpack", b, err)
	}
	if strict, err := ScanStrict(b); err == nil && strict != n {
		t.Fatalf("%x: ScanStrict says %d", b, strict)
	}
}

func TestScanIsItsSlowTwin(t *testing.T) {
	for c := range 256 {
		for n := range 20 {
			checkScan(t, append([]byte{byte(c)}, make([]byte, n)...))
			checkScan(t, append([]byte{byte(c)}, bytes.Repeat([]byte{1}, n)...))
		}
	}
	for _, f := range frames(t) {
		checkScan(t, f.bytes)
		if len(f.bytes) > FrameHead {
			checkScan(t, f.bytes[FrameHead:])
			checkScan(t, f.bytes[FrameHead:len(f.bytes)-1])
		}
	}
}

func TestScanBounds(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want error // nil: taken
	}{
		{"deepest", append(bytes.Repeat([]byte{0x91}, MaxDepth-1), 1), nil},
		{"too deep", append(bytes.Repeat([]byte{0x91}, MaxDepth), 1), errDepth},
		{"deep maps", append(bytes.Repeat([]byte{0x81, 0x01}, 5000), 1), errDepth},
		{"4 G elements in 5 bytes", []byte{0xdd, 0xff, 0xff, 0xff, 0xff}, errTruncated},
		{"4 G pairs in 5 bytes", []byte{0xdf, 0xff, 0xff, 0xff, 0xff}, errTruncated},
		{"4 GiB string in 5 bytes", []byte{0xdb, 0xff, 0xff, 0xff, 0xff}, errTruncated},
		{"4 GiB extension in 6 bytes", []byte{0xc9, 0xff, 0xff, 0xff, 0xff, 1}, errTruncated},
		{"reserved", []byte{0x91, 0xc1}, errReserved},
		{"nothing", nil, errTruncated},
		{"what follows is not looked at", []byte{0x01, 0xc1}, nil},
	} {
		if _, err := Scan(c.b); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	b := append(bytes.Repeat([]byte{0x91}, MaxDepth-1), 1)
	if n := testing.AllocsPerRun(10, func() { _, _ = Scan(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReaders(t *testing.T) {
	long := strings.Repeat("x", 70000)
	for _, s := range []string{"", "a", long[:31], long[:32], long[:255], long[:256], long} {
		b := msgp.AppendString(nil, s)
		if got, n, ok := ReadString(b); !ok || string(got) != s || n != len(b) {
			t.Errorf("string of %d: %d, %v", len(s), n, ok)
		}
		if _, _, ok := ReadString(b[:len(b)-1]); ok {
			t.Errorf("a cut string of %d was taken", len(s))
		}
	}
	for _, n := range []int{0, 15, 16, 65535, 65536} {
		b := msgp.AppendMapHeader(nil, uint32(n))
		if got, m, ok := ReadMapHeader(b); !ok || got != n || m != len(b) {
			t.Errorf("map of %d: %d, %d, %v", n, got, m, ok)
		}
		if _, _, ok := ReadArrayHeader(b); ok {
			t.Errorf("a map of %d was taken for an array", n)
		}
		b = msgp.AppendArrayHeader(nil, uint32(n))
		if got, m, ok := ReadArrayHeader(b); !ok || got != n || m != len(b) {
			t.Errorf("array of %d: %d, %d, %v", n, got, m, ok)
		}
		if _, _, ok := ReadMapHeader(b); ok {
			t.Errorf("an array of %d was taken for a map", n)
		}
	}
	for _, v := range []uint64{0, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, 1<<64 - 1} {
		b := msgp.AppendUint64(nil, v)
		if got, n, ok := ReadUint(b); !ok || got != v || n != len(b) {
			t.Errorf("%d: %d, %d, %v", v, got, n, ok)
		}
		if _, _, ok := ReadUint(b[:len(b)-1]); ok {
			t.Errorf("a cut %d was taken", v)
		}
	}
	for _, b := range [][]byte{nil, {0xff}, {0xd0, 1}, {0xca, 0, 0, 0, 0}} {
		if _, _, ok := ReadUint(b); ok {
			t.Errorf("%x was taken for an unsigned integer", b)
		}
		if _, _, ok := ReadBool(b); ok {
			t.Errorf("%x was taken for a boolean", b)
		}
		if _, _, _, ok := ReadExt(b); ok {
			t.Errorf("%x was taken for an extension", b)
		}
	}
}
