package proc

import (
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/terms"
)

// historyProc is the name of the call that tells the whole history of leaders.
const historyProc = "tarragon.history"

// historyPage is how many terms an answer has at most.
const historyPage = 1000

// Voided is how many transactions of a term and an author this instance has kept aside
// that a newer term voided.
type Voided struct {
	Term   uint64 `msgpack:"term"`
	Origin uint32 `msgpack:"origin"`
	Count  uint64 `msgpack:"count"`
}

// infoTerm is a term in effect. Times are seconds; what is not known is left out.
type infoTerm struct {
	Term      uint64  `msgpack:"term"`
	Owner     uint32  `msgpack:"owner"`
	UUID      string  `msgpack:"uuid,omitempty"` // of the member that has the ID now
	Name      string  `msgpack:"name,omitempty"`
	Kind      string  `msgpack:"kind"`
	By        string  `msgpack:"by,omitempty"`
	Reason    string  `msgpack:"reason,omitempty"`
	At        float64 `msgpack:"at,omitempty"`    // since 1970, by the leader's clock
	Still     float64 `msgpack:"still,omitempty"` // for how long nobody could write before it took writes
	AtMost    bool    `msgpack:"at_most,omitempty"`
	First     uint64  `msgpack:"first"`
	Last      uint64  `msgpack:"last"`
	Tarantool bool    `msgpack:"tarantool"`
}

func termOf(s *terms.Span, members []box.Member) infoTerm {
	b := &s.Began
	t := infoTerm{Term: s.Term, Owner: s.Owner, Kind: b.Kind.String(), By: b.By, Reason: b.Reason, At: terms.Seconds(b.At), First: s.First, Last: s.Last,
		Tarantool: s.Rules == terms.Tarantool}
	if d, known := b.Still(); known {
		t.Still, t.AtMost = d.Seconds(), b.Loose
	}
	if at := slices.IndexFunc(members, func(m box.Member) bool { return m.ID == s.Owner }); at >= 0 {
		t.UUID, t.Name = members[at].UUID, members[at].Name
	}
	return t
}

func termsOf(spans []terms.Span, members []box.Member) []infoTerm {
	out := make([]infoTerm, len(spans))
	for i := range spans {
		out[i] = termOf(&spans[i], members)
	}
	return out
}

// historyAnswer is one page of the history, oldest terms first.
type historyAnswer struct {
	ID         uint32     `msgpack:"id"`
	UUID       string     `msgpack:"uuid"`
	Name       string     `msgpack:"name"`
	Replicaset infoSet    `msgpack:"replicaset"` // of a member that is not ready: empty
	Term       uint64     `msgpack:"term"`       // in effect
	Confirmed  uint64     `msgpack:"confirmed"`
	Terms      []infoTerm `msgpack:"terms"`
	More       bool       `msgpack:"more"` // there are newer ones
	Void       []Voided   `msgpack:"void,omitempty"`
}

var historyOptions = template{"after": "number", "limit": "number", "void": "boolean"}

// history is tarragon.history{after=, limit=, void=}: the terms in effect behind a term, at
// most so many, and what this instance keeps of what they voided.
func history(c *call) error {
	if len(c.args) > 1 {
		return illegal("Usage: tarragon.history([{after = ..., limit = ..., void = ...}])")
	}
	opts, err := readOptions(c.arg(0), historyOptions)
	if err != nil {
		return err
	}
	after, limit := uint64(0), historyPage
	if v, ok := opts["after"]; ok {
		if after, ok = v.integer(); !ok {
			return illegal("options parameter 'after' should be a term")
		}
	}
	if v, ok := opts["limit"]; ok {
		n, ok := v.integer()
		if !ok || n == 0 || n > historyPage {
			return illegal("options parameter 'limit' should be from 1 to %d", historyPage)
		}
		limit = int(n)
	}
	a := c.p.historyPage(after, limit)
	void, _ := opts["void"].boolean()
	if !void || c.p.env.Voided == nil {
		c.reply(one(mp.Encode(a)))
		return nil
	}
	c.p.env.Voided(func(all []Voided, err error) {
		if err != nil {
			c.fail(err)
			return
		}
		a.Void = all
		c.reply(one(mp.Encode(a)))
	})
	return nil
}

func (p *Procs) historyPage(after uint64, limit int) *historyAnswer {
	a := &historyAnswer{Name: p.env.Identity.Name}
	var spans []terms.Span
	var members []box.Member
	p.env.Loop.Read(func(core *instance.Core) {
		i := core.Info(p.env.Loop.Now().Mono)
		a.ID, a.UUID, a.Term, a.Confirmed, members = i.ID, i.UUID, i.QueueTerm, i.Confirmed, i.Members
		a.Replicaset.UUID = core.Box().ReplicasetUUID()
		spans, a.More = core.HistoryPage(after, limit)
	})
	a.Replicaset.Name = orNil(p.env.Identity.ReplicasetName)
	a.Terms = termsOf(spans, members)
	return a
}

// mayReadHistory tells whether a user may call for it that may not call functions: who
// may read everything, as peers may.
func mayReadHistory(s *box.Schema, user box.Credentials) bool {
	return s.CheckUniverse(user, box.PrivRead) == nil
}
