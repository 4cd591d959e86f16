package iproto

import "tarragon.dev/tarragon/xrow"

// kind is a class of MessagePack values as request checks tell them apart.
type kind uint8

const (
	kindUnknown kind = iota
	kindUint
	kindInt // negative
	kindNil
	kindBool
	kindFloat
	kindDouble
	kindStr
	kindBin
	kindArray
	kindMap
	kindExt
)

// kinds maps the first byte of a value to its kind.
var kinds = func() (t [256]kind) {
	fill := func(from, to int, k kind) {
		for c := from; c <= to; c++ {
			t[c] = k
		}
	}
	fill(0x00, 0x7f, kindUint)
	fill(0x80, 0x8f, kindMap)
	fill(0x90, 0x9f, kindArray)
	fill(0xa0, 0xbf, kindStr)
	fill(0xc0, 0xc0, kindNil)
	fill(0xc2, 0xc3, kindBool)
	fill(0xc4, 0xc6, kindBin)
	fill(0xc7, 0xc9, kindExt)
	fill(0xca, 0xca, kindFloat)
	fill(0xcb, 0xcb, kindDouble)
	fill(0xcc, 0xcf, kindUint)
	fill(0xd0, 0xd3, kindInt)
	fill(0xd4, 0xd8, kindExt)
	fill(0xd9, 0xdb, kindStr)
	fill(0xdc, 0xdd, kindArray)
	fill(0xde, 0xdf, kindMap)
	fill(0xe0, 0xff, kindInt)
	return t
}()

// bodyKinds is the kind that the value of each known body key must have; keys
// of kindUnknown are passed over (Tarantool, src/box/iproto_constants.c).
var bodyKinds = [128]kind{
	xrow.KeySpaceID:       kindUint,
	xrow.KeyIndexID:       kindUint,
	xrow.KeyLimit:         kindUint,
	xrow.KeyOffset:        kindUint,
	xrow.KeyIterator:      kindUint,
	xrow.KeyIndexBase:     kindUint,
	xrow.KeyFetchPosition: kindBool,

	xrow.KeyKey:            kindArray,
	xrow.KeyTuple:          kindArray,
	xrow.KeyFunctionName:   kindStr,
	xrow.KeyUserName:       kindStr,
	xrow.KeyInstanceUUID:   kindStr,
	xrow.KeyReplicasetUUID: kindStr,
	xrow.KeyVClock:         kindMap,
	xrow.KeyExpr:           kindStr,
	xrow.KeyOps:            kindArray,
	xrow.KeyBallot:         kindMap,
	xrow.KeyAfterPosition:  kindStr,
	xrow.KeyAfterTuple:     kindArray,
	xrow.KeySQLText:        kindStr,
	xrow.KeyStmtID:         kindUint,

	xrow.KeyVersion:      kindUint,
	xrow.KeyFeatures:     kindArray,
	xrow.KeyTimeout:      kindDouble,
	xrow.KeyEventKey:     kindStr,
	xrow.KeyTxnIsolation: kindUint,
	xrow.KeySpaceName:    kindStr,
	xrow.KeyIndexName:    kindStr,
	xrow.KeyIsSync:       kindBool,
	xrow.KeyArrow:        kindExt,
}
