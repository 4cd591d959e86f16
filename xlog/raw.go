package xlog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tarragon.dev/tarragon/xrow"

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
// and beside a running instance, whose files come and go meanwhile.
type rawStore struct {
	fs      vfs.FS
	dir     string
	options *pebble.Options
	format  uint64          // by the card; 0: not known
	inUse   bool            // a process has the store open
	openErr error           // why Pebble cannot open it
	live    map[string]bool // tables that count; nil: not known, all do
	tables  int
	files   int // journal files

	last     uint64            // position of the group that was visited last
	kept     map[uint32]uint64 // number of the group of each former slot that was visited last
	done     map[string]bool   // tables that were visited
	problems []Problem
	notes    []string
}

type rawTable struct {
	name  string
	first []byte
}

// visitor takes what is found. A nil function passes over. group is called
// with ascending positions, each at most once. Values are valid during the call.
type visitor struct {
	core  func(id uint32, value []byte) error
	chunk func(slot uint32, id uint64, space uint32, value []byte) error
	end   func(slot uint32, id uint64, value []byte) error
	group func(pos uint64, value []byte, file string) error
	kept  func(slot uint32, no uint64, value []byte, file string) error // a group of a former slot, in ascending order
	meta  func(slot uint32, name string, value []byte) error
	lost  func(slot uint32, row xrow.LostRow) error
}

// openRaw finds out how the store stands.
func openRaw(fs vfs.FS, dir string) (*rawStore, error) {
	if fs == nil {
		fs = osFS(0, 0)
	}
	options := &pebble.Options{FS: fs}
	options.EnsureDefaults()
	r := &rawStore{fs: fs, dir: dir, options: options}
	if c, ok, err := readCard(fs, dir); ok && err == nil {
		r.format = c.version
	}
	if _, err := fs.List(dir); err != nil {
		return nil, fmt.Errorf("xlog: %w", err)
	}
	r.probe()
	return r, nil
}

// probe lets Pebble check what only it knows, the manifest first of all.
func (r *rawStore) probe() {
	l, err := lock(r.fs, r.dir)
	if err != nil {
		r.inUse = errors.Is(err, ErrLocked)
		return
	}
	defer func() { _ = l.Close() }()
	db, err := pebble.Open(r.dir, &pebble.Options{FS: r.fs, Lock: l, ReadOnly: true, Logger: quiet{}})
	if err != nil {
		r.openErr = err
		return
	}
	levels, err := db.SSTables()
	live := map[string]bool{}
	for _, tables := range levels {
		for i := range tables {
			live[fmt.Sprintf("%06d.sst", tables[i].BackingSSTNum)] = true
		}
	}
	if r.openErr = errors.Join(err, db.Close()); r.openErr == nil {
		r.live = live
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

// newTables lists the tables that were not visited yet, in the order of their
// first keys.
func (r *rawStore) newTables() ([]rawTable, error) {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return nil, fmt.Errorf("xlog: %w", err)
	}
	var tables []rawTable
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") || r.done[name] || r.live != nil && !r.live[name] {
			continue
		}
		t := rawTable{name: name}
		if err := r.scanTable(name, func(key, _ []byte) error {
			t.first = bytes.Clone(key)
			return errStop
		}); err != nil {
			r.badTable(name, err)
		}
		if t.first != nil {
			tables = append(tables, t)
		}
	}
	slices.SortFunc(tables, func(a, b rawTable) int {
		if c := bytes.Compare(a.first, b.first); c != 0 {
			return c
		}
		if len(a.name) != len(b.name) { // of two with the same key the newer one, of the greater number, first
			return len(b.name) - len(a.name)
		}
		return strings.Compare(b.name, a.name)
	})
	return tables, nil
}

// holders are the Cores by their slots, and the former slots by theirs.
type holders struct {
	present map[uint32]CoreInfo
	former  map[uint32]Former
}

// holders begins with what needs no record.
func (r *rawStore) holders() holders {
	h := holders{present: map[uint32]CoreInfo{}, former: map[uint32]Former{}}
	if r.format == oldVersion {
		h.present[upgradedSlot] = CoreInfo{Slot: upgradedSlot}
	}
	return h
}

