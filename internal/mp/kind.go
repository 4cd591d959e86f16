package mp

// Kind is the class of a MessagePack value.
type Kind uint8

// Kinds. Any signed encoding is an Int, whatever the number is, as in
// Tarantool.
const (
	Reserved Kind = iota // byte 0xc1, which begins no value
	Nil
	Uint
	Int
	Float
	Double
	Str
	Bin
	Bool
	Array
	Map
	Ext
)

// String is Tarantool's word for the kind.
func (k Kind) String() string {
	return [...]string{"reserved", "nil", "unsigned", "integer", "float", "double", "string", "blob", "boolean", "array", "map", "extension"}[k]
}

// KindOf is the kind of a value that begins with byte c.
func KindOf(c byte) Kind { return kinds[c] }

var kinds = func() (t [256]Kind) {
	fill := func(from, to int, k Kind) {
		for c := from; c <= to; c++ {
			t[c] = k
		}
	}
	fill(0x00, 0x7f, Uint)
	fill(0x80, 0x8f, Map)
	fill(0x90, 0x9f, Array)
	fill(0xa0, 0xbf, Str)
	fill(0xc0, 0xc0, Nil)
	fill(0xc2, 0xc3, Bool)
	fill(0xc4, 0xc6, Bin)
	fill(0xc7, 0xc9, Ext)
	fill(0xca, 0xca, Float)
	fill(0xcb, 0xcb, Double)
	fill(0xcc, 0xcf, Uint)
	fill(0xd0, 0xd3, Int)
	fill(0xd4, 0xd8, Ext)
	fill(0xd9, 0xdb, Str)
	fill(0xdc, 0xdd, Array)
	fill(0xde, 0xdf, Map)
	fill(0xe0, 0xff, Int)
	return t
}()

// ExtType is the type of an extension.
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
