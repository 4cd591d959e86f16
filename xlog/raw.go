package xlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Problem is damage, and where it is.
type Problem struct {
	File   string `json:"file,omitempty"`
	Offset int64  `json:"offset,omitempty"`
	Group  uint64 `json:"group,omitempty"`
	Text   string `json:"text"`
}

func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s: ", p.File)
	}
	if p.Offset != 0 {
		fmt.Fprintf(&b, "offset %d: ", p.Offset)
	}
	if p.Group != 0 {
		fmt.Fprintf(&b, "group %d: ", p.Group)
	}
	return b.String() + p.Text
}

// rawStore reads the files of a store without opening it: tables in the order
// of their keys, then journal files. So it works where the manifest is damaged,
// and beside a running instance. It may meet what was removed a moment ago.
type rawStore struct {
	fs       vfs.FS
	dir      string
	options  *pebble.Options
	tables   []rawTable
	journals []journalFile
	problems []Problem
	notes    []string
}

type rawTable struct {
	name  string
	first []byte
}

// visitor takes what is found. A nil function passes over. group is called
// with ascending numbers, each at most once. Values are valid during the call.
type visitor struct {
	chunk func(id uint64, space uint32, value []byte) error
	end   func(id uint64, value []byte) error
	group func(no uint64, value []byte, file string) error
	meta  func(name string, value []byte) error
	lost  func(LostRow) error
}

// openRaw lists the files and reads the first key of each table.
func openRaw(fs vfs.FS, dir string) (*rawStore, error) {
	if fs == nil {
		fs = vfs.Default
	}
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("xlog: %w", err)
	}
	options := &pebble.Options{FS: fs}
	options.EnsureDefaults()
	r := &rawStore{fs: fs, dir: dir, options: options}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		t := rawTable{name: name}
		err := r.scanTable(name, func(key, _ []byte) error {
			t.first = bytes.Clone(key)
			return errStop
		})
		if err != nil {
			r.problem(Problem{File: name, Text: err.Error()})
		}
		if t.first != nil {
			r.tables = append(r.tables, t)
		}
	}
	slices.SortFunc(r.tables, func(a, b rawTable) int {
		if c := bytes.Compare(a.first, b.first); c != 0 {
			return c
		}
		if len(a.name) != len(b.name) { // of two with the same key the newer one, of the greater number, first
			return len(b.name) - len(a.name)
		}
		return strings.Compare(b.name, a.name)
	})
	r.journals, err = journalFiles(fs, dir)
	return r, err
}

var errStop = errors.New("stop")

func (r *rawStore) problem(p Problem) { r.problems = append(r.problems, p) }

// visit goes over the whole store once.
func (r *rawStore) visit(v *visitor) error {
	last := uint64(0)
	group := v.group
	if group != nil {
		v.group = func(no uint64, value []byte, file string) error {
			if no <= last {
				return nil // in a table and in the journal
			}
			last = no
			return group(no, value, file)
		}
		defer func() { v.group = group }()
	}
	seen := map[string]bool{}
	for _, t := range r.tables {
		var stop error
		err := r.scanTable(t.name, func(key, value []byte) error {
			stop = r.pair(v, seen, key, value, t.name)
			return stop
		})
		if stop != nil {
			return stop
		}
		if err != nil {
			r.problem(Problem{File: t.name, Text: err.Error()})
		}
	}
	return r.visitJournals(v)
}

// pair sorts out a key of a table.
func (r *rawStore) pair(v *visitor, seen map[string]bool, key, value []byte, file string) error {
	if no, ok := parseLogKey(key); ok {
		if v.group != nil {
			return v.group(no, value, file)
		}
		return nil
	}
	if id, space, _, ok := parseChunkKey(key); ok {
		if bytes.Equal(key, endKey(id)) {
			return call2(v.end, id, value)
		}
		if v.chunk != nil {
			return v.chunk(id, space, value)
		}
		return nil
	}
	if seen[string(key)] {
		return nil
	}
	seen[string(key)] = true
	if term, origin, lsn, ok := parseLostKey(key); ok {
		if v.lost != nil {
			return v.lost(LostRow{Term: term, Origin: origin, LSN: lsn, Frame: value})
		}
	} else if hasPrefix(key, spaceMeta) {
		return call2(v.meta, string(key[prefixLen:]), value)
	} else {
		r.problem(Problem{File: file, Text: fmt.Sprintf("unknown key %x", key)})
	}
	return nil
}

func call2[T any](f func(T, []byte) error, a T, b []byte) error {
	if f == nil {
		return nil
	}
	return f(a, b)
}

// visitJournals goes over the groups in journal files. What was synced must be
// whole in all of them, and only the newest may break off.
func (r *rawStore) visitJournals(v *visitor) error {
	for i, j := range r.journals {
		var stop error
		end, err := readJournal(r.fs, r.dir, j, func(rec []byte, offset int64) error {
			stop = r.batch(v, rec, j.name, offset)
			return stop
		})
		switch {
		case stop != nil:
			return stop
		case err == nil:
		case errors.Is(err, errWALTorn) && i == len(r.journals)-1:
			r.notes = append(r.notes, fmt.Sprintf("%s: torn tail at offset %d", j.name, end))
		default:
			r.problem(Problem{File: j.name, Offset: end, Text: err.Error()})
			return nil // what comes behind has a gap before it
		}
	}
	return nil
}

// batch goes over one record of a journal file.
func (r *rawStore) batch(v *visitor, rec []byte, file string, offset int64) error {
	if len(rec) < batchrepr.HeaderLen {
		r.problem(Problem{File: file, Offset: offset, Text: "bad batch"})
		return nil
	}
	reader := batchrepr.Read(rec)
	for {
		kind, key, value, ok, err := reader.Next()
		if err != nil {
			r.problem(Problem{File: file, Offset: offset, Text: err.Error()})
			return nil
		}
		if !ok {
			return nil
		}
		no, isGroup := parseLogKey(key)
		if kind != pebble.InternalKeyKindSet || !isGroup || v.group == nil {
			continue
		}
		if err := v.group(no, value, file); err != nil {
			return err
		}
	}
}

// scanTable calls f with the pairs of a table until it returns an error;
// errStop is not passed on.
func (r *rawStore) scanTable(name string, f func(key, value []byte) error) (err error) {
	file, err := r.fs.Open(r.fs.PathJoin(r.dir, name))
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	table, err := sstable.NewReader(context.Background(), readable, r.options.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	it, err := table.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	defer func() {
		if err == errStop {
			err = nil
		}
		err = errors.Join(err, it.Close())
	}()
	for kv := it.First(); kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			return err
		}
		if err := f(kv.K.UserKey, value); err != nil {
			return err
		}
	}
	return it.Error()
}