// core takes a record. One that is damaged tells nothing.
func (h holders) core(id uint32, value []byte) error {
	if c, err := decodeCore(id, value); err == nil {
		h.present[c.Slot] = c.CoreInfo
		for _, f := range c.formers {
			h.former[f.Slot] = f
		}
	}
	return nil
}

// isPresent tells of a slot that it is a Core's; where no record was found, all are.
func (h holders) isPresent(slot uint32) bool {
	_, ok := h.present[slot]
	return ok || len(h.present) == 0
}

func (h holders) isFormer(slot uint32) bool {
	_, ok := h.former[slot]
	return ok
}

// coreOf is the Core that a slot is or was of.
func (h holders) coreOf(slot uint32) uint32 {
	if f, ok := h.former[slot]; ok {
		return f.Core
	}
	return h.present[slot].ID
}

// formers lists the former slots, by Core and from the oldest on.
func (h holders) formers() []Former {
	return slices.SortedFunc(maps.Values(h.former), func(a, b Former) int {
		return cmp.Or(cmp.Compare(a.Core, b.Core), cmp.Compare(a.Slot, b.Slot))
	})
}

var errStop = errors.New("stop")

func (r *rawStore) problem(p Problem) { r.problems = append(r.problems, p) }

// damage is all problems as one error.
func (r *rawStore) damage() error {
	var all []error
	for _, p := range r.problems {
		all = append(all, damaged("%s", p))
	}
	return errors.Join(all...)
}

// badTable notes a table that cannot be read. Beside a running instance it is
// one that is being written or has been removed.
func (r *rawStore) badTable(name string, err error) {
	if !r.inUse {
		r.problem(Problem{File: name, Text: err.Error()})
	}
}

// visit goes over the whole store once.
func (r *rawStore) visit(v *visitor) error {
	r.last, r.kept, r.done, r.tables, r.files = 0, map[uint32]uint64{}, map[string]bool{}, 0, 0
	seen := map[string]bool{}
	if err := r.visitTables(v, seen); err != nil {
		return err
	}
	if err := r.visitJournals(v, seen); err != nil || !r.inUse {
		return err
	}
	return r.visitTables(v, seen)
}

// visitRange goes over the keys from start to end, which are in tables only.
func (r *rawStore) visitRange(start, end []byte, v *visitor) error {
	r.done = map[string]bool{}
	tables, err := r.newTables()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, t := range tables {
		var stop error
		err := r.scanRange(t.name, start, func(key, value []byte) error {
			if bytes.Compare(key, end) >= 0 {
				return errStop
			}
			stop = r.pair(v, seen, key, value, t.name)
			return stop
		})
		if stop != nil {
			return stop
		}
		if err != nil {
			r.badTable(t.name, err)
		}
	}
	return nil
}

// visitTables goes over the tables that were not visited yet.
func (r *rawStore) visitTables(v *visitor, seen map[string]bool) error {
	tables, err := r.newTables()
	if err != nil {
		return err
	}
	for _, t := range tables {
		var stop error
		err := r.scanTable(t.name, func(key, value []byte) error {
			stop = r.pair(v, seen, key, value, t.name)
			return stop
		})
		if stop != nil {
			return stop
		}
		if err != nil {
			r.badTable(t.name, err)
		}
		r.done[t.name] = true
		r.tables++
	}
	return nil
}

// group passes a group on unless it was there already: it may be in a table
// and in the journal.
func (r *rawStore) group(v *visitor, pos uint64, value []byte, file string) error {
	if v.group == nil || pos <= r.last {
		return nil
	}
	r.last = pos
	return v.group(pos, value, file)
}

func (r *rawStore) keptGroup(v *visitor, slot uint32, no uint64, value []byte, file string) error {
	if v.kept == nil || no <= r.kept[slot] {
		return nil
	}
	r.kept[slot] = no
	return v.kept(slot, no, value, file)
}

