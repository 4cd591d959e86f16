package proc

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Past is the log of this instance, and what it keeps of voided rows, for those who compare
// instances. All of it goes beside the core; done is called once, on any goroutine.
type Past interface {
	// Begins is the vclock in front of the oldest row.
	Begins() vclock.VClock
	Digests(r DigestRange, done func(DigestPage, error))
	Rows(origin uint32, from, to uint64, done func([]PastRow, error))
	// State makes digests of all spaces as they are decided at a vclock, if that is the present one.
	State(at vclock.VClock, done func(StatePage, error))
	// Lost are voided transactions by term, author and LSN, from one on, limit at most; more:
	// there are others behind them.
	Lost(from xrow.LostRow, limit int, done func(rows []xrow.LostRow, more bool, err error))
}

// DigestRange asks for digests of the rows of an author with LSNs From to To, one for each
// Step of them.
type DigestRange struct {
	Origin   uint32
	From, To uint64
	Step     uint64
}

// DigestPage is an answer to that: as much as is made at once.
type DigestPage struct {
	Begins  uint64         `msgpack:"begins"` // LSN of the author's oldest row in the log that was looked for: From, unless what is before it is gone
	Next    uint64         `msgpack:"next"`   // the first LSN that is not among these; above To: all are
	Windows []DigestWindow `msgpack:"windows"`
}

// DigestWindow is one digest.
type DigestWindow struct {
	First uint64 `msgpack:"first"` // a multiple of the step
	Rows  uint64 `msgpack:"rows"`
	Sum   []byte `msgpack:"sum"`
}

// PastRow is a row of the log for people.
type PastRow struct {
	Origin    uint32  `msgpack:"origin"`
	LSN       uint64  `msgpack:"lsn"`
	Term      uint64  `msgpack:"term"`
	Type      string  `msgpack:"type"`
	SpaceID   uint32  `msgpack:"space_id,omitempty"`
	Space     string  `msgpack:"space,omitempty"` // the name that it has now
	Timestamp float64 `msgpack:"timestamp"`
	Body      string  `msgpack:"body,omitempty"` // JSON
}

// Most of what is asked for at once.
const (
	maxWindows  = 4096
	maxPastRows = 100
)

// verifyStanding is the answer of tarragon.verify.standing: where the instance stands, and
// from where on its log can be compared.
type verifyStanding struct {
	ID         uint32         `msgpack:"id"`
	UUID       string         `msgpack:"uuid"`
	Name       string         `msgpack:"name"`
	Replicaset infoSet        `msgpack:"replicaset"`
	Filter     string         `msgpack:"filter,omitempty"` // of a replica that holds some spaces only
	Begins     []uint64       `msgpack:"begins"`           // vclock in front of the oldest row of the log
	Synced     []uint64       `msgpack:"synced"`           // and of what is on the disk
	Members    []verifyMember `msgpack:"members"`
}

// verifyMember is a row of _cluster.
type verifyMember struct {
	ID   uint32 `msgpack:"id"`
	UUID string `msgpack:"uuid"`
	Name string `msgpack:"name,omitempty"`
}

// standing is tarragon.verify.standing().
func standing(c *call) error {
	if len(c.args) > 0 {
		return illegal("Usage: tarragon.verify.standing()")
	}
	a := verifyStanding{Name: c.p.env.Identity.Name, Members: []verifyMember{}}
	c.p.env.Loop.Read(func(core *instance.Core) {
		i := core.Info(c.p.env.Loop.Now().Mono)
		a.ID, a.UUID, a.Filter = i.ID, i.UUID, i.Share.Filter
		a.Synced = append(a.Synced, i.Synced[:]...)
		for _, m := range i.Members {
			a.Members = append(a.Members, verifyMember{m.ID, m.UUID, m.Name})
		}
		a.Replicaset.UUID = core.Box().ReplicasetUUID()
	})
	a.Replicaset.Name = orNil(c.p.env.Identity.ReplicasetName)
	begins := c.p.env.Past.Begins()
	a.Begins = append(a.Begins, begins[:]...)
	c.reply(one(mp.Encode(a)))
	return nil
}

var digestOptions = template{"origin": "number", "from": "number", "to": "number", "step": "number"}

