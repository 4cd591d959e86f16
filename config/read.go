package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits on foreign YAML. Aliases count each time they are followed, so a few
// lines cannot unfold into gigabytes.
const (
	maxYAMLBytes = 16 << 20
	maxYAMLNodes = 1 << 20
	maxYAMLDepth = 64
)

// reader turns YAML nodes into values, checked against the schema.
type reader struct {
	*findings
	file  string
	nodes int // followed so far
}

// parseYAML is the root node of a text with one document. An empty text has a
// root without a kind.
func parseYAML(data []byte) (root *yaml.Node, err error) {
	if len(data) > maxYAMLBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxYAMLBytes)
	}
	// The parser is known to panic on some broken texts.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("yaml: %v", p)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{}, nil
	case err != nil:
		return nil, err
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return nil, fmt.Errorf("yaml: line %d: more than one document", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return &yaml.Node{}, nil
	}
	return doc.Content[0], nil
}

func (r *reader) where(n *yaml.Node) string {
	if r.file == "" || n.Line == 0 {
		return r.file
	}
	return r.file + ":" + strconv.Itoa(n.Line)
}

// follow resolves aliases and counts; false: the limits are reached, which is
// reported once.
func (r *reader) follow(n *yaml.Node, path string) (*yaml.Node, bool) {
	depth := strings.Count(path, ".") + strings.Count(path, "[")
	for n.Kind == yaml.AliasNode && n.Alias != nil && r.nodes <= maxYAMLNodes {
		n = n.Alias
		r.nodes++
	}
	r.nodes++
	if r.nodes > maxYAMLNodes || depth > maxYAMLDepth {
		if r.nodes <= 2*maxYAMLNodes {
			r.nodes = 2*maxYAMLNodes + 1
			r.mistake(r.where(n), "", "too large or too deep")
		}
		return n, false
	}
	return n, true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// isNull reports whether a node says nothing.
func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == 0 || n.Kind == yaml.ScalarNode && scalarOf(n).tag == "!!null"
}

// read checks one node against the schema. nil: nothing of use there; mistakes
// are reported.
func (r *reader) read(n *yaml.Node, s *node, path string, sc scope) *value {
	n, ok := r.follow(n, path)
	if !ok || isNull(n) {
		return nil
	}
	if s.kind == leaf {
		return r.readLeaf(n, s, path, sc)
	}
	r.tellUse(s, r.where(n), path)
	switch s.kind {
	case list:
		return r.readList(n, s, path, sc)
	case dict:
		return r.readFields(n, path, func(name string, key, val *yaml.Node) *value {
			return r.read(val, s.item, join(path, name), sc)
		})
	}
	return r.readFields(n, path, func(name string, key, val *yaml.Node) *value {
		return r.readOption(key, val, s, path, sc)
	})
}

// readOption reads one key of a record of options.
func (r *reader) readOption(key, val *yaml.Node, s *node, path string, sc scope) *value {
	child := s.fields[key.Value]
	if child == nil {
		r.unexpected(key, path, s.nearest(key.Value, s.names))
		return nil
	}
	return r.read(val, child, join(path, key.Value), sc)
}

func (r *reader) unexpected(key *yaml.Node, path, nearest string) {
	r.mistake(r.where(key), path, "Unexpected field %q; the nearest known key is %q", key.Value, nearest)
}

// readFields reads a mapping. A key that is there twice is a mistake.
func (r *reader) readFields(n *yaml.Node, path string, one func(name string, key, val *yaml.Node) *value) *value {
	if n.Kind != yaml.MappingNode {
		r.mistake(r.where(n), path, "Unexpected data type for a record: %q", luaType(n))
		return nil
	}
	out := &value{kind: record, where: r.where(n), fields: map[string]*value{}}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, ok := r.follow(n.Content[i], path)
		if !ok {
			return out
		}
		if key.Kind != yaml.ScalarNode {
			r.mistake(r.where(key), path, "a key must be a string, not %q", luaType(key))
			continue
		}
		if line, twice := lines[key.Value]; twice {
			r.mistake(r.where(key), join(path, key.Value), "the key is there twice, first in line %d", line)
			continue
		}
		lines[key.Value] = key.Line
		if v := one(key.Value, key, n.Content[i+1]); v != nil {
			out.fields[key.Value] = v
		}
	}
	return out
}

