package xrow

import "tarragon.dev/tarragon/vclock"

// Cut appends to out the byte runs of the group that a peer at pos lacks:
// whole transactions without local rows, without rows of origins in skip (bit
// i: origin i) and without rows that pos covers. Runs point into the group
// wherever the bytes can go out as they are.
//
// Pos then moves over all rows of the group, sent or not, component 0 too: it
// stays the place in this instance's log from which the rest follows.
//
// What is left of a transaction is a whole one again: its first row's LSN is
// the TSN of all, and its last row has the flags. As the rows of a transaction
// have one origin but for local ones, which come first, nothing needs to be
// encoded anew for that but in transactions that others wrote differently, and
// in those that a share has in part.
//
// gap is what the stream has cut by its share and not told yet, and holds small runs back until its
// Flush; nil: the stream has no share.
func (g *Group) Cut(pos *vclock.VClock, skip uint32, gap *Gap, out [][]byte) [][]byte {
	c := cutter{g: g, pos: pos, skip: skip | 1<<0, gap: gap, out: out}
	for from := 0; from < len(g.Table); {
		to := g.endOfTransaction(from)
		if to-from > 1 || gap == nil || !c.cutOne(from) {
			c.transaction(from, to)
		}
		for i := from; i < to; i++ {
			ref := &g.Table[i]
			pos[ref.Origin] = max(pos[ref.Origin], ref.LSN)
		}
		from = to
	}
	c.flush()
	return c.out
}

// cutter gathers adjacent rows of a group in one run.
type cutter struct {
	g          *Group
	pos        *vclock.VClock
	skip       uint32
	gap        *Gap
	out        [][]byte
	start, end uint32 // the open run; empty: none
}

// lacks tells whether the peer is behind row i.
func (c *cutter) lacks(i int) bool {
	ref := &c.g.Table[i]
	return c.skip>>ref.Origin&1 == 0 && ref.LSN > c.pos[ref.Origin]
}

// has tells whether row i is of a space that the peer has.
func (c *cutter) has(i int) bool { return c.gap.has(c.g.Table[i].SpaceID) }

// cutOne cuts a row that is a transaction of its own, and tells whether that is all: of what a
// filtered stream passes over most are such, and nothing is as cheap.
func (c *cutter) cutOne(i int) bool {
	if c.has(i) || !c.lacks(i) {
		return false
	}
	c.flush()
	c.gap.add(c.g, i, i)
	return true
}

// transaction sends what is lacking of rows from..to-1.
func (c *cutter) transaction(from, to int) {
	first, last := -1, -1
	lacked, had := 0, 0
	for i := from; i < to; i++ {
		if !c.lacks(i) {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
		lacked++
		if c.has(i) {
			had++
		}
	}
	switch {
	case lacked == 0:
		return
	case had == 0:
		c.flush()
		c.gap.add(c.g, first, last)
		return
	case c.gap != nil:
		c.flushGap()
	}
	global := from // the row that TSN names
	for c.g.Table[global].Origin == 0 {
		global++
	}
	if first != global || last != to-1 || had < lacked {
		c.encodeAnew(from, to)
		return
	}
	for i := first; i <= last; i++ {
		if c.lacks(i) {
			c.add(c.g.Table[i].Offset, c.g.end(i))
		}
	}
}

// flushGap tells what was cut before a row that is sent.
func (c *cutter) flushGap() {
	if c.gap.group != nil {
		c.flush()
		c.gap.stand()
	}
}

// add puts bytes start..end-1 of the group behind what was sent.
func (c *cutter) add(start, end uint32) {
	if start != c.end {
		c.flush()
		c.start = start
	}
	c.end = end
}

func (c *cutter) flush() {
	if c.start != c.end {
		c.out = c.gap.send(c.g.Rows[c.start:c.end:c.end], c.out)
	}
	c.start, c.end = 0, 0
}

// encodeAnew sends the lacking rows of a transaction with a new TSN, the flags
// of its last row moved to the last one that is sent. A group holds rows that
// we encoded: one that does not decode is memory gone bad.
func (c *cutter) encodeAnew(from, to int) {
	c.flush()
	var rows []Row
	var flags Flags
	cut := uint64(0) // LSN of the first row that was cut since the last one of rows; 0: none was
	for i := from; i < to; i++ {
		row, err := c.g.Row(i)
		if err != nil {
			panic("xrow: a group holds a damaged row: " + err.Error())
		}
		flags = row.Flags
		if !c.lacks(i) {
			continue
		}
		if !c.has(i) {
			if cut == 0 {
				cut = row.First()
			}
			if i < to-1 {
				continue
			}
			row = Row{Type: Nop, ReplicaID: row.ReplicaID, LSN: row.LSN, Timestamp: row.Timestamp, Term: row.Term}
		}
		if cut != 0 && cut != row.LSN {
			row.From = cut
		}
		cut = 0
		rows = append(rows, row)
	}
	var run []byte
	for i := range rows {
		rows[i].TSN = rows[0].LSN
		rows[i].Flags = 0
		if i == len(rows)-1 {
			rows[i].Flags = flags
		}
		run = rows[i].Append(run)
	}
	c.out = c.gap.send(run, c.out)
}
