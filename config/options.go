package config

import (
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// options answers typed questions about the options of one instance. What is
// asked for was checked when it was read; mistakes found here are of values
// that are no good in their place.
type options struct {
	*loader
	v    *value
	vars map[string]string
}

func (o *options) get(path string) *value { return o.v.at(strings.Split(path, ".")...) }

func (o *options) where(path string) string {
	if v := o.get(path); v != nil {
		return v.where
	}
	return ""
}

func (o *options) isSet(path string) bool { return o.get(path) != nil }

// text is the value or the default of a leaf; a default may have templates.
func (o *options) text(path string) string {
	if v := o.get(path); v != nil {
		return v.text
	}
	n, _ := schema.lookup(strings.Split(path, "."))
	return expand(n.def, o.vars, func(string) {})
}

// bad reports a value that its type allows and its place does not.
func (o *options) bad(path, format string, args ...any) {
	o.mistake(o.where(path), path, format, args...)
}

func (o *options) boolean(path string) bool {
	b, _ := parseBool(o.text(path))
	return b
}

func (o *options) integer(path string) int64 {
	n, _ := parseInteger(o.text(path))
	o.within(path, n)
	return n
}

func (o *options) size(path string) int64 {
	n, _ := ParseSize(o.text(path))
	o.within(path, n)
	return n
}

func (o *options) within(path string, n int64) {
	if l := schemaTable.byPath[path].limits; n < l.Least || n > l.Most {
		o.bad(path, "%s", l.Wrong)
	}
}

// minTimeout is the shortest wait that makes sense: less would spin.
const minTimeout = time.Millisecond

// timeout is a duration that must be positive.
func (o *options) timeout(path string) time.Duration {
	d, _ := ParseDuration(o.text(path))
	switch {
	case d <= 0:
		o.bad(path, "%s", schemaTable.byPath[path].limits.Wrong)
	case d < minTimeout:
		o.bad(path, "less than %v is not served", minTimeout)
	}
	return d
}

// mode is what a file may be opened for.
func (o *options) mode(path string) fs.FileMode {
	m, _ := parseMode(o.text(path))
	if b := schemaTable.byPath[path].bits; m&b.own != b.own || m&b.never != 0 {
		o.bad(path, "%s", b.wrong)
	}
	return m
}

func (o *options) duration(path string) time.Duration {
	d, _ := ParseDuration(o.text(path))
	return d
}

// path is a file name, seen from work_dir.
func (o *options) path(path string) string {
	name := o.text(path)
	if name == "" {
		o.bad(path, "the path is empty")
		return ""
	}
	return inDir(o.text("process.work_dir"), name)
}

func inDir(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

func (o *options) formula(path string) Formula {
	f, _ := Parse(o.text(path))
	return f
}

func strs(v *value) []string {
	var out []string
	for _, item := range v.list() {
		out = append(out, item.text)
	}
	return out
}
