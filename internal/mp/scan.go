package mp

import "errors"

// MaxDepth is how deep foreign MessagePack may be nested.
const MaxDepth = 128

// ErrMsgpack is the cause of every refusal of malformed MessagePack.
var ErrMsgpack = errors.New("xrow: malformed MessagePack")

var (
	errTruncated = Malformed("truncated input")
	errReserved  = Malformed("reserved byte 0xc1")
	errDepth     = Malformed("nested too deeply")
)

// ErrJunk is the [ErrMsgpack] of bytes behind a value that should have none.
var ErrJunk = Malformed("junk after input")

type scanError struct{ detail string }

// Malformed is an [ErrMsgpack] that says what is wrong.
func Malformed(detail string) error { return &scanError{detail} }

func (e *scanError) Error() string        { return ErrMsgpack.Error() + ": " + e.detail }
func (e *scanError) Is(target error) bool { return target == ErrMsgpack }

// Scan goes over the one MessagePack value that b begins with and returns its
// length. It neither recurses nor allocates, and never looks beyond b: a header
// that promises more elements than there are bytes is refused at once.
func Scan(b []byte) (n int, err error) { return ScanExts(b, nil) }

// Check refuses what is not one value with nothing behind it.
func Check(b []byte) error {
	n, err := Scan(b)
	if err == nil && n != len(b) {
		err = ErrJunk
	}
	return err
}

// ScanExts is [Scan] that also ends with the error of check for an extension,
// wherever it is, in the same pass.
func ScanExts(b []byte, check func(t ExtType, payload []byte) error) (n int, err error) {
	var shallow [8]uint64 // nearly all input fits; a larger array costs its clearing
	n, err = scan(b, shallow[:], check)
	if err == errDepth {
		var deep [MaxDepth]uint64
		return scan(b, deep[:], check)
	}
	return n, err
}

// scan goes as deep as outer has room for.
func scan(b []byte, outer []uint64, check func(ExtType, []byte) error) (n int, err error) {
	depth := 0        // of the value at n
	left := uint64(1) // values still to come at this depth; outer has those of the depths above
	for {
		if n >= len(b) {
			return n, errTruncated
		}
		c := b[n]
		size, inside := int(scalar[c]), uint64(0)
		switch {
		case size > 0:
		case c <= 0x8f:
			size, inside = 1, 2*uint64(c&0x0f)
		case c <= 0x9f:
			size, inside = 1, uint64(c&0x0f)
		default:
			if size, inside, err = step(b[n:]); err != nil {
				return n, err
			}
			if check != nil && kinds[c] == Ext {
				if err := check(ExtOf(b[n:])); err != nil {
					return n, err
				}
			}
		}
		if size > len(b)-n {
			return n, errTruncated
		}
		n += size
		left--
		if inside > 0 {
			if inside > uint64(len(b)-n) {
				return n, errTruncated
			}
			if depth+1 == len(outer) {
				return n, errDepth
			}
			outer[depth] = left
			depth++
			left = inside
		}
		for left == 0 {
			if depth == 0 {
				return n, nil
			}
			depth--
			left = outer[depth]
		}
	}
}
