package mp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
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
	if err != nil {
		return
	}
	if end := Skip(b, 0); end != n {
		t.Fatalf("%x: Scan says %d, Skip %d", b, n, end)
	}
	if m := ReadScalar(b); m != 0 && m != n {
		t.Fatalf("%x: Scan says %d, ReadScalar %d", b, n, m)
	}
	checkReaders(t, b[:n])
}

// checkReaders: those that trust a scanned value and those that trust nothing
// say the same of it.
func checkReaders(t *testing.T, b []byte) {
	t.Helper()
	ok, n := true, len(b)
	switch KindOf(b[0]) {
	case Uint:
		var u uint64
		u, n, ok = ReadUint(b)
		trusted, neg := IntOf(b)
		ok = ok && u == trusted && !neg
	case Int:
		var i int64
		i, n, ok = ReadInt(b)
		trusted, neg := IntOf(b)
		ok = ok && i == int64(trusted) && neg == (i < 0)
	case Str:
		var s []byte
		s, n, ok = ReadString(b)
		ok = ok && bytes.Equal(s, TextOf(b)) && bytes.HasSuffix(b, s)
	case Bin:
		ok = bytes.HasSuffix(b, TextOf(b))
	case Array:
		elems, at, read := ReadArrayHeader(b)
		count, from := ArrayOf(b)
		ok = read && elems == count && at == from
	case Map:
		pairs, at, read := ReadMapHeader(b)
		end, inside := Token(b, 0)
		ok = read && 2*pairs == inside && at == end
	case Ext:
		var typ ExtType
		var payload []byte
		typ, payload, n, ok = ReadExt(b)
		trustedType, trusted := ExtOf(b)
		ok = ok && typ == trustedType && bytes.Equal(payload, trusted) && bytes.HasSuffix(b, payload)
	case Reserved:
		ok = false
	}
	if !ok || n != len(b) {
		t.Fatalf("%x: the readers of %v do not agree", b, KindOf(b[0]))
	}
	for cut := range b {
		if cut > 20 {
			break
		}
		_, _, isUint := ReadUint(b[:cut])
		_, _, isInt := ReadInt(b[:cut])
		_, _, isString := ReadString(b[:cut])
		_, _, _, isExt := ReadExt(b[:cut])
		if isUint || isInt || isString || isExt {
			t.Fatalf("%x was taken, which is cut", b[:cut])
		}
	}
}

func TestScanIsItsSlowTwin(t *testing.T) {
	for c := range 256 {
		for n := range 20 {
			checkScan(t, append([]byte{byte(c)}, make([]byte, n)...))
			checkScan(t, append([]byte{byte(c)}, bytes.Repeat([]byte{1}, n)...))
		}
	}
	for _, b := range frames(t) {
		checkScan(t, b)
		if len(b) > frameHead {
			checkScan(t, b[frameHead:])
			checkScan(t, b[frameHead:len(b)-1])
		}
	}
}

// frameHead is the length in front of a recorded frame.
const frameHead = 5

// frames are recorded conversations of Tarantool.
func frames(t testing.TB) (all [][]byte) {
	t.Helper()
	names, err := filepath.Glob("../../xrow/testdata/frames/*.txt")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d files of frames, %v", len(names), err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			_, digits, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "raw "), " ")
			b, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, b)
		}
	}
	return all
}

func FuzzScan(f *testing.F) {
	for i, b := range frames(f) {
		if i%20 == 0 && len(b) > frameHead {
			f.Add(b[frameHead:])
		}
	}
	f.Add(append(bytes.Repeat([]byte{0x91}, MaxDepth), 1))
	f.Fuzz(func(t *testing.T, b []byte) { checkScan(t, b) })
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want error
	}{
		{[]byte{0x91, 0x01}, nil},
		{[]byte{0x91, 0x01, 0xc0}, ErrJunk},
		{[]byte{0x91}, errTruncated},
		{nil, errTruncated},
	} {
		if err := Check(c.b); err != c.want {
			t.Errorf("%x: %v, want %v", c.b, err, c.want)
		}
	}
}

