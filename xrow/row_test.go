package xrow

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"tarragon.dev/tarragon/internal/mp"

	"pgregory.net/rapid"
)

func TestTransactionBoundaries(t *testing.T) {
	for _, c := range []struct {
		name string
		row  Row
		hex  string
	}{
		{"single", Row{Type: Nop, ReplicaID: 1, LSN: 5, TSN: 5, Flags: FlagCommit}, "83 00 0c 02 01 03 05"},
		{"single, synchronous", Row{Type: Nop, ReplicaID: 1, LSN: 5, TSN: 5, Flags: FlagCommit | FlagWaitSync | FlagWaitAck},
			"84 00 0c 02 01 03 05 09 06"},
		{"first of several", Row{Type: Nop, ReplicaID: 1, LSN: 5, TSN: 5}, "84 00 0c 02 01 03 05 08 00"},
		{"last of several", Row{Type: Nop, ReplicaID: 1, LSN: 7, TSN: 5, Flags: FlagCommit | FlagWaitSync},
			"85 00 0c 02 01 03 07 08 02 09 03"},
		{"local in front", Row{Type: Nop, GroupID: GroupLocal, LSN: 4, TSN: 13},
			"84 00 0c 07 01 03 04 08 cffffffffffffffff7"},
		{"stamped", Row{Type: Nop, ReplicaID: 1, LSN: 5, TSN: 5, Flags: FlagCommit, Term: 300},
			"84 00 0c 02 01 03 05 53 cd012c"},
		{"voided synchronous", Row{Type: Nop, ReplicaID: 1, LSN: 5, TSN: 5, Flags: FlagCommit | FlagWaitAck},
			"84 00 0c 02 01 03 05 09 04"},
		{"no LSN", Row{Type: OK, Sync: 2, ReplicaID: 1, Timestamp: 1.5}, "84 00 00 01 02 02 01 04 cb3ff8000000000000"},
		{"all fields", Row{Type: Insert, Sync: 1, ReplicaID: 2, GroupID: 3, LSN: 9, Timestamp: -1, TSN: 8, StreamID: 4,
			Flags: 1, SchemaVersion: 80, Term: 6},
			"8b 00 02 01 01 02 02 07 03 03 09 04 cbbff0000000000000 08 01 0a 04 09 01 05 50 53 06"},
	} {
		want := unhex(t, c.hex)
		if got := c.row.AppendHeader(nil); string(got) != string(want) {
			t.Errorf("%s:\n got %x\nwant %x", c.name, got, want)
		}
		if back, err := Decode(want); err != nil || !reflect.DeepEqual(back, c.row) {
			t.Errorf("%s: decoded as %+v, %v", c.name, back, err)
		}
	}
	unset := Row{Type: Nop, ReplicaID: 1, LSN: 5, Flags: FlagCommit}
	if back, err := Decode(unset.AppendHeader(nil)); err != nil || back.TSN != 5 || back.Flags != FlagCommit {
		t.Errorf("a row without TSN is %+v, %v", back, err)
	}
}

