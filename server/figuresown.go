package server

import (
	"tarragon.dev/tarragon/internal/metrics"
	"tarragon.dev/tarragon/xrow"
)

// The log and the store.
var (
	logGroups   = Metrics.Gauge("tarragon", "tarragon_log_groups", "Groups that the log holds.")
	logWritten  = Metrics.Counter("tarragon", "tarragon_log_written_bytes_total", "Bytes that were written to the journals of the store.")
	checkpoints = Metrics.Gauge("tarragon", "tarragon_checkpoints", "Checkpoints that the store holds.")
	diskBytes   = Metrics.Gauge("tarragon", "tarragon_store_disk_bytes", "Bytes of all files of the store.")
	journals    = Metrics.Gauge("tarragon", "tarragon_store_journals", "Journals of the store, which are files.")
	journalSize = Metrics.Gauge("tarragon", "tarragon_store_journal_bytes", "Bytes of these.")
	tables      = Metrics.Gauge("tarragon", "tarragon_store_tables", "Tables of the store, which are files: log and checkpoints.")
	tableSize   = Metrics.Gauge("tarragon", "tarragon_store_table_bytes", "Bytes of these.")
	memTables   = Metrics.Gauge("tarragon", "tarragon_store_memtable_bytes", "Bytes of memory for what is in journals and in no table yet.")
	flushes     = Metrics.Counter("tarragon", "tarragon_store_flushes_total", "Times that tables were made of that.")
	compactions = Metrics.Counter("tarragon", "tarragon_store_compactions_total", "Times that tables were merged, moved or deleted.")
	compacting  = Metrics.Gauge("tarragon", "tarragon_store_compactions_running", "Of these, those that run.")
	cacheSize   = Metrics.Gauge("tarragon", "tarragon_store_cache_bytes", "Bytes of memory for blocks of tables that were read.")
	cacheHits   = Metrics.Counter("tarragon", "tarragon_store_cache_hits_total", "Blocks that were found there.")
	cacheMisses = Metrics.Counter("tarragon", "tarragon_store_cache_misses_total", "Blocks that were read from disk.")
)

func (f *figures) store(to *metrics.Samples) {
	slot, st := f.n.store, f.s.store.Figures()
	metrics.Count(to, logGroups, slot.Last()+1-min(slot.First(), slot.Last()+1))
	metrics.Count(to, checkpoints, len(slot.Checkpoints()))
	metrics.Count(to, logWritten, st.Written)
	metrics.Count(to, diskBytes, st.Disk)
	metrics.Count(to, journals, st.Journals)
	metrics.Count(to, journalSize, st.JournalBytes)
	metrics.Count(to, tables, st.Tables)
	metrics.Count(to, tableSize, st.TableBytes)
	metrics.Count(to, memTables, st.MemTableBytes)
	metrics.Count(to, flushes, st.Flushes)
	metrics.Count(to, compactions, st.Compactions)
	metrics.Count(to, compacting, st.Compacting)
	metrics.Count(to, cacheSize, st.CacheBytes)
	metrics.Count(to, cacheHits, st.CacheHits)
	metrics.Count(to, cacheMisses, st.CacheMisses)
}

// Who comes in, and the limits of that.
var (
	loggedIn      = Metrics.Gauge("tarragon", "tarragon_connections_logged_in", "Connections that are logged in.")
	connLimit     = Metrics.Gauge("tarragon", "tarragon_connections_limit", "How many connections there may be: all, those that have not logged in (before_login), those of a user (per_user; 0: no limit).", "of")
	connTurned    = Metrics.Counter("tarragon", "tarragon_connections_turned_away_total", "Connections and logins that there was no room for.")
	loginsFailed  = Metrics.Counter("tarragon", "tarragon_logins_failed_total", "Logins with a wrong password.")
	loginsDelayed = Metrics.Counter("tarragon", "tarragon_logins_delayed_total", "Logins whose answers were held back, since others had failed.")
	loginsRefused = Metrics.Counter("tarragon", "tarragon_logins_refused_total", "Logins that were refused without a look at the password.")
)

