package xrow

// Type is an IPROTO request type or reply code, the value of header key 0x00.
type Type uint32

// Row and request types (Tarantool: IPROTO_TYPES).
const (
	OK           Type = 0
	Select       Type = 1
	Insert       Type = 2
	Replace      Type = 3
	Update       Type = 4
	Delete       Type = 5
	Call16       Type = 6
	Auth         Type = 7
	Eval         Type = 8
	Upsert       Type = 9
	Call         Type = 10
	Execute      Type = 11
	Nop          Type = 12
	Prepare      Type = 13
	Begin        Type = 14
	Commit       Type = 15
	RollbackTxn  Type = 16
	InsertArrow  Type = 17
	DeleteRange  Type = 18
	RaftState    Type = 30
	Promote      Type = 31
	Demote       Type = 32
	Confirm      Type = 40
	Rollback     Type = 41
	Ping         Type = 64
	Join         Type = 65
	Subscribe    Type = 66
	VoteOld      Type = 67
	Vote         Type = 68
	FetchSnap    Type = 69
	Register     Type = 70
	JoinMeta     Type = 71
	JoinSnapshot Type = 72
	ID           Type = 73
	Watch        Type = 74
	Unwatch      Type = 75
	Event        Type = 76
	WatchOnce    Type = 77
	Chunk        Type = 128

	ErrorFlag Type = 0x8000 // an error reply: ErrorFlag | code
)

// Key is a key of a header or body map.
type Key uint8

// Header and body keys (Tarantool: IPROTO_KEYS).
const (
	KeyType          Key = 0x00
	KeySync          Key = 0x01
	KeyReplicaID     Key = 0x02
	KeyLSN           Key = 0x03
	KeyTimestamp     Key = 0x04
	KeySchemaVersion Key = 0x05
	KeyServerVersion Key = 0x06
	KeyGroupID       Key = 0x07
	KeyTSN           Key = 0x08
	KeyFlags         Key = 0x09
	KeyStreamID      Key = 0x0a

	KeySpaceID       Key = 0x10
	KeyIndexID       Key = 0x11
	KeyLimit         Key = 0x12
	KeyOffset        Key = 0x13
	KeyIterator      Key = 0x14
	KeyIndexBase     Key = 0x15
	KeyFetchPosition Key = 0x1f

	KeyKey            Key = 0x20
	KeyTuple          Key = 0x21
	KeyFunctionName   Key = 0x22
	KeyUserName       Key = 0x23
	KeyInstanceUUID   Key = 0x24
	KeyReplicasetUUID Key = 0x25
	KeyVClock         Key = 0x26
	KeyExpr           Key = 0x27
	KeyOps            Key = 0x28
	KeyBallot         Key = 0x29
	KeyTupleMeta      Key = 0x2a
	KeyOptions        Key = 0x2b
	KeyOldTuple       Key = 0x2c
	KeyNewTuple       Key = 0x2d
	KeyAfterPosition  Key = 0x2e
	KeyAfterTuple     Key = 0x2f
	KeyData           Key = 0x30
	KeyError24        Key = 0x31
	KeyPosition       Key = 0x35
	KeySQLText        Key = 0x40
	KeyStmtID         Key = 0x43

	KeyReplicaAnon    Key = 0x50
	KeyIDFilter       Key = 0x51
	KeyError          Key = 0x52
	KeyTerm           Key = 0x53 // also a header key of ours: the term of the leader that wrote the row
	KeyVersion        Key = 0x54
	KeyFeatures       Key = 0x55
	KeyTimeout        Key = 0x56
	KeyEventKey       Key = 0x57
	KeyEventData      Key = 0x58
	KeyTxnIsolation   Key = 0x59
	KeyVClockSync     Key = 0x5a
	KeyAuthType       Key = 0x5b
	KeyReplicasetName Key = 0x5c
	KeyInstanceName   Key = 0x5d
	KeySpaceName      Key = 0x5e
	KeyIndexName      Key = 0x5f
	KeyTupleFormats   Key = 0x60
	KeyIsSync         Key = 0x61
	KeyArrow          Key = 0x36 // of INSERT_ARROW
	KeyIsCheckpoint   Key = 0x62 // FETCH_SNAPSHOT: out of a checkpoint file that further keys name
)

