package instance

import "tarragon.dev/tarragon/xrow"

// Decoded is a group of the log with its rows decoded: the part of recovery that
// needs no core, so it is done ahead of it, on another processor. The zero value is
// ready to use.
type Decoded struct {
	group      *xrow.Group
	rows       []xrow.Row // up to the one that does not decode
	statements []statement
	err        error // why; nil: all do
}

// statement is the body of a row; of a row that is no statement nothing.
type statement struct {
	dml xrow.DML
	err error
}

// Decode takes a group, which must not change any more. The memory of the one before is
// used again: no Replay may need it.
func (d *Decoded) Decode(g *xrow.Group) {
	*d = Decoded{group: g, rows: d.rows[:0], statements: d.statements[:0]}
	for i := range g.Table {
		r, err := g.Row(i)
		if err != nil {
			d.err = err
			return
		}
		var s statement
		if r.Type.IsDML() {
			s.dml, s.err = xrow.DecodeDML(r.Type, r.Body)
		}
		d.rows, d.statements = append(d.rows, r), append(d.statements, s)
	}
}

// Rows is how many there are.
func (d *Decoded) Rows() int { return len(d.rows) }
