package box

import "tarragon.dev/tarragon/internal/mp"

// rowReader reads the fields of a row of a system space. What has another type
// than asked for reads as zero; the format of the space was checked before.
type rowReader [][]byte

// splitRow cuts an array in its elements.
func splitRow(b []byte) rowReader {
	if len(b) == 0 || mp.KindOf(b[0]) != mp.Array {
		return nil
	}
	n, at := mp.ArrayOf(b)
	r := make(rowReader, 0, n)
	for range n {
		end := mp.Skip(b, at)
		r = append(r, b[at:end])
		at = end
	}
	return r
}

func (r rowReader) raw(i int) []byte {
	if i >= len(r) {
		return nilValue
	}
	return r[i]
}

func (r rowReader) uint(i int) uint64 {
	b := r.raw(i)
	if mp.KindOf(b[0]) != mp.Uint {
		return 0
	}
	u, _ := mp.IntOf(b)
	return u
}

func (r rowReader) bool(i int) bool { return r.raw(i)[0] == 0xc3 }

func (r rowReader) string(i int) string { return stringOf(r.raw(i)) }

func stringOf(b []byte) string {
	if mp.KindOf(b[0]) != mp.Str {
		return ""
	}
	return string(mp.TextOf(b))
}

// eachPair goes over a map whose keys are strings; ok is false for another kind
// of value.
func eachPair(b []byte, f func(key string, v []byte) error) (ok bool, err error) {
	if mp.KindOf(b[0]) != mp.Map {
		return false, nil
	}
	at, inside := mp.Token(b, 0)
	for range inside / 2 {
		end := mp.Skip(b, at)
		key := b[at:end]
		at = mp.Skip(b, end)
		if mp.KindOf(key[0]) != mp.Str {
			return false, nil
		}
		if err := f(string(mp.TextOf(key)), b[end:at]); err != nil {
			return true, err
		}
	}
	return true, nil
}
