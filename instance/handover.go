package instance

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// A leader moves its role by a row, HANDOVER, that says who is to lead next: a CONFIRM
// with a key of ours. It confirms what was committed when it was written, and is the last
// row of its term: whoever holds it leaves the election to the target for a while
// (raft.HandOver), and the target campaigns at once. docs/protocol/handover.md has the
// rules, test/model tries them.

// Bounds of a switchover.
const (
	DefaultHold   = 5 * time.Second // writes wait so long for the target to have all
	MaxHold       = time.Minute
	DefaultMaxLag = 16 << 20 // bytes
)

// SwitchoverRequest moves leadership to another member (box.ctl.switchover). The answer is
// [{to, name, term, lsn, held}] once that leads: lsn is that of the HANDOVER, held the
// seconds for which writes waited. Any error says who leads, or that nothing has begun.
type SwitchoverRequest struct {
	Conn, Sync uint64
	To         string // name, uuid or ID of a member; empty: whoever holds most
	// Fast writes the row at once. Else writes wait until the target has all.
	Fast   bool
	MaxLag int           // bytes that the target may lack when it begins; 0: [DefaultMaxLag]
	Hold   time.Duration // writes wait so long at most; 0: [DefaultHold]
	By     string        // who asks
	Reason string        // at most 200 bytes
	// Join makes it wait for a move that is under way, wherever that leads, and have its
	// answer; else it is refused then.
	Join bool
	Mandate
}

func (SwitchoverRequest) event() {}

// handover is a move of leadership from when it begins until it is known who leads.
//
// It begins when the transactions of streams that have changed something have ended, or
// have had half of the time for which writes may be held. Before that, nobody waits.
//
// Invariant: until its row is written it can be given up, and what waits goes on; after
// that nothing of ours is written in its term.
type handover struct {
	client              // until: when it is answered whatever has become of it
	also     []client   // who joined, and is answered with it
	move     terms.Move // Kind Switchover
	name     string     // of the target
	fast     bool
	term     uint64
	began    time.Duration
	txns     []*openTxn    // that may still end; nil: none is waited for
	hold     time.Duration // how long writes wait at most
	giveUp   time.Duration // when it is given up if leadership was not handed over, or the waiting for txns
	word     bool          // by a word, not by a row: Tarantool's rules hold
	given    bool          // the row is written, or the word is said
	lsn      uint64        // of the row; 0: there is none
	released time.Duration // when the writes that waited went on; 0: they wait
	asked    uint64        // term of which clients are being told who leads in it
	told     uint64        // and were told
}

// deadline is when a move has to be looked at although nothing happens.
func (h *handover) deadline() time.Duration {
	if !h.given {
		return h.giveUp
	}
	return h.until
}

// answers tells whoever asked.
func (h *handover) answers(eff *Effects, data []byte, err *xrow.Error) {
	eff.reply(h.conn, h.sync, data, err)
	for _, a := range h.also {
		eff.reply(a.conn, a.sync, data, err)
	}
}

// moving tells whether nothing of ours may begin, and requests wait: leadership is about
// to move, or has, and it is not known where.
func (l *leadership) moving() bool {
	return l.leading && l.handed || l.move != nil && l.move.released == 0 && l.move.txns == nil
}

// switchover begins a move, or says why not.
func (c *Core) switchover(ev SwitchoverRequest) {
	if h := c.lead.move; h != nil && ev.Join {
		h.also = append(h.also, client{conn: ev.Conn, sync: ev.Sync})
		return
	}
	h, err := c.planHandover(&ev)
	if err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	c.lead.move = h
	c.gate.moving = c.lead.moving()
	c.trace(FactHandoverBegins, h.move.To, 0, h.move.Reason)
}