// passesOver tells of a key of the other format: of what an upgrade has begun to
// write, or has not removed yet.
func (r *rawStore) passesOver(key []byte) bool {
	return r.format == oldVersion && !isOldKey(key) || r.format > oldVersion && isOldKey(key)
}

// pair sorts out a key of a table.
func (r *rawStore) pair(v *visitor, seen map[string]bool, key, value []byte, file string) error {
	if r.passesOver(key) {
		return nil
	}
	key = presentKey(key)
	if pos, ok := parseLogKey(key); ok {
		return r.group(v, pos, value, file)
	}
	if slot, id, space, _, ok := parseChunkKey(key); ok {
		if bytes.Equal(key, endKey(slot, id)) {
			return call3(v.end, slot, id, value)
		}
		if v.chunk != nil {
			return v.chunk(slot, id, space, value)
		}
		return nil
	}
	if slot, no, ok := parseKeptKey(key); ok {
		return r.keptGroup(v, slot, no, value, file)
	}
	if seen[string(key)] {
		return nil
	}
	seen[string(key)] = true
	if slot, term, origin, lsn, ok := parseLostKey(key); ok {
		if v.lost != nil {
			return v.lost(slot, xrow.LostRow{Term: term, Origin: origin, LSN: lsn, Frame: value})
		}
	} else if slot, kind, name, ok := parseDataKey(key); ok && kind == dataMeta {
		return call3(v.meta, slot, string(name), value)
	} else if core, ok := parseCoreKey(key); ok {
		if v.core != nil {
			return v.core(core, value)
		}
	} else {
		r.problem(Problem{File: file, Text: fmt.Sprintf("unknown key %x", key)})
	}
	return nil
}

func call3[T any](f func(uint32, T, []byte) error, slot uint32, a T, b []byte) error {
	if f == nil {
		return nil
	}
	return f(slot, a, b)
}

// visitJournals goes over the groups in journal files. What was synced must be
// whole in all of them, and only the newest may break off. A running instance
// turns the oldest into tables and uses the file again.
func (r *rawStore) visitJournals(v *visitor, seen map[string]bool) error {
	files, err := journalFiles(r.fs, r.dir)
	if err != nil {
		return err
	}
	r.files = len(files)
	for i, j := range files {
		var stop error
		end, err := readJournal(r.fs, r.dir, j, func(rec []byte, offset int64) error {
			stop = r.batch(v, seen, rec, j.name, offset)
			return stop
		})
		switch {
		case stop != nil:
			return stop
		case err == nil, r.inUse && i < len(files)-1:
		case errors.Is(err, errWALTorn) && i == len(files)-1:
			r.notes = append(r.notes, fmt.Sprintf("%s: torn tail at offset %d", j.name, end))
		default:
			r.problem(Problem{File: j.name, Offset: end, Text: err.Error()})
			return nil // what comes behind has a gap before it
		}
	}
	return nil
}

// batch goes over one record of a journal file.
func (r *rawStore) batch(v *visitor, seen map[string]bool, rec []byte, file string, offset int64) error {
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
		if kind != pebble.InternalKeyKindSet {
			continue
		}
		pos, isGroup := parseLogKey(presentKey(key))
		if !isGroup || r.passesOver(key) { // a voided row
			if err := r.pair(v, seen, key, value, file); err != nil {
				return err
			}
			continue
		}
		if r.inUse && r.last > 0 && pos > r.last+1 { // what is between became a table meanwhile
			if err := r.visitTables(v, seen); err != nil {
				return err
			}
		}
		if err := r.group(v, pos, value, file); err != nil {
			return err
		}
	}
}

// scanTable calls f with the pairs of a table until it returns an error;
// errStop is not passed on.
func (r *rawStore) scanTable(name string, f func(key, value []byte) error) error {
	return r.scanRange(name, nil, f)
}

// scanRange is scanTable from a key on.
func (r *rawStore) scanRange(name string, start []byte, f func(key, value []byte) error) (err error) {
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
	for kv := it.SeekGE(start, 0); kv != nil; kv = it.Next() {
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
