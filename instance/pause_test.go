package instance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// ownSetID is the ID that _tarragon_set has in scripts: the next free one.
const ownSetID = 512 + uint64(3)

// ownRow is a row about _tarragon_set, by the words of a script; false: it is no such row.
//
//	mark            of _schema, which says that the space is ours
//	set, set-index  its definition
//	pause 60s       a row of a pause
//	resume          its deletion
func (w words) ownRow() (t xrow.Type, d xrow.DML, ok bool) {
	switch w.Word(0) {
	case "mark":
		return xrow.Replace, xrow.DML{SpaceID: xrow.SpaceSchema, Tuple: msgp.AppendUint64(msgp.AppendString([]byte{0x92}, "tarragon.space._tarragon_set"), ownSetID)}, true
	case "set":
		row := msgp.AppendString(append(msgp.AppendUint64([]byte{0x97}, ownSetID), 1), "_tarragon_set")
		return xrow.Replace, xrow.DML{SpaceID: xrow.SpaceSpace, Tuple: append(msgp.AppendString(row, "memtx"), 0, 0x80, 0x90)}, true
	case "set-index":
		row := msgp.AppendString(append(msgp.AppendUint64([]byte{0x96}, ownSetID), 0), "primary")
		row = append(msgp.AppendString(row, "tree"), 0x80, 0x91, 0x92, 0)
		return xrow.Replace, xrow.DML{SpaceID: xrow.SpaceIndex, Tuple: msgp.AppendString(row, "string")}, true
	case "pause":
		return xrow.Replace, xrow.DML{SpaceID: uint32(ownSetID), Tuple: pauseTuple(&Pause{For: w.Duration(1), By: "admin", Reason: w.Named["reason"]}, 1)}, true
	case "said": // ID: of an instance
		n := SetNode{Fence: w.boolean("fence"), Writes: w.boolean("writes")}
		node := n.change(Node{UUID: uuidOf(uint32(w.Number(w.Word(1))))})
		return xrow.Replace, xrow.DML{SpaceID: uint32(ownSetID), Tuple: node.tuple()}, true
	case "unsaid":
		return xrow.Delete, xrow.DML{SpaceID: uint32(ownSetID), Key: msgp.AppendString([]byte{0x91}, nodeKey+uuidOf(uint32(w.Number(w.Word(1)))))}, true
	case "resume":
		return xrow.Delete, xrow.DML{SpaceID: uint32(ownSetID), Key: msgp.AppendString([]byte{0x91}, pauseKey)}, true
	}
	return 0, xrow.DML{}, false
}

// ownText is what ownRow reads; empty: it is no such row.
func ownText(d *xrow.DML, raw []byte) string {
	if text := ownFilterText(d, raw); text != "" {
		return text
	}
	if text := ownReplicaText(d, raw); text != "" {
		return text
	}
	switch {
	case d.SpaceID == xrow.SpaceSchema && strings.Contains(string(raw), "tarragon.space."):
		return "mark"
	case strings.Contains(string(raw), "_tarragon_set"):
		return "set"
	case d.SpaceID == xrow.SpaceIndex && strings.Contains(string(raw), "primary"):
		return "set-index"
	case d.SpaceID != uint32(ownSetID):
		return ""
	case strings.Contains(string(raw)+string(d.Key), nodeKey) && d.Type == xrow.Delete:
		return "unsaid"
	case d.Type == xrow.Delete:
		return "resume"
	}
	if n, ok := readNode(raw); ok {
		return fmt.Sprintf("said %.8s fence=%t writes=%t priority=%d", n.UUID, n.Fence, !n.NoWrites, n.Priority)
	}
	p, _ := readPause(raw)
	return fmt.Sprintf("pause %v", p.For)
}

// A row that somebody else wrote, as a Tarantool lets them, is a pause if it can be
// read, and for a day at most.
func TestReadPause(t *testing.T) {
	value := func(v []byte) []byte { return append(msgp.AppendString([]byte{0x92}, pauseKey), v...) }
	seconds := func(v []byte) []byte { return value(append(msgp.AppendString([]byte{0x81}, "seconds"), v...)) }
	for _, test := range []struct {
		name  string
		tuple []byte
		want  time.Duration // 0: none
	}{
		{"none", nil, 0},
		{"ours", pauseTuple(&Pause{For: time.Minute, By: "admin", Reason: "x"}, 1), time.Minute},
		{"a key of a later version", value(append(msgp.AppendString(append(msgp.AppendString([]byte{0x82}, "later"), 0x91, 1), "seconds"), 5)), 5 * time.Second},
		{"a hundred years", seconds(msgp.AppendUint64(nil, 100*365*24*3600)), MaxPause},
		{"more than there are nanoseconds", seconds(msgp.AppendUint64(nil, 1<<63)), MaxPause},
		{"0", seconds([]byte{0}), 0},
		{"negative", seconds([]byte{0xff}), 0},
		{"a text", seconds(msgp.AppendString(nil, "5")), 0},
		{"no value", msgp.AppendString([]byte{0x91}, pauseKey), 0},
		{"no map", value([]byte{5}), 0},
		{"an empty map", value([]byte{0x80}), 0},
		{"a map of numbers", value([]byte{0x81, 1, 2}), 0},
	} {
		p, ok := readPause(test.tuple)
		if ok != (test.want != 0) || ok && p.For != test.want {
			t.Errorf("%s: %v %v", test.name, p.For, ok)
		}
	}
}
