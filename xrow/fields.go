package xrow

import "tarragon.dev/tarragon/internal/mp"

// fields goes over the pairs of a scanned map. Keys that are no unsigned
// integers, or larger than a key can be, are passed over with their values, as
// Tarantool does in bodies.
//
//	f := openFields(body)
//	for f.next() {
//		switch f.key { ... f.val ... }
//	}
//	if f.bad { ... }
type fields struct {
	key  Key
	val  []byte // raw value of key, never empty
	bad  bool   // no map, or damaged
	left int    // pairs still to come
	rest []byte
}

func openFields(b []byte) fields {
	pairs, n, ok := mp.ReadMapHeader(b)
	if !ok {
		return fields{bad: true}
	}
	return fields{left: pairs, rest: b[n:]}
}

// next moves to the next pair with a key of ours.
func (f *fields) next() bool {
	for f.left > 0 {
		f.left--
		key, n, ok := mp.ReadUint(f.rest)
		if !ok {
			if n = f.scan(); f.bad {
				return false
			}
		}
		f.rest = f.rest[n:]
		if n = f.scan(); f.bad {
			return false
		}
		val := f.rest[:n]
		f.rest = f.rest[n:]
		if ok && key <= 0xff {
			f.key, f.val = Key(key), val
			return true
		}
	}
	return false
}

// scan measures the value at the head of rest.
func (f *fields) scan() int {
	if n := mp.ReadScalar(f.rest); n > 0 {
		return n
	}
	n, err := mp.Scan(f.rest)
	if err != nil {
		f.bad, f.left = true, 0
	}
	return n
}

func u64(v []byte) (uint64, bool) {
	n, _, ok := mp.ReadUint(v)
	return n, ok
}

// u32 cuts to 32 bits silently, as Tarantool does.
func u32(v []byte) (uint32, bool) {
	n, _, ok := mp.ReadUint(v)
	return uint32(n), ok
}
