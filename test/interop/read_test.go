package interop

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
	"github.com/vmihailenco/msgpack/v5"
)

// content is all that a node replicates: rows as they are stored, by space.
type content map[uint64]*table

// table is a space: its rows, sorted by their bytes, for an order that does not
// depend on the kind of its index.
type table struct {
	name string
	rows []string
}

// tables in the order of their IDs.
func (c content) tables() (out []*table) {
	for _, id := range slices.Sorted(maps.Keys(c)) {
		out = append(out, c[id])
	}
	return out
}

// sel reads a whole space in one request.
func (n *node) sel(space uint64) ([]string, error) {
	conn, err := n.connection()
	if err != nil {
		return nil, err
	}
	var raw []msgpack.RawMessage
	req := tarantool.NewSelectRequest(uint32(space)).Index(uint32(0)).Iterator(tarantool.IterAll).Limit(1 << 31)
	if err := conn.Do(req).GetTyped(&raw); err != nil {
		return nil, err
	}
	rows := make([]string, len(raw))
	for i, r := range raw {
		rows[i] = string(r)
	}
	slices.Sort(rows)
	return rows, nil
}

// content reads everything.
func (n *node) content() (content, error) {
	spaces, err := n.sel(xrow.SpaceSpace)
	if err != nil {
		return nil, fmt.Errorf("%s, _space: %w", n.name, err)
	}
	indexes, err := n.sel(xrow.SpaceIndex)
	if err != nil {
		return nil, fmt.Errorf("%s, _index: %w", n.name, err)
	}
	primary := map[uint64]bool{}
	for _, row := range indexes {
		t := decode(row)
		if t.at(2).num() == 0 {
			primary[t.at(1).num()] = true
		}
	}
	out := content{}
	for _, row := range spaces {
		t := decode(row)
		id, name := t.at(1).num(), t.at(3).text()
		if isLocal(t) || !primary[id] {
			continue
		}
		rows, err := n.sel(id)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", n.name, name, err)
		}
		out[id] = &table{name, rows}
	}
	return out, nil
}

// isLocal: a row of _space whose space is each node's own: by declaration, as views
// and services, local and temporary spaces, or by Tarantool's ways.
func isLocal(space value) bool {
	flags := space.at(6)
	if space.at(1).num() == xrow.SpaceSequenceData {
		return true // a Tarantool keeps a sequence that it counts beside this space
	}
	switch space.at(4).text() {
	case "sysview", "service", "blackhole":
		return true
	}
	kind := flags.at("type").text()
	return flags.at("group_id").num() == 1 || flags.at("temporary").any == true || kind == "temporary" || kind == "data-temporary"
}

// decode makes a value of MessagePack.
func decode(row string) value {
	var out any
	d := msgpack.NewDecoder(strings.NewReader(row))
	d.SetMapDecoder(func(d *msgpack.Decoder) (any, error) { return d.DecodeUntypedMap() })
	if err := d.Decode(&out); err != nil {
		return value{fmt.Sprintf("%x: %v", row, err)}
	}
	return value{out}
}

// differs says nil if two nodes hold the same.
func differs(a, b content, aName, bName string) error {
	ids := map[uint64]bool{}
	for id := range a {
		ids[id] = true
	}
	for id := range b {
		ids[id] = true
	}
	var all []error
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if a[id] == nil || b[id] == nil {
			all = append(all, fmt.Errorf("space %d is not on both", id))
			continue
		}
		only := func(here, there []string, name string) {
			have := map[string]bool{}
			for _, row := range there {
				have[row] = true
			}
			n := 0
			for _, row := range here {
				if have[row] {
					continue
				}
				if n++; n <= 3 {
					all = append(all, fmt.Errorf("%s has only on %s: %v, in bytes %x", a[id].name, name, decode(row).any, row))
				}
			}
			if n > 3 {
				all = append(all, fmt.Errorf("%s has %d rows only on %s", a[id].name, n, name))
			}
		}
		only(a[id].rows, b[id].rows, aName)
		only(b[id].rows, a[id].rows, bName)
	}
	return errors.Join(all...)
}

// same ends all writing, and waits until nodes hold the same in all spaces and
// what the writers were told. Without nodes: all.
func (r *rig) same(nodes ...*node) {
	r.t.Helper()
	for _, l := range r.loads {
		l.stop()
	}
	r.equal(nodes...)
}

// equal is same beside writers that go on elsewhere.
func (r *rig) equal(nodes ...*node) {
	r.t.Helper()
	if len(nodes) == 0 {
		nodes = r.nodes
	}
	var first content
	r.until("all nodes hold the same", func() (err error) {
		if first, err = nodes[0].content(); err != nil {
			return err
		}
		for _, n := range nodes[1:] {
			other, err := n.content()
			if err != nil {
				return err
			}
			if err := differs(first, other, nodes[0].name, n.name); err != nil {
				return err
			}
		}
		return r.told(first)
	})
	rows := 0
	for _, t := range first {
		rows += len(t.rows)
	}
	r.t.Logf("%d nodes hold the same %d rows of %d spaces", len(nodes), rows, len(first))
}

// told compares with what the writers were told.
func (r *rig) told(c content) error {
	for _, l := range r.loads {
		if err := l.check(c); err != nil {
			return err
		}
	}
	return nil
}

// healthy starts a Tarantool again alone, without any replication, from its own
// files: it must have what it had.
func (r *rig) healthy(n *node) {
	r.t.Helper()
	before, err := n.content()
	if err != nil {
		r.t.Fatal(err)
	}
	n.terminate()
	was := n.set
	n.set.from, n.set.first = nil, false
	n.start()
	r.up(n)
	var after content
	r.until(n.name+" alone can be read", func() error {
		after, err = n.content()
		return err
	})
	if err := differs(before, after, "the former life of "+n.name, n.name+" alone"); err != nil {
		r.t.Errorf("%s starts alone with other data: %v", n.name, err)
	}
	n.set = was
	n.terminate()
}
