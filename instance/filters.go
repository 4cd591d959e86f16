package instance

import (
	"fmt"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// The catalogue is all filters there are. The leader changes it, by administrative
// procedures and where a client drops what a filter names (filtertidy.go). Each change
// of any filter takes the next number as the version of that filter. So no version is
// used twice by a name, whatever was dropped, made again and renamed: a row without a
// name, ["", version, false, [], [], [], []], keeps the number where the filter that
// had it is dropped.

// Bounds of the catalogue. All of it is read in the Step that changes it.
const (
	maxFilters    = 128
	maxFilterSize = 128 << 10 // bytes of a tuple; former versions that make it larger go
)

// CreateFilter makes a filter (tarragon.filter.create). The answer to all changes of
// one is its version.
type CreateFilter struct {
	Conn, Sync uint64
	Name       string
	Full       bool // it begins with all that there is; false: with nothing
	New        bool // it has the spaces that are made later
}

// AlterFilter changes a filter (tarragon.filter.alter): all of it or nothing.
type AlterFilter struct {
	Conn, Sync  uint64
	Name        string
	Rename      string // empty: it keeps its name
	Add, Remove FilterItems
}

// DropFilter drops a filter (tarragon.filter.drop). The answer has the names of the
// replicas that were dropped with it.
type DropFilter struct {
	Conn, Sync uint64
	Name       string
	Force      bool // although replicas use it: these are dropped, too
}

func (CreateFilter) event() {}
func (AlterFilter) event()  {}
func (DropFilter) event()   {}

// Filters are the confirmed ones, by their names; those that this version cannot read
// are left out.
func (c *Core) Filters() (all []*Filter) {
	for _, tuple := range c.box.OwnRows(&box.OwnFilter) {
		if f := readFilter(tuple); f != nil {
			all = append(all, f)
		}
	}
	return all
}

// catalogue is all filters inside a transaction.
type catalogue struct {
	tx        *box.Txn
	rows      [][]byte
	filters   int         // those of them that have names
	greatest  uint64      // version that was ever used
	sequences []box.Named // see edit
}

func openCatalogue(tx *box.Txn) *catalogue {
	k := &catalogue{tx: tx, rows: tx.OwnRows(&box.OwnFilter)}
	for _, tuple := range k.rows {
		name, version := filterHead(tuple)
		k.greatest = max(k.greatest, version)
		if name != "" {
			k.filters++
		}
	}
	return k
}

// filterHead is the beginning of a row; version 0: it has none that we read.
func filterHead(tuple []byte) (name string, version uint64) {
	r := filterReader{b: tuple}
	r.array()
	name, version = r.string(), r.uint()
	if r.bad || version > maxFilterVersion {
		version = 0
	}
	return name, version
}

// find is the filter of a name; nil: there is none.
func (k *catalogue) find(name string) (*Filter, error) {
	at := slices.IndexFunc(k.rows, func(tuple []byte) bool {
		n, _ := filterHead(tuple)
		return n == name
	})
	if at < 0 || name == "" {
		return nil, nil
	}
	f := readFilter(k.rows[at])
	if f == nil {
		return nil, filterError("Filter '%s' is a row that this version cannot read", name)
	}
	return f, nil
}

// need is find where there must be one.
func (k *catalogue) need(name string) (*Filter, error) {
	f, err := k.find(name)
	if f == nil && err == nil {
		err = filterError("Filter '%s' does not exist", clipFilter(name))
	}
	return f, err
}

// free tells why a filter cannot get a name.
func (k *catalogue) free(name string) error {
	if !xrow.ValidName(name) {
		return filterError("'%s' cannot name a filter: a name begins with a lower case letter, behind which are such letters, digits, - and _, %d at most of all",
			clipFilter(name), xrow.MaxName)
	}
	if f, err := k.find(name); f != nil || err != nil {
		return filterError("Filter '%s' exists", name)
	}
	return nil
}

// put writes f as what follows was, nil for a new filter.
func (k *catalogue) put(f, was *Filter) error {
	k.greatest++
	f.Version, f.Former = k.greatest, nil
	if was != nil {
		f.Former = append([]xrow.Share{was.Share}, was.Former...)
		f.Former = f.Former[:min(len(f.Former), maxFormer)]
	}
	tuple := f.Tuple()
	for len(tuple) > maxFilterSize && len(f.Former) > 0 {
		f.Former = f.Former[:len(f.Former)-1]
		tuple = f.Tuple()
	}
	if len(tuple) > maxFilterSize {
		return filterError("Filter '%s' names too much: %d spaces, %d indexes and %d sequences take %d bytes, and %d at most may be",
			f.Filter, len(f.Spaces), len(f.Indexes), len(f.Sequences), len(tuple), maxFilterSize)
	}
	return k.tx.PutOwn(&box.OwnFilter, tuple)
}

// createFilter is tarragon.filter.create.
func (c *Core) createFilter(ev CreateFilter) {
	c.changeFilters(ev.Conn, ev.Sync, func(k *catalogue) ([]byte, error) {
		if err := k.free(ev.Name); err != nil {
			return nil, err
		}
		if k.filters >= maxFilters {
			return nil, filterError("Filter '%s' is refused: there are %d filters, and no more may be", ev.Name, k.filters)
		}
		for _, own := range [...]*box.OwnSpace{&box.OwnFilter, &box.OwnReplica} { // they are in the lists
			if _, err := k.tx.MakeOwn(own); err != nil {
				return nil, err
			}
		}
		f := &Filter{Share: xrow.Share{Filter: ev.Name, New: ev.New}}
		e := k.edit(f)
		e.fill(ev.Full)
		e.finish()
		return filterAnswer(f, k.put(f, nil))
	})
}

// alterFilter is tarragon.filter.alter.
func (c *Core) alterFilter(ev AlterFilter) {
	c.changeFilters(ev.Conn, ev.Sync, func(k *catalogue) ([]byte, error) {
		was, err := k.need(ev.Name)
		if err != nil {
			return nil, err
		}
		f := was.copy()
		if ev.Rename != "" && ev.Rename != ev.Name {
			if err := k.free(ev.Rename); err != nil {
				return nil, err
			}
			if _, err := k.tx.DeleteOwn(&box.OwnFilter, ev.Name); err != nil {
				return nil, err
			}
			if err := c.openRegistry(k.tx).rename(ev.Name, ev.Rename); err != nil {
				return nil, err
			}
			f.Filter = ev.Rename
		}
		e := k.edit(f)
		if err := e.change(&ev.Add, &ev.Remove); err != nil {
			return nil, err
		}
		if e.finish(); f.equal(was) {
			return filterAnswer(was, nil)
		}
		return filterAnswer(f, k.put(f, was))
	})
}

// dropFilter is tarragon.filter.drop.
func (c *Core) dropFilter(ev DropFilter) {
	c.changeFilters(ev.Conn, ev.Sync, func(k *catalogue) ([]byte, error) {
		found := false
		if ev.Name != "" {
			var err error
			if found, err = k.tx.DeleteOwn(&box.OwnFilter, ev.Name); err != nil {
				return nil, err
			}
		}
		if !found {
			return nil, filterError("Filter '%s' does not exist", clipFilter(ev.Name))
		}
		stopped, err := c.openRegistry(k.tx).stopUsers(ev.Name, ev.Force)
		if err != nil {
			return nil, err
		}
		kept := Filter{Share: xrow.Share{Version: k.greatest}}
		return stopped, k.tx.PutOwn(&box.OwnFilter, kept.Tuple())
	})
}

// changeFilters has a change made behind a barrier; it is answered when it is committed.
func (c *Core) changeFilters(conn, sync uint64, change func(*catalogue) ([]byte, error)) {
	if err := c.refuseOwnChange(); err != nil {
		c.eff.reply(conn, sync, nil, err)
		return
	}
	c.gate.chores = append(c.gate.chores, Request{Conn: conn, Sync: sync, IsSync: true, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		if err := c.refuseOwnSpace(&box.OwnFilter); err != nil {
			return nil, err
		}
		return change(openCatalogue(tx))
	}})
}

func filterAnswer(f *Filter, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return msgp.AppendUint64([]byte{0x91}, f.Version), nil
}

func filterError(format string, args ...any) error {
	return &xrow.Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf(format, args...)}
}

// clipFilter bounds what a message repeats of a name that need not be one.
func clipFilter(name string) string { return name[:min(len(name), 2*xrow.MaxName)] }
