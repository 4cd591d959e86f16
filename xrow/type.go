package xrow

import "fmt"

// IsDML tells whether the type changes tuples (NOP is none).
func (t Type) IsDML() bool {
	return t >= Insert && t <= Delete || t == Upsert
}

// IsSynchro tells whether the row acts on the limbo.
func (t Type) IsSynchro() bool {
	return t == Confirm || t == Rollback || t == Promote || t == Demote
}

func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	if t&ErrorFlag != 0 {
		return fmt.Sprintf("ERROR(%d)", uint32(t&^ErrorFlag))
	}
	return fmt.Sprintf("TYPE(%d)", uint32(t))
}

var typeNames = map[Type]string{
	OK: "OK", Select: "SELECT", Insert: "INSERT", Replace: "REPLACE", Update: "UPDATE", Delete: "DELETE",
	Call16: "CALL_16", Auth: "AUTH", Eval: "EVAL", Upsert: "UPSERT", Call: "CALL", Execute: "EXECUTE", Nop: "NOP",
	Prepare: "PREPARE", Begin: "BEGIN", Commit: "COMMIT", RollbackTxn: "ROLLBACK", InsertArrow: "INSERT_ARROW", DeleteRange: "DELETE_RANGE",
	RaftState: "RAFT", Promote: "PROMOTE", Demote: "DEMOTE", Confirm: "CONFIRM", Rollback: "SYNC_ROLLBACK",
	Ping: "PING", Join: "JOIN", Subscribe: "SUBSCRIBE", VoteOld: "VOTE_DEPRECATED", Vote: "VOTE",
	FetchSnap: "FETCH_SNAPSHOT", Register: "REGISTER", JoinMeta: "JOIN_META", JoinSnapshot: "JOIN_SNAPSHOT",
	ID: "ID", Watch: "WATCH", Unwatch: "UNWATCH", Event: "EVENT", WatchOnce: "WATCH_ONCE", Chunk: "CHUNK",
}
