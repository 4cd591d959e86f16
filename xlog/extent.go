package xlog

import "sort"

// Appended is how many bytes of rows were appended since the store was opened.
func (s *Store) Appended() uint64 { return s.appended.Load() }

// Size is how much log there is from a group on. Rows are what the vclock
// counts; bytes are those of tables, so the newest groups, which are in the
// journal only, do not count yet.
func (s *Store) Size(from uint64) (rows, bytes uint64, err error) {
	if err := s.usable(); err != nil {
		return 0, 0, err
	}
	first, last, _, after := s.bounds()
	if from = max(from, first); from > last {
		return 0, 0, nil
	}
	clock, err := s.clockBefore(from)
	if err != nil {
		return 0, 0, err
	}
	bytes, err = s.db.EstimateDiskUsage(logKey(from), logEnd())
	if err != nil {
		return 0, 0, s.readError("sizes of tables", err)
	}
	return after.Signature() - min(clock.Signature(), after.Signature()), bytes, nil
}

// Within is about the oldest group from which on the log has no more than so
// many rows and bytes; 0 stands for no limit. It is not above Last()+1.
func (s *Store) Within(rows, bytes uint64) (group uint64, err error) {
	first, last, _, _ := s.bounds()
	if first > last || rows == 0 && bytes == 0 {
		return first, s.usable()
	}
	fits := func(from uint64) bool {
		r, b, e := s.Size(from)
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
