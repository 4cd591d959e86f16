package server

import (
	"strconv"

	"tarragon.dev/tarragon/internal/metrics"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/replication"
)

// Where this instance stands (box.info).
var (
	infoLSN    = Metrics.Gauge("info", "tnt_info_lsn", "LSN of the newest row that this instance has written.")
	infoVClock = Metrics.Gauge("info", "tnt_info_vclock", "Components of the vclock, by the ID of the instance.", "id")
	readOnly   = Metrics.Gauge("info", "tnt_read_only", "1: clients cannot write here.")

	queueOwner = Metrics.Gauge("info", "tnt_synchro_queue_owner", "ID of the owner of the synchronous queue.")
	queueTerm  = Metrics.Gauge("info", "tnt_synchro_queue_term", "Term of the PROMOTE that is in effect.")
	queueLen   = Metrics.Gauge("info", "tnt_synchro_queue_len", "Transactions that are undecided.")
	queueBusy  = Metrics.Gauge("info", "tnt_synchro_queue_busy", "1: the queue changes its owner, or a PROMOTE is not decided yet.")

	electionState  = Metrics.Gauge("info", "tnt_election_state", "0: follower, 1: candidate, 2: leader.")
	electionVote   = Metrics.Gauge("info", "tnt_election_vote", "ID of the instance that this one voted for in its term.")
	electionLeader = Metrics.Gauge("info", "tnt_election_leader", "ID of the leader of the term; 0: none is known.")
	electionTerm   = Metrics.Gauge("info", "tnt_election_term", "Term of the election.")
	electionIdle   = Metrics.Gauge("info", "tnt_election_leader_idle", "Seconds since the leader was heard.")

	replicationLag    = Metrics.Gauge("info", "tnt_replication_lag", "Seconds that the newest row took, by stream (upstream, downstream) and ID of the peer.", "stream", "id")
	replicationStatus = Metrics.Gauge("info", "tnt_replication_status", "1: the stream follows.", "stream", "id")
	replicationLSN    = Metrics.Gauge("replicas", "tnt_replication_lsn", "How many rows of this instance, which takes writes, a peer has not acknowledged yet; type is master.", "id", "type")
)

func (f *figures) instance(to *metrics.Samples) {
	i := &f.info
	metrics.Count(to, infoLSN, i.VClock[i.ID])
	for id, lsn := range i.VClock {
		if lsn != 0 {
			metrics.Count(to, infoVClock, lsn, strconv.Itoa(id))
		}
	}
	to.Yes(readOnly, i.RO)
	metrics.Count(to, queueOwner, i.QueueOwner)
	metrics.Count(to, queueTerm, i.QueueTerm)
	metrics.Count(to, queueLen, i.QueueLen)
	to.Yes(queueBusy, i.NewestPromote > i.QueueTerm)
}

// streams puts both directions of replication with each member. Anonymous replicas are none.
func (f *figures) streams(to *metrics.Samples) {
	for _, p := range f.peers {
		if p.ID == 0 || p.ID == f.info.ID {
			continue
		}
		id := strconv.FormatUint(uint64(p.ID), 10)
		if u := p.Upstream; u != nil {
			to.Put(replicationLag, u.Lag, "upstream", id)
			to.Yes(replicationStatus, u.Status == replication.StateFollow, "upstream", id)
		}
		d := p.Downstream
		if d == nil {
			continue
		}
		to.Put(replicationLag, d.Lag, "downstream", id)
		to.Yes(replicationStatus, d.Status == string(replication.StateFollow), "downstream", id)
		if own := f.info.ID; !f.info.RO {
			metrics.Count(to, replicationLSN, f.info.VClock[own]-min(d.VClock[own], f.info.VClock[own]), id, "master")
		}
	}
}

// electionStates are the numbers of Tarantool's module.
var electionStates = map[raft.State]int{raft.StateFollower: 0, raft.StateCandidate: 1, raft.StateLeader: 2}

func (f *figures) election(to *metrics.Samples) {
	i := &f.info
	metrics.Count(to, electionState, electionStates[i.State])
	metrics.Count(to, electionVote, i.Vote)
	metrics.Count(to, electionLeader, i.Leader)
	metrics.Count(to, electionTerm, i.Term)
	to.Put(electionIdle, i.LeaderIdle.Seconds())
}

