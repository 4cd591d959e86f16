package config

import (
	"path/filepath"
	"regexp"
	"sort"

	"tarragon.dev/tarragon/xrow"

	"go.yaml.in/yaml/v3"
)

var (
	nameChars = regexp.MustCompile(`^[a-z0-9_-]+$`)
	nameStart = regexp.MustCompile(`^[a-z]`)
)

// CheckName says what is wrong with the name of an instance, replica set or
// group, or nil.
func CheckName(name string) error {
	switch {
	case name == "":
		return textf("Zero length name is forbidden")
	case len(name) > xrow.MaxName:
		return textf("A name must fit %d characters limit, got %q", xrow.MaxName, name)
	case !nameChars.MatchString(name):
		return textf("A name must contain only lowercase letters, digits, dash and underscore, got %q", name)
	case !nameStart.MatchString(name):
		return textf("A name must start from a lowercase letter, got %q", name)
	}
	return nil
}

// level is a scope of the file: its keys that are no options, and how to read
// them.
type level struct {
	scope   scope
	special map[string]func(r *reader, n *yaml.Node, path string) *value
	names   []string // of the special keys
}

// levelOf is filled by init: the functions in it refer to it.
var levelOf = map[scope]*level{}

func init() {
	child := func(sc scope) func(*reader, *yaml.Node, string) *value {
		return func(r *reader, n *yaml.Node, path string) *value { return r.readNamed(n, path, sc) }
	}
	word := func(r *reader, n *yaml.Node, path string) *value {
		return r.readLeaf(n, &node{kind: leaf, typ: "string"}, path, noScope)
	}
	texts := func(r *reader, n *yaml.Node, path string) *value {
		return r.readList(n, &node{kind: list, item: &node{kind: leaf, typ: "string"}}, path, noScope)
	}
	type specials = map[string]func(*reader, *yaml.Node, string) *value
	levelOf[globalScope] = &level{scope: globalScope, special: specials{
		"groups": child(groupScope), "conditional": (*reader).readConditional, "include": texts,
	}}
	levelOf[groupScope] = &level{scope: groupScope, special: specials{"replicasets": child(replicasetScope)}}
	levelOf[replicasetScope] = &level{scope: replicasetScope, special: specials{
		"instances": child(instanceScope), "leader": word, "bootstrap_leader": word,
	}}
	levelOf[instanceScope] = &level{scope: instanceScope}
	for _, l := range levelOf {
		for name := range l.special {
			l.names = append(l.names, name)
		}
		sort.Strings(l.names)
	}
}

// readLevel reads the options and the special keys of one scope.
func (r *reader) readLevel(n *yaml.Node, path string, sc scope) *value {
	l := levelOf[sc]
	empty := &value{kind: record, where: r.where(n), fields: map[string]*value{}}
	n, ok := r.follow(n, path)
	if !ok || isNull(n) {
		return empty
	}
	siblings := append(append([]string{}, l.names...), schema.names...)
	v := r.readFields(n, path, func(name string, key, val *yaml.Node) *value {
		val, ok := r.follow(val, path)
		if !ok || isNull(val) && l.special[name] != nil {
			return nil
		}
		if f := l.special[name]; f != nil {
			return f(r, val, join(path, name))
		}
		if schema.fields[name] == nil {
			r.unexpected(key, path, schema.nearest(name, siblings))
			return nil
		}
		return r.readOption(key, val, schema, path, sc)
	})
	if v == nil {
		return empty
	}
	return v
}

// readNamed reads a map from names to scopes: groups, replicasets, instances.
func (r *reader) readNamed(n *yaml.Node, path string, sc scope) *value {
	return r.readFields(n, path, func(name string, key, val *yaml.Node) *value {
		if err := CheckName(name); err != nil {
			r.mistake(r.where(key), join(path, name), "%v", err)
			return nil
		}
		v := r.readLevel(val, join(path, name), sc)
		if v.where == r.file || isNull(val) {
			v.where = r.where(key)
		}
		return v
	})
}

// place is where an instance stands in the file.
type place struct {
	group, replicaset, name string
	where                   string
}

// places lists all instances of the file, by group, replica set and name, and
// reports names that are not unique and scopes without any instance.
func (f *findings) places(root *value) []place {
	var out []place
	replicasets := map[string]string{}
	instances := map[string]place{}
	groups := root.at("groups")
	for _, g := range groups.names() {
		group := groups.at(g)
		sets := group.at("replicasets")
		if len(sets.names()) == 0 {
			f.mistake(group.where, "groups."+g, "group %q should include at least one replicaset.", g)
		}
		for _, rs := range sets.names() {
			if other, twice := replicasets[rs]; twice {
				f.mistake(sets.at(rs).where, "", "found replicasets with the same name %q in the groups %q and %q.", rs, other, g)
			}
			replicasets[rs] = g
			members := sets.at(rs, "instances")
			if len(members.names()) == 0 {
				f.mistake(sets.at(rs).where, "groups."+g+".replicasets."+rs, "replicaset %q should include at least one instance.", rs)
			}
			for _, name := range members.names() {
				p := place{g, rs, name, members.at(name).where}
				if other, twice := instances[name]; twice {
					f.sameName(other, p)
				}
				instances[name] = p
				out = append(out, p)
			}
		}
	}
	return out
}

func (f *findings) sameName(a, b place) {
	if a.group == b.group {
		f.mistake(b.where, "", "found instances with the same name %q in the replicasets %q and %q in the group %q.",
			a.name, a.replicaset, b.replicaset, a.group)
		return
	}
	f.mistake(b.where, "", "found instances with the same name %q in the replicaset %q in the group %q and in the replicaset %q in the group %q.",
		a.name, a.replicaset, a.group, b.replicaset, b.group)
}

// options merges the scopes of one instance.
func (p place) options(root *value) *value {
	group := root.at("groups", p.group)
	set := group.at("replicasets", p.replicaset)
	v := root.without("groups")
	v = merge(v, group.without("replicasets"))
	v = merge(v, set.without("instances", "leader", "bootstrap_leader"))
	return merge(v, set.at("instances", p.name))
}

// readFile reads a file and what it includes, the later over the earlier.
func (r *reader) readFile(path string, read func(string) ([]byte, error), seen map[string]bool) *value {
	if abs, err := filepath.Abs(path); err == nil {
		if seen[abs] || len(seen) > 100 {
			return nil
		}
		seen[abs] = true
	}
	data, err := read(path)
	if err != nil {
		r.mistake("", "", "Unable to open config file %q: %v", path, err)
		return nil
	}
	root, err := parseYAML(data)
	if err != nil {
		r.mistake("", "", "Unable to parse config file %q as YAML: %v", path, err)
		return nil
	}
	outer := r.file
	r.file = path
	v := r.readLevel(root, "", globalScope)
	r.file = outer
	for _, c := range v.at("conditional").list() {
		v = merge(v, c)
	}
	for _, inc := range v.at("include").list() {
		name := inc.text
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		files, err := filepath.Glob(name)
		if err != nil || len(files) == 0 {
			r.mistake(inc.where, "include", "no file matches %q", inc.text)
		}
		for _, f := range files {
			v = merge(v, r.readFile(f, read, seen))
		}
	}
	return v.without("conditional", "include")
}

// list is the items of a list that may not be set.
func (v *value) list() []*value {
	if v == nil {
		return nil
	}
	return v.items
}
