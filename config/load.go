package config

import (
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Source is where a configuration is read from.
type Source struct {
	File     string // path of the YAML file; empty: TT_CONFIG, else none
	Instance string // name of the instance; empty: TT_INSTANCE_NAME
	Environ  []string
	Flags    []Flag // the last one wins
	Defaults []Flag // in place of those of schema.txt: below everything else
	// ReadFile stands for os.ReadFile, for File and what it refers to.
	ReadFile func(path string) ([]byte, error)
}

// Flag is an option from the command line.
type Flag struct {
	Name  string // as the user knows it, for messages
	Path  string // of the option
	Value string
}

func (s *Source) readFile(path string) ([]byte, error) {
	if s.ReadFile != nil {
		return s.ReadFile(path)
	}
	return os.ReadFile(path)
}

// loader is one run of Load.
type loader struct {
	findings
	src   Source
	env   map[string]string
	over  *value // environment, above the file
	under *value // environment, below the file
	flags *value
	root  *value // the file; nil: none
	all   []place
}

// Load resolves the configuration of one instance. The error joins all
// mistakes, each a [*Mistake].
func Load(src Source) (*Instance, error) {
	l := newLoader(src, true)
	if l.root == nil && l.src.File != "" { // it could not be read
		return nil, l.err()
	}
	var in *Instance
	if p, ok := l.find(); ok {
		in = l.instance(p, true)
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	in.Warnings = l.warningsOf(in)
	return in, nil
}

// warningsOf leaves out what the file says of other instances, replica sets and
// groups alone: it is no business of this process.
func (l *loader) warningsOf(in *Instance) []Warning {
	group := "groups." + in.Group + "."
	set := group + "replicasets." + in.Replicaset + "."
	self := set + "instances." + in.Name + "."
	elsewhere := func(path string) bool {
		return strings.HasPrefix(path, "groups.") && !strings.HasPrefix(path, group) ||
			strings.HasPrefix(path, group+"replicasets.") && !strings.HasPrefix(path, set) ||
			strings.HasPrefix(path, set+"instances.") && !strings.HasPrefix(path, self)
	}
	return slices.DeleteFunc(slices.Clone(l.warnings), func(w Warning) bool { return elsewhere(w.Path) })
}

// LoadAll resolves all instances of the file, for tools that look at a whole
// cluster. Environment and flags are left out: they belong to one process.
func LoadAll(src Source) ([]*Instance, error) {
	l := newLoader(src, false)
	if l.root == nil {
		l.mistake("", "", "a configuration file is needed")
		return nil, l.err()
	}
	if len(l.all) == 0 {
		l.mistake(l.src.File, "groups", "the file has no instances")
	}
	var out []*Instance
	for _, p := range l.all {
		out = append(out, l.instance(p, false))
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	if len(out) > 0 {
		out[0].Warnings = l.warnings
	}
	return out, nil
}

// newLoader reads the file and, for the process of an instance, what the
// environment and the flags set.
func newLoader(src Source, process bool) *loader {
	l := &loader{src: src, env: map[string]string{}}
	for _, kv := range src.Environ {
		if name, val, ok := strings.Cut(kv, "="); ok {
			l.env[name] = val
		}
	}
	if l.src.File == "" {
		l.src.File = l.env["TT_CONFIG"]
	}
	if l.src.Instance == "" {
		l.src.Instance = l.env["TT_INSTANCE_NAME"]
	}
	if process {
		l.over, l.under = l.readEnv()
		l.under = merge(l.readFlags(src.Defaults), l.under)
		l.flags = l.readFlags(src.Flags)
	}
	if l.src.File != "" {
		r := reader{findings: &l.findings}
		before := len(l.mistakes)
		l.root = r.readFile(l.src.File, l.src.readFile, map[string]bool{})
		if len(l.mistakes) == before || l.root.at("groups") != nil {
			l.all = l.places(l.root)
		}
	}
	return l
}

// find is the place of the instance that was asked for.
func (l *loader) find() (place, bool) {
	name := l.src.Instance
	if l.root == nil {
		if err := CheckName(name); err != nil {
			l.mistake("", "", "instance name: %v", err)
			return place{}, false
		}
		return place{name: name}, true
	}
	var names []string
	for _, p := range l.all {
		if p.name == name {
			return p, true
		}
		names = append(names, p.name)
	}
	known := strings.Join(names, ", ")
	if len(names) == 0 {
		known = "none"
	}
	switch {
	case len(names) == 0 && len(l.mistakes) > 0:
		// The reason is among them.
	case name == "":
		l.mistake("", "", "an instance name is needed (--instance or TT_INSTANCE_NAME); the file has: %s", known)
	default:
		l.mistake("", "", "Unable to find instance %q in the group/replicaset/instance topology provided by the given cluster configuration sources. The file has: %s", name, known)
	}
	return place{}, false
}

// optionsOf is everything that is set for an instance, templates replaced. The
// environment and the flags are those of the process, so of self alone.
func (l *loader) optionsOf(p place, self bool) (*value, map[string]string) {
	v := &value{kind: record, fields: map[string]*value{}}
	if self {
		v = merge(v, l.under)
	}
	if l.root != nil {
		v = merge(v, p.options(l.root))
	}
	if self {
		v = merge(v, l.over)
		v = merge(v, l.flags)
	}
	vars := map[string]string{"instance_name": p.name}
	if p.replicaset != "" {
		vars["replicaset_name"], vars["group_name"] = p.replicaset, p.group
	}
	l.contextVars(v, v.at("process", "work_dir").str(), vars)
	return l.expandAll(v, "", vars), vars
}

// dropLines forgets the lines of nodes that come from a variable: they would
// only confuse.
func dropLines(n *yaml.Node) {
	if n == nil {
		return
	}
	n.Line = 0
	for _, c := range n.Content {
		dropLines(c)
	}
}
