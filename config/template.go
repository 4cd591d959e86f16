package config

import (
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

var templateVar = regexp.MustCompile(`\{\{ *(.*?) *\}\}`)

// contextSchema is a context variable that is read from elsewhere.
var contextSchema = mustParseTable(`
from    env|file  served
env     string    served
file    string    served
rstrip  boolean   served
`).root

// readContext reads one variable of config.context: a value, or where to find
// it.
func (r *reader) readContext(n *yaml.Node, path string) *value {
	if n.Kind == yaml.ScalarNode {
		got := scalarOf(n)
		return &value{kind: leaf, where: r.where(n), text: got.text, tag: got.tag}
	}
	v := r.read(n, contextSchema, path, noScope)
	if v == nil {
		return nil
	}
	from := v.at("from").str()
	switch {
	case from == "":
		r.mistake(v.where, path, "\"from\" field must be defined in a context variable definition")
		return nil
	case from == "env" && v.at("env") == nil:
		r.mistake(v.where, path, "\"env\" field must define an environment variable name if \"from\" field is set to \"env\"")
		return nil
	case from == "file" && v.at("file") == nil:
		r.mistake(v.where, path, "\"file\" field must define a file name if \"from\" field is set to \"file\"")
		return nil
	}
	return v
}

// str is the text of a leaf, empty when it is not set.
func (v *value) str() string {
	if v == nil {
		return ""
	}
	return v.text
}

// contextVars reads the variables of config.context.
func (l *loader) contextVars(opts *value, workDir string, vars map[string]string) {
	ctx := opts.at("config", "context")
	for _, name := range ctx.names() {
		v := ctx.at(name)
		vars["context."+name] = "" // what cannot be read is told once, not at each place that uses it
		text := v.text
		switch v.at("from").str() {
		case "env":
			var ok bool
			if text, ok = l.env[v.at("env").str()]; !ok {
				l.mistake(v.where, "config.context."+name, "Unable to read config.context.%s variable value: no %q environment variable", name, v.at("env").str())
				continue
			}
		case "file":
			file := v.at("file").str()
			if !filepath.IsAbs(file) {
				file = filepath.Join(workDir, file)
			}
			data, err := l.src.readFile(file)
			if err != nil {
				l.mistake(v.where, "config.context."+name, "Unable to read config.context.%s variable value: %v", name, err)
				continue
			}
			text = string(data)
		}
		if b, _ := parseBool(v.at("rstrip").str()); b {
			text = strings.TrimRight(text, " \t\r\n")
		}
		vars["context."+name] = text
	}
}

// expand puts variables into the {{ }} of a text.
func expand(text string, vars map[string]string, unknown func(name string)) string {
	if !strings.Contains(text, "{{") {
		return text
	}
	return templateVar.ReplaceAllStringFunc(text, func(m string) string {
		name := templateVar.FindStringSubmatch(m)[1]
		v, ok := vars[name]
		if !ok {
			unknown(name)
		}
		return v
	})
}

// expandAll is v with all its templates replaced.
func (l *loader) expandAll(v *value, path string, vars map[string]string) *value {
	if v == nil {
		return nil
	}
	out := *v
	if v.kind == leaf && v.fields == nil {
		out.text = expand(v.text, vars, func(name string) {
			l.mistake(v.where, path, "Unknown variable %q", name)
		})
		return &out
	}
	if v.fields != nil {
		out.fields = make(map[string]*value, len(v.fields))
		for _, name := range v.names() {
			out.fields[name] = l.expandAll(v.fields[name], join(path, name), vars)
		}
	}
	out.items = nil
	for _, item := range v.items {
		out.items = append(out.items, l.expandAll(item, path, vars))
	}
	return &out
}
