package instance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// ownReplicaID is the ID that _tarragon_replica has in scripts, behind that of _tarragon_filter.
const ownReplicaID = ownFilterID + 1

// replicaLine asks for a change of replicas, or prints the confirmed ones. N is the number
// in the uuid.
//
//	replica create NAME N [filter=NAME]
//	replica alter NAME [filter=NAME]
//	replica drop NAME
//	replica list
func (s *script) replicaLine(w words) {
	if w.Word(0) == "list" {
		for _, r := range s.core.Replicas() {
			s.say("  %s", replicaText(&r))
		}
		return
	}
	s.sync++
	s.say("  #%d", s.sync)
	switch w.Word(0) {
	case "create":
		s.step(CreateReplica{Conn: 1, Sync: s.sync, Name: w.Word(1), UUID: uuidOf(uint32(w.At(2))), Filter: w.Named["filter"]})
	case "alter":
		s.step(AlterReplica{Conn: 1, Sync: s.sync, Name: w.Word(1), Filter: w.Named["filter"]})
	case "drop":
		s.step(DropReplica{Conn: 1, Sync: s.sync, Name: w.Word(1)})
	default:
		s.t.Fatalf("unknown line: %s", w.Line)
	}
}

func replicaText(r *Replica) string {
	text := fmt.Sprintf("replica %s %s %s #%d", r.Name, strings.TrimLeft(r.UUID[24:], "0"), withFilter(r.Filter), r.Number)
	if r.Dropped {
		text += " dropped"
	}
	return text
}

// ownReplicaText is a row about _tarragon_replica; empty: it is none.
func ownReplicaText(d *xrow.DML, raw []byte) string {
	key, _, _ := mp.ReadUint(raw[1:])
	switch {
	case d.SpaceID == xrow.SpaceSchema && strings.Contains(string(raw), "tarragon.space._tarragon_replica"):
		return "replica-mark"
	case strings.Contains(string(raw), "_tarragon_replica"):
		return "replica-space"
	case d.SpaceID == xrow.SpaceIndex && key == ownReplicaID:
		return "replica-index"
	case d.SpaceID != uint32(ownReplicaID):
		return ""
	case d.Type == xrow.Delete:
		uuid, _, _ := mp.ReadString(raw[1:])
		return "delete replica " + strings.TrimLeft(string(uuid[24:]), "0")
	}
	r, ok := readReplica(raw)
	if !ok {
		return fmt.Sprintf("no replica: %x", raw)
	}
	return replicaText(&r)
}

// A row that we cannot read is none; one of a newer version may have more fields.
func TestReadReplica(t *testing.T) {
	good := Replica{UUID: uuidOf(5), Name: "r", Filter: "hr", Dropped: true, Number: 7}
	long := good.Tuple()
	long[0] = 0x96
	state := func(s string) []byte {
		b := []byte{0x95}
		for _, v := range [...]string{uuidOf(5), "r", "hr", s} {
			b = msgp.AppendString(b, v)
		}
		return msgp.AppendUint64(b, 1)
	}
	for _, test := range []struct {
		name  string
		tuple []byte
		ok    bool
	}{
		{"ours", good.Tuple(), true},
		{"of a newer version", append(long, 0xc0), true},
		{"registered", state("registered"), true},
		{"another state", state("asleep"), false},
		{"short", []byte{0x91, 0xa1, 'x'}, false},
		{"numbers", []byte{0x95, 1, 2, 3, 4, 5}, false},
		{"cut", good.Tuple()[:20], false},
		{"nothing", nil, false},
		{"no array", []byte{0xc0}, false},
	} {
		r, ok := readReplica(test.tuple)
		if ok != test.ok || test.name == "ours" && r != good {
			t.Errorf("%s: %+v, %v", test.name, r, ok)
		}
	}
}

// Bounds hold: so many are registered, and of those that were dropped the newest stay.
func TestReplicaBounds(t *testing.T) {
	b := filterBox(t)
	c := &Core{box: b}
	seq := uint64(0)
	do := func(f func(g *registry) error) error {
		seq++
		tx := b.Begin(seq)
		if err := f(c.openRegistry(tx)); err != nil {
			tx.Abort()
			return err
		}
		tx.Prepare()
		b.Confirm(seq)
		c.noteReplicas()
		return nil
	}
	make := func(n int) Replica { return Replica{UUID: uuidOf(uint32(1000 + n)), Name: fmt.Sprint("r", n)} }
	for n := range maxReplicas {
		if err := do(func(g *registry) error { return g.register(make(n)) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := do(func(g *registry) error { return g.register(make(maxReplicas)) }); err == nil || !strings.Contains(err.Error(), "256 replicas are registered") {
		t.Errorf("one more: %v", err)
	}
	for n := range maxDropped + 5 {
		if err := do(func(g *registry) error { return g.drop(make(n)) }); err != nil {
			t.Fatal(err)
		}
	}
	all := c.Replicas()
	if len(all) != maxReplicas-5 || FindReplica(all, make(4).UUID) != nil || FindReplica(all, make(5).UUID) == nil || !FindReplica(all, make(maxDropped).UUID).Dropped ||
		FindReplica(all, make(maxReplicas-1).UUID).Dropped {
		t.Errorf("%d rows: %v", len(all), all)
	}
	if !slices.IsSortedFunc(all, func(a, b Replica) int { return strings.Compare(a.UUID, b.UUID) }) {
		t.Error("they are not in the order of their UUIDs")
	}
	if len(b.OwnRows(&box.OwnReplica)) != len(all) {
		t.Error("rows are left")
	}
}
