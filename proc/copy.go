package proc

import (
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
)

// GivenCopies are the base copies that this instance gives to filtered replicas, and what
// has become of those since the start.
type GivenCopies struct {
	List      []GivenCopy
	Limit     int    // at once
	Whole     uint64 // all of it was sent
	Broken    uint64 // ended before that, cancelled ones too
	Cancelled uint64
	Refused   uint64 // there was no place
}

// GivenCopy is one of them.
type GivenCopy struct {
	ID      string // for tarragon.copy.cancel; empty: there is nothing to cancel
	UUID    string // of the replica
	Name    string // of the replica; empty: not told
	Address string
	Spaces  []uint32
	Stage   string
	Rows    uint64
	Total   uint64 // about
	Bytes   uint64
	Rate    uint64 // rows a second
	For     time.Duration
	Pins    int  // bytes that its view keeps in memory
	Spooled bool // the rest is in a file, and its view is closed
	Reason  string
}

// givenLine is one as clients get it.
type givenLine struct {
	ID      string   `msgpack:"id,omitempty"`
	Replica string   `msgpack:"replica"` // its name, or uuid
	UUID    string   `msgpack:"uuid"`
	Address string   `msgpack:"address"`
	Spaces  []string `msgpack:"spaces"`
	Stage   string   `msgpack:"stage"`
	Percent int      `msgpack:"percent"`
	Rows    uint64   `msgpack:"rows"`
	Total   uint64   `msgpack:"total"`
	Rate    uint64   `msgpack:"rows_per_second"`
	Bytes   uint64   `msgpack:"bytes"`
	For     float64  `msgpack:"seconds"`
	Pins    int      `msgpack:"pinned"`
	Spooled bool     `msgpack:"spooled"`
	Reason  string   `msgpack:"reason,omitempty"`
}

// infoGiven is what box.info tells.
type infoGiven struct {
	Open      int         `msgpack:"open"`
	Limit     int         `msgpack:"limit"`
	Whole     uint64      `msgpack:"whole"`
	Broken    uint64      `msgpack:"broken_off"`
	Cancelled uint64      `msgpack:"cancelled"`
	Refused   uint64      `msgpack:"refused"`
	Given     []givenLine `msgpack:"given"`
}

// infoGiven is nil where nobody has asked for any.
func (p *Procs) infoGiven() *infoGiven {
	if p.env.Copies == nil {
		return nil
	}
	g := p.env.Copies()
	if len(g.List) == 0 && g.Whole+g.Broken+g.Refused == 0 {
		return nil
	}
	i := &infoGiven{Limit: g.Limit, Whole: g.Whole, Broken: g.Broken, Cancelled: g.Cancelled, Refused: g.Refused, Given: p.givenLines(g.List)}
	for _, l := range i.Given {
		if l.ID != "" {
			i.Open++
		}
	}
	return i
}

// givenLines has the names that spaces have now; one that is dropped has none.
func (p *Procs) givenLines(list []GivenCopy) []givenLine {
	var schema *box.Schema
	p.env.Loop.Read(func(core *instance.Core) { schema = core.Box().Schema() }) // it never changes
	lines := make([]givenLine, len(list))
	for i := range list {
		c := &list[i]
		l := givenLine{ID: c.ID, Replica: c.Name, UUID: c.UUID, Address: c.Address, Spaces: []string{}, Stage: c.Stage, Rows: c.Rows, Total: c.Total,
			Rate: c.Rate, Bytes: c.Bytes, For: c.For.Seconds(), Pins: c.Pins, Spooled: c.Spooled, Reason: c.Reason}
		if l.Replica == "" {
			l.Replica = c.UUID
		}
		if c.Total > 0 {
			l.Percent = int(min(100*c.Rows/c.Total, 100))
		}
		for _, id := range c.Spaces {
			if sp, ok := schema.Named(id); ok {
				l.Spaces = append(l.Spaces, sp.Name)
			}
		}
		lines[i] = l
	}
	return lines
}

// listCopies is tarragon.copy.list().
func listCopies(c *call) error {
	if len(c.args) > 0 {
		return illegal("Usage: tarragon.copy.list()")
	}
	c.reply(one(mp.Encode(c.p.givenLines(c.p.env.Copies().List))))
	return nil
}

// cancelCopies is tarragon.copy.cancel(who): how many there were.
func cancelCopies(c *call) error {
	who, ok := c.arg(0).str()
	if len(c.args) != 1 || !ok || who == "" {
		return illegal("Usage: tarragon.copy.cancel(name or uuid of the replica, or id of the copy)")
	}
	c.reply(one(mp.Encode(c.p.env.CancelCopies(who))))
	return nil
}