// planHandover checks all that can be known before writes are held.
func (c *Core) planHandover(ev *SwitchoverRequest) (*handover, *xrow.Error) {
	if err := c.refuseLeading(); err != nil {
		return nil, err
	}
	cur, refused := c.limbo.Current(), c.refuseMandate(&ev.Mandate)
	switch {
	case len(ev.Reason) > terms.MaxMoveText:
		return nil, &xrow.Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf("the reason of a switchover has at most %d bytes, not %d", terms.MaxMoveText, len(ev.Reason))}
	case ev.Hold < 0 || ev.Hold > MaxHold:
		return nil, &xrow.Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf("a switchover holds writes for %v at most, not %v", MaxHold, ev.Hold)}
	case ev.MaxLag < 0:
		return nil, &xrow.Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf("the lag of a target is a number of bytes, not %d", ev.MaxLag)}
	case !c.writable():
		return nil, c.readonly()
	case !c.lead.leading:
		return nil, refuseSwitchover("there is no leader: elections are off here, and nobody was promoted")
	case refused != nil:
		return nil, refused
	case c.cfg.Supervised && cur.Rules != terms.Strong:
		return nil, refuseSwitchover("a word that hands over in a set with a Tarantool carries no token: demote this instance, and promote the other one")
	case c.cfg.Kind == xrow.Tarantool:
		return nil, refuseSwitchover("this is a Tarantool: call box.ctl.promote() on the one that is to lead")
	case cur.Rules != terms.Strong && ev.Fast:
		return nil, refuseSwitchover("in a set with a Tarantool the target must have all first, or there is a split brain: leave 'fast' away")
	case c.lead.move != nil:
		return nil, refuseSwitchover("another one is under way, to %s (instance %d)", c.lead.move.name, c.lead.move.move.To)
	case c.members.founding > 0:
		return nil, refuseSwitchover("%s", c.foundingText())
	case c.gate.build != nil:
		return nil, refuseSwitchover("a change of the schema is being built; ask again when that is done")
	case c.members.newest != c.members.confirmed || c.gate.choresWait():
		return nil, refuseSwitchover("a change of the members, the quorum or the schema is undecided; ask again when that is decided")
	}
	to, err := c.target(ev)
	if err != nil {
		return nil, err
	}
	hold := ev.Hold
	setDefault(&hold, DefaultHold)
	now := c.now.Mono
	h := &handover{client: client{ev.Conn, ev.Sync, now + hold + c.cfg.ElectionTimeout}, fast: ev.Fast, word: cur.Rules != terms.Strong, term: cur.Term, began: now, giveUp: now + hold,
		name: nameOf(to), move: terms.Move{Kind: terms.Switchover, To: to.ID, By: terms.ClipMove(ev.By), Reason: ev.Reason, Token: ev.Token, Lease: uint64(ev.Lease.Milliseconds())}}
	if ev.Fast {
		return h, nil
	}
	if h.txns = c.txns.writing(); h.txns != nil {
		h.hold, h.giveUp = hold, now+hold/2
		h.until += hold / 2
	}
	return h, nil
}

func refuseSwitchover(format string, args ...any) *xrow.Error {
	return &xrow.Error{Code: xrow.ErrUnsupported, Message: "Switchover is refused: " + fmt.Sprintf(format, args...)}
}

// target is the member that is meant, if it may take over now.
func (c *Core) target(ev *SwitchoverRequest) (*box.Member, *xrow.Error) {
	limit := ev.MaxLag
	if limit == 0 {
		limit = DefaultMaxLag
	}
	if ev.To != "" {
		m := c.members.named(ev.To)
		if m == nil {
			if err := c.refuseReplicaAsMember(ev.To, "lead", "members are "+c.members.names()); err != nil {
				return nil, err
			}
			return nil, refuseSwitchover("'%s' is no member; members are %s", ev.To, c.members.names())
		}
		if why := c.unfit(m, limit); why != "" {
			return nil, refuseSwitchover("%s (instance %d) %s", nameOf(m), m.ID, why)
		}
		return m, nil
	}
	var best *box.Member
	var whys string
	for i := range c.members.ids {
		m := &c.members.ids[i]
		if m.ID == c.members.self {
			continue
		}
		if why := c.unfit(m, limit); why != "" {
			whys += fmt.Sprintf("; %s (instance %d) %s", nameOf(m), m.ID, why)
			continue
		}
		if best == nil || c.prefers(m, best) {
			best = m
		}
	}
	if best == nil {
		return nil, refuseSwitchover("nobody can take over%s", whys)
	}
	return best, nil
}

// named is the member of a name, a uuid or an ID, in this order; nil: there is none.
func (m *members) named(who string) *box.Member {
	at := slices.IndexFunc(m.ids, func(o box.Member) bool { return o.Name == who || o.UUID == who })
	if id, err := strconv.ParseUint(who, 10, 8); at < 0 && err == nil {
		at = slices.IndexFunc(m.ids, func(o box.Member) bool { return uint64(o.ID) == id })
	}
	if at < 0 {
		return nil
	}
	return &m.ids[at]
}

func (m *members) names() (all string) {
	for i := range m.ids {
		if i > 0 {
			all += ", "
		}
		all += nameOf(&m.ids[i])
	}
	return all
}

// unfit tells why a member cannot take over; empty: it can.
func (c *Core) unfit(m *box.Member, maxLag int) string {
	now := c.now.Mono
	switch says := c.peers.unfit[m.ID%uint32(len(c.peers.unfit))]; {
	case m.ID == c.members.self:
		return "leads already"
	case c.members.kinds.tarantools&(1<<m.ID) != 0:
		return "is a Tarantool, which is handed nothing: call box.ctl.promote() there"
	case !c.members.confirmed.has(m.ID):
		return "is no voter yet: it is catching up"
	case !c.raft.Hears(now, m.ID):
		return "gives no word"
	case !c.raft.Acks(now, m.ID):
		return "does not acknowledge rows: its disk, or its connection to here, does not work"
	case says == nil:
		return "is of an earlier version, which knows no handover: use promote there"
	case *says != "":
		return "may not lead: " + *says
	}
	rows, bytes := c.lagOf(m.ID)
	if bytes > maxLag {
		return fmt.Sprintf("lacks %d rows, %d bytes at least; %d bytes are allowed", rows, bytes, maxLag)
	}
	return ""
}

