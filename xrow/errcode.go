package xrow

// Error codes (Tarantool: src/box/errcode.h).
const (
	ErrUnknown                       Code = 0
	ErrIllegalParams                 Code = 1
	ErrMemoryIssue                   Code = 2
	ErrTupleFound                    Code = 3
	ErrTupleNotFound                 Code = 4
	ErrUnsupported                   Code = 5
	ErrNonmaster                     Code = 6
	ErrReadonly                      Code = 7
	ErrInjection                     Code = 8
	ErrCreateSpace                   Code = 9
	ErrSpaceExists                   Code = 10
	ErrDropSpace                     Code = 11
	ErrAlterSpace                    Code = 12
	ErrIndexType                     Code = 13
	ErrModifyIndex                   Code = 14
	ErrLastDrop                      Code = 15
	ErrTupleFormatLimit              Code = 16
	ErrDropPrimaryKey                Code = 17
	ErrKeyPartType                   Code = 18
	ErrExactMatch                    Code = 19
	ErrInvalidMsgpack                Code = 20
	ErrProcRet                       Code = 21
	ErrTupleNotArray                 Code = 22
	ErrFieldType                     Code = 23
	ErrIndexPartTypeMismatch         Code = 24
	ErrUpdateSplice                  Code = 25
	ErrUpdateArgType                 Code = 26
	ErrFormatMismatchIndexPart       Code = 27
	ErrUnknownUpdateOp               Code = 28
	ErrUpdateField                   Code = 29
	ErrFunctionTxActive              Code = 30
	ErrKeyPartCount                  Code = 31
	ErrProcLua                       Code = 32
	ErrNoSuchProc                    Code = 33
	ErrNoSuchTrigger                 Code = 34
	ErrNoSuchIndexID                 Code = 35
	ErrNoSuchSpace                   Code = 36
	ErrNoSuchFieldNo                 Code = 37
	ErrExactFieldCount               Code = 38
	ErrFieldMissing                  Code = 39
	ErrWALIO                         Code = 40
	ErrMoreThanOneTuple              Code = 41
	ErrAccessDenied                  Code = 42
	ErrCreateUser                    Code = 43
	ErrDropUser                      Code = 44
	ErrNoSuchUser                    Code = 45
	ErrUserExists                    Code = 46
	ErrCredsMismatch                 Code = 47
	ErrUnknownRequestType            Code = 48
	ErrUnknownSchemaObject           Code = 49
	ErrCreateFunction                Code = 50
	ErrNoSuchFunction                Code = 51
	ErrFunctionExists                Code = 52
	ErrBeforeReplaceRet              Code = 53
	ErrMultistatementTransaction     Code = 54
	ErrTriggerExists                 Code = 55
	ErrUserMax                       Code = 56
	ErrNoSuchEngine                  Code = 57
	ErrReloadCfg                     Code = 58
	ErrCfg                           Code = 59
	ErrSavepointEmptyTx              Code = 60
	ErrNoSuchSavepoint               Code = 61
	ErrUnknownReplica                Code = 62
	ErrReplicasetUUIDMismatch        Code = 63
	ErrInvalidUUID                   Code = 64
	ErrReplicasetUUIDIsRO            Code = 65
	ErrInstanceUUIDMismatch          Code = 66
	ErrReplicaIDIsReserved           Code = 67
	ErrInvalidOrder                  Code = 68
	ErrMissingRequestField           Code = 69
	ErrIdentifier                    Code = 70
	ErrDropFunction                  Code = 71
	ErrIteratorType                  Code = 72
	ErrReplicaMax                    Code = 73
	ErrInvalidXlog                   Code = 74
	ErrInvalidXlogName               Code = 75
	ErrInvalidXlogOrder              Code = 76
	ErrNoConnection                  Code = 77
	ErrTimeout                       Code = 78
	ErrActiveTransaction             Code = 79
	ErrCursorNoTransaction           Code = 80
	ErrCrossEngineTransaction        Code = 81
	ErrNoSuchRole                    Code = 82
	ErrRoleExists                    Code = 83
	ErrCreateRole                    Code = 84
	ErrIndexExists                   Code = 85
	ErrSessionClosed                 Code = 86
	ErrRoleLoop                      Code = 87
	ErrGrant                         Code = 88
	ErrPrivGranted                   Code = 89
	ErrRoleGranted                   Code = 90
	ErrPrivNotGranted                Code = 91
	ErrRoleNotGranted                Code = 92
	ErrMissingSnapshot               Code = 93
	ErrCantUpdatePrimaryKey          Code = 94
	ErrUpdateIntegerOverflow         Code = 95
	ErrGuestUserPassword             Code = 96
	ErrTransactionConflict           Code = 97
	ErrUnsupportedPriv               Code = 98
	ErrLoadFunction                  Code = 99
	ErrFunctionLanguage              Code = 100
	ErrRtreeRect                     Code = 101
	ErrProcC                         Code = 102
	ErrUnknownRtreeIndexDistanceType Code = 103
	ErrProtocol                      Code = 104
	ErrUpsertUniqueSecondaryKey      Code = 105
	ErrWrongIndexRecord              Code = 106
	ErrWrongIndexParts               Code = 107
	ErrWrongIndexOptions             Code = 108
	ErrWrongSchemaVersion            Code = 109
	ErrMemtxMaxTupleSize             Code = 110
	ErrWrongSpaceOptions             Code = 111
	ErrUnsupportedIndexFeature       Code = 112
	ErrViewIsRO                      Code = 113
	ErrNoTransaction                 Code = 114
	ErrSystem                        Code = 115
	ErrLoading                       Code = 116
	ErrConnectionToSelf              Code = 117
	ErrKeyPartIsTooLong              Code = 118
	ErrCompression                   Code = 119
	ErrCheckpointInProgress          Code = 120
	ErrSubStmtMax                    Code = 121
	ErrCommitInSubStmt               Code = 122
	ErrRollbackInSubStmt             Code = 123
	ErrDecompression                 Code = 124
	ErrInvalidXlogType               Code = 125
	ErrAlreadyRunning                Code = 126
	ErrIndexFieldCountLimit          Code = 127
	ErrLocalInstanceIDIsReadOnly     Code = 128
	ErrBackupInProgress              Code = 129
	ErrReadViewAborted               Code = 130
	ErrInvalidIndexFile              Code = 131
	ErrInvalidRunFile                Code = 132
	ErrInvalidVylogFile              Code = 133
	ErrCascadeRollback               Code = 134
	ErrVyQuotaTimeout                Code = 135
	ErrPartialKey                    Code = 136
	ErrTruncateSystemSpace           Code = 137
	ErrLoadModule                    Code = 138
	ErrVinylMaxTupleSize             Code = 139
	ErrWrongDdVersion                Code = 140
	ErrWrongSpaceFormat              Code = 141
	ErrCreateSequence                Code = 142
	ErrAlterSequence                 Code = 143
	ErrDropSequence                  Code = 144
	ErrNoSuchSequence                Code = 145
	ErrSequenceExists                Code = 146
	ErrSequenceOverflow              Code = 147
	ErrNoSuchIndexName               Code = 148
	ErrSpaceFieldIsDuplicate         Code = 149
	ErrCantCreateCollation           Code = 150
	ErrWrongCollationOptions         Code = 151
	ErrNullablePrimary               Code = 152
	ErrNoSuchFieldNameInSpace        Code = 153
	ErrTransactionYield              Code = 154
	ErrNoSuchGroup                   Code = 155
	ErrSQLBindValue                  Code = 156
	ErrSQLBindType                   Code = 157
	ErrSQLBindParameterMax           Code = 158
	ErrSQLExecute                    Code = 159
	ErrUpdateDecimalOverflow         Code = 160
	ErrSQLBindNotFound               Code = 161
	ErrActionMismatch                Code = 162
	ErrViewMissingSQL                Code = 163
	ErrForeignKeyConstraint          Code = 164
	ErrNoSuchModule                  Code = 165
	ErrNoSuchCollation               Code = 166
	ErrCreateFkConstraint            Code = 167
	ErrDropFkConstraint              Code = 168
	ErrNoSuchConstraint              Code = 169
	ErrConstraintExists              Code = 170
	ErrSQLTypeMismatch               Code = 171
	ErrRowidOverflow                 Code = 172
	ErrDropCollation                 Code = 173
	ErrIllegalCollationMix           Code = 174
	ErrSQLNoSuchPragma               Code = 175
	ErrSQLCantResolveField           Code = 176
	ErrIndexExistsInSpace            Code = 177
	ErrInconsistentTypes             Code = 178
	ErrSQLSyntaxWithPos              Code = 179
	ErrSQLStackOverflow              Code = 180
	ErrSQLSelectWildcard             Code = 181
	ErrSQLStatementEmpty             Code = 182
	ErrSQLKeywordIsReserved          Code = 183
	ErrSQLSyntaxNearToken            Code = 184
	ErrSQLUnknownToken               Code = 185
	ErrSQLParserGeneric              Code = 186
	ErrSQLAnalyzeArgument            Code = 187
	ErrSQLColumnCountMax             Code = 188
	ErrHexLiteralMax                 Code = 189
	ErrIntLiteralMax                 Code = 190
	ErrSQLParserLimit                Code = 191
	ErrIndexDefUnsupported           Code = 192
	ErrCkDefUnsupported              Code = 193
	ErrMultikeyIndexMismatch         Code = 194
	ErrCreateCkConstraint            Code = 195
	ErrCkConstraintFailed            Code = 196
	ErrSQLColumnCount                Code = 197
	ErrFuncIndexFunc                 Code = 198
	ErrFuncIndexFormat               Code = 199
	ErrFuncIndexParts                Code = 200
	ErrNoSuchFieldName               Code = 201
	ErrFuncWrongArgCount             Code = 202
	ErrBootstrapReadonly             Code = 203
	ErrSQLFuncWrongRetCount          Code = 204
	ErrFuncInvalidReturnType         Code = 205
	ErrSQLParserGenericWithPos       Code = 206
	ErrReplicaNotAnon                Code = 207
	ErrCannotRegister                Code = 208
	ErrSessionSettingInvalidValue    Code = 209
	ErrSQLPrepare                    Code = 210
	ErrWrongQueryID                  Code = 211
	ErrSequenceNotStarted            Code = 212
	ErrNoSuchSessionSetting          Code = 213
	ErrUncommittedForeignSyncTxns    Code = 214
	ErrSyncMasterMismatch            Code = 215
	ErrSyncQuorumTimeout             Code = 216
	ErrSyncRollback                  Code = 217
	ErrTupleMetadataIsTooBig         Code = 218
	ErrXlogGap                       Code = 219
	ErrTooEarlySubscribe             Code = 220
	ErrSQLCantAddAutoinc             Code = 221
	ErrQuorumWait                    Code = 222
	ErrInterferingPromote            Code = 223
	ErrElectionDisabled              Code = 224
	ErrTxnRollback                   Code = 225
	ErrNotLeader                     Code = 226
	ErrSyncQueueUnclaimed            Code = 227
	ErrSyncQueueForeign              Code = 228
	ErrUnableToProcessInStream       Code = 229
	ErrUnableToProcessOutOfStream    Code = 230
	ErrTransactionTimeout            Code = 231
	ErrActiveTimer                   Code = 232
	ErrTupleFieldCountLimit          Code = 233
	ErrCreateConstraint              Code = 234
	ErrFieldConstraintFailed         Code = 235
	ErrTupleConstraintFailed         Code = 236
	ErrCreateForeignKey              Code = 237
	ErrForeignKeyIntegrity           Code = 238
	ErrFieldForeignKeyFailed         Code = 239
	ErrComplexForeignKeyFailed       Code = 240
	ErrWrongSpaceUpgradeOptions      Code = 241
	ErrNoElectionQuorum              Code = 242
	ErrSSL                           Code = 243
	ErrSplitBrain                    Code = 244
	ErrOldTerm                       Code = 245
	ErrInterferingElections          Code = 246
	ErrIteratorPosition              Code = 247
	ErrDefaultValueType              Code = 248
	ErrUnknownAuthMethod             Code = 249
	ErrInvalidAuthData               Code = 250
	ErrInvalidAuthRequest            Code = 251
	ErrWeakPassword                  Code = 252
	ErrOldPassword                   Code = 253
	ErrNoSuchSession                 Code = 254
	ErrWrongSessionType              Code = 255
	ErrPasswordExpired               Code = 256
	ErrAuthDelay                     Code = 257
	ErrAuthRequired                  Code = 258
	ErrSQLSeqScan                    Code = 259
	ErrNoSuchEvent                   Code = 260
	ErrBootstrapNotUnanimous         Code = 261
	ErrCantCheckBootstrapLeader      Code = 262
	ErrBootstrapConnectionNotToAll   Code = 263
	ErrNilUUID                       Code = 264
	ErrWrongFunctionOptions          Code = 265
	ErrMissingSystemSpaces           Code = 266
	ErrClusterNameMismatch           Code = 267
	ErrReplicasetNameMismatch        Code = 268
	ErrInstanceNameDuplicate         Code = 269
	ErrInstanceNameMismatch          Code = 270
	ErrSchemaNeedsUpgrade            Code = 271
	ErrSchemaUpgradeInProgress       Code = 272
	ErrDeprecated                    Code = 273
	ErrUnconfigured                  Code = 274
	ErrCreateDefaultFunc             Code = 275
	ErrDefaultFuncFailed             Code = 276
	ErrInvalidDec                    Code = 277
	ErrInAnotherPromote              Code = 278
	ErrShutdown                      Code = 279
	ErrFieldValueOutOfRange          Code = 280
	ErrReplicasetNotFound            Code = 281
	ErrReplicasetNoWritable          Code = 282
	ErrReplicasetMoreThanOneWritable Code = 283
	ErrTxnCommit                     Code = 284
	ErrReadViewBusy                  Code = 285
	ErrReadViewClosed                Code = 286
	ErrWALQueueFull                  Code = 287
	ErrInvalidVclock                 Code = 288
	ErrSyncQueueFull                 Code = 289
	ErrKeyPartValueOutOfRange        Code = 290
	ErrReplicaGc                     Code = 291
	ErrAlienEngine                   Code = 292
	ErrMvccUnavailable               Code = 293
	ErrCantUpgradeIndexedField       Code = 294
	ErrSyncTimeout                   Code = 295
	ErrFieldIrrepresentableValue     Code = 296
	ErrKeyPartIrrepresentableValue   Code = 297
	ErrInvalidSortdataFile           Code = 298
	ErrNoSuchThread                  Code = 299
	ErrUnableToProcessInThread       Code = 300
	ErrDictOverflow                  Code = 301
	ErrNoSuchThreadGroup             Code = 302
	ErrXlogNotFound                  Code = 303
	ErrRecoveryPointTxnLastRow       Code = 304
	ErrNoSuchReadView                Code = 305
)

