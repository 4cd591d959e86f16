package proc

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// lostPage is the answer of tarragon.lost.list.
type lostPage struct {
	List   []lostTxn         `msgpack:"list"`
	More   bool              `msgpack:"more"`
	Spaces map[uint32]string `msgpack:"spaces"` // names that the spaces in it have now
}

// lostTxn is a voided transaction: its rows as they were written.
type lostTxn struct {
	Term   uint64 `msgpack:"term"`
	Origin uint32 `msgpack:"origin"`
	LSN    uint64 `msgpack:"lsn"` // of its last row
	Rows   []byte `msgpack:"rows"`
}

// maxLost is how many transactions an answer has at most.
const maxLost = 1000

var lostOptions = template{"term": "number", "origin": "number", "lsn": "number", "limit": "number"}

// lostList is tarragon.lost.list{term=, origin=, lsn=, limit=}: what this instance keeps of
// voided transactions, from one on.
func lostList(c *call) error {
	const usage = "Usage: tarragon.lost.list({term = ..., origin = ..., lsn = ..., limit = ...})"
	opts, err := c.numbers(lostOptions, usage)
	if err != nil {
		return err
	}
	if opts["limit"] == 0 || opts["limit"] > maxLost || opts["origin"] > vclock.MaxID {
		return illegal("%s: limit from 1 to %d, origin to %d", usage, maxLost, vclock.MaxID)
	}
	from := xrow.LostRow{Term: opts["term"], Origin: uint32(opts["origin"]), LSN: opts["lsn"]}
	c.p.env.Past.Lost(from, int(opts["limit"]), func(rows []xrow.LostRow, more bool, err error) {
		if err != nil {
			c.fail(err)
			return
		}
		a := lostPage{List: make([]lostTxn, len(rows)), More: more, Spaces: map[uint32]string{}}
		for i, r := range rows {
			a.List[i] = lostTxn{r.Term, r.Origin, r.LSN, r.Frame}
		}
		c.schema(func(s *box.Schema) {
			for i := range rows {
				for _, id := range rows[i].Spaces() {
					if sp, ok := s.Named(id); ok {
						a.Spaces[id] = sp.Name
					}
				}
			}
		})
		c.reply(one(mp.Encode(a)))
	})
	return nil
}
