package box

import (
	"errors"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// seeds adds the raw values of a key of all recorded requests of the types.
func seeds(f *testing.F, add func(t xrow.Type, body map[xrow.Key][]byte)) {
	for _, file := range []string{"testdata/client-dml-3.8.txt", "testdata/client-ext-3.8.txt"} {
		for _, c := range readCaptured(f, file) {
			if r := frame(f, c.request); len(r.Body) > 0 {
				add(r.Type, bodyOf(r.Body))
			}
		}
	}
}

// whole tells whether b is one scanned array, as the box may rely on.
func whole(b []byte) bool {
	n, err := mp.Scan(b)
	return err == nil && n == len(b) && mp.KindOf(b[0]) == mp.Array
}

// FuzzUpdate: any operations on any tuple end in a tuple that is whole and
// passes the format, or in an error with a code.
func FuzzUpdate(f *testing.F) {
	tuple := arr(1, 10, "hello", -5, 1.5, []any{1, 2, []any{3}}, m{"a": 1, "b": m{"c": 2}}, 7)
	seeds(f, func(t xrow.Type, body map[xrow.Key][]byte) {
		switch t {
		case xrow.Update:
			f.Add(tuple, body[xrow.KeyTuple], uint8(0))
		case xrow.Upsert:
			f.Add(body[xrow.KeyTuple], body[xrow.KeyOps], uint8(1))
		}
	})
	form := newFormat([]fieldDef{{name: "id"}, {name: "x", nullable: true}}, 0, nil)
	f.Fuzz(func(t *testing.T, tuple, ops []byte, base uint8) {
		if !whole(tuple) || !whole(ops) {
			return
		}
		before := string(tuple)
		for _, lenient := range []bool{false, true} {
			u := updater{format: form, base: int64(base), lenient: lenient, maxSize: 1 << 16}
			got, err := u.apply(nil, tuple, ops)
			var e *xrow.Error
			if err != nil && !errors.As(err, &e) {
				t.Fatalf("error without a code: %v", err)
			}
			if err == nil && !whole(got) {
				t.Fatalf("%x is no tuple", got)
			}
		}
		if string(tuple) != before {
			t.Fatal("the old tuple was changed")
		}
	})
}

// FuzzStatement: statements of any shape change one tuple or nothing, and leave
// trees in order.
func FuzzStatement(f *testing.F) {
	seeds(f, func(t xrow.Type, body map[xrow.Key][]byte) {
		f.Add(uint8(t), uint32(1), body[xrow.KeyKey], body[xrow.KeyTuple], body[xrow.KeyOps])
	})
	f.Add(uint8(xrow.Insert), uint32(2), []byte(nil), arr(700, 1, "x", "memtx", 0, m{"is_sync": true}, []any{m{"name": "a", "type": "string"}}), []byte(nil))
	f.Add(uint8(xrow.Insert), uint32(3), []byte(nil), arr(512, 5, "x", "tree", m{"unique": true}, []any{m{"field": 3, "type": "scalar"}}), []byte(nil))
	f.Add(uint8(xrow.Insert), uint32(4), []byte(nil), arr(40, 1, "joe", "user", m{"chap-sha1": "x"}, []any{}, 0), []byte(nil))
	f.Add(uint8(xrow.Insert), uint32(5), []byte(nil), arr(1, 3, "space", 512, 3), []byte(nil))
	w := clientSpaces(f)
	spaces := []uint32{512, 520, xrow.SpaceSpace, xrow.SpaceIndex, xrow.SpaceUser, xrow.SpacePriv, xrow.SpaceCluster, xrow.SpaceTruncate, 513}
	f.Fuzz(func(t *testing.T, typ uint8, space uint32, key, tuple, ops []byte) {
		for _, b := range [][]byte{key, tuple, ops} {
			if len(b) > 0 && !whole(b) {
				return
			}
		}
		d := xrow.DML{Type: xrow.Type(typ % 10), SpaceID: spaces[space%uint32(len(spaces))], IndexID: space >> 8 % 4, Key: key, Tuple: tuple, Ops: ops}
		if _, err := xrow.DecodeDML(d.Type, d.AppendBody(nil)); err != nil {
			return // the server refuses it
		}
		w.seq++
		x := w.b.Begin(w.seq)
		_, err := x.Execute(UserAdmin, &d)
		var e *xrow.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error without a code: %v", err)
		}
		if err != nil && len(x.stmts) > 0 {
			t.Fatal("a failed statement left something behind")
		}
		x.Rows()
		for _, ix := range x.dict.spaces[d.SpaceID].indexes {
			if err := ix.validate(); err != nil {
				t.Fatal(err)
			}
		}
		x.Abort()
		for w.b.Work(100) {
		}
	})
}

