package xrow

// kind is what a known key's value must be.
type kind uint8

const (
	kindAny kind = iota
	kindUint
	kindDouble
	kindString
	kindArray
	kindMap
	kindBool
)

// keyKinds has the type of each key that Tarantool knows, and of ours: it
// checks them in headers and in the bodies of data requests whether the key
// has a meaning there or not.
var keyKinds = [256]kind{
	KeyType: kindUint, KeySync: kindUint, KeyReplicaID: kindUint, KeyLSN: kindUint, KeyTimestamp: kindDouble,
	KeySchemaVersion: kindUint, KeyServerVersion: kindUint, KeyGroupID: kindUint, KeyTSN: kindUint, KeyFlags: kindUint,
	KeyStreamID: kindUint,
	KeySpaceID:  kindUint, KeyIndexID: kindUint, KeyLimit: kindUint, KeyOffset: kindUint, KeyIterator: kindUint,
	KeyIndexBase: kindUint, KeyFetchPosition: kindBool,
	KeyKey: kindArray, KeyTuple: kindArray, KeyFunctionName: kindString, KeyUserName: kindString,
	KeyInstanceUUID: kindString, KeyReplicasetUUID: kindString, KeyVClock: kindMap, KeyExpr: kindString,
	KeyOps: kindArray, KeyBallot: kindMap, KeyTupleMeta: kindMap, KeyOptions: kindMap, KeyOldTuple: kindArray,
	KeyNewTuple: kindArray, KeyAfterPosition: kindString, KeyAfterTuple: kindArray,
	KeyData: kindArray, KeyError24: kindString, KeyPosition: kindString, KeySQLText: kindString, KeyStmtID: kindUint,
	KeyError: kindMap, KeyReplicaAnon: kindBool, KeyIDFilter: kindArray, KeyTerm: kindUint, KeyVersion: kindUint, KeyFeatures: kindArray,
	KeyTimeout: kindDouble, KeyEventKey: kindString, KeyTxnIsolation: kindUint, KeyVClockSync: kindUint,
	KeyAuthType: kindString, KeyReplicasetName: kindString, KeyInstanceName: kindString, KeySpaceName: kindString,
	KeyIndexName: kindString, KeyTupleFormats: kindMap, KeyIsSync: kindBool,
	KeyPrevTerm: kindUint, KeyRules: kindUint, KeyHistory: kindArray, KeyIncarnation: kindUint, KeyCommitted: kindArray, KeyTuples: kindUint, KeyShown: kindArray, KeyProcess: kindUint, KeyGroup: kindString, KeyFeature: kindUint,
	KeyStrongLSN: kindUint, KeySet: kindArray,
}

// Accepts tells whether a value that begins with byte c is of the type of key
// k. A key without a type takes everything.
func (k Key) Accepts(c byte) bool {
	switch keyKinds[k] {
	case kindUint:
		return c <= 0x7f || c >= 0xcc && c <= 0xcf
	case kindDouble:
		return c == 0xcb
	case kindString:
		return isString(c)
	case kindArray:
		return isArray(c)
	case kindMap:
		return isMap(c)
	case kindBool:
		return c == 0xc2 || c == 0xc3
	}
	return true
}
