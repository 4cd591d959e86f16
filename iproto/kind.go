package iproto

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// bodyKinds is the kind that the value of each known body key must have; keys
// of mp.Reserved are passed over (Tarantool, src/box/iproto_constants.c).
var bodyKinds = [128]mp.Kind{
	xrow.KeySpaceID:       mp.Uint,
	xrow.KeyIndexID:       mp.Uint,
	xrow.KeyLimit:         mp.Uint,
	xrow.KeyOffset:        mp.Uint,
	xrow.KeyIterator:      mp.Uint,
	xrow.KeyIndexBase:     mp.Uint,
	xrow.KeyFetchPosition: mp.Bool,

	xrow.KeyKey:            mp.Array,
	xrow.KeyTuple:          mp.Array,
	xrow.KeyFunctionName:   mp.Str,
	xrow.KeyUserName:       mp.Str,
	xrow.KeyInstanceUUID:   mp.Str,
	xrow.KeyReplicasetUUID: mp.Str,
	xrow.KeyVClock:         mp.Map,
	xrow.KeyExpr:           mp.Str,
	xrow.KeyOps:            mp.Array,
	xrow.KeyBallot:         mp.Map,
	xrow.KeyAfterPosition:  mp.Str,
	xrow.KeyAfterTuple:     mp.Array,
	xrow.KeySQLText:        mp.Str,
	xrow.KeyStmtID:         mp.Uint,

	xrow.KeyVersion:      mp.Uint,
	xrow.KeyFeatures:     mp.Array,
	xrow.KeyTimeout:      mp.Double,
	xrow.KeyEventKey:     mp.Str,
	xrow.KeyTxnIsolation: mp.Uint,
	xrow.KeySpaceName:    mp.Str,
	xrow.KeyIndexName:    mp.Str,
	xrow.KeyIsSync:       mp.Bool,
	xrow.KeyArrow:        mp.Ext,
}