func TestRefusedRows(t *testing.T) {
	for _, c := range []struct{ name, hex, want string }{
		{"nothing", "", "packet header"},
		{"no map", "90", "packet header"},
		{"cut header", "82 00", "packet header"},
		{"type is a string", "81 00 a0", "packet header"},
		{"negative LSN", "81 03 ff", "packet header"},
		{"LSN of 2^63", "81 03 cf8000000000000000", "packet header"},
		{"timestamp is an integer", "81 04 05", "packet header"},
		{"timestamp of 32 bits", "81 04 ca00000000", "packet header"},
		{"string key", "82 00 01 a1 78 05", "packet header"},
		{"body key of a wrong type", "82 00 01 21 05", "packet header"},
		{"malformed extension", "82 00 01 0f d4 01 01", "packet header"},
		{"reserved byte in the body", "81 00 02 81 21 c1", "packet body"},
		{"cut body", "81 00 02 82 10 05", "packet body"},
		{"junk", "81 00 02 80 00", "packet body"},
		{"NOP with a body", "81 00 0c 80", "packet body"},
		{"malformed extension in the body", "81 00 02 81 21 91 d4 01 01", "packet body"},
	} {
		_, err := Decode(unhex(t, c.hex))
		if !errors.Is(err, ErrInvalidMsgpack) || err.Error() != "Invalid MsgPack - "+c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		name, hex string
		want      Row
	}{
		{"unknown keys", "84 00 40 0f c0 ccff 01 cd0100 92 01 02", Row{Type: Ping}},
		{"wide integers", "82 cc00 cf0000000000000040 ce00000001 cd0007", Row{Type: Ping, Sync: 7}},
		{"no type", "81 01 0b 80", Row{Sync: 11, Body: []byte{0x80}}},
		{"body of a PING", "81 00 40 05", Row{Type: Ping, Body: []byte{5}}},
		{"IDs beyond 32 bits stay unknown", "83 00 cf0000000100000002 02 cf0000000100000001 07 cf0000000100000001",
			Row{Type: math.MaxUint32, ReplicaID: math.MaxUint32, GroupID: math.MaxUint32}},
		{"TSN without an LSN", "82 00 00 08 05", Row{}},
	} {
		if got, err := Decode(unhex(t, c.hex)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestRowsRoundTrip(t *testing.T) {
	small := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(0, 300), rapid.Uint64Range(0, maxLSN))
	rapid.Check(t, func(t *rapid.T) {
		r := Row{
			Type: Type(rapid.Uint32Range(0, 300).Draw(t, "type")), Sync: small.Draw(t, "sync"),
			ReplicaID: uint32(small.Draw(t, "replica")), GroupID: rapid.Uint32Range(0, 1).Draw(t, "group"),
			LSN: small.Draw(t, "lsn"), Timestamp: rapid.Float64().Draw(t, "time"), StreamID: small.Draw(t, "stream"),
			SchemaVersion: small.Draw(t, "schema"), Term: small.Draw(t, "term"),
			Flags: Flags(rapid.Uint8Range(0, 7).Draw(t, "flags")),
		}
		if r.LSN == 0 {
			r.Flags &^= FlagCommit // in no transaction
		} else {
			r.TSN = rapid.OneOf(rapid.Just(r.LSN), rapid.Uint64Range(1, maxLSN)).Draw(t, "tsn")
		}
		if rapid.Bool().Draw(t, "body") && r.Type != Nop {
			r.Body = []byte{0x81, 0x10, 0x05}
		}
		frame := r.Append(nil)
		if n, m, ok := mp.ReadUint(frame); !ok || m != FrameHead || int(n) != len(frame)-m {
			t.Fatalf("length %d, frame of %d", n, len(frame))
		}
		back, err := Decode(frame[FrameHead:])
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%+v became %+v, %v", r, back, err)
		}
		if again := back.Append(nil); string(again) != string(frame) {
			t.Fatalf("%x became %x", frame, again)
		}
	})
}

func TestDML(t *testing.T) {
	for _, c := range []struct {
		name string
		dml  DML
		hex  string
	}{
		{"INSERT", DML{Type: Insert, SpaceID: 512, Tuple: []byte{0x91, 1}}, "82 10 cd0200 21 91 01"},
		{"UPDATE", DML{Type: Update, SpaceID: 512, IndexID: 1, IndexBase: 1, Key: []byte{0x91, 1}, Tuple: []byte{0x90}},
			"85 10 cd0200 11 01 15 01 20 91 01 21 90"},
		{"DELETE", DML{Type: Delete, SpaceID: 5, Key: []byte{0x90}}, "82 10 05 20 90"},
		{"UPSERT has OPS first", DML{Type: Upsert, SpaceID: 5, Tuple: []byte{0x91, 1}, Ops: []byte{0x90}},
			"83 10 05 28 90 21 91 01"},
	} {
		if got := c.dml.AppendBody(nil); string(got) != string(unhex(t, c.hex)) {
			t.Errorf("%s: %x, want %s", c.name, got, c.hex)
		}
		if back, err := DecodeDML(c.dml.Type, unhex(t, c.hex)); err != nil || !reflect.DeepEqual(back, c.dml) {
			t.Errorf("%s: %+v, %v", c.name, back, err)
		}
	}
	for _, c := range []struct {
		t         Type
		hex, want string
	}{
		{Insert, "", "Missing mandatory field 'SPACE_ID' in request"},
		{Insert, "80", "Missing mandatory field 'SPACE_ID' in request"},
		{Update, "81 10 05", "Missing mandatory field 'KEY' in request"},
		{Update, "82 10 05 20 90", "Missing mandatory field 'TUPLE' in request"},
		{Replace, "81 10 05", "Missing mandatory field 'TUPLE' in request"},
		{Upsert, "82 10 05 21 90", "Missing mandatory field 'OPS' in request"},
		{Delete, "81 10 05", "Missing mandatory field 'KEY' in request"},
		{Insert, "90", "Invalid MsgPack - packet body"},
		{Insert, "81 10 a0", "Invalid MsgPack - packet body"},
		{Insert, "82 10 05 21 05", "Invalid MsgPack - packet body"},
		{Insert, "83 10 05 21 90 12 a0", "Invalid MsgPack - packet body"}, // LIMIT, which it does not use
		{Insert, "84 a1 78 a0 10 cf0000010000000005 21 90 ccff c0", ""},   // other keys; space 5 as cut to 32 bits
		{Insert, "84 10 05 21 90 2c 90 2d 90", ""},                        // old and new tuple of wal_ext
	} {
		b := unhex(t, c.hex)
		if c.hex == "" {
			b = nil
		}
		d, err := DecodeDML(c.t, b)
		if c.want == "" && (err != nil || d.SpaceID != 5) || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s %s: %+v, %v, want %s", c.t, c.hex, d, err, c.want)
		}
	}
}

// hotRow is a synchronous REPLACE of 64 bytes as a leader sends it.
func hotRow() Row {
	tuple := append([]byte{0x92, 0xce, 0, 1, 2, 3, 0xd9, 64}, make([]byte, 64)...)
	d := DML{Type: Replace, SpaceID: 512, Tuple: tuple}
	return Row{Type: Replace, ReplicaID: 1, LSN: 123456789, TSN: 123456789, Timestamp: 1.7e9, Term: 7,
		Flags: FlagCommit | FlagWaitSync | FlagWaitAck, Body: d.AppendBody(nil)}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	row := hotRow()
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() {
		back, err := Decode(row.Append(buf)[FrameHead:])
		if err != nil {
			t.Fatal(err)
		}
		d, err := DecodeDML(back.Type, back.Body)
		if err != nil || d.SpaceID != 512 {
			t.Fatal(err)
		}
		d.AppendBody(buf)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	row := hotRow()
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		buf = row.Append(buf[:0])
	}
}

func BenchmarkDecode(b *testing.B) {
	row := hotRow()
	frame := row.Append(nil)[FrameHead:]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeDML(b *testing.B) {
	row := hotRow()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeDML(Replace, row.Body); err != nil {
			b.Fatal(err)
		}
	}
}
