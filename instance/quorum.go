package instance

import (
	"bytes"
	"math/bits"
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// quorumKey is the key in _schema of the synchronous quorum of the replica set:
// [key, value, files], both a number or a formula as text. files is what the
// configuration files of a majority said when the value was last taken from
// them, so that box.cfg may set another one and files that were left behind do
// not set it back.
const quorumKey = "tarragon.quorum"

func quorumTuple(value, files string) []byte {
	b := msgp.AppendString([]byte{0x93}, quorumKey)
	return msgp.AppendString(msgp.AppendString(b, value), files)
}

// readQuorum reads a tuple of quorumTuple; empty where there is none.
func readQuorum(tuple []byte) (value, files string) {
	n, at, ok := mp.ReadArrayHeader(tuple)
	if !ok || n < 3 {
		return "", ""
	}
	for _, to := range []*string{new(string), &value, &files} {
		text, used, ok := mp.ReadString(tuple[at:])
		if !ok {
			return "", ""
		}
		*to = string(text)
		at += used
	}
	return value, files
}

// quorumRule is how many of n voters a synchronous transaction needs by a tuple
// of quorumTuple. Before there is one, and where an instance of Tarantool is among
// them, it is what our own configuration says, as there. So the row that lets the
// first of those in, or the last go, changes the quorum like any other: both
// count until it is decided.
func (c *Core) quorumRule(tuple []byte, tarantools uint32) func(n int) int {
	value, _ := readQuorum(tuple)
	if value == "" || c.cfg.ParseQuorum == nil || tarantools != 0 {
		return c.cfg.SynchroQuorum
	}
	rule, err := c.cfg.ParseQuorum(value)
	if err != nil { // a later release wrote what we cannot read
		c.trace(FactBadQuorum, 0, 0, err.Error())
		return majority
	}
	return rule
}

func majority(n int) int { return n/2 + 1 }

// SharesQuorum tells whether the quorum is the replica set's, and not every
// instance's own.
func (c *Core) SharesQuorum() bool { return c.cfg.ParseQuorum != nil && c.underStrong() }

// underStrong tells whether the strong rules are in effect and stay.
func (c *Core) underStrong() bool {
	cur := c.limbo.Current()
	return cur.Rules == terms.Strong && c.members.kinds.tarantools == 0
}

// noteWish takes down what the configuration of an instance asks for. What we
// cannot read is no wish: nobody could go by a row that says so.
func (c *Core) noteWish(from uint32, wish string) {
	if !isID(from) || c.peers.wishes[from] == wish || c.cfg.ParseQuorum == nil {
		return
	}
	if _, err := c.cfg.ParseQuorum(wish); err != nil {
		wish = ""
	}
	c.members.alignQuorum = c.members.alignQuorum || c.peers.wishes[from] != wish
	c.peers.wishes[from] = wish
}

// stepQuorum writes the row of the quorum where it is missing, and follows the
// files of a majority of voters.
func (c *Core) stepQuorum() {
	if !c.members.alignQuorum || !c.lead.leading || !c.writable() || !c.SharesQuorum() {
		return
	}
	c.members.alignQuorum = false
	c.peers.wishes[c.members.self] = c.cfg.Quorum
	value, files := readQuorum(c.box.NewestSetting(quorumKey))
	wish := c.peers.majorityWish(&c.members.confirmed)
	switch {
	case value == "":
		c.putQuorum(c.cfg.Quorum, c.cfg.Quorum, Request{Internal: true})
	case wish != "" && !sameFormula(wish, files):
		c.putQuorum(wish, wish, Request{Internal: true})
	}
}

// majorityWish is the value that the files of a majority of voters name.
func (p *peers) majorityWish(of *configuration) string {
	for id, wish := range p.wishes {
		same := uint32(0)
		for other := range p.wishes {
			if p.wishes[other] != "" && sameFormula(p.wishes[other], wish) {
				same |= 1 << other
			}
		}
		if of.has(uint32(id)) && 2*bits.OnesCount32(same&of.voters) > bits.OnesCount32(of.voters) {
			return wish
		}
	}
	return ""
}

func sameFormula(a, b string) bool {
	return strings.ReplaceAll(a, " ", "") == strings.ReplaceAll(b, " ", "")
}

// putQuorum changes the quorum of the replica set, for a client or by itself.
func (c *Core) putQuorum(value, files string, from Request) {
	from.Barrier = true
	from.Do = func(tx *box.Txn) ([]byte, error) {
		d := xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSchema, Tuple: quorumTuple(value, files)}
		if bytes.Equal(d.Tuple, c.box.NewestSetting(quorumKey)) {
			return noValues, nil
		}
		err := tx.ExecuteInternal(&d)
		c.trace(FactQuorum, 0, 0, value)
		return noValues, err
	}
	c.gate.chores = append(c.gate.chores, from)
}

// setQuorum is box.cfg{replication_synchro_quorum}. Where the quorum is not a row
// it is this instance's own, as in Tarantool.
func (c *Core) setQuorum(ev SetQuorum) {
	switch {
	case !c.SharesQuorum():
		c.cfg.SynchroQuorum, c.cfg.Quorum = ev.Rule, ev.Text
		c.refreshNewest()
		c.raft.Show() // what our configuration asks for
		c.eff.reply(ev.Conn, ev.Sync, noValues, nil)
	case !c.writable():
		c.eff.reply(ev.Conn, ev.Sync, nil, c.readonly())
	default:
		_, files := readQuorum(c.box.NewestSetting(quorumKey))
		if files == "" {
			files = c.cfg.Quorum
		}
		c.putQuorum(ev.Text, files, Request{Conn: ev.Conn, Sync: ev.Sync})
	}
}
