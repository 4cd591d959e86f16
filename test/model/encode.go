package main

import (
	"hash/maphash"
	"slices"
)

// A state as bytes, for the frontier and for its fingerprint. With a
// permutation the instances are renamed; the fingerprint is the least over
// renamings, so that states that differ only in names count once.

var seed = maphash.MakeSeed()

func (s *State) encode(buf []byte, perm []uint8) []byte {
	var back [maxN]uint8
	for i := range s.N {
		back[perm[i]] = uint8(i)
	}
	mask := func(m uint8) (r uint8) {
		for i := range s.N {
			if m&(1<<i) != 0 {
				r |= 1 << perm[i]
			}
		}
		return r
	}
	vote := func(v uint8) uint8 {
		if v == 0 {
			return 0
		}
		return perm[v-1] + 1
	}
	rows := func(log []Row) {
		buf = append(buf, uint8(len(log)))
		for _, r := range log {
			buf = append(buf, perm[r.Origin]<<4|uint8(r.Kind), r.LSN, r.Term)
			switch {
			case r.configures():
				buf = append(buf, mask(r.Cfg.Voters), mask(r.Cfg.Learners), r.Cfg.Quorum, mask(r.Cfg.Ends))
			case r.Kind == PROMOTE:
				buf = append(buf, perm[r.RefOwner], r.RefTerm, r.RefLSN, r.Token)
			case r.Kind == CONFIRM:
				buf = append(buf, r.RefLSN)
			case r.Kind == HANDOVER:
				buf = append(buf, perm[r.RefOwner], r.RefLSN)
			}
		}
	}
	buf = append(buf, s.Writes, s.Wipes, s.Rejoins, s.Crashes, s.Handovers, mask(s.UsedIDs), vote(s.Mover))
	buf = append(append(buf, s.Changes[:]...), uint8(len(s.Leaders)))
	for _, l := range s.Leaders {
		buf = append(buf, vote(l))
	}
	buf = append(buf, uint8(len(s.History)))
	for _, h := range s.History {
		buf = append(buf, uint8(h>>8), uint8(h))
	}
	for j := range s.N {
		i := back[j]
		n := &s.Node[i]
		buf = append(buf, n.SnapTerm, n.SnapLSN, s.Left[i], s.Used[i], n.Synced, n.PTerm, vote(n.PVote),
			n.Term, vote(n.Vote), n.Rec, uint8(n.Role), mask(n.Votes), n.CTerm, n.CLSN, n.LocalQ, n.Token)
		for k := range s.N {
			buf = append(buf, n.Acked[back[k]])
		}
		rows(n.Log)
	}
	return buf
}

func decode(b []byte, n int) *State {
	s := &State{N: n}
	next := func() uint8 { v := b[0]; b = b[1:]; return v }
	rows := func() []Row {
		k := int(next())
		if k == 0 {
			return nil
		}
		log := make([]Row, k)
		for i := range log {
			x := next()
			log[i] = Row{Origin: x >> 4, Kind: Kind(x & 15), LSN: next(), Term: next()}
			r := &log[i]
			switch {
			case r.configures():
				r.Cfg = Config{Voters: next(), Learners: next(), Quorum: next(), Ends: next()}
			case r.Kind == PROMOTE:
				r.RefOwner, r.RefTerm, r.RefLSN, r.Token = next(), next(), next(), next()
			case r.Kind == CONFIRM:
				r.RefLSN = next()
			case r.Kind == HANDOVER:
				r.RefOwner, r.RefLSN = next(), next()
			}
		}
		return log
	}
	s.Writes, s.Wipes, s.Rejoins, s.Crashes, s.Handovers, s.UsedIDs, s.Mover = next(), next(), next(), next(), next(), next(), next()
	for i := range s.Changes {
		s.Changes[i] = next()
	}
	s.Leaders = make([]uint8, next())
	for i := range s.Leaders {
		s.Leaders[i] = next()
	}
	s.History = make([]uint16, next())
	for i := range s.History {
		hi := next()
		s.History[i] = uint16(hi)<<8 | uint16(next())
	}
	for i := range n {
		d := &s.Node[i]
		d.SnapTerm, d.SnapLSN = next(), next()
		s.Left[i], s.Used[i], d.Synced = next(), next(), next()
		d.PTerm, d.PVote = next(), next()
		d.Term, d.Vote, d.Rec, d.Role, d.Votes = next(), next(), next(), Role(next()), next()
		d.CTerm, d.CLSN, d.LocalQ, d.Token = next(), next(), next(), next()
		for k := range n {
			d.Acked[k] = next()
		}
		d.Log = rows()
	}
	return s
}

// permutations of 0..n-1; the first one is the identity.
func permutations(n int) [][]uint8 {
	if n == 0 {
		return [][]uint8{{}}
	}
	var out [][]uint8
	for _, p := range permutations(n - 1) {
		for at := n - 1; at >= 0; at-- {
			q := append(append(append([]uint8{}, p[:at]...), uint8(n-1)), p[at:]...)
			out = append(out, q)
		}
	}
	return out
}

// fingerprint is a 64-bit hash that all renamings of a state share. Only those
// are tried that put the instances in the order of what can be said of each
// without names.
func (s *State) fingerprint(perms [][]uint8, buf *[]byte) uint64 {
	var faces [maxN]uint64
	for i := range s.N {
		*buf = s.face((*buf)[:0], i)
		faces[i] = maphash.Bytes(seed, *buf)
	}
	least := ^uint64(0)
	for _, p := range perms {
		var at [maxN]uint64
		for i := range s.N {
			at[p[i]] = faces[i]
		}
		if slices.IsSorted(at[:s.N]) {
			*buf = s.encode((*buf)[:0], p)
			least = min(least, maphash.Bytes(seed, *buf))
		}
	}
	return least
}

// face is an instance without any name.
func (s *State) face(buf []byte, i int) []byte {
	n := &s.Node[i]
	own := func(yes bool) uint8 {
		if yes {
			return 128
		}
		return 0
	}
	bit := uint8(1) << i
	buf = append(buf, s.Left[i], s.Used[i], n.Synced, n.PTerm, n.Term, n.Rec, uint8(n.Role), n.CTerm, n.CLSN, n.Token,
		own(int(n.PVote) == i+1), own(int(n.Vote) == i+1), own(s.UsedIDs&bit != 0), uint8(len(n.Log)))
	for _, r := range n.Log {
		buf = append(buf, uint8(r.Kind)|own(int(r.Origin) == i)|own(r.Kind == HANDOVER && int(r.RefOwner) == i)>>1, r.LSN, r.Term, r.Token, r.RefLSN|own(r.Cfg.Voters&bit != 0), r.RefTerm|own(r.Cfg.Learners&bit != 0))
	}
	return buf
}