func (f *figures) limits(to *metrics.Samples) {
	st, l := &f.net, f.s.clientLimits()
	metrics.Count(to, loggedIn, st.LoggedIn)
	metrics.Count(to, connLimit, l.Connections, "all")
	metrics.Count(to, connLimit, l.BeforeLogin, "before_login")
	metrics.Count(to, connLimit, l.PerUser, "per_user")
	metrics.Count(to, connTurned, st.Turned.Total)
	metrics.Count(to, loginsFailed, st.Failed.Total)
	metrics.Count(to, loginsDelayed, st.Delayed.Total)
	metrics.Count(to, loginsRefused, st.Refused.Total)
}

// What the core has under way, and what has become of it.
var (
	undecidedBytes = Metrics.Gauge("tarragon", "tarragon_undecided_bytes", "Bytes of transactions that are undecided.")
	undecidedAge   = Metrics.Gauge("tarragon", "tarragon_undecided_age_seconds", "How old the oldest of them is.")
	quorumNow      = Metrics.Gauge("tarragon", "tarragon_quorum", "Members that a synchronous transaction needs.")
	leaderSeen     = Metrics.Gauge("tarragon", "tarragon_leader_in_effect", "ID of the leader whose PROMOTE is in effect, if it is heard; 0: none.")
	isReady        = Metrics.Gauge("tarragon", "tarragon_ready", "1: it shows data: what /readyz says.")
	healthReasons  = Metrics.Gauge("tarragon", "tarragon_health_reasons", "Why it is not well: how many reasons /healthz gives, or warnings.", "level")
	diskFailed     = Metrics.Gauge("tarragon", "tarragon_disk_failed", "1: the disk failed, and nothing is written any more.")
	diskStalled    = Metrics.Gauge("tarragon", "tarragon_disk_stalled", "1: the disk is silent for too long.")
	splitBrains    = Metrics.Gauge("tarragon", "tarragon_split_brains", "Peers whose rows contradict those of this instance.")

	txnsOpen  = Metrics.Gauge("tarragon", "tarragon_transactions_open", "Transactions of streams that are open.")
	txnsBytes = Metrics.Gauge("tarragon", "tarragon_transactions_bytes", "Bytes of what they would change and have read.")
	txnsEnded = Metrics.Counter("tarragon", "tarragon_transactions_total", "Transactions of streams by their end: committed, rolled_back, conflict, timed_out, abandoned.", "end")

	sessionsOpen    = Metrics.Gauge("tarragon", "tarragon_sessions_open", "Exactly-once sessions that are open; the leader knows.")
	sessionsSlots   = Metrics.Gauge("tarragon", "tarragon_sessions_slots", "Slots of these.")
	sessionsRepeats = Metrics.Counter("tarragon", "tarragon_sessions_repeats_total", "Requests that were answered by what was stored, since they had been executed.")
	sessionsIdle    = Metrics.Counter("tarragon", "tarragon_sessions_idle_total", "Sessions that were ended because nobody used them.")

	forwardsOpen  = Metrics.Gauge("tarragon", "tarragon_forwards_open", "Requests that another leader has not answered yet.")
	forwardsBytes = Metrics.Gauge("tarragon", "tarragon_forwards_bytes", "Bytes of these.")
	forwardsEnded = Metrics.Counter("tarragon", "tarragon_forwards_total", "Requests that went to another leader, by their end: answered, unknown (whether it was executed), refused (nobody has).", "end")
)