// What tuples and indexes take (box.slab.info).
var (
	itemsSize  = Metrics.Gauge("slab", "tnt_slab_items_size", "Bytes of memory that tuples are in.")
	itemsUsed  = Metrics.Gauge("slab", "tnt_slab_items_used", "Bytes of tuples, with their headers.")
	itemsRatio = Metrics.Gauge("slab", "tnt_slab_items_used_ratio", "The second of these in percent of the first.")
	quotaSize  = Metrics.Gauge("slab", "tnt_slab_quota_size", "memtx.memory, in bytes.")
	quotaUsed  = Metrics.Gauge("slab", "tnt_slab_quota_used", "Bytes that count against it.")
	quotaRatio = Metrics.Gauge("slab", "tnt_slab_quota_used_ratio", "The second of these in percent of the first.")
	arenaSize  = Metrics.Gauge("slab", "tnt_slab_arena_size", "Bytes of memory that tuples and indexes are in.")
	arenaUsed  = Metrics.Gauge("slab", "tnt_slab_arena_used", "Bytes of tuples and indexes.")
	arenaRatio = Metrics.Gauge("slab", "tnt_slab_arena_used_ratio", "The second of these in percent of the first.")

	memoryData   = Metrics.Gauge("memory", "tnt_info_memory_data", "Bytes of tuples, with their headers.")
	memoryIndex  = Metrics.Gauge("memory", "tnt_info_memory_index", "Bytes of indexes.")
	memoryTx     = Metrics.Gauge("memory", "tnt_info_memory_tx", "Bytes of what open transactions would change and have read.")
	runtimeTuple = Metrics.Gauge("runtime", "tnt_runtime_tuple", "Bytes of tuples, with their headers.")
	memtxData    = Metrics.Gauge("memtx", "tnt_memtx_tuples_data_total", "Bytes of tuples, with their headers.")
	memtxIndex   = Metrics.Gauge("memtx", "tnt_memtx_index_total", "Bytes of indexes.")
)

func (f *figures) slab(to *metrics.Samples) {
	m := &f.memory
	used, arena := m.Tuples+m.Indexes, m.Pages+m.Nodes
	share := func(size, part, ratio *metrics.Metric, whole, n int) {
		metrics.Count(to, size, whole)
		metrics.Count(to, part, n)
		percent := 0.0
		if whole > 0 {
			percent = 100 * float64(n) / float64(whole)
		}
		to.Put(ratio, percent)
	}
	share(itemsSize, itemsUsed, itemsRatio, m.Pages, m.Tuples)
	share(quotaSize, quotaUsed, quotaRatio, m.Limit, m.Taken)
	share(arenaSize, arenaUsed, arenaRatio, arena, used)
	for _, tuples := range []*metrics.Metric{memoryData, runtimeTuple, memtxData} {
		metrics.Count(to, tuples, m.Tuples)
	}
	metrics.Count(to, memoryIndex, m.Indexes)
	metrics.Count(to, memtxIndex, m.Indexes)
	metrics.Count(to, memoryTx, f.info.Txns.Bytes)
}

// The configuration (box.info.config).
var (
	configStatus = Metrics.Gauge("config", "tnt_config_status", "1 for the status that it has: ready, and until there is data startup_in_progress.", "status")
	configAlerts = Metrics.Gauge("config", "tnt_config_alerts", "Warnings that were told at the start (warn), without those of options that are not served; errors end it.", "level")
)

// configStatuses are those of Tarantool.
var configStatuses = [...]string{"uninitialized", "startup_in_progress", "reload_in_progress", "check_warnings", "check_errors", "ready"}

func (f *figures) config(to *metrics.Samples) {
	now := "startup_in_progress"
	if f.of.ready {
		now = "ready"
	}
	for _, status := range configStatuses {
		to.Yes(configStatus, status == now, status)
	}
	warned := 0
	for _, w := range f.s.in.Warnings {
		if !w.Unserved {
			warned++
		}
	}
	metrics.Count(to, configAlerts, warned, "warn")
	metrics.Count(to, configAlerts, 0, "error")
}
