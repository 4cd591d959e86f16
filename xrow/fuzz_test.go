package xrow

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
)

// seed adds the payloads of recorded frames, a part of them when many.
func seed(f *testing.F, want func(*Row) bool, part func(*Row, []byte) []byte) {
	f.Helper()
	seen := map[Type]int{}
	for _, fr := range frames(f) {
		if len(fr.bytes) <= FrameHead {
			continue
		}
		row, err := Decode(fr.bytes[FrameHead:])
		if err != nil || !want(&row) || seen[row.Type] > 20 {
			continue
		}
		seen[row.Type]++
		f.Add(part(&row, fr.bytes[FrameHead:]))
	}
}

func all(*Row) bool                          { return true }
func hasBody(r *Row) bool                    { return r.Body != nil }
func wholeFrame(_ *Row, frame []byte) []byte { return frame }
func onlyBody(r *Row, _ []byte) []byte       { return r.Body }

// FuzzScanStrict: it refuses what Scan does, and extensions.
func FuzzScanStrict(f *testing.F) {
	seed(f, all, wholeFrame)
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := mp.Scan(b)
		strict, strictErr := ScanStrict(b)
		if strictErr == nil && (err != nil || strict != n) {
			t.Fatalf("%x: Scan says %d, %v, ScanStrict %d", b, n, err, strict)
		}
		if strictErr != nil && !errors.Is(strictErr, mp.ErrMsgpack) {
			t.Fatalf("%x: %v is no ErrMsgpack", b, strictErr)
		}
	})
}

func FuzzRow(f *testing.F) {
	seed(f, all, wholeFrame)
	f.Fuzz(func(t *testing.T, b []byte) {
		row, err := Decode(b)
		if err != nil {
			if _, ok := err.(*Error); !ok {
				t.Fatalf("%v is no Error", err)
			}
			return
		}
		// The header has one encoding that is stable; what is lost are unknown
		// keys and what makes no sense.
		once := row.Append(nil)
		again, err := Decode(once[FrameHead:])
		if err != nil {
			t.Fatalf("%x: %+v does not decode again: %v", b, row, err)
		}
		if twice := again.Append(nil); !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x", once, twice)
		}
		_ = row.AsError()
	})
}

func FuzzBody(f *testing.F) {
	kinds := []body{&JoinRequest{}, &RegisterRequest{}, &SubscribeRequest{}, &SubscribeOK{}, &Ballot{}, &Ack{}, &Synchro{},
		&Raft{}, &JoinMetaBody{}}
	seed(f, hasBody, onlyBody)
	share := &Share{Filter: "hr", Version: 3, New: true, Spaces: []uint32{512, 70000}}
	for _, b := range []body{&JoinRequest{InstanceUUID: uuidA, Share: share}, &SubscribeRequest{InstanceUUID: uuidA, Share: share, Kind: Tarragon},
		&JoinRequest{InstanceUUID: uuidA, Share: share, File: true, Copy: &Copy{Spaces: []uint32{512, 70000}, VClock: vclock.VClock{1: 7, 31: 300}, Term: 9}},
		&JoinMetaBody{Tuples: 7, Share: share, File: &File{Path: "/var/lib/x.copy", Size: 1 << 40, Digest: [32]byte{1, 2, 3}}}} {
		f.Add(b.AppendBody(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range kinds {
			once, ok := tryDecode(kind, b)
			if !ok {
				continue
			}
			again, ok := tryDecode(kind, once.AppendBody(nil))
			if !ok || !reflect.DeepEqual(once, again) {
				t.Fatalf("%T of %x: %+v became %+v", kind, b, once, again)
			}
		}
		for _, typ := range []Type{Insert, Replace, Update, Delete, Upsert} {
			d, err := DecodeDML(typ, b)
			if err != nil {
				continue
			}
			if again, err := DecodeDML(typ, d.AppendBody(nil)); err != nil || !reflect.DeepEqual(d, again) {
				t.Fatalf("%x: %+v became %+v, %v", b, d, again, err)
			}
		}
		if sync, err := DecodeHeartbeat(b); err == nil && sync != 0 {
			if again, err := DecodeHeartbeat(AppendHeartbeatBody(nil, sync)); err != nil || again != sync {
				t.Fatalf("heartbeat %d became %d, %v", sync, again, err)
			}
		}
	})
}

func FuzzVClock(f *testing.F) {
	v := clock(f, "{1: 5, 2: 700, 31: 1}")
	f.Add(AppendVClock(nil, &v))
	f.Add([]byte{0x83, 0, 5, 1, 0, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeVClock(b)
		if err != nil {
			return
		}
		if again, err := DecodeVClock(AppendVClock(nil, &v)); err != nil || again != v {
			t.Fatalf("%s became %s, %v", v, again, err)
		}
	})
}

func FuzzErrorBody(f *testing.F) {
	seed(f, func(r *Row) bool { return r.Type&ErrorFlag != 0 }, onlyBody)
	f.Fuzz(func(t *testing.T, b []byte) {
		e := DecodeErrorBody(b)
		again := DecodeErrorBody(AppendErrorBody(nil, e))
		if e.Code != again.Code || e.Message != again.Message || e.Class() != again.Class() {
			t.Fatalf("%x: %+v became %+v", b, e, again)
		}
	})
}

// FuzzCut builds a group from the input: each byte is a row, its low bits the
// origin, bit 2 begins a transaction, the high bits are flags.
func FuzzCut(f *testing.F) {
	f.Add([]byte{4, 1, 1, 5, 0, 6}, uint32(2), uint8(1), uint8(2))
	f.Add([]byte{5, 1, 0, 4, 0, 0x47}, uint32(0), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, rows []byte, skip uint32, at1, at2 uint8) {
		if len(rows) > 100 {
			return // says nothing that a shorter one does not
		}
		var g Group
		for i := 0; i < len(rows); {
			origins := []uint32{uint32(rows[i] & 3)}
			flags := Flags(rows[i]>>5) &^ FlagCommit
			for i++; i < len(rows) && rows[i]&4 == 0; i++ {
				origins = append(origins, uint32(rows[i]&3))
			}
			addTransaction(&g, flags, origins...)
		}
		pos := vclock.VClock{1: uint64(at1), 2: uint64(at2)}
		twinPos := pos
		runs := g.Cut(&pos, skip, nil, nil)
		if want := slowCut(t, &g, &twinPos, skip); !bytes.Equal(bytes.Join(runs, nil), want) || pos != twinPos {
			t.Fatalf("got %x at %s, want %x at %s", runs, pos, want, twinPos)
		}
	})
}
