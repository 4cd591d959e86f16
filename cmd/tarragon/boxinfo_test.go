package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"tarragon.dev/tarragon/internal/mp"
)

// TestForms: numbers, tables and UUIDs in any form that Lua gives them.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		v    any
		want number
	}{{0, 0}, {uint64(1) << 63, 1 << 63}, {-1, 0}, {3.0, 3}, {-2.5, 0}, {float32(7), 7}, {nil, 0}, {"x", 0}, {[]int{1}, 0}} {
		var n number
		if err := mp.Decode(mp.Encode(c.v), &n); err != nil || n != c.want {
			t.Errorf("%v: %d, %v", c.v, n, err)
		}
	}
	for _, c := range []struct {
		v    any
		want string
	}{
		{[]any{5, nil, 7}, "map[1:5 3:7]"},
		{map[int]any{0: 2}, "map[0:2]"},
		{map[string]any{}, "map[]"},
		{[]any{}, "map[]"},
		{"x", "map[]"},
	} {
		var m table[number]
		if err := mp.Decode(mp.Encode(c.v), &m); err != nil || fmt.Sprint(m) != c.want {
			t.Errorf("%v: %v, %v", c.v, m, err)
		}
	}
	raw := []byte{0x85, 0x6d, 0x80, 0xe3, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}
	for _, v := range []any{"856d80e3-0000-4000-8000-000000000001", mp.Raw(append([]byte{0xd8, 2}, raw...))} {
		var u uuidText
		if err := mp.Decode(mp.Encode(v), &u); err != nil || u != "856d80e3-0000-4000-8000-000000000001" {
			t.Errorf("%v: %s, %v", v, u, err)
		}
	}
}

// TestInfoOfOthers: what is missing, empty, nil or unknown does no harm.
func TestInfoOfOthers(t *testing.T) {
	var m boxInfo
	err := mp.Decode(mp.Encode(map[string]any{"id": nil, "name": nil, "replicaset": []any{}, "election": nil, "synchro": map[string]any{"queue": []any{}},
		"replication": []any{map[string]any{"name": "i1", "upstream": nil}}, "memory": []any{}, "new": mp.Raw{0xd4, 0x63, 1}}), &m)
	if err != nil || m.Replication[1].Name != "i1" || m.Replication[1].Upstream != nil || m.ID != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestAnswersAreScanned: the driver does not get to see what would cost it its
// stack.
func TestAnswersAreScanned(t *testing.T) {
	deep := msgpack.RawMessage(append(bytes.Repeat([]byte{0x91}, 2*mp.MaxDepth), 0))
	s := serveFake(t, map[string]any{"deep": deep, "none": msgpack.RawMessage{0xc0}, "text": "x"})
	targets, err := (&connectFlags{addrs: []string{s.address}}).targets(process{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string, answer any) error { return targets[0].call(t.Context(), 10*time.Second, answer, name) }
	if err := ask("deep", nil); !errors.Is(err, mp.ErrMsgpack) {
		t.Errorf("deep: %v", err)
	}
	if err := ask("none", new(boxInfo)); !errors.Is(err, errNothing) {
		t.Errorf("none: %v", err)
	}
	if err := ask("text", new(boxInfo)); err == nil {
		t.Error("a text was taken for box.info")
	}
}
