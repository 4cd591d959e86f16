package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestScalars is what Tarantool 3.8 makes of plain texts: its reader is libyaml
// with a list of its own (third_party/lua-yaml, load_scalar).
func TestScalars(t *testing.T) {
	for _, c := range []struct{ yaml, text, tag string }{
		{"true", "true", "!!bool"}, {"yes", "true", "!!bool"}, {"false", "false", "!!bool"}, {"no", "false", "!!bool"},
		{"True", "True", "!!str"}, {"TRUE", "TRUE", "!!str"}, {"Yes", "Yes", "!!str"}, {"on", "on", "!!str"}, {"off", "off", "!!str"},
		{"y", "y", "!!str"}, {"'true'", "true", "!!str"}, {`"yes"`, "yes", "!!str"}, {"!!bool yes", "true", "!!bool"},
		{"~", "~", "!!null"}, {"null", "null", "!!null"}, {"Null", "Null", "!!str"}, {"'~'", "~", "!!str"},
		{"12345", "12345", "!!int"}, {"-7", "-7", "!!int"}, {"+7", "+7", "!!int"}, {"0123", "0123", "!!int"},
		{"1e5", "1e5", "!!float"}, {".5", ".5", "!!float"}, {"0x10", "0x10", "!!float"}, {"-0X1f", "-0X1f", "!!float"},
		{"1_000", "1_000", "!!str"}, {"0x1_0", "0x1_0", "!!str"}, {"0b11", "0b11", "!!str"}, {"0o17", "0o17", "!!str"},
		{"2024-01-01", "2024-01-01", "!!str"}, {"2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00", "!!str"},
		{"12:30", "12:30", "!!str"}, {"1.2.3", "1.2.3", "!!str"}, {"256MiB", "256MiB", "!!str"}, {"12e", "12e", "!!str"},
		{"'12'", "12", "!!str"}, {"!!str 12", "12", "!!str"}, {"|-\n  12", "12", "!!str"},
	} {
		root, err := parseYAML([]byte("k: " + c.yaml + "\n"))
		if err != nil {
			t.Errorf("%s: %v", c.yaml, err)
			continue
		}
		if got := scalarOf(root.Content[1]); got.text != c.text || got.tag != c.tag {
			t.Errorf("%s is %q %s, want %q %s", c.yaml, got.text, got.tag, c.text, c.tag)
		}
	}
}

// TestValuesOfTarantool is one file for both kinds: what either takes the other
// takes (shared cases 05, 12 and 13).
func TestValuesOfTarantool(t *testing.T) {
	const file = `credentials: {users: {a: {password: %s, roles: [super]}}}
database: {mode: rw, use_mvcc_engine: %s}
memtx: {max_tuple_size: %s}
log: {level: %s}
replication: {synchro_quorum: %s}
iproto: {advertise: {client: %s}}
groups: {g: {replicasets: {r: {instances: {i1: {iproto: {listen: [{uri: %s}]}}}}}}}
`
	defaults := []any{"x", "true", "1048576", "5", "1", "'h:1'", "'127.0.0.1:4001'"}
	const (
		password = iota
		boolean
		size
		level
		quorum
		client
		listen
	)
	for _, c := range []struct {
		at    int
		value string
		ok    bool
	}{
		{boolean, "yes", true}, {boolean, "no", true}, {boolean, "~", true}, {boolean, "on", false}, {boolean, "True", false},
		{boolean, `"true"`, false}, {boolean, "1", false},
		{password, "2024-01-01", true}, {password, "1_000", true}, {password, "12:30", true}, {password, "True", true},
		{password, "yes", false}, {password, "12345", false}, {password, "0x10", false},
		{size, "0x100000", true}, {size, "1e6", true}, {size, "'256KiB'", true}, {size, "268_435", false},
		{size, "999999999999999999999", false},
		{level, "5", true}, {level, "info", true}, {level, "'5'", false},
		{quorum, "2", true}, {quorum, "3", true}, {quorum, "31", true}, {quorum, "'2'", true}, {quorum, "'math.max(2, N/2+1)'", true},
		{quorum, "32", false}, {quorum, "0", false},
		{client, "'unix://./var/run/s-1/tarantool.sock'", true}, {client, "'unix:///tmp/a.sock'", true}, {client, "'h'", true},
		{client, "'h:iproto'", true}, {client, "'tcp://h:3301'", true}, {client, "'unix/:/tmp/a.sock'", true}, {client, "'a b'", false},
		{listen, "'unix:///tmp/a.sock'", true}, {listen, "':4001'", false}, {listen, "'h'", false},
	} {
		values := append([]any(nil), defaults...)
		values[c.at] = c.value
		text := fmt.Sprintf(file, values...)
		if _, err := load(text, "i1", nil); (err == nil) != c.ok {
			t.Errorf("%s in the place %d: %v, want it taken: %v", c.value, c.at, err, c.ok)
		}
	}
}

// TestSecretToldOnce: a file that holds a password and cannot be read is one
// mistake, though every place that uses it has nothing.
func TestSecretToldOnce(t *testing.T) {
	const text = `config: {context: {pw: {from: file, file: secret.txt}}}
credentials: {users: {a: {password: '{{ context.pw }}'}, b: {password: '{{ context.pw }}'}}}
groups: {g: {replicasets: {r: {instances: {i1: {iproto: {listen: [{uri: '127.0.0.1:1'}]}}, i2: {iproto: {listen: [{uri: '127.0.0.1:2'}]}}}}}}}
`
	read := func(path string) ([]byte, error) {
		if path == "c.yaml" {
			return []byte(text), nil
		}
		return nil, os.ErrPermission
	}
	_, err := LoadAll(Source{File: "c.yaml", ReadFile: read})
	if err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), "config.context.pw") {
		t.Errorf("all: %v", err)
	}
	_, err = Load(Source{File: "c.yaml", Instance: "i1", ReadFile: read})
	var m *Mistake
	if err == nil || strings.Count(err.Error(), "\n") != 0 || !errors.As(err, &m) || m.Path != "config.context.pw" {
		t.Errorf("one: %v", err)
	}
}
