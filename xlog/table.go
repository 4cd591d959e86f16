package xlog

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tableWriter writes one table beside the store, to be ingested.
type tableWriter struct {
	s    *Store
	path string
	w    *sstable.Writer
	size uint64
}

// bytesPerSync spreads the writing of a large table, so that the sync of a
// group does not wait for all of it.
const bytesPerSync = 1 << 20

func (s *Store) newTable() (*tableWriter, error) {
	path := s.fs.PathJoin(s.opts.Dir, ingestDir, fmt.Sprintf("%06d.sst", s.tables.Add(1)))
	f, err := s.fs.Create(path, "pebble-ingestion")
	if err != nil {
		return nil, s.writeError("create a table", err)
	}
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: bytesPerSync})
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), s.tableOptions())
	return &tableWriter{s: s, path: path, w: w}, nil
}

func (w *tableWriter) set(key, value []byte) error {
	w.size += uint64(len(key) + len(value))
	return w.s.writeError("write a table", w.w.Set(key, value))
}

// finish syncs the table.
func (w *tableWriter) finish() (path string, err error) {
	return w.path, w.s.writeError("sync a table", w.w.Close())
}

// abort removes the table. What goes wrong is left for the next Open to remove.
func (w *tableWriter) abort() {
	_ = w.w.Close()
	_ = w.s.fs.Remove(w.path)
}

// ingest takes tables in with one edit of the manifest.
func (s *Store) ingest(what string, paths []string) error {
	return s.edit(what, func() error { return s.db.Ingest(context.Background(), paths) })
}

// ingestAndExcise replaces all that is in a span by tables. Some may lie elsewhere.
func (s *Store) ingestAndExcise(what string, paths []string, span pebble.KeyRange) error {
	return s.edit(what, func() error {
		_, err := s.db.IngestAndExcise(context.Background(), paths, nil, nil, span)
		return err
	})
}

// checkEdges reads what tables have next to a span that is to be cut out of
// them. Pebble cuts at the keys that it finds there, and takes a block that is
// damaged for one with no keys: it would drop all of the table on that side.
func (s *Store) checkEdges(span pebble.KeyRange) error {
	it, err := s.newIter(nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }()
	it.SeekLT(span.Start)
	err = it.Error()
	if err == nil {
		it.SeekGE(span.End)
		err = it.Error()
	}
	if err != nil {
		return s.readError("what is beside a change", err)
	}
	return nil
}

// ingestOne replaces all that is in span by one pair, and takes in tables that lie
// elsewhere.
func (s *Store) ingestOne(key, value []byte, span pebble.KeyRange, tables ...string) error {
	if err := s.checkEdges(span); err != nil {
		return err
	}
	w, err := s.newTable()
	if err != nil {
		return err
	}
	if err := w.set(key, value); err != nil {
		return err
	}
	path, err := w.finish()
	if err != nil {
		return err
	}
	return s.ingestAndExcise("write a value", append([]string{path}, tables...), span)
}

// excise removes all keys of a span. Where whole tables are in it this costs
// one edit of the manifest.
func (s *Store) excise(what string, start, end []byte) error {
	span := pebble.KeyRange{Start: start, End: end}
	if err := s.checkEdges(span); err != nil {
		return err
	}
	return s.edit(what, func() error { return s.db.Excise(context.Background(), span) })
}
