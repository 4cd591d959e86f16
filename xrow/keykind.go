package xrow

import "tarragon.dev/tarragon/internal/mp"

// keyKinds has the type of each key that Tarantool knows, and of ours: it
// checks them in headers and in the bodies of data requests whether the key
// has a meaning there or not. Reserved: any.
var keyKinds = [256]mp.Kind{
	KeyType: mp.Uint, KeySync: mp.Uint, KeyReplicaID: mp.Uint, KeyLSN: mp.Uint, KeyTimestamp: mp.Double,
	KeySchemaVersion: mp.Uint, KeyServerVersion: mp.Uint, KeyGroupID: mp.Uint, KeyTSN: mp.Uint, KeyFlags: mp.Uint,
	KeyStreamID: mp.Uint,
	KeySpaceID:  mp.Uint, KeyIndexID: mp.Uint, KeyLimit: mp.Uint, KeyOffset: mp.Uint, KeyIterator: mp.Uint,
	KeyIndexBase: mp.Uint, KeyFetchPosition: mp.Bool,
	KeyKey: mp.Array, KeyTuple: mp.Array, KeyFunctionName: mp.Str, KeyUserName: mp.Str,
	KeyInstanceUUID: mp.Str, KeyReplicasetUUID: mp.Str, KeyVClock: mp.Map, KeyExpr: mp.Str,
	KeyOps: mp.Array, KeyBallot: mp.Map, KeyTupleMeta: mp.Map, KeyOptions: mp.Map, KeyOldTuple: mp.Array,
	KeyNewTuple: mp.Array, KeyAfterPosition: mp.Str, KeyAfterTuple: mp.Array,
	KeyData: mp.Array, KeyError24: mp.Str, KeyPosition: mp.Str, KeySQLText: mp.Str, KeyStmtID: mp.Uint,
	KeyError: mp.Map, KeyReplicaAnon: mp.Bool, KeyIDFilter: mp.Array, KeyTerm: mp.Uint, KeyVersion: mp.Uint, KeyFeatures: mp.Array,
	KeyTimeout: mp.Double, KeyEventKey: mp.Str, KeyTxnIsolation: mp.Uint, KeyVClockSync: mp.Uint,
	KeyAuthType: mp.Str, KeyReplicasetName: mp.Str, KeyInstanceName: mp.Str, KeySpaceName: mp.Str,
	KeyIndexName: mp.Str, KeyTupleFormats: mp.Map, KeyIsSync: mp.Bool,
	KeyPrevTerm: mp.Uint, KeyRules: mp.Uint, KeyHistory: mp.Array, KeyIncarnation: mp.Uint, KeyCommitted: mp.Array, KeyTuples: mp.Uint, KeyShown: mp.Array, KeyProcess: mp.Uint, KeyGroup: mp.Str, KeyFeature: mp.Uint,
	KeyStrongLSN: mp.Uint, KeySet: mp.Array, KeyMove: mp.Array, KeyFrom: mp.Uint, KeyShare: mp.Array, KeyCopy: mp.Array, KeyFile: mp.Array, KeyMemory: mp.Array, KeyProcedures: mp.Map,
}

// Accepts tells whether a value that begins with byte c is of the type of key
// k. A key without a type takes everything.
func (k Key) Accepts(c byte) bool {
	want := keyKinds[k]
	return want == mp.Reserved || want == mp.KindOf(c)
}
