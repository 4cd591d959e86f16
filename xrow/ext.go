package xrow

import (
	"encoding/binary"
	"math"

	"tarragon.dev/tarragon/internal/mp"
)

// MaxDecimalDigits is how many digits a decimal may have, MaxDecimalExponent the
// greatest power of ten of its first digit, on either side of the point.
// Tarantool: decimal_context, since 3.5.
const (
	MaxDecimalDigits   = 76
	MaxDecimalExponent = 999999
)

var (
	errDecimal  = mp.Malformed("cannot unpack decimal")
	errUUID     = mp.Malformed("cannot unpack uuid")
	errError    = mp.Malformed("cannot unpack error")
	errDatetime = mp.Malformed("cannot unpack datetime")
	errInterval = mp.Malformed("cannot unpack interval")
)

// ScanStrict is [mp.Scan] that also refuses extensions of a known type with a
// malformed payload, in the same pass. Tarantool does this with every
// request, also where the value is not looked at; extensions of unknown types
// are taken as they are.
func ScanStrict(b []byte) (n int, err error) { return mp.ScanExts(b, CheckExt) }

// CheckExt refuses a malformed payload of a known type.
func CheckExt(t mp.ExtType, payload []byte) error {
	switch t {
	case mp.ExtDecimal:
		if !validDecimal(payload) {
			return errDecimal
		}
	case mp.ExtUUID:
		if len(payload) != 16 {
			return errUUID
		}
	case mp.ExtError:
		if mp.Check(payload) != nil || decodeStack(payload) == nil {
			return errError
		}
	case mp.ExtDatetime:
		if !validDatetime(payload) {
			return errDatetime
		}
	case mp.ExtInterval:
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
	scale, n, ok := mp.ReadInt(b)
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
		v, n, ok := mp.ReadInt(b[1:])
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
