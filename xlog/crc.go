package xlog

import "hash/crc32"

// joinCRC is the CRC32C of two pieces, given the CRC of each and the length of
// the second: the first is carried over that many zero bytes, which is linear
// over GF(2), by squaring (zlib: crc32_combine).
func joinCRC(first, second uint32, size uint64) uint32 {
	var odd, even [32]uint32 // operators for one zero bit, squared again and again
	odd[0] = crc32.Castagnoli
	for i := 1; i < len(odd); i++ {
		odd[i] = 1 << (i - 1)
	}
	square(&even, &odd) // two bits
	square(&odd, &even) // four
	for ; size > 0; size >>= 1 {
		square(&even, &odd)
		if size&1 != 0 {
			first = times(&even, first)
		}
		odd = even
	}
	return first ^ second
}

func times(m *[32]uint32, v uint32) (sum uint32) {
	for i := 0; v != 0; i++ {
		if v&1 != 0 {
			sum ^= m[i]
		}
		v >>= 1
	}
	return sum
}

func square(to, m *[32]uint32) {
	for i := range to {
		to[i] = times(m, m[i])
	}
}
