package xlog

// Figures are how a store stands. Bytes are on disk unless said otherwise.
type Figures struct {
	Disk          uint64 // all files
	Journals      int    // files of Pebble's journal
	JournalBytes  uint64
	Written       uint64 // bytes that went to the journal since the open
	Tables        int64
	TableBytes    uint64
	MemTableBytes uint64 // in memory
	Flushes       int64  // tables that were made of memory since the open
	Compactions   int64  // of tables, since the open
	Compacting    int64  // now
	CacheBytes    int64  // blocks of tables in memory
	CacheHits     int64
	CacheMisses   int64
}

// Figures reads them. They do not hold for one moment.
func (s *Store) Figures() Figures {
	if s.closed.Load() {
		return Figures{}
	}
	m := s.db.Metrics()
	total := m.Total()
	return Figures{
		Disk: m.DiskSpaceUsage(), Journals: int(m.WAL.Files), JournalBytes: m.WAL.PhysicalSize, Written: m.WAL.BytesWritten,
		Tables: total.TablesCount, TableBytes: uint64(total.TablesSize), MemTableBytes: m.MemTable.Size, Flushes: m.Flush.Count,
		Compactions: m.Compact.Count, Compacting: m.Compact.NumInProgress, CacheBytes: m.BlockCache.Size, CacheHits: m.BlockCache.Hits, CacheMisses: m.BlockCache.Misses,
	}
}
