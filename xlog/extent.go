package xlog

import "sort"

// Appended is how many bytes of rows were appended since the store was opened.
func (sl *Slot) Appended() uint64 { return sl.appended.Load() }

// Size is how much log there is from a group on. Rows are what the vclock
// counts; bytes are those of tables, so the newest groups, which are in the
// journal only, do not count yet. They are those of all Cores: what the log takes
// while this one needs it.
func (sl *Slot) Size(from uint64) (rows, bytes uint64, err error) {
	if err := sl.usable(); err != nil {
		return 0, 0, err
	}
	first, last, _, after := sl.bounds()
	if from = max(from, first); from > last {
		return 0, 0, nil
	}
	clock, err := sl.clockBefore(from)
	if err != nil {
		return 0, 0, err
	}
	r, err := sl.runOf(from)
	if err != nil {
		return 0, 0, err
	}
	bytes, err = sl.s.db.EstimateDiskUsage(logKey(r.pos+from-r.no), logEnd())
	if err != nil {
		return 0, 0, sl.s.readError("sizes of tables", err)
	}
	return after.Signature() - min(clock.Signature(), after.Signature()), bytes, nil
}

// Within is about the oldest group from which on the log has no more than so
// many rows and bytes; 0 stands for no limit. It is not above Last()+1.
func (sl *Slot) Within(rows, bytes uint64) (group uint64, err error) {
	first, last, _, _ := sl.bounds()
	if first > last || rows == 0 && bytes == 0 {
		return first, sl.usable()
	}
	fits := func(from uint64) bool {
		r, b, e := sl.Size(from)
		if e != nil {
			err = e
		}
		return e != nil || (rows == 0 || r <= rows) && (bytes == 0 || b <= bytes)
	}
	if fits(first) {
		return first, err
	}
	// Whole vclocks are at anchors: only those are tried.
	n := int(last/anchorEvery - first/anchorEvery)
	i := sort.Search(n, func(i int) bool { return fits((first/anchorEvery + 1 + uint64(i)) * anchorEvery) })
	return min((first/anchorEvery+1+uint64(i))*anchorEvery, last+1), err
}
