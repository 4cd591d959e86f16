package replay

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"
)

// state is what a recorded master held before the conversation.
type state struct {
	uuid   string // of the instance
	tuples []tuple
	at     xlog.State
	log    []loggedRow
}

// put makes it the node's data directory. The node must not run.
func (s *state) put(n *node) {
	n.t.Helper()
	store, err := xlog.Open(xlog.Options{Dir: filepath.Join(n.dir, "var", "lib", "i", "store")})
	if err != nil {
		n.t.Fatal(err)
	}
	check := func(err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatal(err)
		}
	}
	slot := store.Core(0)
	check(slot.SetMeta("incarnation", binary.BigEndian.AppendUint64(nil, 7)))
	check(slot.SetMeta("instance_uuid", []byte(s.uuid)))
	w, err := slot.NewCheckpoint()
	check(err)
	sorted := slices.Clone(s.tuples) // a master sends spaces of another engine last
	slices.SortStableFunc(sorted, func(a, b tuple) int { return cmp.Compare(a.space, b.space) })
	for _, t := range sorted {
		check(w.Add(t.space, t.data))
	}
	s.at.NextGroup = 1
	_, err = w.Finish(s.at)
	check(err)
	check(slot.Append(groups(s.at.VClock, s.log)))
	check(store.Close())
}

// groups makes a group of each transaction.
func groups(at vclock.VClock, rows []loggedRow) (out []*xrow.Group) {
	var g *xrow.Group
	for i := range rows {
		r := rows[i].Row
		r.Sync = 0
		first := g == nil
		if first {
			g = &xrow.Group{Before: at, After: at}
		}
		space, term := uint32(0), uint64(0)
		switch {
		case r.Type.IsDML():
			d, err := xrow.DecodeDML(r.Type, r.Body)
			if err != nil {
				panic(err)
			}
			space = d.SpaceID
		case r.Type == xrow.Promote || r.Type == xrow.Demote:
			s, err := xrow.DecodeSynchro(r.Body)
			if err != nil {
				panic(err)
			}
			term = s.Term
		}
		g.Add(&r, space, first, term)
		at.Follow(r.ReplicaID, r.LSN)
		if r.Flags&xrow.FlagCommit != 0 {
			g.After = at
			out = append(out, g)
			g = nil
		}
	}
	return out
}

const (
	roleSuper = 31
)

// freshOf drops what users made, and changes the identities.
func freshOf(all []tuple, uuid, set string) (out []tuple) {
	for _, t := range all {
		switch {
		case t.space >= xrow.FirstUserSpace:
		case (t.space == xrow.SpaceSpace || t.space == xrow.SpaceIndex) && number(t.data, 0) >= xrow.FirstUserSpace:
		case t.space == xrow.SpacePriv && number(t.data, 1) == 0 && number(t.data, 3) == roleSuper:
		case t.space == xrow.SpaceCluster:
			out = append(out, tuple{t.space, clusterTuple(1, uuid)})
		case t.space == xrow.SpaceSchema && bytes.Contains(t.data, []byte("replicaset_uuid")):
			data := append([]byte{0x92, 0xaf}, "replicaset_uuid"...)
			out = append(out, tuple{t.space, append(append(data, 0xd9, 36), set...)})
		default:
			out = append(out, t)
		}
	}
	return out
}

// number is a field of a tuple; -1: it is none.
func number(data []byte, field int) int {
	_, n, _ := mp.ReadArrayHeader(data)
	for range field {
		m, err := mp.Scan(data[n:])
		if err != nil {
			return -1
		}
		n += m
	}
	v, _, ok := mp.ReadUint(data[n:])
	if !ok {
		return -1
	}
	return int(v)
}

func clusterTuple(id byte, uuid string) []byte {
	return append([]byte{0x92, id, 0xd9, 36}, uuid...)
}

// withMember adds a member behind the others.
func withMember(all []tuple, id byte, uuid string) []tuple {
	i := len(all)
	for k, t := range all {
		if t.space == xrow.SpaceCluster {
			i = k + 1
		}
	}
	return slices.Insert(slices.Clone(all), i, tuple{xrow.SpaceCluster, clusterTuple(id, uuid)})
}

// uuidOf reads the greeting.
func uuidOf(greeting []byte) string { return strings.Fields(string(greeting))[3] }