// FuzzPeer: rows of a peer for any system space change the dictionary or fail
// with a code, and what they leave can be read, listed and taken back.
func FuzzPeer(f *testing.F) {
	rows := keptRows(f)
	for _, r := range rows {
		if r.space < xrow.FirstUserSpace && splitRow(r.tuple).uint(0) >= xrow.FirstUserSpace || r.space == xrow.SpaceFunc || r.space == xrow.SpaceSequence {
			f.Add(uint8(xrow.Replace), r.space, []byte(nil), r.tuple, []byte(nil))
		}
	}
	f.Add(uint8(xrow.Update), uint32(xrow.SpaceSpace), arr(528), arr([]any{"=", "[6].constraint", m{"a": 1}}), []byte(nil))
	f.Add(uint8(xrow.Delete), uint32(xrow.SpaceIndex), arr(523, 1), []byte(nil), []byte(nil))
	f.Add(uint8(xrow.Replace), uint32(513), []byte(nil), arr(5), []byte(nil))
	f.Add(uint8(xrow.Replace), uint32(529), []byte(nil), arr(5), []byte(nil))
	w := keptWorld(f)
	w.mustApply(insert(529, 1, 1, 1, 1, raw{0xca, 0, 0, 0, 0}, raw{0xcb, 0, 0, 0, 0, 0, 0, 0, 0}, raw{0xd5, 1, 0, 0x1c}, raw{0xd5, 1, 0, 0x1c}, raw{0xd5, 1, 0, 0x1c},
		raw{0xd5, 1, 0xfe, 0x5c}, raw{0xd4, 6, 0}, m{}, 1))
	f.Fuzz(func(t *testing.T, typ uint8, space uint32, key, tuple, ops []byte) {
		for _, b := range [][]byte{key, tuple, ops} {
			if len(b) > 0 && !whole(b) {
				return
			}
		}
		d := xrow.DML{Type: xrow.Type(typ % 10), SpaceID: space, Key: key, Tuple: tuple, Ops: ops}
		if _, err := xrow.DecodeDML(d.Type, d.AppendBody(nil)); err != nil {
			return // the applier refuses it
		}
		w.seq++
		x := w.b.Begin(w.seq)
		err := x.Apply(&d)
		var e *xrow.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error without a code: %v", err)
		}
		if err != nil && len(x.stmts) > 0 {
			t.Fatal("a failed statement left something behind")
		}
		if err == nil {
			more, next := arr(1, 1, 1), arr(raw{0xc0}, 1)
			for _, sp := range x.dict.Spaces() {
				for _, d := range []xrow.DML{{Type: xrow.Insert, SpaceID: sp.ID, Tuple: more}, {Type: xrow.Insert, SpaceID: sp.ID, Tuple: next}} {
					if sp.ID >= xrow.FirstUserSpace {
						_, _ = x.Execute(UserAdmin, &d)
					}
				}
			}
			x.dict.Carried()
		}
		x.Abort()
		for w.b.Work(100) {
		}
	})
}

// FuzzSelect: any key, iterator and position answer or fail with a code.
func FuzzSelect(f *testing.F) {
	seeds(f, func(t xrow.Type, body map[xrow.Key][]byte) {
		if t == xrow.Select && body[xrow.KeyKey] != nil {
			var it uint64
			if v := body[xrow.KeyIterator]; v != nil {
				it, _ = uintOf(v)
			}
			f.Add(uint8(it), uint8(0), body[xrow.KeyKey], "", []byte(nil))
		}
	})
	f.Add(uint8(GE), uint8(1), arr(), "kqFhAQ", arr(1, "a"))
	w := clientSpaces(f)
	f.Fuzz(func(t *testing.T, iterator, index uint8, key []byte, position string, after []byte) {
		if !whole(key) || len(after) > 0 && !whole(after) {
			return
		}
		q := Query{Space: 512 + uint32(index>>4), Index: uint32(index & 3), Iterator: uint32(iterator), Key: key, Limit: 100,
			AfterPosition: []byte(position), AfterTuple: after, FetchPosition: index&4 != 0, MaxRows: 3}
		for q.More = true; q.More; {
			_, _, err := w.b.Select(UserAdmin, &q, nil)
			var e *xrow.Error
			if err != nil && !errors.As(err, &e) {
				t.Fatalf("error without a code: %v", err)
			}
		}
	})
}

// FuzzCompare: comparison is an order, and hints agree with it.
func FuzzCompare(f *testing.F) {
	for _, v := range []any{0, 1, -1, 1.5, uint64(1 << 63), -1e300, "a", "abcdefghi", []byte("a"), true, raw{0xca, 0x7f, 0xc0, 0, 0},
		raw{0xd6, 1, 2, 1, 0x23, 0x4d}, raw{0xd5, 1, 0, 0x0c}, raw{0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}} {
		f.Add(appendAny(nil, v), appendAny(nil, 1), appendAny(nil, 1.0))
	}
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		vals := [][]byte{a, b, c}
		for _, v := range vals {
			if n, err := mp.Scan(v); err != nil || n != len(v) || checkExts(v) != nil {
				return
			}
		}
		for typ := typeAny; typ < typeUnknown; typ++ {
			if !typ.indexable() || !typ.accepts(a) || !typ.accepts(b) || !typ.accepts(c) {
				continue
			}
			ab, bc, ac := compareValues(typ, a, b), compareValues(typ, b, c), compareValues(typ, a, c)
			if ab != -compareValues(typ, b, a) || compareValues(typ, a, a) != 0 {
				t.Fatalf("%s: not symmetric: %x %x", typ, a, b)
			}
			if ab <= 0 && bc <= 0 && ac > 0 || ab >= 0 && bc >= 0 && ac < 0 {
				t.Fatalf("%s: not transitive: %x %x %x", typ, a, b, c)
			}
			if ha, hb := hintOf(typ, a), hintOf(typ, b); ab < 0 && ha > hb || ab > 0 && ha < hb || ab == 0 && ha != hb {
				t.Fatalf("%s: %x %x compare %d, hints %x %x", typ, a, b, ab, ha, hb)
			}
		}
	})
}
