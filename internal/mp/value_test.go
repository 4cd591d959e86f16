package mp

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"
)

// TestEncodeIsAppend: what is built from values is, byte for byte, what the
// hot path appends.
func TestEncodeIsAppend(t *testing.T) {
	for _, v := range []uint64{0, 1, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxUint64} {
		want := msgp.AppendUint64(nil, v)
		if got := Encode(v); !bytes.Equal(got, want) {
			t.Errorf("%d: %x, want %x", v, got, want)
		}
		if got := Encode(uint32(v)); !bytes.Equal(got, msgp.AppendUint32(nil, uint32(v))) {
			t.Errorf("%d: %x", uint32(v), got)
		}
		if got, n, ok := ReadUint(Encode(v)); !ok || got != v || n != len(want) {
			t.Errorf("%d is read as %d", v, got)
		}
	}
	for _, v := range []int64{-1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1, math.MinInt64, 5} {
		if got, want := Encode(v), msgp.AppendInt64(nil, v); !bytes.Equal(got, want) {
			t.Errorf("%d: %x, want %x", v, got, want)
		}
	}
	for _, n := range []int{0, 31, 32, 255, 256, 65536} {
		s := strings.Repeat("s", n)
		if got, want := Encode(s), msgp.AppendString(nil, s); !bytes.Equal(got, want) {
			t.Errorf("a string of %d: %x", n, got[:5])
		}
	}
	for _, n := range []int{0, 15, 16, 65536} {
		if got, want := Encode(make([]bool, n)), msgp.AppendArrayHeader(nil, uint32(n)); !bytes.HasPrefix(got, want) {
			t.Errorf("an array of %d: %x", n, got[:5])
		}
		if got, want := Encode(Pairs{make([]pair, n)}), msgp.AppendMapHeader(nil, uint32(n)); !bytes.HasPrefix(got, want) {
			t.Errorf("a map of %d: %x", n, got[:5])
		}
	}
	for _, v := range []float64{0, 1, 1.5, -1, 1e300} {
		if got, want := Encode(v), msgp.AppendFloat64(nil, v); !bytes.Equal(got, want) {
			t.Errorf("%v: %x", v, got)
		}
	}
}

func TestEncodeKeepsOrder(t *testing.T) {
	type inner struct {
		Z uint64 `msgpack:"z"`
		A string `msgpack:"a,omitempty"`
		B *bool  `msgpack:"b"`
	}
	got := Encode(struct {
		Last  Pairs `msgpack:"last"`
		First inner `msgpack:"first"`
		Raw   Raw   `msgpack:"raw"`
		None  Raw   `msgpack:"none"`
		Empty Pairs `msgpack:"empty"`
	}{Pairs{[]pair{{uint64(3), "x"}, {"k", nil}}}, inner{Z: 200}, Raw{0xd4, 0x01, 0xaa}, nil, Pairs{}})
	want := "\x85\xa4last\x82\x03\xa1x\xa1k\xc0\xa5first\x82\xa1z\xcc\xc8\xa1b\xc0\xa3raw\xd4\x01\xaa\xa4none\xc0\xa5empty\x80"
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := Tuple("=", 5, Words("a", "b", "c", "d")), "\x93\xa1=\x05\x82\xa1a\xa1b\xa1c\xa1d"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDecodeScansFirst(t *testing.T) {
	for _, b := range [][]byte{
		{0xdd, 0xff, 0xff, 0xff, 0xff},
		{0xdb, 0xff, 0xff, 0xff, 0xff},
		bytes.Repeat([]byte{0x91}, 2<<20),
		{0x01, 0x02},
		{},
	} {
		for _, v := range []any{new(any), new([]any), new(string), new(struct{ A []string })} {
			if err := Decode(b, v); !errors.Is(err, ErrMsgpack) {
				t.Errorf("%x into %T: %v", b[:min(len(b), 5)], v, err)
			}
		}
	}
	var v struct {
		A uint64 `msgpack:"a"`
	}
	if err := Decode(Encode(Pairs{[]pair{{"other", Raw{0xd4, 0x63, 0x01}}, {"a", 7}}}), &v); err != nil || v.A != 7 {
		t.Errorf("%v, %v", v, err)
	}
}