// TestScanExts: check sees each extension, the inner ones too, and its error
// ends the scan there.
func TestScanExts(t *testing.T) {
	b := []byte{0x93, 0xd4, 0x01, 0xaa, 0x81, 0x01, 0xc7, 0x02, 0xff, 0xbb, 0xcc, 0xa1, 'x'}
	var seen []ExtType
	if n, err := ScanExts(b, func(typ ExtType, p []byte) error { seen = append(seen, typ); return nil }); err != nil || n != len(b) {
		t.Errorf("%d, %v", n, err)
	}
	if len(seen) != 2 || seen[0] != ExtDecimal || seen[1] != -1 {
		t.Errorf("saw %v", seen)
	}
	bad := Malformed("a reason")
	n, err := ScanExts(b, func(typ ExtType, p []byte) error {
		if typ == -1 && bytes.Equal(p, []byte{0xbb, 0xcc}) {
			return bad
		}
		return nil
	})
	if err != bad || n != 6 {
		t.Errorf("%d, %v", n, err)
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

func TestReadInt(t *testing.T) {
	for _, c := range []struct {
		hex  string
		want int64
		ok   bool
	}{
		{"00", 0, true}, {"7f", 127, true}, {"ff", -1, true}, {"e0", -32, true}, {"cc80", 128, true},
		{"d080", -128, true}, {"d1ff00", -256, true}, {"d280000000", -1 << 31, true},
		{"d38000000000000000", -1 << 63, true}, {"d3000000000000000f", 15, true},
		{"cf7fffffffffffffff", 1<<63 - 1, true}, {"cf8000000000000000", 0, false},
		{"", 0, false}, {"d0", 0, false}, {"c0", 0, false}, {"cb0000000000000000", 0, false},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		if v, n, ok := ReadInt(b); ok != c.ok || ok && (v != c.want || n != len(b)) {
			t.Errorf("%s: %d, %d, %v", c.hex, v, n, ok)
		}
	}
}

// A flat array is measured as Scan does, and not before it is whole.
func TestReadFlatArray(t *testing.T) {
	text := func(head ...byte) []byte { return append(head, make([]byte, 300)...) }
	wide := append([]byte{0xdc, 0, 3, 0xcd, 1}, 2, 0xa1, 'x', 0xc0)
	for _, b := range [][]byte{
		{0x90}, {0x93, 1, 0xe0, 0xc3}, {0x92, 0xcf, 1, 2, 3, 4, 5, 6, 7, 8, 0xa2, 'a', 'b'}, {0x92, 0x90, 0x80}, wide,
		append([]byte{0x91}, text(0xd9, 44)[:46]...), append([]byte{0x91}, text(0xc4, 255)[:257]...), append([]byte{0x91}, text(0xda, 1, 4)[:263]...),
		append([]byte{0x92}, append(text(0xc5, 1, 44)[:303], 7)...),
	} {
		if n, err := Scan(b); err != nil || n != len(b) {
			t.Fatalf("% x is no value", b)
		}
		for i := range b {
			if n := ReadFlatArray(b[:i:i]); n != 0 {
				t.Errorf("%d bytes of %x: %d", i, b, n)
			}
		}
		if n := ReadFlatArray(append(b, 1, 2)); n != len(b) {
			t.Errorf("%x: %d", b, n)
		}
	}
	for _, b := range [][]byte{{}, {0x91, 0x91, 1}, {0x91, 0x81, 1, 1}, {0x91, 0xd4, 1, 1}, {0x91, 0xc1}, {0x80}, {0xdd, 0, 0, 0, 0}, {1}, {0xdc}} {
		if n := ReadFlatArray(b); n != 0 {
			t.Errorf("%x: %d", b, n)
		}
	}
}