// whyUnfit tells why this instance may not lead; empty: it may.
func (c *Core) whyUnfit() string {
	switch {
	case c.out.failed != nil:
		return "its disk failed"
	case c.out.stalled:
		return "its disk stalls"
	case c.doubted():
		return "its disk is in doubt"
	case c.closing:
		return "it is shutting down"
	case c.cfg.ReadOnly:
		return "it is read-only by its configuration"
	case c.cfg.Mode == raft.Voter:
		return "its election_mode is voter"
	case c.barred():
		return "it is fenced, or takes no writes: tarragon node list"
	}
	return ""
}

// lagOf is how many rows a member lacks, and how many bytes of them at least.
func (c *Core) lagOf(id uint32) (rows uint64, bytes int) {
	mine, theirs := c.out.vclock.Global(), c.peers.acked[id].Global()
	rows = uint64(max(mine.Signature()-theirs.Signature(), 0))
	return rows, c.out.trail.behind(theirs[c.members.self])
}

// Moving is a move of leadership that this instance makes.
type Moving struct {
	To      uint32 // 0: there is none
	Name    string
	For     time.Duration // since it began
	Written bool          // the row is: it cannot be given up any more
	Lacks   uint64        // rows that the target has not on its disk
	By      string
	Reason  string
}

func (c *Core) movingInfo(now time.Duration) Moving {
	h := c.lead.move
	if h == nil {
		return Moving{}
	}
	rows, _ := c.lagOf(h.move.To)
	return Moving{To: h.move.To, Name: h.name, For: now - h.began, Written: h.given, Lacks: rows, By: h.move.By, Reason: h.move.Reason}
}

// stepHandover goes on with a move: it waits until the target has all, writes the row,
// and waits for who leads.
func (c *Core) stepHandover() {
	h, now := c.lead.move, c.now.Mono
	switch {
	case !h.given && c.waitForTxns(h, now):
	case !h.given:
		c.prepareHandover(h, now)
	default:
		c.judgeHandover(h, now)
	}
	c.gate.moving = c.lead.moving()
}

// waitForTxns tells whether the move has not begun yet, since transactions may still end.
func (c *Core) waitForTxns(h *handover, now time.Duration) bool {
	if h.txns == nil {
		return false
	}
	if h.txns = c.txns.stillOpen(h.txns); h.txns != nil && now < h.giveUp && c.lead.leading && c.raft.Term() == h.term {
		return true
	}
	h.txns, h.giveUp = nil, now+h.hold
	return false
}

// prepareHandover writes the row when its time has come, or gives the move up.
func (c *Core) prepareHandover(h *handover, now time.Duration) {
	c.lead.confirmAt = 0 // the row tells it
	m := c.members.named(h.name)
	switch {
	case !c.lead.leading || c.raft.Term() != h.term:
		c.giveUpHandover(h, "leadership was lost before it was handed over")
	case c.out.failed != nil:
		c.giveUpHandover(h, c.out.failed.Error())
	case m == nil || m.ID != h.move.To || c.unfit(m, 1<<62) != "":
		c.giveUpHandover(h, fmt.Sprintf("%s (instance %d) cannot take over any more", h.name, h.move.To))
	case h.word && c.hasAll(h.move.To):
		c.sayHandover(h)
	case !h.word && (h.fast || c.hasAll(h.move.To)):
		c.writeHandover(h)
	case now >= h.giveUp:
		rows, _ := c.lagOf(h.move.To)
		c.giveUpHandover(h, fmt.Sprintf("%s (instance %d) lacks %d rows after %v", h.name, h.move.To, rows, now-h.began))
	}
}

// hasAll tells whether a member has all that we have on its disk.
func (c *Core) hasAll(id uint32) bool {
	mine := c.out.vclock.Global()
	return c.peers.acked[id].Covers(&mine)
}

// giveUpHandover lets what waited go on, here or nowhere.
func (c *Core) giveUpHandover(h *handover, why string) {
	c.trace(FactHandoverGivenUp, h.move.To, 0, why)
	h.answers(&c.eff, nil, &xrow.Error{Code: xrow.ErrUnsupported, Message: "Switchover was given up, nothing has moved: " + why})
	c.lead.move = nil
}