// Keys of our own. Tarantool peers skip them; their numbers are fixed in
// docs/protocol/keys.md and never used for anything else.
const (
	KeyPrevTerm    Key = 0x70 // PROMOTE, uint: the term of the PROMOTE that it follows
	KeyRules       Key = 0x71 // PROMOTE, SUBSCRIBE, ballot, uint: 1 = strong rules
	KeyHistory     Key = 0x72 // JOIN META, array of [term, owner, first LSN, last LSN]
	KeyIncarnation Key = 0x73 // JOIN, FETCH_SNAPSHOT, REGISTER, SUBSCRIBE, uint: of the store of the one that asks
	KeyCommitted   Key = 0x74 // JOIN META, array [term, LSN] up to which the state is committed
	KeyTuples      Key = 0x75 // JOIN META, uint: about how many tuples follow
	KeyShown       Key = 0x79 // answer to SUBSCRIBE, [incarnation, term, vote, vclock]: what that life has shown to the one that answers
	KeyProcess     Key = 0x7a // SUBSCRIBE and its answer, uint: of the process of the sender
	KeyGroup       Key = 0x7b // VOTE, JOIN, FETCH_SNAPSHOT, REGISTER, SUBSCRIBE and their answers, string: whose Core is meant
	KeyFeature     Key = 0x7c // JOIN, FETCH_SNAPSHOT, REGISTER, SUBSCRIBE and its answer, uint: the newest feature level that the sender reads
	KeyStrongLSN   Key = 0x76 // PROMOTE, CONFIRM, uint: LSN by the strong rules, where LSN is for Tarantools
	KeyMove        Key = 0x7d // CONFIRM, PROMOTE, array [kind, to, by, reason, gap, loose, token, lease]: how the write role moves; JOIN META, array of arrays: how it moved
	KeyFrom        Key = 0x6f // header of rows of a filtered stream, uint: LSN of the first row that this one stands for
	KeyShare       Key = 0x81 // SUBSCRIBE, FETCH_SNAPSHOT, array [filter, version, new, spaces]: what the replica has
	KeyProcedures  Key = 0x80 // SUBSCRIBE and its answer, map name to version: the procedures that the sender has
	KeyCopy        Key = 0x82 // FETCH_SNAPSHOT, array [spaces, vclock, term]: a base copy is asked for, by a replica that holds so much
	KeySession     Key = 0x83 // header of a request, string: the exactly-once session that it belongs to
	KeySlot        Key = 0x84 // header of a request, uint: its slot of the session
	KeyNumber      Key = 0x85 // header of a request, uint: its number in the slot
	KeyRepeat      Key = 0x86 // header of a request, boolean: it may have been sent before
	KeyMemory      Key = 0x88 // acks of a SUBSCRIBE, array [taken, limit]: bytes of the memory of an anonymous replica
	KeyFile        Key = 0x87 // FETCH_SNAPSHOT, array []: the base copy is to be written as a file; JOIN META, array [path, size, digest]: there it is
	KeySet         Key = 0x77 // ballot, array [replica set UUID, voters that it needs while it is being founded]
)

// Flags of the last row of a transaction.
type Flags uint8

// Flag bits (docs/protocol/rows.md, Transactions).
const (
	FlagCommit   Flags = 1 // last row of a transaction of several rows
	FlagWaitSync Flags = 2 // the transaction waits in the limbo
	FlagWaitAck  Flags = 4 // the transaction is synchronous itself
)

// GroupLocal is the group ID of rows that never leave the instance.
const GroupLocal = 1
