package proc

import (
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// Filters of replicas: docs/filters.md. Names are resolved where they count, in the
// transaction of the change.

var (
	newFilterOptions = template{"full": "boolean", "empty": "boolean", "include_new": "boolean", "exclude_new": "boolean"}
	filterOptions    = template{"rename": "string", "add": "table", "remove": "table"}
	filterItems      = template{"space": "string, number, table", "index": "string, table", "sequence": "string, number, table"}
	dropOptions      = template{"force": "boolean"}
)

// filterArgs reads NAME and options.
func (c *call) filterArgs(usage string, t template) (name string, opts options, err error) {
	if n := len(c.args); n == 0 || n > 2 {
		return "", nil, illegal("Usage: %s", usage)
	}
	if name, err = needString(c.arg(0), "name"); err == nil {
		opts, err = readOptions(c.arg(1), t)
	}
	return name, opts, err
}

// createFilter is tarragon.filter.create(name, {full=|empty=, include_new=|exclude_new=}).
func createFilter(c *call) error {
	name, opts, err := c.filterArgs("tarragon.filter.create(name, {full = true | empty = true[, include_new = true | exclude_new = true]})", newFilterOptions)
	if err != nil {
		return err
	}
	full, empty := opts.isTrue("full"), opts.isTrue("empty")
	include, exclude := opts.isTrue("include_new"), opts.isTrue("exclude_new")
	switch {
	case full == empty:
		return illegal("a filter begins with all that there is or with nothing: one of the options 'full' and 'empty' should be true")
	case include && exclude:
		return illegal("options 'include_new' and 'exclude_new' exclude each other")
	}
	return c.submit(instance.CreateFilter{Conn: c.Conn, Sync: c.Sync, Name: name, Full: full, New: include || full && !exclude})
}

// alterFilter is tarragon.filter.alter(name, {rename=, add={space=,index=,sequence=}, remove={...}}).
func alterFilter(c *call) error {
	name, opts, err := c.filterArgs("tarragon.filter.alter(name, {[rename = ...,] [add = {...},] [remove = {...}]})", filterOptions)
	if err != nil {
		return err
	}
	ev := instance.AlterFilter{Conn: c.Conn, Sync: c.Sync, Name: name, Rename: opts.str("rename")}
	if ev.Add, err = readItems("add", opts["add"]); err != nil {
		return err
	}
	if ev.Remove, err = readItems("remove", opts["remove"]); err != nil {
		return err
	}
	if len(opts) == 0 {
		return illegal("nothing is changed: the options are 'rename', 'add' and 'remove'")
	}
	return c.submit(ev)
}

// dropFilter is tarragon.filter.drop(name, {force=}). The answer has the names of the
// replicas that were dropped with it.
func dropFilter(c *call) error {
	name, opts, err := c.filterArgs("tarragon.filter.drop(name[, {force = true}])", dropOptions)
	if err != nil {
		return err
	}
	return c.submit(instance.DropFilter{Conn: c.Conn, Sync: c.Sync, Name: name, Force: opts.isTrue("force")})
}

// readItems reads {space=, index=, sequence=}.
func readItems(option string, v value) (items instance.FilterItems, err error) {
	opts, err := readOptions(v, filterItems)
	if err != nil {
		return items, err
	}
	if items.Spaces, err = readRefs(option+".space", opts["space"]); err != nil {
		return items, err
	}
	if items.Indexes, err = readIndexRefs(option+".index", opts["index"]); err != nil {
		return items, err
	}
	items.Sequences, err = readRefs(option+".sequence", opts["sequence"])
	return items, err
}

// readRefs reads one name or ID, or an array of them.
func readRefs(option string, v value) (refs []instance.FilterRef, err error) {
	list, err := elements(option, v)
	for i := 0; err == nil && i < len(list); i++ {
		var ref instance.FilterRef
		ref, err = readRef(option, list[i])
		refs = append(refs, ref)
	}
	return refs, err
}

func readRef(option string, v value) (ref instance.FilterRef, err error) {
	if s, ok := v.str(); ok && s != "" {
		return instance.FilterRef{Name: s}, nil
	}
	if n, ok := v.integer(); ok && n <= xrow.LastSpace {
		return instance.FilterRef{ID: uint32(n)}, nil
	}
	return ref, illegal("options parameter '%s' should have names and IDs", option)
}

// readIndexRefs reads 'space.index', or an array of such and of pairs {space, index}.
func readIndexRefs(option string, v value) (refs []instance.FilterIndex, err error) {
	list, err := elements(option, v)
	for i := 0; err == nil && i < len(list); i++ {
		var ref instance.FilterIndex
		ref, err = readIndexRef(option, list[i])
		refs = append(refs, ref)
	}
	return refs, err
}

func readIndexRef(option string, v value) (ref instance.FilterIndex, err error) {
	if s, ok := v.str(); ok && s != "" {
		return instance.FilterIndex{Path: s}, nil
	}
	pair, err := v.array()
	if err != nil || len(pair) != 2 {
		return ref, illegal("options parameter '%s' should have 'space.index' and pairs of a space and an index", option)
	}
	if ref.Space, err = readRef(option, pair[0]); err == nil {
		ref.Index, err = readRef(option, pair[1])
	}
	return ref, err
}

// elements are those of an array; what is no table is the only one.
func elements(option string, v value) ([]value, error) {
	switch {
	case v.isNil():
		return nil, nil
	case v.kind() == kindMap:
		if pairs, err := v.pairs(); err != nil || len(pairs) > 0 { // an empty table of Lua may be either
			return nil, illegal("options parameter '%s' should be an array", option)
		}
		return nil, nil
	case v.kind() == kindArray:
		return v.array()
	}
	return []value{v}, nil
}

// filterLine is a filter as list tells it.
type filterLine struct {
	Name      string `msgpack:"name"`
	Version   uint64 `msgpack:"version"`
	New       bool   `msgpack:"include_new"`
	Spaces    int    `msgpack:"spaces"`    // had
	Absent    int    `msgpack:"absent"`    // left out
	Indexes   int    `msgpack:"indexes"`   // left out
	Sequences int    `msgpack:"sequences"` // left out

	Replicas []string `msgpack:"replicas"` // that are registered with it
}

// filterNames is a filter as show tells it, with the names that things have now.
type filterNames struct {
	Name      string            `msgpack:"name"`
	Version   uint64            `msgpack:"version"`
	New       bool              `msgpack:"include_new"`
	Spaces    []filterObject    `msgpack:"spaces"`
	Absent    []filterObject    `msgpack:"absent"`
	Indexes   []filterIndexName `msgpack:"indexes"`   // left out
	Sequences []filterObject    `msgpack:"sequences"` // left out
	Former    []uint64          `msgpack:"former"`
	Replicas  []string          `msgpack:"replicas"` // that are registered with it
}

type filterObject struct {
	ID   uint32 `msgpack:"id"`
	Name string `msgpack:"name"`
}

type filterIndexName struct {
	Space   string `msgpack:"space"`
	SpaceID uint32 `msgpack:"space_id"`
	Name    string `msgpack:"name"`
	ID      uint32 `msgpack:"id"`
}

// listFilters is tarragon.filter.list(): the confirmed ones, on any instance.
func listFilters(c *call) error {
	if len(c.args) > 0 {
		return illegal("Usage: tarragon.filter.list()")
	}
	filters, names := c.p.catalogue()
	lines := make([]filterLine, len(filters))
	for i, f := range filters {
		had, absent := names.split(f)
		lines[i] = filterLine{f.Filter, f.Version, f.New, len(had), len(absent), len(f.Indexes), len(f.Sequences), names.users(f.Filter)}
	}
	c.reply(one(mp.Encode(lines)))
	return nil
}

// showFilter is tarragon.filter.show(name).
func showFilter(c *call) error {
	if len(c.args) != 1 {
		return illegal("Usage: tarragon.filter.show(name)")
	}
	name, err := needString(c.arg(0), "name")
	if err != nil {
		return err
	}
	filters, names := c.p.catalogue()
	for _, f := range filters {
		if f.Filter == name {
			c.reply(one(mp.Encode(names.show(f))))
			return nil
		}
	}
	return illegal("Filter '%s' does not exist", clip(name))
}

// schemaNames are the names of a moment.
type schemaNames struct {
	schema    *box.Schema
	spaces    []box.NamedSpace
	sequences []box.Named
	replicas  []instance.Replica
}

// users are the names of the replicas that are registered with a filter.
func (n *schemaNames) users(filter string) []string {
	names := []string{}
	for i := range n.replicas {
		if r := &n.replicas[i]; !r.Dropped && r.Filter == filter {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (p *Procs) catalogue() (filters []*instance.Filter, names schemaNames) {
	p.env.Loop.Read(func(core *instance.Core) {
		filters = core.Filters()
		names = schemaNames{schema: core.Box().Schema(), sequences: core.Box().Sequences(), replicas: core.Replicas()}
	})
	names.spaces = names.schema.NamedSpaces() // it never changes
	return filters, names
}

// split tells which of the spaces that a filter decides of it has.
func (n *schemaNames) split(f *instance.Filter) (had, absent []filterObject) {
	had, absent = []filterObject{}, []filterObject{}
	for i := range n.spaces {
		sp := &n.spaces[i]
		switch o := (filterObject{sp.ID, sp.Name}); {
		case !sp.Shareable:
		case f.Has(sp.ID):
			had = append(had, o)
		default:
			absent = append(absent, o)
		}
	}
	return had, absent
}

func (n *schemaNames) show(f *instance.Filter) filterNames {
	out := filterNames{Name: f.Filter, Version: f.Version, New: f.New, Indexes: []filterIndexName{}, Sequences: []filterObject{}, Former: []uint64{}, Replicas: n.users(f.Filter)}
	out.Spaces, out.Absent = n.split(f)
	for _, ix := range f.Indexes {
		sp, _ := n.schema.Named(ix[0])
		if name, ok := n.schema.IndexName(ix[0], ix[1]); ok {
			out.Indexes = append(out.Indexes, filterIndexName{sp.Name, ix[0], name, ix[1]})
		}
	}
	listed := map[uint32]bool{}
	for _, id := range f.Sequences {
		listed[id] = true
	}
	for _, s := range n.sequences {
		if listed[s.ID] {
			out.Sequences = append(out.Sequences, filterObject{s.ID, s.Name})
		}
	}
	for i := range f.Former {
		out.Former = append(out.Former, f.Former[i].Version)
	}
	return out
}
