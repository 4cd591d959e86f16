package xrow

import (
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

// argNames are the names of the arguments of each code's text, in their order, which the error
// carries as fields of these names too; "": that one does not stand among them. More
// names than the text has verbs: further arguments, which are fields alone (Tarantool
// 3.8: src/box/errcode.h).
var argNames = map[Code][]string{
	ErrTupleFound:                  {"index", "space", "", "", "old_tuple", "new_tuple"},
	ErrInjection:                   {"details"},
	ErrCreateSpace:                 {"space", "details"},
	ErrSpaceExists:                 {"space"},
	ErrDropSpace:                   {"space", "details"},
	ErrAlterSpace:                  {"space", "details"},
	ErrIndexType:                   {"index", "space"},
	ErrModifyIndex:                 {"index", "space", "details"},
	ErrLastDrop:                    {"space"},
	ErrTupleFormatLimit:            {"max"},
	ErrDropPrimaryKey:              {"space"},
	ErrKeyPartType:                 {"partno", "expected"},
	ErrExactMatch:                  {"expected", "actual"},
	ErrInvalidMsgpack:              {"details"},
	ErrFieldType:                   {"field", "expected", "actual"},
	ErrIndexPartTypeMismatch:       {"field", "actual", "expected"},
	ErrUpdateSplice:                {"field", "details"},
	ErrUpdateArgType:               {"operation", "field", "expected"},
	ErrFormatMismatchIndexPart:     {"field", "actual", "expected"},
	ErrUnknownUpdateOp:             {"argno", "operation"},
	ErrUpdateField:                 {"field", "details"},
	ErrKeyPartCount:                {"max", "value"},
	ErrProcLua:                     {"details"},
	ErrNoSuchProc:                  {"func"},
	ErrNoSuchTrigger:               {"trigger"},
	ErrNoSuchIndexID:               {"index_id", "space"},
	ErrNoSuchSpace:                 {"space"},
	ErrNoSuchFieldNo:               {"fieldno"},
	ErrExactFieldCount:             {"actual", "expected"},
	ErrFieldMissing:                {"field"},
	ErrCreateUser:                  {"user", "details"},
	ErrDropUser:                    {"user", "details"},
	ErrNoSuchUser:                  {"user"},
	ErrUserExists:                  {"user"},
	ErrUnknownRequestType:          {"value"},
	ErrUnknownSchemaObject:         {"value"},
	ErrCreateFunction:              {"func", "details"},
	ErrNoSuchFunction:              {"func"},
	ErrFunctionExists:              {"func"},
	ErrMultistatementTransaction:   {"operation"},
	ErrTriggerExists:               {"trigger"},
	ErrUserMax:                     {"max"},
	ErrNoSuchEngine:                {"engine"},
	ErrReloadCfg:                   {"option"},
	ErrCfg:                         {"option", "details"},
	ErrUnknownReplica:              {"replica", "replicaset"},
	ErrReplicasetUUIDMismatch:      {"expected", "actual"},
	ErrInvalidUUID:                 {"value"},
	ErrInstanceUUIDMismatch:        {"expected", "actual"},
	ErrReplicaIDIsReserved:         {"value"},
	ErrMissingRequestField:         {"value"},
	ErrIdentifier:                  {"value"},
	ErrDropFunction:                {"func_id", "details"},
	ErrIteratorType:                {"value"},
	ErrReplicaMax:                  {"max"},
	ErrNoSuchRole:                  {"role"},
	ErrRoleExists:                  {"role"},
	ErrCreateRole:                  {"role", "details"},
	ErrIndexExists:                 {"index"},
	ErrRoleLoop:                    {"role", "grantee"},
	ErrGrant:                       {"details"},
	ErrPrivGranted:                 {"user", "privilege", "", "object_type", "object"},
	ErrRoleGranted:                 {"user", "role"},
	ErrPrivNotGranted:              {"user", "privilege", "object_type", "object"},
	ErrRoleNotGranted:              {"user", "role"},
	ErrCantUpdatePrimaryKey:        {"space", "space_id", "old_tuple", "new_tuple", "ops"},
	ErrUpdateIntegerOverflow:       {"operation", "field"},
	ErrUnsupportedPriv:             {"object_type", "privilege"},
	ErrLoadFunction:                {"func", "details"},
	ErrFunctionLanguage:            {"value", "func"},
	ErrProtocol:                    {"details"},
	ErrWrongIndexRecord:            {"actual", "expected"},
	ErrWrongIndexParts:             {"partno", "details"},
	ErrWrongIndexOptions:           {"details"},
	ErrWrongSchemaVersion:          {"actual", "expected"},
	ErrMemtxMaxTupleSize:           {"value", "max"},
	ErrWrongSpaceOptions:           {"details"},
	ErrUnsupportedIndexFeature:     {"index", "index_type", "space", "engine", "feature"},
	ErrViewIsRO:                    {"space"},
	ErrCompression:                 {"details"},
	ErrDecompression:               {"details"},
	ErrInvalidXlogType:             {"expected", "actual"},
	ErrAlreadyRunning:              {"path"},
	ErrIndexFieldCountLimit:        {"max"},
	ErrLocalInstanceIDIsReadOnly:   {"instance_id"},
	ErrInvalidIndexFile:            {"path", "details"},
	ErrInvalidRunFile:              {"details"},
	ErrInvalidVylogFile:            {"details"},
	ErrPartialKey:                  {"index_type", "expected", "actual"},
	ErrTruncateSystemSpace:         {"space"},
	ErrLoadModule:                  {"module", "details"},
	ErrVinylMaxTupleSize:           {"value", "max"},
	ErrWrongSpaceFormat:            {"fieldno", "details"},
	ErrCreateSequence:              {"sequence", "details"},
	ErrAlterSequence:               {"sequence", "details"},
	ErrDropSequence:                {"sequence", "details"},
	ErrNoSuchSequence:              {"sequence"},
	ErrSequenceExists:              {"sequence"},
	ErrSequenceOverflow:            {"sequence"},
	ErrNoSuchIndexName:             {"index", "space"},
	ErrSpaceFieldIsDuplicate:       {"field"},
	ErrCantCreateCollation:         {"details"},
	ErrWrongCollationOptions:       {"details"},
	ErrNullablePrimary:             {"space"},
	ErrNoSuchFieldNameInSpace:      {"field", "space"},
	ErrNoSuchGroup:                 {"replication_group"},
	ErrSQLBindType:                 {"value_type", "parameter"},
	ErrSQLBindParameterMax:         {"max"},
	ErrSQLExecute:                  {"details"},
	ErrUpdateDecimalOverflow:       {"operation", "field"},
	ErrSQLBindNotFound:             {"parameter"},
	ErrActionMismatch:              {"field", "expected", "actual"},
	ErrNoSuchModule:                {"module"},
	ErrNoSuchCollation:             {"collation"},
	ErrCreateFkConstraint:          {"constraint", "details"},
	ErrNoSuchConstraint:            {"constraint", "space"},
	ErrConstraintExists:            {"constraint_type", "constraint", "space"},
	ErrSQLTypeMismatch:             {"actual", "expected"},
	ErrDropCollation:               {"collation", "details"},
	ErrSQLNoSuchPragma:             {"pragma"},
	ErrSQLCantResolveField:         {"field"},
	ErrIndexExistsInSpace:          {"index", "space"},
	ErrInconsistentTypes:           {"expected", "actual"},
	ErrSQLSyntaxWithPos:            {"line", "position", "details"},
	ErrSQLKeywordIsReserved:        {"line", "position", "keyword", ""},
	ErrSQLSyntaxNearToken:          {"line", "token"},
	ErrSQLUnknownToken:             {"line", "position", "value"},
	ErrSQLParserGeneric:            {"details"},
	ErrSQLColumnCountMax:           {"space", "value", "max"},
	ErrHexLiteralMax:               {"value"},
	ErrIntLiteralMax:               {"literal"},
	ErrSQLParserLimit:              {"parameter", "value", "max"},
	ErrIndexDefUnsupported:         {"feature"},
	ErrMultikeyIndexMismatch:       {"field"},
	ErrCreateCkConstraint:          {"constraint", "details"},
	ErrSQLColumnCount:              {"actual", "expected"},
	ErrFuncIndexFunc:               {"index", "space", "details"},
	ErrFuncIndexFormat:             {"index", "space", "details"},
	ErrFuncIndexParts:              {"details"},
	ErrNoSuchFieldName:             {"field"},
	ErrFuncWrongArgCount:           {"func", "", "value", "min", "max"},
	ErrSQLFuncWrongRetCount:        {"func", "actual"},
	ErrFuncInvalidReturnType:       {"func", "expected", "actual"},
	ErrSQLParserGenericWithPos:     {"line", "position", "details"},
	ErrReplicaNotAnon:              {"replica"},
	ErrSessionSettingInvalidValue:  {"setting", "expected"},
	ErrSQLPrepare:                  {"details"},
	ErrWrongQueryID:                {"value"},
	ErrSequenceNotStarted:          {"sequence"},
	ErrNoSuchSessionSetting:        {"setting"},
	ErrUncommittedForeignSyncTxns:  {"instance_id"},
	ErrTupleMetadataIsTooBig:       {"value"},
	ErrTooEarlySubscribe:           {"replica"},
	ErrSQLCantAddAutoinc:           {"space"},
	ErrQuorumWait:                  {"value", "details"},
	ErrInterferingPromote:          {"replica_id"},
	ErrNotLeader:                   {"leader_id"},
	ErrSyncQueueForeign:            {"instance_id"},
	ErrUnableToProcessInStream:     {"request"},
	ErrUnableToProcessOutOfStream:  {"request"},
	ErrCreateConstraint:            {"constraint", "space", "details"},
	ErrFieldConstraintFailed:       {"constraint", "field", "field_id"},
	ErrTupleConstraintFailed:       {"constraint"},
	ErrCreateForeignKey:            {"constraint", "space", "details"},
	ErrForeignKeyIntegrity:         {"constraint", "details"},
	ErrFieldForeignKeyFailed:       {"constraint", "field", "details", "field_id"},
	ErrComplexForeignKeyFailed:     {"constraint", "details"},
	ErrWrongSpaceUpgradeOptions:    {"details"},
	ErrNoElectionQuorum:            {"actual", "value"},
	ErrSplitBrain:                  {"details"},
	ErrOldTerm:                     {"old_term", "new_term"},
	ErrDefaultValueType:            {"field", "expected", "actual"},
	ErrUnknownAuthMethod:           {"value"},
	ErrInvalidAuthData:             {"auth_method", "details"},
	ErrInvalidAuthRequest:          {"auth_method", "details"},
	ErrWeakPassword:                {"details"},
	ErrOldPassword:                 {"history_length"},
	ErrNoSuchSession:               {"session_id"},
	ErrWrongSessionType:            {"session_type"},
	ErrSQLSeqScan:                  {"space"},
	ErrNoSuchEvent:                 {"value"},
	ErrBootstrapNotUnanimous:       {"replica", "leader"},
	ErrCantCheckBootstrapLeader:    {"replica"},
	ErrClusterNameMismatch:         {"actual", "expected"},
	ErrReplicasetNameMismatch:      {"actual", "expected"},
	ErrInstanceNameDuplicate:       {"value", "replica"},
	ErrInstanceNameMismatch:        {"actual", "expected"},
	ErrSchemaNeedsUpgrade:          {"schema_version", "feature_name", "tarantool_version"},
	ErrDeprecated:                  {"feature"},
	ErrCreateDefaultFunc:           {"func", "details"},
	ErrDefaultFuncFailed:           {"func", "details"},
	ErrInvalidDec:                  {"value"},
	ErrFieldValueOutOfRange:        {"field", "field_type", "", "value", "min", "max"},
	ErrInvalidVclock:               {"value"},
	ErrKeyPartValueOutOfRange:      {"partno", "field_type", "value", "min", "max"},
	ErrReplicaGc:                   {"uuid", "details"},
	ErrAlienEngine:                 {"engine"},
	ErrMvccUnavailable:             {"engine_without_mvcc", "engine_with_mvcc"},
	ErrCantUpgradeIndexedField:     {"space", "space_id", "index", "old_tuple", "new_tuple"},
	ErrFieldIrrepresentableValue:   {"field", "value"},
	ErrKeyPartIrrepresentableValue: {"partno", "value"},
	ErrInvalidSortdataFile:         {"path", "details"},
	ErrNoSuchThread:                {"thread_id"},
	ErrUnableToProcessInThread:     {"request", "thread_id"},
	ErrDictOverflow:                {"max_size"},
	ErrNoSuchThreadGroup:           {"thread_group"},
	ErrXlogNotFound:                {"vclock"},
}

// Raw is a value that goes among the fields of an error as it is: MessagePack.
type Raw []byte

// MaxErrorField is how many bytes the values of [Raw] of one error may have together:
// one that waits for its turn is kept in memory. Beyond it they are left out.
const MaxErrorField = 16 << 10

// appendArgs makes the fields of an error of class ClientError: its symbol, and the
// arguments that have names.
func appendArgs(c Code, args []any) []byte {
	names := argNames[c]
	if names == nil {
		return nil // {name: SYMBOL} is added where the error is encoded
	}
	f := fieldWriter{b: msgp.AppendMapHeader(nil, 1)}
	f.b = msgp.AppendString(msgp.AppendString(f.b, "name"), c.Error())
	for i, arg := range args[:min(len(args), len(names))] {
		if names[i] != "" {
			f.add(names[i], arg)
		}
	}
	return f.b
}

// With is e with the fields of [Error.Add].
func (e *Error) With(pairs ...any) *Error {
	e.Add(pairs...)
	return e
}

// Add adds fields: pairs of a name and a value, which is a string, a number or [Raw].
// Nobody else may have e yet.
func (e *Error) Add(pairs ...any) {
	if e.Fields == nil {
		e.Fields = msgp.AppendMapHeader(nil, 0)
		if e.Class() == "ClientError" {
			e.Add("name", e.Code.Error())
		}
	}
	f := fieldWriter{b: e.Fields}
	for i := 0; i < len(pairs); i += 2 {
		f.add(pairs[i].(string), pairs[i+1])
	}
	e.Fields = f.b
}

// fieldWriter adds to a raw map of at most 15 pairs.
type fieldWriter struct{ b []byte }

func (f *fieldWriter) add(name string, v any) {
	if raw, ok := v.(Raw); ok && len(f.b)+len(raw) > MaxErrorField {
		return
	}
	f.b[0]++
	f.b = msgp.AppendString(f.b, name)
	switch v := v.(type) {
	case Raw:
		f.b = append(f.b, v...)
	case byte: // of a verb %c
		f.b = msgp.AppendString(f.b, string(rune(v)))
	case int:
		f.b = msgp.AppendInt(f.b, v)
	case int64:
		f.b = msgp.AppendInt64(f.b, v)
	case uint32:
		f.b = msgp.AppendUint32(f.b, v)
	case uint64:
		f.b = msgp.AppendUint64(f.b, v)
	default:
		f.b = msgp.AppendString(f.b, fmt.Sprint(v))
	}
}
