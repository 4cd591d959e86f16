package xrow

import (
	"encoding/binary"
	"math"
)

// ExtType is the type of a MessagePack extension.
type ExtType int8

// Extension types (Tarantool: mp_extension_types.h).
const (
	ExtDecimal     ExtType = 1
	ExtUUID        ExtType = 2
	ExtError       ExtType = 3
	ExtDatetime    ExtType = 4
	ExtCompression ExtType = 5
	ExtInterval    ExtType = 6
	ExtTuple       ExtType = 7
	ExtArrow       ExtType = 8
)

// MaxDecimalDigits is how many digits a decimal may have, MaxDecimalExponent the
// greatest power of ten of its first digit, on either side of the point.
// Tarantool: decimal_context, since 3.5.
const (
	MaxDecimalDigits   = 76
	MaxDecimalExponent = 999999
)

var (
	errDecimal  = wrapped("cannot unpack decimal")
	errUUID     = wrapped("cannot unpack uuid")
	errError    = wrapped("cannot unpack error")
	errDatetime = wrapped("cannot unpack datetime")
	errInterval = wrapped("cannot unpack interval")
)

// ScanStrict is [Scan] that also refuses extensions of a known type with a
// malformed payload, in the same pass. Tarantool does this with every
// request, also where the value is not looked at; extensions of unknown types
// are taken as they are.
func ScanStrict(b []byte) (n int, err error) { return scanWith(b, true) }

// ReadExt reads an extension; payload points into b.
func ReadExt(b []byte) (t ExtType, payload []byte, n int, ok bool) {
	if len(b) == 0 || !isExt(b[0]) {
		return 0, nil, 0, false
	}
	head := 2
	if b[0] <= 0xc9 {
		head += 1 << (b[0] - 0xc7)
	}
	n, _, err := step(b)
	if err != nil {
		return 0, nil, 0, false
	}
	return ExtType(b[head-1]), b[head:n], n, true
}

// CheckExt refuses a malformed payload of a known type.
func CheckExt(t ExtType, payload []byte) error {
	switch t {
	case ExtDecimal:
		if !validDecimal(payload) {
			return errDecimal
		}
	case ExtUUID:
		if len(payload) != 16 {
			return errUUID
		}
	case ExtError:
		if n, err := Scan(payload); err != nil || n != len(payload) || decodeStack(payload) == nil {
			return errError
		}
	case ExtDatetime:
		if !validDatetime(payload) {
			return errDatetime
		}
	case ExtInterval:
		if !validInterval(payload) {
			return errInterval
		}
	}
	return nil
}

// maxDecimalBytes is the room that Tarantool has for packed digits.
const maxDecimalBytes = 39

// validDecimal checks scale and packed digits: two in a byte, the last half
// byte is the sign. Below the least exponent there is room for fewer digits.
func validDecimal(b []byte) bool {
	scale, n, ok := ReadInt(b)
	if !ok || scale < -MaxDecimalExponent || scale > MaxDecimalExponent+MaxDecimalDigits-1 {
		return false
	}
	b = b[n:]
	if len(b) == 0 || len(b) > maxDecimalBytes || b[len(b)-1]&0x0f <= 9 {
		return false
	}
	digits := 0
	for i := range 2*len(b) - 1 {
		digit := b[i/2] >> 4
		if i%2 == 1 {
			digit = b[i/2] & 0x0f
		}
		if digit > 9 {
			return false
		}
		if digits > 0 || digit > 0 {
			digits++
		}
	}
	return digits <= MaxDecimalDigits && max(digits, 1)-1-int(scale) <= MaxDecimalExponent
}

// Limits of a datetime: days since the epoch of a calendar that counts in 32
// bits, room for leap seconds, zones from UTC-12 to UTC+14.
const (
	secondsPerDay = 86400
	epochDay      = 719163 // 1970-01-01, counted from 0001-01-01
	maxNsec       = 2000000000
	minTZOffset   = -12 * 60
	maxTZOffset   = 14 * 60
	maxTZIndex    = 1024
)

func validDatetime(b []byte) bool {
	if len(b) != 8 && len(b) != 16 {
		return false
	}
	seconds := int64(binary.LittleEndian.Uint64(b))
	if seconds < (math.MinInt32-epochDay)*secondsPerDay || seconds > (math.MaxInt32-epochDay)*secondsPerDay {
		return false
	}
	if len(b) == 8 {
		return true
	}
	nsec := int32(binary.LittleEndian.Uint32(b[8:]))
	offset := int16(binary.LittleEndian.Uint16(b[12:]))
	index := int16(binary.LittleEndian.Uint16(b[14:]))
	return nsec >= 0 && nsec < maxNsec && offset >= minTZOffset && offset <= maxTZOffset &&
		index >= 0 && index <= maxTZIndex
}

// Fields of an interval.
const (
	intervalWeek   = 2 // the last of year, month, week, which have 32 bits
	intervalNsec   = 7 // has 32 bits too
	intervalAdjust = 8
)

func validInterval(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	count := int(b[0])
	b = b[1:]
	for range count {
		if len(b) < 2 {
			return false
		}
		field := b[0]
		v, n, ok := ReadInt(b[1:])
		switch {
		case !ok || field > intervalAdjust:
			return false
		case field == intervalAdjust && (v < 0 || v > 2):
			return false
		case (field <= intervalWeek || field == intervalNsec) && v != int64(int32(v)):
			return false
		}
		b = b[1+n:]
	}
	return len(b) == 0
}

// ReadInt reads an integer of any form that fits in 64 bits with a sign.
func ReadInt(b []byte) (v int64, n int, ok bool) {
	if u, n, ok := ReadUint(b); ok {
		return int64(u), n, u <= math.MaxInt64
	}
	if len(b) == 0 {
		return 0, 0, false
	}
	c := b[0]
	if c >= 0xe0 {
		return int64(int8(c)), 1, true
	}
	if c < 0xd0 || c > 0xd3 {
		return 0, 0, false
	}
	width := 1 << (c - 0xd0)
	if len(b) < 1+width {
		return 0, 0, false
	}
	shift := 64 - 8*width
	return int64(number(b[1:], width)<<shift) >> shift, 1 + width, true
}
