package instance

// trail remembers how many bytes of rows our newest LSNs are away from the end, so that
// the lag of a member can be told in bytes. It has a mark for each of the last groups
// that the journal got, at the number of the group.
//
// Invariant: from newest back marks descend in both fields; those that are not set yet
// are zero.
type trail struct {
	marks  [256]mark
	newest uint64 // number of the group
	total  uint64 // bytes of rows handed to the journal since the start
}

// mark is the end of a group: our LSN, and the bytes up to there.
type mark struct{ lsn, total uint64 }

// behind is how many bytes at least were handed to the journal behind an LSN of ours.
func (t *trail) behind(lsn uint64) int {
	n := uint64(len(t.marks))
	for i := range n {
		if m := t.marks[(t.newest+n-i)%n]; m.lsn <= lsn {
			return int(t.total - m.total)
		}
	}
	return int(t.total - t.marks[(t.newest+1)%n].total)
}
