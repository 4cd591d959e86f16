package config

import (
	"sort"
	"strings"
)

// strangers are variables of other programs that begin with TT_ too.
var strangers = []string{"TT_CONFIG", "TT_INSTANCE_NAME", "TT_PRELOAD", "TT_CLI_", "TT_LOG_MODULES"}

const defaultSuffix = "_DEFAULT"

func variable(path []string) string { return "TT_" + strings.ToUpper(strings.Join(path, "_")) }

// Variables lists the environment variables of all served options, sorted.
func Variables() []string {
	var out []string
	schema.walk(nil, func(path []string, n *node) {
		if n.unserved == served {
			out = append(out, variable(path))
		}
	})
	sort.Strings(out)
	return out
}

// readEnv is what the environment sets: above the file and below it.
func (l *loader) readEnv() (over, under *value) {
	over = &value{kind: record, fields: map[string]*value{}}
	under = &value{kind: record, fields: map[string]*value{}}
	known := map[string]bool{}
	schema.walk(nil, func(path []string, n *node) {
		name := variable(path)
		known[name], known[name+defaultSuffix] = true, true
		l.readVariable(over, name, path, n)
		if old := schemaTable.byPath[strings.Join(path, ".")].oldVariable(); old != "" && old != name {
			known[old] = true
			l.readVariable(under, old, path, n)
		}
		l.readVariable(under, name+defaultSuffix, path, n)
	})
	l.warnStrange(known)
	return over, under
}

// readVariable reads one variable; an empty one counts as not set.
func (l *loader) readVariable(into *value, name string, path []string, n *node) {
	text := l.env[name]
	if text == "" {
		return
	}
	if v := l.fromText(name, strings.Join(path, "."), n, text); v != nil {
		into.set(path, v)
	}
}

// warnStrange tells of variables that look like ours and name no option.
func (l *loader) warnStrange(known map[string]bool) {
	names := make([]string, 0, len(known))
	for name := range known {
		if !strings.HasSuffix(name, defaultSuffix) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var unknown []string
next:
	for name := range l.env {
		if !strings.HasPrefix(name, "TT_") || known[name] {
			continue
		}
		for _, s := range strangers {
			if strings.HasPrefix(name, s) {
				continue next
			}
		}
		unknown = append(unknown, name)
	}
	sort.Strings(unknown)
	for _, name := range unknown {
		l.warn(name, "", "the variable names no option; the nearest known one is %q", nearestOf(name, names))
	}
}

// readFlags is what the flags set.
func (l *loader) readFlags(flags []Flag) *value {
	v := &value{kind: record, fields: map[string]*value{}}
	for _, f := range flags {
		path := strings.Split(f.Path, ".")
		n, known := schema.lookup(path)
		if n == nil {
			parent, _ := schema.lookup(path[:known])
			if parent.kind != record {
				l.mistake(f.Name, f.Path, "the option has no parts")
				continue
			}
			l.mistake(f.Name, strings.Join(path[:known], "."), "Unexpected field %q; the nearest known key is %q",
				path[known], parent.nearest(path[known], parent.names))
			continue
		}
		if got := l.fromText(f.Name, f.Path, n, f.Value); got != nil {
			v.set(path, got)
		}
	}
	return v
}

// fromText reads the value of an option from a variable or a flag: plain for a
// leaf, JSON for everything, a,b,c for a list, a=1,b=2 for names.
func (l *loader) fromText(where, path string, n *node, text string) *value {
	trimmed := strings.TrimSpace(text)
	if n.kind != leaf && (strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[")) {
		root, err := parseYAML([]byte(trimmed))
		if err != nil {
			l.mistake(where, path, "Unable to decode JSON data: %v", err)
			return nil
		}
		dropLines(root)
		r := reader{findings: &l.findings, file: where}
		return r.read(root, n, path, noScope)
	}
	l.tellUse(n, where, path)
	switch n.kind {
	case leaf:
		return l.leafFromText(where, path, n, text)
	case list:
		return l.listFromText(where, path, n, text)
	case dict:
		if n.item.kind == leaf {
			return l.dictFromText(where, path, n, text)
		}
	}
	l.mistake(where, path, "JSON expected, got %q", text)
	return nil
}

func (l *loader) leafFromText(where, path string, n *node, text string) *value {
	if err := n.check(scalar{text: text}); err != nil {
		l.mistake(where, path, "%v", err)
		return nil
	}
	return &value{kind: leaf, where: where, text: text}
}

// listFromText reads a,b,c. An item of a list of addresses may be its URI alone.
func (l *loader) listFromText(where, path string, n *node, text string) *value {
	out := &value{kind: list, where: where}
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		item := n.item
		if item.kind == record && item.fields["uri"] != nil {
			item = item.fields["uri"]
			part = strings.TrimPrefix(part, "uri=")
		}
		if item.kind != leaf {
			l.mistake(where, path, "JSON expected, got %q", text)
			return nil
		}
		v := l.leafFromText(where, path, item, part)
		if v == nil {
			return nil
		}
		if n.item.kind == record {
			v = &value{kind: record, where: where, fields: map[string]*value{"uri": v}}
		}
		out.items = append(out.items, v)
	}
	return out
}

func (l *loader) dictFromText(where, path string, n *node, text string) *value {
	out := &value{kind: record, where: where, fields: map[string]*value{}}
	for _, part := range strings.Split(text, ",") {
		name, val, ok := strings.Cut(part, "=")
		if !ok || name == "" {
			l.mistake(where, path, "name=value expected, got %q", part)
			return nil
		}
		if v := l.leafFromText(where, join(path, name), n.item, val); v != nil {
			out.fields[name] = v
		}
	}
	return out
}
