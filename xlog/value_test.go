package xlog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"reflect"
	"strings"
	"testing"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"pgregory.net/rapid"
)

// realGroup is a group of rows that a Tarantool relay sent.
func realGroup(t testing.TB) *xrow.Group {
	text, err := os.ReadFile("testdata/frames.txt")
	if err != nil {
		t.Fatal(err)
	}
	g := &xrow.Group{Before: vclock.VClock{1: 3, 2: 1}}
	g.After = g.Before
	for _, line := range strings.Fields(text2frames(string(text))) {
		frame, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		row, err := xrow.Decode(frame[xrow.FrameHead:])
		if err != nil {
			t.Fatal(err)
		}
		space, term := uint32(0), uint64(0)
		if row.Type.IsDML() {
			d, err := xrow.DecodeDML(row.Type, row.Body)
			if err != nil {
				t.Fatal(err)
			}
			space = d.SpaceID
		}
		if row.Type == xrow.Promote {
			p, err := xrow.DecodeSynchro(row.Body)
			if err != nil {
				t.Fatal(err)
			}
			term = p.Term
		}
		at := len(g.Rows)
		g.Add(&row, space, row.TSN == row.LSN, term)
		if !bytes.Equal(g.Rows[at:], frame) {
			t.Fatalf("frame %x became %x", frame, g.Rows[at:])
		}
	}
	if len(g.Table) < 10 {
		t.Fatal(len(g.Table))
	}
	return g
}

// text2frames leaves comments out.
func text2frames(text string) string {
	var b strings.Builder
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func TestRealRowsComeBack(t *testing.T) {
	g := realGroup(t)
	for _, full := range []bool{false, true} {
		before := g.Before
		if full {
			before = vclock.VClock{}
		}
		_, got, err := decodeValue(appendValue(nil, someOwner, g, extras{full: full}), before)
		if err != nil {
			t.Fatal(err)
		}
		sameGroup(t, got, g)
	}
}

// TestValueIsSmall: the row table costs two bytes for a row like the one before.
func TestValueIsSmall(t *testing.T) {
	f := &fixture{t: t}
	origins := make([]uint32, 512)
	for i := range origins {
		origins[i] = 1
	}
	g := f.group(10, origins...)
	if head := len(appendHead(nil, someOwner, g, extras{})); head > 512*2+20 {
		t.Fatalf("%d bytes for 512 rows", head)
	}
}

// someOwner is whose the groups of these tests are.
var someOwner = owner{core: 1, slot: 2, no: 7}

// drawList draws an owner list and the position of the group that carries it.
func drawList(t *rapid.T) (l *ownerList, pos uint64) {
	l = &ownerList{back: rapid.Uint64Range(0, 1<<40).Draw(t, "back")}
	pos = 1<<40 + rapid.Uint64Range(1, 1<<40).Draw(t, "position")
	for range rapid.IntRange(1, 5).Draw(t, "runs") {
		r := run{slot: rapid.Uint32().Draw(t, "slot"), no: rapid.Uint64().Draw(t, "number"), pos: pos, n: rapid.Uint64Range(1, 1<<20).Draw(t, "groups")}
		l.runs = append(l.runs, r)
		pos += r.n
	}
	return l, pos
}

func drawGroup(t *rapid.T) *xrow.Group {
	g := &xrow.Group{}
	for i := range g.Before {
		if rapid.Bool().Draw(t, "set") {
			g.Before[i] = rapid.Uint64Range(1, 1<<63).Draw(t, "lsn")
		}
	}
	g.After = g.Before
	for range rapid.IntRange(0, 20).Draw(t, "rows") {
		ref := xrow.Ref{Offset: uint32(len(g.Rows)), Origin: rapid.Uint32Range(0, 31).Draw(t, "origin"),
			LSN: rapid.Uint64().Draw(t, "lsn"), SpaceID: rapid.Uint32().Draw(t, "space"),
			Type: xrow.Type(rapid.Uint32().Draw(t, "type")), First: rapid.Bool().Draw(t, "first"), Term: rapid.Uint64().Draw(t, "term")}
		if n := len(g.Table); n > 0 && rapid.Bool().Draw(t, "same") {
			prev := g.Table[n-1]
			ref.Origin, ref.Type, ref.SpaceID, ref.LSN = prev.Origin, prev.Type, prev.SpaceID, prev.LSN+1
		}
		g.Table = append(g.Table, ref)
		g.Rows = append(g.Rows, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "frame")...)
		g.After[ref.Origin] = max(g.After[ref.Origin], ref.LSN)
	}
	return g
}

func TestAnyGroupComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroup(t)
		who := owner{rapid.Uint32().Draw(t, "core"), rapid.Uint32().Draw(t, "slot"), rapid.Uint64().Draw(t, "number")}
		x := extras{full: rapid.Bool().Draw(t, "full")}
		if rapid.Bool().Draw(t, "list") {
			x.list, x.pos = drawList(t)
		}
		h, got, err := decodeValue(appendValue(nil, who, g, x), g.Before)
		if err != nil {
			t.Fatal(err)
		}
		if h.owner != who || h.full != x.full {
			t.Fatalf("%+v, %v of %+v", h, h.full, who)
		}
		if x.list != nil && (h.list == nil || !h.list.located(x.pos) || !reflect.DeepEqual(h.list, x.list)) {
			t.Fatalf("%+v\n%+v", h.list, x.list)
		}
		if !bytes.Equal(got.Rows, g.Rows) || got.Before != g.Before || got.After != g.After || len(got.Table) != len(g.Table) {
			t.Fatalf("%+v\n%+v", got, g)
		}
		for i := range g.Table {
			if got.Table[i] != g.Table[i] {
				t.Fatalf("%+v\n%+v", got.Table[i], g.Table[i])
			}
		}
	})
}

// TestEveryFlippedBitIsSeen: the checksum covers all of a value.
func TestEveryFlippedBitIsSeen(t *testing.T) {
	value := appendValue(nil, someOwner, realGroup(t), extras{full: true})
	for i := range value {
		value[i] ^= 4
		if _, _, err := decodeValue(value, vclock.VClock{}); err == nil {
			t.Fatalf("byte %d", i)
		}
		value[i] ^= 4
	}
}

// FuzzDecodeValue: any bytes give an error or a group that can be cut, read
// and encoded again. The checksum is made right, or nothing would pass it.
func FuzzDecodeValue(f *testing.F) {
	for _, full := range []bool{false, true} {
		value := appendValue(nil, someOwner, realGroup(f), extras{full: full})
		f.Add(value[:len(value)-crcLen])
	}
	f.Add([]byte{1, 0, 2, 0, 0, 63, 0, 63, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		value := withCRC(b)
		_, g, err := decodeValue(value, vclock.VClock{5: 5})
		if err != nil {
			return
		}
		for i := range g.Table {
			entry(1, g, i)
		}
		_, again, err := decodeValue(appendValue(nil, someOwner, g, extras{full: true}), vclock.VClock{})
		if err != nil {
			t.Fatal(err)
		}
		sameGroup(t, again, g)
	})
}

// FuzzDecodeEnd: as FuzzDecodeValue, for end records.
func FuzzDecodeEnd(f *testing.F) {
	e := endRecord{chunks: 1, tuples: 2, bytes: 3, checksum: 4, state: State{Term: 9, History: []terms.Span{{Term: 1, Owner: 2, First: 3, Last: 4, Writer: 5, Rules: terms.Tarantool}},
		NextGroup: 5, Undecided: realGroup(f)}}
	b := appendEnd(nil, &e)
	f.Add(b[:len(b)-crcLen])
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEnd(withCRC(b))
		if err != nil {
			return
		}
		again, err := decodeEnd(appendEnd(nil, &e))
		if err != nil || again.state.NextGroup != e.state.NextGroup || len(again.state.History) != len(e.state.History) {
			t.Fatal(err)
		}
	})
}

func withCRC(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, castagnoli))
}

// A checkpoint of before Tarantool's rules has no writers: then the owner
// wrote, and its confirmed LSN is the only one known.
func TestEndRecordOfVersion1(t *testing.T) {
	state := binary.AppendUvarint(appendClock(nil, &vclock.VClock{1: 9}), 7) // term
	for _, v := range []uint64{2, 8, 71, 1, 7, 1, 3, 9, 0} {                 // vote, confirmed, next group, one span, nothing undecided
		state = binary.AppendUvarint(state, v)
	}
	b := append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, state...)
	e, err := decodeEnd(withCRC(b))
	if err != nil {
		t.Fatal(err)
	}
	want := State{VClock: vclock.VClock{1: 9}, Term: 7, Vote: 2, Confirmed: 8, ConfirmedOf: vclock.VClock{1: 8}, NextGroup: 71,
		History: []terms.Span{{Term: 7, Owner: 1, First: 3, Last: 9, Writer: 1, Rules: terms.Strong}}}
	if fmt.Sprint(e.state) != fmt.Sprint(want) {
		t.Errorf("%+v\nwant %+v", e.state, want)
	}
}

// What a checkpoint says of the terms in effect, byte for byte: stores have it.
func TestEndRecordBytes(t *testing.T) {
	e := endRecord{chunks: 1, tuples: 2, bytes: 300, checksum: 0x04030201, state: State{VClock: vclock.VClock{1: 9, 3: 5}, Term: 8, Vote: 2, Confirmed: 4,
		ConfirmedOf: vclock.VClock{1: 4}, VoidPromotes: []uint64{7}, NextGroup: 71, History: []terms.Span{
			{Term: 2, Owner: 1, First: 1, Last: 9, Writer: 1, Rules: terms.Strong}, {Term: 3, First: 4, Last: 400, Writer: 3, Rules: terms.Tarantool}}}}
	const want = "02 01 02 ac 02 01 02 03 04 02 01 09 03 05 08 02 04 47 02 02 01 01 09 02 03 00 04 90 03 07 01 01 04 01 07 00 0d 74 c8 6c"
	if got := fmt.Sprintf("% x", appendEnd(nil, &e)); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