// writeHandover writes the last row of our term.
func (c *Core) writeHandover(h *handover) {
	lsn := c.limbo.Confirmed()
	owner, named := c.limbo.Tell(lsn)
	h.move.Gap = micros(c.now.Mono - h.began)
	body := xrow.Synchro{ReplicaID: owner, LSN: named, Move: &h.move}
	if named != lsn {
		body.StrongLSN = lsn
	}
	h.lsn = c.out.addSynchro(c.author(), xrow.Confirm, &body, 0)
	c.limbo.Held(c.members.self, h.term, h.lsn)
	c.handedOver(h)
}

func (c *Core) handedOver(h *handover) {
	h.given, c.lead.handed, c.lead.confirmAt = true, true, 0
	c.trace(FactHandedOver, h.move.To, h.lsn, h.move.Reason)
	c.raft.HandOver(c.now.Mono, h.term, h.move.To)
}

// sayHandover hands over under Tarantool's rules, where a PROMOTE that leaves out a row is a
// split brain and a term may end without a row: the target has all, and nothing is written
// behind the word in this term, whether it is heard or not (test/model, word.go).
func (c *Core) sayHandover(h *handover) {
	c.lead.word = &h.move
	c.handedOver(h)
	c.raft.Show()
}

// heardMove takes the word of our leader that we are to lead. One of another term, or of
// somebody whom we do not follow, is none.
func (c *Core) heardMove(from uint32, m *terms.Move) {
	if c.raft.Leader() != from || m.To != c.members.self || m.Kind != terms.Switchover || c.limbo.Current().Rules == terms.Strong {
		return
	}
	c.trace(FactHandedOver, m.To, 0, m.Reason)
	c.raft.HandOver(c.now.Mono, c.raft.Term(), m.To)
}

// takeHandover: the log has the HANDOVER of a leader now.
func (c *Core) takeHandover(a *arrival) {
	if a.logged {
		return // replayed it does nothing: who comes back is a follower
	}
	r := a.last()
	if r.Term != c.raft.Term() {
		return // a CONFIRM, and nothing else
	}
	c.lead.heir, c.lead.heirOf, c.lead.heirAt = *a.synchro.Move, r.Term, c.now.Mono
	c.trace(FactHandedOver, a.synchro.Move.To, r.LSN, a.synchro.Move.Reason)
	c.raft.HandOver(c.now.Mono, r.Term, a.synchro.Move.To)
	c.afterRaft()
}

// leaderTold goes on with what waits for it.
func (c *Core) leaderTold(ev LeaderTold) {
	if h := c.lead.move; h != nil {
		h.told = max(h.told, ev.Term)
	}
}

// judgeHandover answers who asked once it is known who leads.
func (c *Core) judgeHandover(h *handover, now time.Duration) {
	cur := c.limbo.Current()
	if cur.Term > h.term && h.told < cur.Term && now < h.until {
		if h.asked < cur.Term {
			h.asked, c.eff.Tell = cur.Term, cur.Term
		}
		return // whoever watches hears who leads before the first write is refused
	}
	if cur.Term > h.term && h.released == 0 {
		h.released = now
		c.forwards.begin(now, c.cfg.HandoverGrace)
	}
	switch {
	case cur.Term > h.term && cur.Owner == h.move.To:
		h.answers(&c.eff, h.answer(cur.Term, now), nil)
	case cur.Term > h.term && cur.Owner != 0:
		h.answers(&c.eff, nil, &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf(
			"Switchover to %s (instance %d) did not come about: instance %d was elected in term %d and leads", h.name, h.move.To, cur.Owner, cur.Term)})
	case now >= h.until:
		h.answers(&c.eff, nil, &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf(
			"Switchover to %s (instance %d) did not come about in time: %s", h.name, h.move.To, c.whoLeads())})
	default:
		return
	}
	if h.released == 0 { // nobody is known to lead yet
		c.forwards.begin(now, c.cfg.HandoverGrace)
	}
	c.lead.move = nil
}

func (c *Core) whoLeads() string {
	if id := c.raft.Leader(); id != 0 {
		return fmt.Sprintf("instance %d was elected in term %d, and its PROMOTE has no quorum yet", id, c.raft.Term())
	}
	return fmt.Sprintf("nobody leads in term %d", c.raft.Term())
}

// answer is the DATA of a switchover that came about.
func (h *handover) answer(term uint64, now time.Duration) []byte {
	held := h.released
	setDefault(&held, now)
	b := append([]byte{0xdd, 0, 0, 0, 1, 0x85}, msgp.AppendString(nil, "to")...)
	b = msgp.AppendString(msgp.AppendUint32(b, h.move.To), "name")
	b = msgp.AppendString(msgp.AppendString(b, h.name), "term")
	b = msgp.AppendString(msgp.AppendUint64(b, term), "lsn")
	b = msgp.AppendString(msgp.AppendUint64(b, h.lsn), "held")
	return msgp.AppendFloat64(b, (held - h.began).Seconds())
}