// digests is tarragon.verify.digests{origin=, from=, to=, step=}.
func digests(c *call) error {
	const usage = "Usage: tarragon.verify.digests({origin = ..., from = LSN, to = LSN, step = ...})"
	opts, err := c.numbers(digestOptions, usage)
	if err != nil {
		return err
	}
	r := DigestRange{From: opts["from"], To: opts["to"], Step: opts["step"]}
	if r.Origin, err = originOf(opts["origin"]); err != nil {
		return err
	}
	if r.From == 0 || r.To < r.From || r.Step == 0 || r.To/r.Step-r.From/r.Step >= maxWindows {
		return illegal("%s: from 1, to not before it, at most %d steps", usage, maxWindows)
	}
	c.p.env.Past.Digests(r, func(page DigestPage, err error) {
		if err != nil {
			c.fail(err)
			return
		}
		c.reply(one(mp.Encode(page)))
	})
	return nil
}

var rowsOptions = template{"origin": "number", "from": "number", "to": "number"}

// pastRows is tarragon.verify.rows{origin=, from=, to=}: rows of the log, those that are
// there.
func pastRows(c *call) error {
	const usage = "Usage: tarragon.verify.rows({origin = ..., from = LSN, to = LSN})"
	opts, err := c.numbers(rowsOptions, usage)
	if err != nil {
		return err
	}
	origin, err := originOf(opts["origin"])
	if err != nil {
		return err
	}
	from, to := opts["from"], opts["to"]
	if from == 0 || to < from || to-from >= maxPastRows {
		return illegal("%s: from 1, to not before it, at most %d rows", usage, maxPastRows)
	}
	c.p.env.Past.Rows(origin, from, to, func(rows []PastRow, err error) {
		if err != nil {
			c.fail(err)
			return
		}
		c.nameSpaces(rows)
		c.reply(one(mp.Encode(rows)))
	})
	return nil
}

func (c *call) nameSpaces(rows []PastRow) {
	c.schema(func(s *box.Schema) {
		for i := range rows {
			if sp, ok := s.Named(rows[i].SpaceID); ok && rows[i].SpaceID != 0 {
				rows[i].Space = sp.Name
			}
		}
	})
}

// numbers reads the only argument, a table of whole numbers, all of which must be there.
func (c *call) numbers(t template, usage string) (map[string]uint64, error) {
	if len(c.args) != 1 {
		return nil, illegal("%s", usage)
	}
	opts, err := readOptions(c.arg(0), t)
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for name := range t {
		v, ok := opts[name].integer()
		if !ok {
			return nil, illegal("%s: a whole number is expected", usage)
		}
		out[name] = v
	}
	return out, nil
}

// originOf is a replica ID, of whoever has it or had it once.
func originOf(n uint64) (uint32, error) {
	if n == 0 || n > vclock.MaxID {
		return 0, xrow.Errorf(xrow.ErrIllegalParams, "origin should be a replica ID, from 1 to 31")
	}
	return uint32(n), nil
}

// StatePage is what the spaces of an instance have.
type StatePage struct {
	VClock []uint64     `msgpack:"vclock"` // of what is in the log
	Open   uint64       `msgpack:"open"`   // rows of that whose fate is open
	Spaces []StateSpace `msgpack:"spaces"` // with tuples, by ID; none where the vclock is another one than was asked for
}

// StateSpace is the digest of a space.
type StateSpace struct {
	ID   uint32 `msgpack:"id"`
	Name string `msgpack:"name"`
	Rows uint64 `msgpack:"rows"`
	Sum  []byte `msgpack:"sum"`
}

// spaceDigests is tarragon.verify.spaces(vclock), that a list of LSNs by replica ID, from 0 on.
func spaceDigests(c *call) error {
	const usage = "Usage: tarragon.verify.spaces({LSN, ...}): the vclock, by replica ID from 0 on"
	if len(c.args) != 1 {
		return illegal("%s", usage)
	}
	list, err := c.arg(0).array()
	if err != nil || len(list) > vclock.Max {
		return illegal("%s", usage)
	}
	var at vclock.VClock
	for i, v := range list {
		n, ok := v.integer()
		if !ok {
			return illegal("%s", usage)
		}
		at[i] = n
	}
	c.p.env.Past.State(at, func(page StatePage, err error) {
		if err != nil {
			c.fail(err)
			return
		}
		c.schema(func(s *box.Schema) {
			for i := range page.Spaces {
				if sp, ok := s.Named(page.Spaces[i].ID); ok {
					page.Spaces[i].Name = sp.Name
				}
			}
		})
		c.reply(one(mp.Encode(page)))
	})
	return nil
}