func (r *reader) readList(n *yaml.Node, s *node, path string, sc scope) *value {
	if n.Kind != yaml.SequenceNode {
		r.mistake(r.where(n), path, "Unexpected data type for an array: %q", luaType(n))
		return nil
	}
	out := &value{kind: list, where: r.where(n)}
	for i, c := range n.Content {
		item := fmt.Sprintf("%s[%d]", path, i+1)
		if isNull(c) {
			r.mistake(r.where(c), item, "an item must not be null")
			continue
		}
		if v := r.read(c, s.item, item, sc); v != nil {
			out.items = append(out.items, v)
		}
	}
	return out
}

func (r *reader) readLeaf(n *yaml.Node, s *node, path string, sc scope) *value {
	if !s.allows(sc) {
		r.mistake(r.where(n), path, "The option must not be present in the %s scope", sc)
		return nil
	}
	r.tellUse(s, r.where(n), path)
	switch s.typ {
	case "any":
		return &value{kind: leaf, where: r.where(n)}
	case "context":
		return r.readContext(n, path)
	}
	if n.Kind != yaml.ScalarNode {
		name := s.typ
		if s.typ == "enum" || s.typ == "uuid" || s.typ == "mode" {
			name = "string"
		}
		r.mistake(r.where(n), path, "Unexpected data for scalar %q: Expected %q, got %q", name, name, luaType(n))
		return nil
	}
	got := scalarOf(n)
	v := &value{kind: leaf, where: r.where(n), text: got.text, tag: got.tag}
	if err := s.check(got); err != nil {
		r.mistake(v.where, path, "%v", err)
		return nil
	}
	return v
}

// check is whether a text is a value of the leaf.
func (n *node) check(s scalar) error {
	if n.typ == "enum" {
		for _, word := range n.allowed {
			if s.text == word {
				return nil
			}
		}
		return textf("Got %s, but only the following values are allowed: %s", s.text, strings.Join(n.allowed, ", "))
	}
	err := scalars[n.typ](s)
	var inWords text
	if err == nil || n.typ == "level" || n.typ == "uuid" || n.typ == "mode" || n.typ == "quorum" && !errors.As(err, &inWords) {
		return err
	}
	name := n.typ
	switch name {
	case "duration":
		name = "number"
	case "size":
		name = "integer"
	}
	return textf("Unexpected data for scalar %q: %v", name, err)
}

// tellUse warns of an option that we know and do not serve, once for the
// highest key below which nothing is served.
func (f *findings) tellUse(s *node, where, path string) {
	if s.unserved == served || s.unserved == quiet || f.told(path, s.unserved) {
		return
	}
	switch s.unserved {
	case later:
		f.addWarning(Warning{where, path, "Tarantool's option is not served yet and has no effect", true})
	case ee:
		f.addWarning(Warning{where, path, "an option of Tarantool Enterprise Edition: not served, it has no effect", true})
	case lua:
		f.warn(where, path, "there is no Lua here: this instance does not run it; instances of Tarantool do")
	case refused:
		f.mistake(where, path, "the option is not served, and to ignore it would be dangerous: %s", refusal(path))
	}
}

// told reports whether the word for path was said at a key above it.
func (f *findings) told(path string, u use) bool {
	above := func(p string) bool { return strings.HasPrefix(path, p+".") || strings.HasPrefix(path, p+"[") }
	if u == refused {
		for _, m := range f.mistakes {
			if m.Path != "" && above(m.Path) {
				return true
			}
		}
		return false
	}
	for _, w := range f.warnings {
		if w.Path != "" && above(w.Path) {
			return true
		}
	}
	return false
}

// refusal says what would happen if the option were ignored.
func refusal(path string) string {
	switch {
	case strings.Contains(path, "ssl"):
		return "traffic would go unencrypted"
	case strings.Contains(path, "config.etcd"), strings.Contains(path, "config.storage"):
		return "a part of the configuration would be missing"
	}
	return "the user guest would be let in" // security.disable_guest
}

// luaType is the name of a node's type in Tarantool's texts.
func luaType(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return "table"
	}
	return scalarOf(n).luaType()
}
