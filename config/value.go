package config

import (
	"sort"
)

// value is a checked piece of configuration, in the shape of its schema node.
// Values are shared between trees and never changed once they are read.
type value struct {
	kind   kind
	where  string // file:line, variable or flag
	text   string // of a leaf
	tag    string // of a leaf: as in scalar
	fields map[string]*value
	items  []*value
}

// names are the keys that are set, sorted.
func (v *value) names() []string {
	if v == nil {
		return nil
	}
	names := make([]string, 0, len(v.fields))
	for name := range v.fields {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// at follows field names; nil when something on the way is not set.
func (v *value) at(path ...string) *value {
	for _, name := range path {
		if v == nil {
			return nil
		}
		v = v.fields[name]
	}
	return v
}

// merge lays over upon under: maps merge, lists and leaves replace. A key that
// stays the same value is shared, so what several instances inherit is one.
func merge(under, over *value) *value {
	if under == nil {
		return over
	}
	if over == nil {
		return under
	}
	if over.fields == nil || under.fields == nil {
		return over
	}
	out := &value{kind: over.kind, where: over.where, fields: make(map[string]*value, len(under.fields)+len(over.fields))}
	for name, f := range under.fields {
		out.fields[name] = f
	}
	for name, f := range over.fields {
		out.fields[name] = merge(out.fields[name], f)
	}
	return out
}

// without is v but for some of its keys.
func (v *value) without(names ...string) *value {
	out := &value{kind: v.kind, where: v.where, fields: make(map[string]*value, len(v.fields))}
	for name, f := range v.fields {
		out.fields[name] = f
	}
	for _, name := range names {
		delete(out.fields, name)
	}
	return out
}

// set makes the records on the way to path and puts leaf at its end.
func (v *value) set(path []string, leaf *value) {
	for len(path) > 1 {
		next := v.fields[path[0]]
		if next == nil || next.fields == nil {
			next = &value{kind: record, where: leaf.where, fields: map[string]*value{}}
			v.fields[path[0]] = next
		}
		v, path = next, path[1:]
	}
	v.fields[path[0]] = leaf
}