func (f *figures) underWay(to *metrics.Samples) {
	i := &f.info
	metrics.Count(to, undecidedBytes, i.QueueSize)
	to.Put(undecidedAge, i.QueueAge.Seconds())
	metrics.Count(to, quorumNow, i.Quorum)
	metrics.Count(to, leaderSeen, i.LeaderInEffect())
	to.Yes(diskFailed, i.Failed != nil)
	to.Yes(diskStalled, i.Stalled)
	metrics.Count(to, splitBrains, len(i.SplitBrains))

	metrics.Count(to, txnsOpen, i.Txns.Open)
	metrics.Count(to, txnsBytes, i.Txns.Bytes)
	metrics.Count(to, txnsEnded, i.Txns.Committed, "committed")
	metrics.Count(to, txnsEnded, i.Txns.RolledBack, "rolled_back")
	metrics.Count(to, txnsEnded, i.Txns.Conflicts, "conflict")
	metrics.Count(to, txnsEnded, i.Txns.TimedOut, "timed_out")
	metrics.Count(to, txnsEnded, i.Txns.Abandoned, "abandoned")

	if i.Sessions.Known {
		metrics.Count(to, sessionsOpen, i.Sessions.Open)
		metrics.Count(to, sessionsSlots, i.Sessions.Slots)
	}
	metrics.Count(to, sessionsRepeats, i.Sessions.Repeats)
	metrics.Count(to, sessionsIdle, i.Sessions.Idle)

	metrics.Count(to, forwardsOpen, i.Forwards.Open)
	metrics.Count(to, forwardsBytes, i.Forwards.Bytes)
	metrics.Count(to, forwardsEnded, i.Forwards.Answered, "answered")
	metrics.Count(to, forwardsEnded, i.Forwards.Unknown, "unknown")
	metrics.Count(to, forwardsEnded, i.Forwards.Refused, "refused")
}

func (f *figures) health(to *metrics.Samples) {
	ready, all := f.of.judgeReady(false), f.of.judgeHealth()
	to.Yes(isReady, ready.OK)
	metrics.Count(to, healthReasons, len(all.Reasons), "reason")
	metrics.Count(to, healthReasons, len(all.Warnings), "warning")
}

// Filtered replicas, at either end.
var (
	filterAbsent  = Metrics.Gauge("tarragon", "tarragon_filter_spaces_absent", "On a filtered replica, spaces that its filter leaves out.", "filter")
	filterCopying = Metrics.Gauge("tarragon", "tarragon_filter_spaces_copying", "Spaces whose tuples are on their way.", "filter")
	filterFailed  = Metrics.Gauge("tarragon", "tarragon_filter_copy_failures", "Tries in a row to get them that came to nothing.", "filter")
	copiesGiven   = Metrics.Gauge("tarragon", "tarragon_copies_given", "Base copies that this instance gives now.")
	copiesLimit   = Metrics.Gauge("tarragon", "tarragon_copies_limit", "How many it gives at once.")
	copiesEnded   = Metrics.Counter("tarragon", "tarragon_copies_total", "Base copies by their end: whole, broken, cancelled, refused.", "end")
	replicaLag    = Metrics.Gauge("tarragon", "tarragon_replica_lag_seconds", "How long the newest row took to a replica that is no member, by its uuid.", "uuid")
	replicaTaken  = Metrics.Gauge("tarragon", "tarragon_replica_memory_bytes", "Bytes that tuples and indexes take there, as it told last.", "uuid")
)

func (f *figures) filters(to *metrics.Samples) {
	if sh := &f.info.Share; sh.Filter != "" {
		metrics.Count(to, filterAbsent, len(sh.Absent), sh.Filter)
		metrics.Count(to, filterCopying, len(sh.Copied), sh.Filter)
		if sh.Copy != nil {
			metrics.Count(to, filterFailed, sh.Copy.Failed, sh.Filter)
		}
	}
	given := f.s.givenCopies()
	metrics.Count(to, copiesGiven, len(given.List))
	metrics.Count(to, copiesLimit, given.Limit)
	metrics.Count(to, copiesEnded, given.Whole, "whole")
	metrics.Count(to, copiesEnded, given.Broken-given.Cancelled, "broken")
	metrics.Count(to, copiesEnded, given.Cancelled, "cancelled")
	metrics.Count(to, copiesEnded, given.Refused, "refused")
	for i := range f.peers {
		p := &f.peers[i]
		if d := p.Downstream; d != nil && p.ID == 0 && p.UUID != "" {
			to.Put(replicaLag, d.Lag, p.UUID)
			if d.Memory != (xrow.MemoryUse{}) {
				metrics.Count(to, replicaTaken, d.Memory.Taken, p.UUID)
			}
		}
	}
}