// Errors of our own, far from Tarantool's.
const (
	ErrNotReplicated Code = 20001 // the filter of this replica leaves the space out
	ErrBeingCopied   Code = 20002 // the tuples of the space are on their way here
	ErrNoSession     Code = 20003 // the exactly-once session is not there, and nothing was executed
	ErrNumber        Code = 20004 // a request has no such number, and nothing was executed
	ErrAnswerGone    Code = 20005 // the request was executed before, and its answer was too large to be kept

	ErrIndexNotReplicated    Code = 20006 // the filter of this replica leaves the index out
	ErrIndexBeingBuilt       Code = 20007 // it does not any more, and the index is not complete
	ErrSequenceNotReplicated Code = 20008 // the filter leaves the sequence out

	ErrFilteredReplica Code = 20009 // a replica with a filter is no member, and does not what only these do
	ErrNoNumber        Code = 20011 // a request takes no number here, or never does, and nothing was executed
	ErrOldToken        Code = 20017 // an agent came with a token that is not the newest one, and nothing was done
)

// errCodes has the symbol (without ER_) and the text of each code, with verbs of fmt.
var errCodes = map[Code]struct{ symbol, text string }{
	ErrUnknown:                       {"UNKNOWN", "Unknown error"},
	ErrIllegalParams:                 {"ILLEGAL_PARAMS", "%s"},
	ErrMemoryIssue:                   {"MEMORY_ISSUE", "Failed to allocate %d bytes in %s for %s"},
	ErrTupleFound:                    {"TUPLE_FOUND", "Duplicate key exists in unique index \"%s\" in space \"%s\" with old tuple - %s and new tuple - %s"},
	ErrTupleNotFound:                 {"TUPLE_NOT_FOUND", "Tuple doesn't exist in index '%s' in space '%s'"},
	ErrUnsupported:                   {"UNSUPPORTED", "%s does not support %s"},
	ErrNonmaster:                     {"NONMASTER", "Can't modify data on a replication slave. My master is: %s"},
	ErrReadonly:                      {"READONLY", "Can't modify data on a read-only instance"},
	ErrInjection:                     {"INJECTION", "Error injection '%s'"},
	ErrCreateSpace:                   {"CREATE_SPACE", "Failed to create space '%s': %s"},
	ErrSpaceExists:                   {"SPACE_EXISTS", "Space '%s' already exists"},
	ErrDropSpace:                     {"DROP_SPACE", "Can't drop space '%s': %s"},
	ErrAlterSpace:                    {"ALTER_SPACE", "Can't modify space '%s': %s"},
	ErrIndexType:                     {"INDEX_TYPE", "Unsupported index type supplied for index '%s' in space '%s'"},
	ErrModifyIndex:                   {"MODIFY_INDEX", "Can't create or modify index '%s' in space '%s': %s"},
	ErrLastDrop:                      {"LAST_DROP", "Can't drop the primary key in a system space, space '%s'"},
	ErrTupleFormatLimit:              {"TUPLE_FORMAT_LIMIT", "Tuple format limit reached: %d"},
	ErrDropPrimaryKey:                {"DROP_PRIMARY_KEY", "Can't drop primary key in space '%s' while secondary keys exist"},
	ErrKeyPartType:                   {"KEY_PART_TYPE", "Supplied key type of part %d does not match index part type: expected %s"},
	ErrExactMatch:                    {"EXACT_MATCH", "Invalid key part count in an exact match (expected %d, got %d)"},
	ErrInvalidMsgpack:                {"INVALID_MSGPACK", "Invalid MsgPack - %s"},
	ErrProcRet:                       {"PROC_RET", "msgpack.encode: can not encode Lua type '%s'"},
	ErrTupleNotArray:                 {"TUPLE_NOT_ARRAY", "Tuple/Key must be MsgPack array"},
	ErrFieldType:                     {"FIELD_TYPE", "Tuple field %s type does not match one required by operation: expected %s, got %s"},
	ErrIndexPartTypeMismatch:         {"INDEX_PART_TYPE_MISMATCH", "Field %s has type '%s' in one index, but type '%s' in another"},
	ErrUpdateSplice:                  {"UPDATE_SPLICE", "SPLICE error on field %s: %s"},
	ErrUpdateArgType:                 {"UPDATE_ARG_TYPE", "Argument type in operation '%c' on field %s does not match field type: expected %s"},
	ErrFormatMismatchIndexPart:       {"FORMAT_MISMATCH_INDEX_PART", "Field %s has type '%s' in space format, but type '%s' in index definition"},
	ErrUnknownUpdateOp:               {"UNKNOWN_UPDATE_OP", "Unknown UPDATE operation #%d: %s"},
	ErrUpdateField:                   {"UPDATE_FIELD", "Field %s UPDATE error: %s"},
	ErrFunctionTxActive:              {"FUNCTION_TX_ACTIVE", "Transaction is active at return from function"},
	ErrKeyPartCount:                  {"KEY_PART_COUNT", "Invalid key part count (expected [0..%d], got %d)"},
	ErrProcLua:                       {"PROC_LUA", "%s"},
	ErrNoSuchProc:                    {"NO_SUCH_PROC", "Procedure '%s' is not defined"},
	ErrNoSuchTrigger:                 {"NO_SUCH_TRIGGER", "Trigger '%s' doesn't exist"},
	ErrNoSuchIndexID:                 {"NO_SUCH_INDEX_ID", "No index #%d is defined in space '%s'"},
	ErrNoSuchSpace:                   {"NO_SUCH_SPACE", "Space '%s' does not exist"},
	ErrNoSuchFieldNo:                 {"NO_SUCH_FIELD_NO", "Field %d was not found in the tuple"},
	ErrExactFieldCount:               {"EXACT_FIELD_COUNT", "Tuple field count %d does not match space field count %d"},
	ErrFieldMissing:                  {"FIELD_MISSING", "Tuple field %s required by space format is missing"},
	ErrWALIO:                         {"WAL_IO", "Failed to write to disk"},
	ErrMoreThanOneTuple:              {"MORE_THAN_ONE_TUPLE", "Get() doesn't support partial keys and non-unique indexes"},
	ErrAccessDenied:                  {"ACCESS_DENIED", "%s access to %s '%s' is denied for user '%s'"},
	ErrCreateUser:                    {"CREATE_USER", "Failed to create user '%s': %s"},
	ErrDropUser:                      {"DROP_USER", "Failed to drop user or role '%s': %s"},
	ErrNoSuchUser:                    {"NO_SUCH_USER", "User '%s' is not found"},
	ErrUserExists:                    {"USER_EXISTS", "User '%s' already exists"},
	ErrCredsMismatch:                 {"CREDS_MISMATCH", "User not found or supplied credentials are invalid"},
	ErrUnknownRequestType:            {"UNKNOWN_REQUEST_TYPE", "Unknown request type %d"},
	ErrUnknownSchemaObject:           {"UNKNOWN_SCHEMA_OBJECT", "Unknown object type '%s'"},
	ErrCreateFunction:                {"CREATE_FUNCTION", "Failed to create function '%s': %s"},
	ErrNoSuchFunction:                {"NO_SUCH_FUNCTION", "Function '%s' does not exist"},
	ErrFunctionExists:                {"FUNCTION_EXISTS", "Function '%s' already exists"},
	ErrBeforeReplaceRet:              {"BEFORE_REPLACE_RET", "Invalid return value of space:before_replace trigger: expected tuple or nil"},
	ErrMultistatementTransaction:     {"MULTISTATEMENT_TRANSACTION", "Can not perform %s in a multi-statement transaction"},
	ErrTriggerExists:                 {"TRIGGER_EXISTS", "Trigger '%s' already exists"},
	ErrUserMax:                       {"USER_MAX", "A limit on the total number of users has been reached: %d"},
	ErrNoSuchEngine:                  {"NO_SUCH_ENGINE", "Space engine '%s' does not exist"},
	ErrReloadCfg:                     {"RELOAD_CFG", "Can't set option '%s' dynamically"},
	ErrCfg:                           {"CFG", "Incorrect value for option '%s': %s"},
	ErrSavepointEmptyTx:              {"SAVEPOINT_EMPTY_TX", "Can not set a savepoint in an empty transaction"},
	ErrNoSuchSavepoint:               {"NO_SUCH_SAVEPOINT", "Can not rollback to savepoint: the savepoint does not exist"},
	ErrUnknownReplica:                {"UNKNOWN_REPLICA", "Replica %s is not registered with replica set %s"},
	ErrReplicasetUUIDMismatch:        {"REPLICASET_UUID_MISMATCH", "Replica set UUID mismatch: expected %s, got %s"},
	ErrInvalidUUID:                   {"INVALID_UUID", "Invalid UUID: %s"},
	ErrReplicasetUUIDIsRO:            {"REPLICASET_UUID_IS_RO", "Can't reset replica set UUID: it is already assigned"},
	ErrInstanceUUIDMismatch:          {"INSTANCE_UUID_MISMATCH", "Instance UUID mismatch: expected %s, got %s"},
	ErrReplicaIDIsReserved:           {"REPLICA_ID_IS_RESERVED", "Can't initialize replica id with a reserved value %d"},
	ErrInvalidOrder:                  {"INVALID_ORDER", "Invalid LSN order for instance %d: previous LSN = %d, new lsn = %d"},
	ErrMissingRequestField:           {"MISSING_REQUEST_FIELD", "Missing mandatory field '%s' in request"},
	ErrIdentifier:                    {"IDENTIFIER", "Invalid identifier '%s' (expected printable symbols only or it is too long)"},
	ErrDropFunction:                  {"DROP_FUNCTION", "Can't drop function %d: %s"},
	ErrIteratorType:                  {"ITERATOR_TYPE", "Unknown iterator type '%s'"},
	ErrReplicaMax:                    {"REPLICA_MAX", "Replica count limit reached: %d"},
	ErrInvalidXlog:                   {"INVALID_XLOG", "Failed to read xlog: %d"},
	ErrInvalidXlogName:               {"INVALID_XLOG_NAME", "Invalid xlog name: expected %d got %d"},
	ErrInvalidXlogOrder:              {"INVALID_XLOG_ORDER", "Invalid xlog order: %d and %d"},
	ErrNoConnection:                  {"NO_CONNECTION", "Connection is not established"},
	ErrTimeout:                       {"TIMEOUT", "Timeout exceeded"},
	ErrActiveTransaction:             {"ACTIVE_TRANSACTION", "Operation is not permitted when there is an active transaction "},
	ErrCursorNoTransaction:           {"CURSOR_NO_TRANSACTION", "The transaction the cursor belongs to has ended"},
	ErrCrossEngineTransaction:        {"CROSS_ENGINE_TRANSACTION", "Storage engine '%s' does not support cross-engine transactions"},
	ErrNoSuchRole:                    {"NO_SUCH_ROLE", "Role '%s' is not found"},
	ErrRoleExists:                    {"ROLE_EXISTS", "Role '%s' already exists"},
	ErrCreateRole:                    {"CREATE_ROLE", "Failed to create role '%s': %s"},
	ErrIndexExists:                   {"INDEX_EXISTS", "Index '%s' already exists"},
	ErrSessionClosed:                 {"SESSION_CLOSED", "Session is closed"},
	ErrRoleLoop:                      {"ROLE_LOOP", "Granting role '%s' to role '%s' would create a loop"},
	ErrGrant:                         {"GRANT", "Incorrect grant arguments: %s"},
	ErrPrivGranted:                   {"PRIV_GRANTED", "User '%s' already has %s access on %s"},
	ErrRoleGranted:                   {"ROLE_GRANTED", "User '%s' already has role '%s'"},
	ErrPrivNotGranted:                {"PRIV_NOT_GRANTED", "User '%s' does not have %s access on %s '%s'"},
	ErrRoleNotGranted:                {"ROLE_NOT_GRANTED", "User '%s' does not have role '%s'"},
	ErrMissingSnapshot:               {"MISSING_SNAPSHOT", "Can't find snapshot"},
	ErrCantUpdatePrimaryKey:          {"CANT_UPDATE_PRIMARY_KEY", "Attempt to modify a tuple field which is part of primary index in space '%s'"},
	ErrUpdateIntegerOverflow:         {"UPDATE_INTEGER_OVERFLOW", "Integer overflow when performing '%c' operation on field %s"},
	ErrGuestUserPassword:             {"GUEST_USER_PASSWORD", "Setting password for guest user has no effect"},
	ErrTransactionConflict:           {"TRANSACTION_CONFLICT", "Transaction has been aborted by conflict"},
	ErrUnsupportedPriv:               {"UNSUPPORTED_PRIV", "Unsupported %s privilege '%s'"},
	ErrLoadFunction:                  {"LOAD_FUNCTION", "Failed to dynamically load function '%s': %s"},
	ErrFunctionLanguage:              {"FUNCTION_LANGUAGE", "Unsupported language '%s' specified for function '%s'"},
	ErrRtreeRect:                     {"RTREE_RECT", "RTree: %s must be an array with %d (point) or %d (rectangle/box) numeric coordinates"},
	ErrProcC:                         {"PROC_C", "%s"},
	ErrUnknownRtreeIndexDistanceType: {"UNKNOWN_RTREE_INDEX_DISTANCE_TYPE", "Unknown RTREE index distance type %s"},
	ErrProtocol:                      {"PROTOCOL", "%s"},
	ErrUpsertUniqueSecondaryKey:      {"UPSERT_UNIQUE_SECONDARY_KEY", "Space %s has a unique secondary index and does not support UPSERT"},
	ErrWrongIndexRecord:              {"WRONG_INDEX_RECORD", "Wrong record in _index space: got {%s}, expected {%s}"},
	ErrWrongIndexParts:               {"WRONG_INDEX_PARTS", "Wrong index part %d: %s"},
	ErrWrongIndexOptions:             {"WRONG_INDEX_OPTIONS", "Wrong index options: %s"},
	ErrWrongSchemaVersion:            {"WRONG_SCHEMA_VERSION", "Wrong schema version, current: %d, in request: %d"},
	ErrMemtxMaxTupleSize:             {"MEMTX_MAX_TUPLE_SIZE", "Failed to allocate %d bytes for tuple: tuple is too large. Check 'memtx_max_tuple_size' configuration option."},
	ErrWrongSpaceOptions:             {"WRONG_SPACE_OPTIONS", "Wrong space options: %s"},
	ErrUnsupportedIndexFeature:       {"UNSUPPORTED_INDEX_FEATURE", "Index '%s' (%s) of space '%s' (%s) does not support %s"},
	ErrViewIsRO:                      {"VIEW_IS_RO", "View '%s' is read-only"},
	ErrNoTransaction:                 {"NO_TRANSACTION", "No active transaction"},
	ErrSystem:                        {"SYSTEM", "%s"},
	ErrLoading:                       {"LOADING", "Instance bootstrap hasn't finished yet"},
	ErrConnectionToSelf:              {"CONNECTION_TO_SELF", "Connection to self"},
	ErrKeyPartIsTooLong:              {"KEY_PART_IS_TOO_LONG", "Key part is too long: %d of %d bytes"},
	ErrCompression:                   {"COMPRESSION", "Compression error: %s"},
	ErrCheckpointInProgress:          {"CHECKPOINT_IN_PROGRESS", "Snapshot is already in progress"},
	ErrSubStmtMax:                    {"SUB_STMT_MAX", "Can not execute a nested statement: nesting limit reached"},
	ErrCommitInSubStmt:               {"COMMIT_IN_SUB_STMT", "Can not commit transaction in a nested statement"},
	ErrRollbackInSubStmt:             {"ROLLBACK_IN_SUB_STMT", "Rollback called in a nested statement"},
	ErrDecompression:                 {"DECOMPRESSION", "Decompression error: %s"},
	ErrInvalidXlogType:               {"INVALID_XLOG_TYPE", "Invalid xlog type: expected %s, got %s"},
	ErrAlreadyRunning:                {"ALREADY_RUNNING", "Failed to lock WAL directory %s and hot_standby mode is off"},
	ErrIndexFieldCountLimit:          {"INDEX_FIELD_COUNT_LIMIT", "Indexed field count limit reached: %d indexed fields"},
	ErrLocalInstanceIDIsReadOnly:     {"LOCAL_INSTANCE_ID_IS_READ_ONLY", "The local instance id %d is read-only"},
	ErrBackupInProgress:              {"BACKUP_IN_PROGRESS", "Backup is already in progress"},
	ErrReadViewAborted:               {"READ_VIEW_ABORTED", "The read view is aborted"},
	ErrInvalidIndexFile:              {"INVALID_INDEX_FILE", "Invalid INDEX file %s: %s"},
	ErrInvalidRunFile:                {"INVALID_RUN_FILE", "Invalid RUN file: %s"},
	ErrInvalidVylogFile:              {"INVALID_VYLOG_FILE", "Invalid VYLOG file: %s"},
	ErrCascadeRollback:               {"CASCADE_ROLLBACK", "WAL has a rollback in progress"},
	ErrVyQuotaTimeout:                {"VY_QUOTA_TIMEOUT", "Timed out waiting for Vinyl memory quota"},
	ErrPartialKey:                    {"PARTIAL_KEY", "%s index  does not support selects via a partial key (expected %d parts, got %d). Please Consider changing index type to TREE."},
	ErrTruncateSystemSpace:           {"TRUNCATE_SYSTEM_SPACE", "Can't truncate a system space, space '%s'"},
	ErrLoadModule:                    {"LOAD_MODULE", "Failed to dynamically load module '%s': %s"},
	ErrVinylMaxTupleSize:             {"VINYL_MAX_TUPLE_SIZE", "Failed to allocate %d bytes for tuple: tuple is too large. Check 'vinyl_max_tuple_size' configuration option."},
	ErrWrongDdVersion:                {"WRONG_DD_VERSION", "Wrong _schema version: expected 'major.minor[.patch]'"},
	ErrWrongSpaceFormat:              {"WRONG_SPACE_FORMAT", "Wrong space format field %d: %s"},
	ErrCreateSequence:                {"CREATE_SEQUENCE", "Failed to create sequence '%s': %s"},
	ErrAlterSequence:                 {"ALTER_SEQUENCE", "Can't modify sequence '%s': %s"},
	ErrDropSequence:                  {"DROP_SEQUENCE", "Can't drop sequence '%s': %s"},
	ErrNoSuchSequence:                {"NO_SUCH_SEQUENCE", "Sequence '%s' does not exist"},
	ErrSequenceExists:                {"SEQUENCE_EXISTS", "Sequence '%s' already exists"},
	ErrSequenceOverflow:              {"SEQUENCE_OVERFLOW", "Sequence '%s' has overflowed"},
	ErrNoSuchIndexName:               {"NO_SUCH_INDEX_NAME", "No index '%s' is defined in space '%s'"},
	ErrSpaceFieldIsDuplicate:         {"SPACE_FIELD_IS_DUPLICATE", "Space field '%s' is duplicate"},
	ErrCantCreateCollation:           {"CANT_CREATE_COLLATION", "Failed to initialize collation: %s."},
	ErrWrongCollationOptions:         {"WRONG_COLLATION_OPTIONS", "Wrong collation options: %s"},
	ErrNullablePrimary:               {"NULLABLE_PRIMARY", "Primary index of space '%s' can not contain nullable parts"},
	ErrNoSuchFieldNameInSpace:        {"NO_SUCH_FIELD_NAME_IN_SPACE", "Field '%s' was not found in space '%s' format"},
	ErrTransactionYield:              {"TRANSACTION_YIELD", "Transaction has been aborted by a fiber yield"},
	ErrNoSuchGroup:                   {"NO_SUCH_GROUP", "Replication group '%s' does not exist"},
	ErrSQLBindValue:                  {"SQL_BIND_VALUE", "Bind value for parameter %s is out of range for type %s"},
	ErrSQLBindType:                   {"SQL_BIND_TYPE", "Bind value type %s for parameter %s is not supported"},
	ErrSQLBindParameterMax:           {"SQL_BIND_PARAMETER_MAX", "SQL bind parameter limit reached: %d"},
	ErrSQLExecute:                    {"SQL_EXECUTE", "Failed to execute SQL statement: %s"},
	ErrUpdateDecimalOverflow:         {"UPDATE_DECIMAL_OVERFLOW", "Decimal overflow when performing operation '%c' on field %s"},
	ErrSQLBindNotFound:               {"SQL_BIND_NOT_FOUND", "Parameter %s was not found in the statement"},
	ErrActionMismatch:                {"ACTION_MISMATCH", "Field %s contains %s on conflict action, but %s in index parts"},
	ErrViewMissingSQL:                {"VIEW_MISSING_SQL", "Space declared as a view must have SQL statement"},
	ErrForeignKeyConstraint:          {"FOREIGN_KEY_CONSTRAINT", "Can not commit transaction: deferred foreign keys violations are not resolved"},
	ErrNoSuchModule:                  {"NO_SUCH_MODULE", "Module '%s' does not exist"},
	ErrNoSuchCollation:               {"NO_SUCH_COLLATION", "Collation '%s' does not exist"},
	ErrCreateFkConstraint:            {"CREATE_FK_CONSTRAINT", "Failed to create foreign key constraint '%s': %s"},
	ErrDropFkConstraint:              {"DROP_FK_CONSTRAINT", "Failed to drop foreign key constraint '%s': %s"},
	ErrNoSuchConstraint:              {"NO_SUCH_CONSTRAINT", "Constraint '%s' does not exist in space '%s'"},
	ErrConstraintExists:              {"CONSTRAINT_EXISTS", "%s constraint '%s' already exists in space '%s'"},
	ErrSQLTypeMismatch:               {"SQL_TYPE_MISMATCH", "Type mismatch: can not convert %s to %s"},
	ErrRowidOverflow:                 {"ROWID_OVERFLOW", "Rowid is overflowed: too many entries in ephemeral space"},
	ErrDropCollation:                 {"DROP_COLLATION", "Can't drop collation '%s': %s"},
	ErrIllegalCollationMix:           {"ILLEGAL_COLLATION_MIX", "Illegal mix of collations"},
	ErrSQLNoSuchPragma:               {"SQL_NO_SUCH_PRAGMA", "Pragma '%s' does not exist"},
	ErrSQLCantResolveField:           {"SQL_CANT_RESOLVE_FIELD", "Can't resolve field '%s'"},
	ErrIndexExistsInSpace:            {"INDEX_EXISTS_IN_SPACE", "Index '%s' already exists in space '%s'"},
	ErrInconsistentTypes:             {"INCONSISTENT_TYPES", "Inconsistent types: expected %s got %s"},
	ErrSQLSyntaxWithPos:              {"SQL_SYNTAX_WITH_POS", "Syntax error at line %d at or near position %d: %s"},
	ErrSQLStackOverflow:              {"SQL_STACK_OVERFLOW", "Failed to parse SQL statement: parser stack limit reached"},
	ErrSQLSelectWildcard:             {"SQL_SELECT_WILDCARD", "Failed to expand '*' in SELECT statement without FROM clause"},
	ErrSQLStatementEmpty:             {"SQL_STATEMENT_EMPTY", "Failed to execute an empty SQL statement"},
	ErrSQLKeywordIsReserved:          {"SQL_KEYWORD_IS_RESERVED", "At line %d at or near position %d: keyword '%s' is reserved. Please use double quotes if '%s' is an identifier."},
	ErrSQLSyntaxNearToken:            {"SQL_SYNTAX_NEAR_TOKEN", "Syntax error at line %d near '%s'"},
	ErrSQLUnknownToken:               {"SQL_UNKNOWN_TOKEN", "At line %d at or near position %d: unrecognized token '%s'"},
	ErrSQLParserGeneric:              {"SQL_PARSER_GENERIC", "%s"},
	ErrSQLAnalyzeArgument:            {"SQL_ANALYZE_ARGUMENT", "ANALYZE statement argument %s is not a base table"},
	ErrSQLColumnCountMax:             {"SQL_COLUMN_COUNT_MAX", "Failed to create space '%s': space column count %d exceeds the limit (%d)"},
	ErrHexLiteralMax:                 {"HEX_LITERAL_MAX", "Hex literal %s length %d exceeds the supported limit (%d)"},
	ErrIntLiteralMax:                 {"INT_LITERAL_MAX", "Integer literal %s exceeds the supported range [-9223372036854775808, 18446744073709551615]"},
	ErrSQLParserLimit:                {"SQL_PARSER_LIMIT", "%s %d exceeds the limit (%d)"},
	ErrIndexDefUnsupported:           {"INDEX_DEF_UNSUPPORTED", "%s are prohibited in an index definition"},
	ErrCkDefUnsupported:              {"CK_DEF_UNSUPPORTED", "%s are prohibited in a ck constraint definition"},
	ErrMultikeyIndexMismatch:         {"MULTIKEY_INDEX_MISMATCH", "Field %s is used as multikey in one index and as single key in another"},
	ErrCreateCkConstraint:            {"CREATE_CK_CONSTRAINT", "Failed to create check constraint '%s': %s"},
	ErrCkConstraintFailed:            {"CK_CONSTRAINT_FAILED", "Check constraint failed '%s': %s"},
	ErrSQLColumnCount:                {"SQL_COLUMN_COUNT", "Unequal number of entries in row expression: left side has %d, but right side - %d"},
	ErrFuncIndexFunc:                 {"FUNC_INDEX_FUNC", "Failed to build a key for functional index '%s' of space '%s': %s"},
	ErrFuncIndexFormat:               {"FUNC_INDEX_FORMAT", "Key format doesn't match one defined in functional index '%s' of space '%s': %s"},
	ErrFuncIndexParts:                {"FUNC_INDEX_PARTS", "Wrong functional index definition: %s"},
	ErrNoSuchFieldName:               {"NO_SUCH_FIELD_NAME", "Field '%s' was not found in the tuple"},
	ErrFuncWrongArgCount:             {"FUNC_WRONG_ARG_COUNT", "Wrong number of arguments is passed to %s(): expected %s, got %d"},
	ErrBootstrapReadonly:             {"BOOTSTRAP_READONLY", "Trying to bootstrap a local read-only instance as master"},
	ErrSQLFuncWrongRetCount:          {"SQL_FUNC_WRONG_RET_COUNT", "SQL expects exactly one argument returned from %s, got %d"},
	ErrFuncInvalidReturnType:         {"FUNC_INVALID_RETURN_TYPE", "Function '%s' returned value of invalid type: expected %s got %s"},
	ErrSQLParserGenericWithPos:       {"SQL_PARSER_GENERIC_WITH_POS", "At line %d at or near position %d: %s"},
	ErrReplicaNotAnon:                {"REPLICA_NOT_ANON", "Replica '%s' is not anonymous and cannot register."},
	ErrCannotRegister:                {"CANNOT_REGISTER", "Couldn't find an instance to register this replica on."},
	ErrSessionSettingInvalidValue:    {"SESSION_SETTING_INVALID_VALUE", "Session setting %s expected a value of type %s"},
	ErrSQLPrepare:                    {"SQL_PREPARE", "Failed to prepare SQL statement: %s"},
	ErrWrongQueryID:                  {"WRONG_QUERY_ID", "Prepared statement with id %d does not exist"},
	ErrSequenceNotStarted:            {"SEQUENCE_NOT_STARTED", "Sequence '%s' is not started"},
	ErrNoSuchSessionSetting:          {"NO_SUCH_SESSION_SETTING", "Session setting %s doesn't exist"},
	ErrUncommittedForeignSyncTxns:    {"UNCOMMITTED_FOREIGN_SYNC_TXNS", "Found uncommitted sync transactions from other instance with id %d"},
	ErrSyncMasterMismatch:            {"SYNC_MASTER_MISMATCH", "CONFIRM message arrived for an unknown master id %d, expected %d"},
	ErrSyncQuorumTimeout:             {"SYNC_QUORUM_TIMEOUT", "Quorum collection for a synchronous transaction is timed out"},
	ErrSyncRollback:                  {"SYNC_ROLLBACK", "A rollback for a synchronous transaction is received"},
	ErrTupleMetadataIsTooBig:         {"TUPLE_METADATA_IS_TOO_BIG", "Can't create tuple: metadata size %d is too big"},
	ErrXlogGap:                       {"XLOG_GAP", "%s"},
	ErrTooEarlySubscribe:             {"TOO_EARLY_SUBSCRIBE", "Can't subscribe non-anonymous replica %s until join is done"},
	ErrSQLCantAddAutoinc:             {"SQL_CANT_ADD_AUTOINC", "Can't add AUTOINCREMENT: space %s can't feature more than one AUTOINCREMENT field"},
	ErrQuorumWait:                    {"QUORUM_WAIT", "Couldn't wait for quorum %d: %s"},
	ErrInterferingPromote:            {"INTERFERING_PROMOTE", "Instance with replica id %d was promoted first"},
	ErrElectionDisabled:              {"ELECTION_DISABLED", "Elections were turned off"},
	ErrTxnRollback:                   {"TXN_ROLLBACK", "Transaction was rolled back"},
	ErrNotLeader:                     {"NOT_LEADER", "The instance is not a leader. New leader is %d"},
	ErrSyncQueueUnclaimed:            {"SYNC_QUEUE_UNCLAIMED", "The synchronous transaction queue doesn't belong to any instance"},
	ErrSyncQueueForeign:              {"SYNC_QUEUE_FOREIGN", "The synchronous transaction queue belongs to other instance with id %d"},
	ErrUnableToProcessInStream:       {"UNABLE_TO_PROCESS_IN_STREAM", "Unable to process %s request in stream"},
	ErrUnableToProcessOutOfStream:    {"UNABLE_TO_PROCESS_OUT_OF_STREAM", "Unable to process %s request out of stream"},
	ErrTransactionTimeout:            {"TRANSACTION_TIMEOUT", "Transaction has been aborted by timeout"},
	ErrActiveTimer:                   {"ACTIVE_TIMER", "Operation is not permitted if timer is already running"},
	ErrTupleFieldCountLimit:          {"TUPLE_FIELD_COUNT_LIMIT", "Tuple field count limit reached: see box.schema.FIELD_MAX"},
	ErrCreateConstraint:              {"CREATE_CONSTRAINT", "Failed to create constraint '%s' in space '%s': %s"},
	ErrFieldConstraintFailed:         {"FIELD_CONSTRAINT_FAILED", "Check constraint '%s' failed for field '%s'"},
	ErrTupleConstraintFailed:         {"TUPLE_CONSTRAINT_FAILED", "Check constraint '%s' failed for a tuple"},
	ErrCreateForeignKey:              {"CREATE_FOREIGN_KEY", "Failed to create foreign key '%s' in space '%s': %s"},
	ErrForeignKeyIntegrity:           {"FOREIGN_KEY_INTEGRITY", "Foreign key '%s' integrity check failed: %s"},
	ErrFieldForeignKeyFailed:         {"FIELD_FOREIGN_KEY_FAILED", "Foreign key constraint '%s' failed for field '%s': %s"},
	ErrComplexForeignKeyFailed:       {"COMPLEX_FOREIGN_KEY_FAILED", "Foreign key constraint '%s' failed: %s"},
	ErrWrongSpaceUpgradeOptions:      {"WRONG_SPACE_UPGRADE_OPTIONS", "Wrong space upgrade options: %s"},
	ErrNoElectionQuorum:              {"NO_ELECTION_QUORUM", "Not enough peers connected to start elections: %d out of minimal required %d"},
	ErrSSL:                           {"SSL", "%s"},
	ErrSplitBrain:                    {"SPLIT_BRAIN", "Split-Brain discovered: %s"},
	ErrOldTerm:                       {"OLD_TERM", "The term is outdated: old - %d, new - %d"},
	ErrInterferingElections:          {"INTERFERING_ELECTIONS", "Interfering elections started"},
	ErrIteratorPosition:              {"ITERATOR_POSITION", "Iterator position is invalid"},
	ErrDefaultValueType:              {"DEFAULT_VALUE_TYPE", "Type of the default value does not match tuple field %s type: expected %s, got %s"},
	ErrUnknownAuthMethod:             {"UNKNOWN_AUTH_METHOD", "Unknown authentication method '%s'"},
	ErrInvalidAuthData:               {"INVALID_AUTH_DATA", "Invalid '%s' data: %s"},
	ErrInvalidAuthRequest:            {"INVALID_AUTH_REQUEST", "Invalid '%s' request: %s"},
	ErrWeakPassword:                  {"WEAK_PASSWORD", "Password doesn't meet security requirements: %s"},
	ErrOldPassword:                   {"OLD_PASSWORD", "Password must differ from last %d passwords"},
	ErrNoSuchSession:                 {"NO_SUCH_SESSION", "Session %d does not exist"},
	ErrWrongSessionType:              {"WRONG_SESSION_TYPE", "Session '%s' is not supported"},
	ErrPasswordExpired:               {"PASSWORD_EXPIRED", "Password expired"},
	ErrAuthDelay:                     {"AUTH_DELAY", "Too many authentication attempts"},
	ErrAuthRequired:                  {"AUTH_REQUIRED", "Authentication required"},
	ErrSQLSeqScan:                    {"SQL_SEQ_SCAN", "Scanning is not allowed for %s"},
	ErrNoSuchEvent:                   {"NO_SUCH_EVENT", "Unknown event %s"},
	ErrBootstrapNotUnanimous:         {"BOOTSTRAP_NOT_UNANIMOUS", "Replica %s chose a different bootstrap leader %s"},
	ErrCantCheckBootstrapLeader:      {"CANT_CHECK_BOOTSTRAP_LEADER", "Can't check who replica %s chose its bootstrap leader"},
	ErrBootstrapConnectionNotToAll:   {"BOOTSTRAP_CONNECTION_NOT_TO_ALL", "Some replica set members were not specified in box.cfg.replication"},
	ErrNilUUID:                       {"NIL_UUID", "Nil UUID is reserved and can't be used in replication"},
	ErrWrongFunctionOptions:          {"WRONG_FUNCTION_OPTIONS", "Wrong function options: %s"},
	ErrMissingSystemSpaces:           {"MISSING_SYSTEM_SPACES", "Snapshot has no system spaces"},
	ErrClusterNameMismatch:           {"CLUSTER_NAME_MISMATCH", "Cluster name mismatch: name '%s' provided in config confilcts with the instance one '%s'"},
	ErrReplicasetNameMismatch:        {"REPLICASET_NAME_MISMATCH", "Replicaset name mismatch: name '%s' provided in config confilcts with the instance one '%s'"},
	ErrInstanceNameDuplicate:         {"INSTANCE_NAME_DUPLICATE", "Duplicate replica name %s, already occupied by %s"},
	ErrInstanceNameMismatch:          {"INSTANCE_NAME_MISMATCH", "Instance name mismatch: name '%s' provided in config confilcts with the instance one '%s'"},
	ErrSchemaNeedsUpgrade:            {"SCHEMA_NEEDS_UPGRADE", "Your schema version is %s while Tarantool feature %s requires schema version %s or higher. Please, consider using box.schema.upgrade()."},
	ErrSchemaUpgradeInProgress:       {"SCHEMA_UPGRADE_IN_PROGRESS", "Schema upgrade is already in progress"},
	ErrDeprecated:                    {"DEPRECATED", "%s is deprecated"},
	ErrUnconfigured:                  {"UNCONFIGURED", "Please call box.cfg{} first"},
	ErrCreateDefaultFunc:             {"CREATE_DEFAULT_FUNC", "Failed to create field default function '%s': %s"},
	ErrDefaultFuncFailed:             {"DEFAULT_FUNC_FAILED", "Error calling field default function '%s': %s"},
	ErrInvalidDec:                    {"INVALID_DEC", "Invalid decimal: '%s'"},
	ErrInAnotherPromote:              {"IN_ANOTHER_PROMOTE", "box.ctl.promote() is already running"},
	ErrShutdown:                      {"SHUTDOWN", "Server is shutting down"},
	ErrFieldValueOutOfRange:          {"FIELD_VALUE_OUT_OF_RANGE", "The value of field %s exceeds the supported range for type '%s': %s"},
	ErrReplicasetNotFound:            {"REPLICASET_NOT_FOUND", "The replicaset was not found by its name"},
	ErrReplicasetNoWritable:          {"REPLICASET_NO_WRITABLE", "Writable instance was not found in replicaset"},
	ErrReplicasetMoreThanOneWritable: {"REPLICASET_MORE_THAN_ONE_WRITABLE", "More than one writable was found in replicaset"},
	ErrTxnCommit:                     {"TXN_COMMIT", "Transaction was committed"},
	ErrReadViewBusy:                  {"READ_VIEW_BUSY", "The read view is busy"},
	ErrReadViewClosed:                {"READ_VIEW_CLOSED", "The read view is closed"},
	ErrWALQueueFull:                  {"WAL_QUEUE_FULL", "The WAL queue is full"},
	ErrInvalidVclock:                 {"INVALID_VCLOCK", "Invalid vclock"},
	ErrSyncQueueFull:                 {"SYNC_QUEUE_FULL", "The synchronous transaction queue is full"},
	ErrKeyPartValueOutOfRange:        {"KEY_PART_VALUE_OUT_OF_RANGE", "The value of key part exceeds the supported range for type"},
	ErrReplicaGc:                     {"REPLICA_GC", "Cannot clean up replica's resources"},
	ErrAlienEngine:                   {"ALIEN_ENGINE", "Snapshot contains alien space engine row"},
	ErrMvccUnavailable:               {"MVCC_UNAVAILABLE", "MVCC is unavailable for storage engine '%s' so it cannot be used in the same transaction with '%s', which supports MVCC"},
	ErrCantUpgradeIndexedField:       {"CANT_UPGRADE_INDEXED_FIELD", "Space upgrade doesn't support changing indexed fields"},
	ErrSyncTimeout:                   {"SYNC_TIMEOUT", "Quorum collection for a synchronous transaction is timed out. The transaction is detached from this fiber and continues waiting for quorum"},
	ErrFieldIrrepresentableValue:     {"FIELD_IRREPRESENTABLE_VALUE", "The value does not fit in field type"},
	ErrKeyPartIrrepresentableValue:   {"KEY_PART_IRREPRESENTABLE_VALUE", "The value of key part does not fit in type"},
	ErrInvalidSortdataFile:           {"INVALID_SORTDATA_FILE", "Invalid MemTX sort data file"},
	ErrNoSuchThread:                  {"NO_SUCH_THREAD", "Thread does not exist"},
	ErrUnableToProcessInThread:       {"UNABLE_TO_PROCESS_IN_THREAD", "Unable to process request in thread"},
	ErrDictOverflow:                  {"DICT_OVERFLOW", "Dictionary has no space - too many unique values are used"},
	ErrNoSuchThreadGroup:             {"NO_SUCH_THREAD_GROUP", "Thread group does not exist"},
	ErrXlogNotFound:                  {"XLOG_NOT_FOUND", "xlog file not found"},
	ErrRecoveryPointTxnLastRow:       {"RECOVERY_POINT_TXN_LAST_ROW", "Last row of recovery point transaction should not be local"},
	ErrNoSuchReadView:                {"NO_SUCH_READ_VIEW", "Read view was not found by id"},
	ErrNotReplicated:                 {"NOT_REPLICATED", "Space '%s' is not replicated to instance '%s' (filter '%s')"},
	ErrBeingCopied:                   {"BEING_COPIED", "Space '%s' is being copied to instance '%s' (%d %%)"},
	ErrNoSession:                     {"NO_SESSION", "Session '%s' is not there: it was never opened by this user, or has ended"},
	ErrNumber:                        {"NUMBER", "Request %d of slot %d is refused: %s"},
	ErrAnswerGone:                    {"ANSWER_GONE", "The request was executed; its answer was too large to be kept"},
	ErrNoNumber:                      {"NO_NUMBER", "The request takes no number: %s"},
	ErrIndexNotReplicated:            {"INDEX_NOT_REPLICATED", "Index '%s' of space '%s' is not replicated to instance '%s' (filter '%s')"},
	ErrOldToken:                      {"OLD_TOKEN", "Token %d is not newer than %d: %s"},
	ErrSequenceNotReplicated:         {"SEQUENCE_NOT_REPLICATED", "Sequence '%s' is not replicated to instance '%s' (filter '%s')"},
	ErrFilteredReplica:               {"FILTERED_REPLICA", "Instance '%s' is a replica with a filter ('%s') and does not %s: %s"},
	ErrIndexBeingBuilt:               {"INDEX_BEING_BUILT", "Index '%s' of space '%s' is being built on instance '%s' (%d %%)"},
}
