package instance

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Schedules in which who counts changes while somebody is cut off. Each was
// found by reading, or lost an acknowledged write once; docs/protocol/membership.md
// has the rules. A schedule carries the words between cores by hand, and in all
// of them the world watches the two things that matter: one leader in a term, and
// what was acknowledged is there wherever somebody may write later.

// world is some cores whose disks sync at once.
type world struct {
	t     *testing.T
	now   Now
	hosts []*host
	cuts  map[[2]*host]bool

	leaders map[uint64]*host  // by term
	told    map[uint64]uint64 // acknowledged keys, with the term in which they were
	sync    uint64
}

// host is one core.
type host struct {
	w        *world
	name     string
	id       uint32
	core     *Core
	log      []*xrow.Group
	answers  map[uint64]*xrow.Error
	states   map[uint64]Snapshot
	expelled bool
	asked    map[uint64]uint64 // keys by the sync of their request
}

func newWorld(t *testing.T) *world {
	return &world{t: t, now: Now{Mono: start, Wall: 1}, cuts: map[[2]*host]bool{}, leaders: map[uint64]*host{}, told: map[uint64]uint64{}}
}

// add makes a core over a box that load fills, behind a state.
func (w *world) add(name string, id, uuid uint32, quorum string, st State, load func(b *box.Box) error) *host {
	w.t.Helper()
	h := &host{w: w, name: name, id: id, answers: map[uint64]*xrow.Error{}, states: map[uint64]Snapshot{}, asked: map[uint64]uint64{}}
	b := box.New(box.Config{})
	rule, err := parseQuorum(quorum)
	if err != nil {
		w.t.Fatal(err)
	}
	h.core, err = New(Config{UUID: uuidOf(uuid), Mode: ModeCandidate, Rand: rand.New(rand.NewPCG(7, uint64(id))), SynchroQuorum: rule,
		Quorum: quorum, ParseQuorum: parseQuorum, Trace: func(f Fact) {
			if f.Kind == FactKind(raft.FactLeader) {
				w.leads(h, f.Term)
			}
			if f.Kind != FactCommitted {
				w.t.Logf("  %s: %s term %d, %d:%d %s", name, f.Kind, f.Term, f.Peer, f.LSN, f.Text)
			}
		}}, b)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := load(b); err != nil {
		w.t.Fatal(err)
	}
	if err := b.LoadDone(); err != nil {
		w.t.Fatal(err)
	}
	if err := h.core.Restore(st); err != nil {
		w.t.Fatal(err)
	}
	w.hosts = append(w.hosts, h)
	h.core.Start(w.now)
	h.step()
	return h
}

// member makes one of n members that begin together, with a synchronous space.
func (w *world) member(id uint32, n int, quorum string) *host {
	w.t.Helper()
	return w.add(string(rune('A'+id-1)), id, id, quorum, State{Term: 1, NextGroup: 1}, func(b *box.Box) error {
		rows := box.BootstrapRows(box.Profile3_8_0, uuidOf(99), uuidOf(1), "", "")
		rows = slices.DeleteFunc(rows, func(r xrow.DML) bool { return r.SpaceID == xrow.SpaceCluster })
		add := func(space uint32, tuple []byte) { rows = append(rows, xrow.DML{SpaceID: space, Tuple: tuple}) }
		for m := range uint32(n) {
			add(xrow.SpaceCluster, MemberTuple(m+1, uuidOf(m+1), string(rune('a'+m)), uint64(m+1)))
		}
		row := msgp.AppendString(append(msgp.AppendUint64([]byte{0x97}, 512), 1), "sync")
		row = append(msgp.AppendString(append(msgp.AppendString(row, "memtx"), 0, 0x81), "is_sync"), 0xc3)
		add(280, append(row, 0x90))
		add(288, indexRow(512))
		slices.SortStableFunc(rows, func(a, b xrow.DML) int { return int(a.SpaceID) - int(b.SpaceID) })
		for _, r := range rows {
			if err := b.Load(r.SpaceID, r.Tuple); err != nil {
				return err
			}
		}
		return nil
	})
}

// set is n members, all linked; the first leads.
func (w *world) set(n int, quorum string) []*host {
	w.t.Helper()
	for id := range uint32(n) {
		h := w.member(id+1, n, quorum)
		for _, o := range w.hosts[:id] {
			w.link(o, h)
		}
	}
	if !w.elect(w.hosts[0]) {
		w.t.Fatalf("%v does not lead", w.hosts[0])
	}
	w.write(w.hosts[0], 10)
	w.settle()
	w.mustTell(10)
	return slices.Clone(w.hosts)
}

func (w *world) three(quorum string) (a, b, c *host) {
	w.t.Helper()
	all := w.set(3, quorum)
	return all[0], all[1], all[2]
}

// joined makes an instance of the state that a JOIN of that tag gave.
func (w *world) joined(name string, uuid uint32, from *host, tag uint64) *host {
	w.t.Helper()
	s, ok := from.states[tag]
	if !ok || s.Err != nil {
		w.t.Fatalf("%s gives no state: %t, %v", from.name, ok, s.Err)
	}
	st := s.State
	st.Undecided, st.NextGroup = nil, 1
	h := w.add(name, s.ID, uuid, from.core.cfg.Quorum, st, func(b *box.Box) error {
		var c box.Cursor
		for more := true; more; {
			var err error
			more, err = s.View.Next(&c, 1000, func(space uint32, tuple []byte) error { return b.Load(space, slices.Clone(tuple)) })
			if err != nil {
				return err
			}
		}
		return nil
	})
	from.step(CloseView{View: s.View})
	return h
}

// step runs a core with a disk that answers at once.
func (h *host) step(events ...Event) {
	h.w.t.Helper()
	e := h.core.Step(h.w.now, events)
	for {
		for _, r := range e.Replies {
			h.answers[r.Sync] = r.Err
			if key, ok := h.asked[r.Sync]; ok && r.Err == nil {
				h.w.told[key] = h.core.raft.Term()
			}
		}
		for _, s := range e.Snaps {
			h.states[s.Tag] = s
		}
		h.expelled = h.expelled || e.Expelled
		if e.Fatal != nil {
			h.w.t.Errorf("%s: %v", h.name, e.Fatal)
		}
		h.watch()
		if e.Group == nil {
			return
		}
		h.log = append(h.log, e.Group)
		e = h.core.Step(h.w.now, []Event{Written{Group: e.GroupNo}})
	}
}

// leads is the checker of leaders.
func (w *world) leads(h *host, term uint64) {
	if other := w.leaders[term]; other != nil && other != h {
		w.t.Errorf("%s and %s lead in term %d", h.name, other.name, term)
	}
	w.leaders[term] = h
}

// watch is the checker of what was acknowledged.
func (h *host) watch() {
	h.w.t.Helper()
	term := h.core.raft.Term()
	if !h.core.writable() {
		return
	}
	have := h.keys()
	for key, in := range h.w.told {
		if in <= term && !slices.Contains(have, key) {
			h.w.t.Errorf("%s takes writes in term %d without the row %d, which was acknowledged in term %d", h.name, term, key, in)
			delete(h.w.told, key) // said once
		}
	}
}

// keys are what a default read shows.
func (h *host) keys() (out []uint64) {
	h.w.t.Helper()
	raw, n, err := h.core.Box().Select(box.UserAdmin, &box.Query{Space: 512, Iterator: box.ALL, Limit: 100}, nil)
	if err != nil {
		h.w.t.Fatal(err)
	}
	for range n {
		key, used, _ := mp.ReadUint(raw[1:])
		out = append(out, key)
		raw = raw[1+used:]
	}
	return out
}

func (h *host) String() string {
	i := h.core.Info(h.w.now.Mono)
	return fmt.Sprintf("%s(%d) %s of term %d, voters %b quorum %d, newest %b quorum %d, keys %v", h.name, h.id, i.State, i.Term,
		h.core.members.confirmed.voters, h.core.members.confirmed.synchroQuorum, h.core.members.newest.voters, h.core.members.newest.synchroQuorum, h.keys())
}

// link lets two follow each other.
func (w *world) link(a, b *host) {
	for _, p := range [][2]*host{{a, b}, {b, a}} {
		delete(w.cuts, p)
		p[1].step(Downstream{Peer: p[0].id, Up: true, Kind: xrow.Tarragon, VClock: p[0].core.Info(0).Synced})
		p[1].step(Upstream{Peer: p[0].id, State: UpstreamFollow, Kind: xrow.Tarragon})
		w.show(p[0], p[1])
	}
}

// cut parts two from each other.
func (w *world) cut(a, b *host) {
	for _, p := range [][2]*host{{a, b}, {b, a}} {
		w.cuts[p] = true
		p[1].step(Upstream{Peer: p[0].id, State: UpstreamLost}, Downstream{Peer: p[0].id})
	}
}

// isolate parts some from all others.
func (w *world) isolate(some ...*host) {
	for _, a := range some {
		for _, b := range w.hosts {
			if !slices.Contains(some, b) && !w.cuts[[2]*host{a, b}] {
				w.cut(a, b)
			}
		}
	}
}

// heal links all.
func (w *world) heal() {
	for i, a := range w.hosts {
		for _, b := range w.hosts[i+1:] {
			if w.cuts[[2]*host{a, b}] {
				w.link(a, b)
			}
		}
	}
	w.settle()
}

// show carries what one shows of its election state.
func (w *world) show(from, to *host) {
	m := toRaftBody(from.core.raft.Shown(&from.core.out.vclock))
	m.Quorum = from.core.cfg.Quorum
	to.step(RaftMsg{From: from.id, Msg: *m})
}

// send carries the rows that the other lacks, of the first groups of a log only.
func (w *world) send(from, to *host, groups int) {
	w.t.Helper()
	pos := to.core.out.vclock.Global()
	if len(from.log) > 0 && !pos.Covers(&from.log[0].Before) {
		return // its log begins behind that
	}
	for _, g := range from.log[:min(groups, len(from.log))] {
		var rows []xrow.Row
		for _, run := range g.Cut(&pos, 0, nil, nil) {
			for _, f := range splitFrames(run) {
				r, err := xrow.Decode(f[xrow.FrameHead:])
				if err != nil {
					w.t.Fatal(err)
				}
				rows = append(rows, r)
			}
		}
		if len(rows) > 0 {
			to.step(Rows{From: from.id, Rows: rows})
		}
	}
}

const whole = 1 << 30 // of a log

func (w *world) ack(from, to *host) {
	v := from.core.out.onDisk
	to.step(&Ack{From: from.id, VClock: v.Global(), Term: from.core.raft.Saved().Term, Sync: to.core.beats.sync})
}

// carry takes all words between two, both ways, rows too.
func (w *world) carry(a, b *host) {
	w.t.Helper()
	if w.cuts[[2]*host{a, b}] {
		return
	}
	for _, p := range [][2]*host{{a, b}, {b, a}} {
		w.show(p[0], p[1])
		w.send(p[0], p[1], whole)
		w.ack(p[1], p[0])
	}
}

// settle carries everything between all, until what was begun has ended.
func (w *world) settle() {
	w.t.Helper()
	for range 6 {
		for i, a := range w.hosts {
			for _, b := range w.hosts[i+1:] {
				w.carry(a, b)
			}
		}
		w.pass(2 * time.Millisecond)
	}
}

// pass lets time pass for all.
func (w *world) pass(d time.Duration) {
	w.now.Mono += d
	for _, h := range w.hosts {
		h.step()
	}
}

// silence lets some hear nothing of each other for longer than a death timeout,
// while all others go on as before.
func (w *world) silence(carry ...[2]*host) {
	w.t.Helper()
	for range 7 {
		w.now.Mono += 200 * time.Millisecond
		for _, p := range carry {
			p[0].step(Heartbeat{From: p[1].id})
			p[1].step(Heartbeat{From: p[0].id})
			w.ack(p[1], p[0])
		}
	}
}

// elect makes one stand for election and carries everything. It tells whether
// it leads and takes writes in the end.
func (w *world) elect(h *host) bool {
	w.t.Helper()
	w.campaign(h)
	w.settle()
	w.t.Logf("after the election: %v", h)
	return h.core.writable()
}

// campaign lets one stand until it leads, three times at most.
func (w *world) campaign(h *host) {
	w.t.Helper()
	w.pass(1100 * time.Millisecond)
	for range 3 {
		if w.stand(h); h.core.raft.State() == raft.StateLeader {
			return
		}
	}
}

// stand makes one stand by hand, which asks nobody whether it should, and carries
// its words and the answers.
func (w *world) stand(h *host) {
	h.step(PromoteRequest{Conn: 1, Sync: 1 << 40})
	for _, v := range w.hosts {
		if v != h && !w.cuts[[2]*host{h, v}] {
			w.show(h, v)
			w.show(v, h)
		}
	}
}

// noneElected: none of those can lead, whoever tries, and in which order.
func (w *world) noneElected(who ...*host) {
	w.t.Helper()
	for _, h := range append(who, who...) {
		if w.elect(h) {
			w.t.Errorf("%v was elected", h)
		}
	}
}

func (w *world) write(h *host, key uint64) {
	w.sync++
	h.asked[w.sync] = key
	tuple := msgp.AppendUint64([]byte{0x91}, key)
	h.step(Write{Requests: []Request{{Conn: 1, Sync: w.sync, User: box.UserAdmin, DML: xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: tuple}}}})
}

// expel is what tarragon.expel writes.
func (w *world) expel(h *host, id uint32) (sync uint64) {
	w.sync++
	h.step(Write{Requests: []Request{{Conn: 1, Sync: w.sync, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		return noValues, deleteMember(tx, id)
	}}}})
	return w.sync
}

// setQuorum is box.cfg{replication_synchro_quorum}.
func (w *world) setQuorum(h *host, text string) (sync uint64) {
	w.sync++
	rule, err := parseQuorum(text)
	if err != nil {
		w.t.Fatal(err)
	}
	h.step(SetQuorum{Conn: 1, Sync: w.sync, Text: text, Rule: rule})
	return w.sync
}

func (w *world) join(h *host, tag uint64, uuid uint32, name string, incarnation uint64) {
	h.step(JoinRequest{Tag: tag, UUID: uuidOf(uuid), Name: name, Incarnation: incarnation})
}

func (w *world) mustTell(keys ...uint64) {
	w.t.Helper()
	for _, key := range keys {
		if w.told[key] == 0 {
			w.t.Errorf("the write of %d was not acknowledged", key)
		}
	}
}

func (w *world) mustNotTell(key uint64) {
	w.t.Helper()
	if w.told[key] != 0 {
		w.t.Errorf("the write of %d was acknowledged, and cannot be kept", key)
	}
}

// counts: a host's two configurations are these.
func (h *host) counts(confirmed, newest uint32, quorum int) {
	h.w.t.Helper()
	if c, n := h.core.members.confirmed, h.core.members.newest; c.voters != confirmed || n.voters != newest || n.synchroQuorum != quorum {
		h.w.t.Errorf("%s counts %b, newest %b by a quorum of %d; wanted %b, %b and %d", h.name, c.voters, n.voters, n.synchroQuorum,
			confirmed, newest, quorum)
	}
}

// end heals everything, and all agree in the end.
func (w *world) end() {
	w.t.Helper()
	w.heal()
	var leads *host
	for _, h := range w.hosts {
		if !h.expelled && (leads == nil || h.core.out.vclock.Covers(&leads.core.out.vclock)) {
			leads = h
		}
	}
	if !w.elect(leads) {
		w.t.Fatalf("%v does not lead although all are there", leads)
	}
	w.write(leads, 99)
	w.settle()
	w.mustTell(99)
	for _, h := range w.hosts {
		if h.expelled {
			continue
		}
		for key := range w.told {
			if !slices.Contains(h.keys(), key) {
				w.t.Errorf("%v does not show %d", h, key)
			}
		}
		if h.core.members.confirmed != leads.core.members.confirmed {
			w.t.Errorf("%v counts otherwise than %v", h, leads)
		}
	}
}

// members of three by their bits.
const (
	ab   = 1<<1 | 1<<2
	abc  = ab | 1<<3
	abd  = ab | 1<<4
	abcd = abc | 1<<4
)

// A joiner's connection breaks before anybody of the old members has the CONFIRM
// of its row, and it asks again. It gets the state, and counts for nothing: only
// a second change makes a voter of it, which a quorum of the old members must
// have as well. Then the leader and the joiner are cut off from the others.
func TestRepeatedJoin(t *testing.T) {
	for name, quorum := range map[string]string{"fixed quorum": "2", "majority": "N / 2 + 1"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b, c := w.three(quorum)
			w.cut(a, c)
			w.silence([2]*host{a, b}, [2]*host{b, c})
			d := w.joinsTwice(a, b, 7, "d")
			w.carry(a, d) // it asks for a second change, which B has not
			a.counts(abc, abcd, w.size(quorum, 4))
			w.write(a, 20)
			w.carry(a, d)
			w.carry(a, d)
			w.mustNotTell(20)
			w.isolate(a, d)
			if !w.elect(b) {
				t.Error("B and C are a quorum of those who count, and do not elect")
			}
			w.end()
		})
	}
}

// The same, and one of the others has the row of the second change when it is
// cut off. So it is committed, and the joiner's acks count: what B and C know
// must not elect a leader without it.
func TestRepeatedJoinCounts(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.three("2")
	w.cut(a, c)
	w.silence([2]*host{a, b}, [2]*host{b, c})
	d := w.joinsTwice(a, b, 7, "d")
	w.send(a, d, whole)
	w.ack(d, a) // the second change is written
	a.counts(abc, abcd, 2)
	w.send(a, b, whole)
	w.cut(b, c)
	w.ack(b, a)
	w.cut(a, b) // before its CONFIRM came to B
	a.counts(abcd, abcd, 2)
	b.counts(abc, abcd, 2)
	w.write(a, 20)
	w.carry(a, d)
	w.carry(a, d)
	w.mustTell(20)
	w.isolate(a, d)
	w.link(b, c)
	w.noneElected(b, c)
	w.end()
}

// joinsTwice: a new instance asks A, B gets and acks its row but not the CONFIRM,
// the connection breaks, and it asks again.
func (w *world) joinsTwice(a, b *host, uuid uint32, name string) *host {
	w.t.Helper()
	w.join(a, 100, uuid, name, 77)
	if _, ok := a.states[100]; ok {
		w.t.Fatal("the first JOIN is answered before its row is committed")
	}
	w.send(a, b, whole)
	w.ack(b, a)
	w.pass(2 * time.Millisecond)
	w.join(a, 101, uuid, name, 77)
	if b.core.members.confirmed.voters != abc {
		w.t.Fatalf("%v has the CONFIRM", b)
	}
	d := w.joined("D", uuid, a, 101)
	a.counts(a.core.members.confirmed.voters, a.core.members.confirmed.voters, a.core.members.confirmed.synchroQuorum)
	w.isolate(d)
	w.link(a, d)
	return d
}

func (w *world) size(quorum string, n int) int {
	rule, _ := parseQuorum(quorum)
	return rule(n)
}

// A replacement joins under the name of C, which is cut off from the leader but
// alive (the pod was force-deleted, its process runs on), or under its uuid with
// another incarnation (the image was restored). In the row of the replacement C
// is gone and nobody has come: from then on A and B decide, and C elects nobody.
// Then C wakes up.
func TestReplacementOfOneThatLives(t *testing.T) {
	for by, r := range map[string]struct {
		uuid uint32
		name string
	}{"name": {7, "c"}, "uuid": {3, "c"}, "uuid without a name": {3, ""}} {
		t.Run("by "+by, func(t *testing.T) {
			w := newWorld(t)
			a, b, c := w.three("N / 2 + 1")
			w.join(a, 90, r.uuid, r.name, 77)
			if s, ok := a.states[90]; !ok || s.Err == nil {
				t.Errorf("the place of an instance that is heard is given away: %t, %v", ok, s.Err)
			}
			w.cut(a, c)
			w.silence([2]*host{a, b}, [2]*host{b, c})
			d := w.joinsTwice(a, b, r.uuid, r.name)
			a.counts(ab, ab, 2)
			b.counts(abc, ab, 2)
			w.carry(a, d)
			a.counts(ab, abd, 2)
			w.write(a, 20)
			w.carry(a, d)
			w.carry(a, d)
			w.mustNotTell(20) // B has not the second change
			w.isolate(a, d)
			w.noneElected(b, c) // it takes A and B, and C's vote is of an ended life
			w.isolate(c)
			w.heal()
			w.isolate(c)
			if !w.elect(a) {
				t.Fatalf("%v does not lead", a)
			}
			a.counts(abd, abd, 2)
			w.write(a, 30)
			w.settle()
			w.mustTell(30)
			w.isolate(b)
			w.link(b, c) // B knows that C is no member; C does not
			c.step(PromoteRequest{Conn: 1, Sync: 1})
			w.show(c, b)
			w.show(b, c)
			if c.core.raft.State() == raft.StateLeader {
				t.Error("an ended life leads")
			}
			w.heal()
			if !c.expelled {
				t.Errorf("%v goes on although its place is somebody else's", c)
			}
			w.end()
		})
	}
}

// The quorum is lowered to one at the leader. That counts once a quorum of the
// old size has it: until then the leader acknowledges nothing by itself, and from
// then on the others elect nobody without it.
func TestQuorumLowered(t *testing.T) {
	t.Run("nobody has it", func(t *testing.T) {
		w := newWorld(t)
		a, b, c := w.three("N / 2 + 1")
		told := w.setQuorum(a, "1")
		w.setQuorum(a, "3")
		a.counts(abc, abc, 1) // one change after the other
		w.write(a, 20)
		w.isolate(a)
		w.mustNotTell(20)
		if _, ok := a.answers[told]; ok {
			t.Error("the change is told to be done before anybody else has it")
		}
		if !w.elect(b) {
			t.Error("B and C do not elect, and nothing is known to have changed")
		}
		_ = c
		w.end()
	})
	t.Run("one has it", func(t *testing.T) {
		w := newWorld(t)
		a, b, c := w.three("N / 2 + 1")
		told := w.setQuorum(a, "1")
		w.send(a, b, whole)
		w.cut(b, c) // C hears nothing of it
		w.ack(b, a)
		w.isolate(a) // and B not that it is decided
		if err, ok := a.answers[told]; !ok || err != nil {
			t.Errorf("two of three have the change, and it is not told to be done: %t, %v", ok, err)
		}
		w.write(a, 20)
		w.mustTell(20)
		w.link(b, c)
		w.noneElected(b, c)
		w.end()
	})
	t.Run("all have it", func(t *testing.T) {
		w := newWorld(t)
		a, b, c := w.three("N / 2 + 1")
		w.setQuorum(a, "1")
		w.settle()
		w.isolate(a)
		w.write(a, 20)
		w.mustTell(20)
		w.noneElected(b, c)
		w.cut(b, c)
		w.link(a, c)
		w.noneElected(a, c) // who acknowledged alone could be B
		w.end()
	})
	t.Run("and raised", func(t *testing.T) {
		w := newWorld(t)
		a, b, _ := w.three("N / 2 + 1")
		w.setQuorum(a, "1")
		w.settle()
		w.isolate(a, b)
		w.setQuorum(a, "3")
		w.settle()
		w.write(a, 20)
		w.settle()
		w.mustNotTell(20) // by the new quorum all must have it
		w.isolate(a)
		w.noneElected(b)
		w.end()
	})
}

// A change is undecided at A and B when C is cut off. It takes a quorum by both
// sizes to commit it, and what comes behind it.
func TestQuorumRaised(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.three("N / 2 + 1")
	w.isolate(c)
	told := w.setQuorum(a, "3")
	w.write(a, 20)
	w.settle()
	a.counts(abc, abc, 3)
	if _, ok := a.answers[told]; ok {
		t.Error("the change is told to be done, and by the new quorum it is not")
	}
	if w.elect(b) {
		t.Error("B takes writes, and nobody knows whether it must wait for C")
	}
	w.mustNotTell(20)
	w.end()
	if c.core.members.confirmed.synchroQuorum != 3 {
		t.Errorf("%v: what A began, B has confirmed", c)
	}
}

// The leader of five writes a greater quorum, which nobody else gets, and the
// others go on under the smaller one. By the greater quorum fewer votes elect,
// but that was never decided: it takes as many as before, too.
func TestQuorumRaisedByOneCutOff(t *testing.T) {
	w := newWorld(t)
	all := w.set(5, "2")
	a, b, c, d, e := all[0], all[1], all[2], all[3], all[4]
	w.isolate(a)
	w.setQuorum(a, "3")
	w.campaign(b)
	w.isolate(b, c) // D and E have voted for it, and know no more
	w.settle()
	w.write(b, 20)
	w.settle()
	w.mustTell(20)
	w.link(a, d)
	w.link(a, e)
	w.noneElected(a)
	w.end()
}

// A and B stand in one term; A has the votes of three, B of two. Then B gets A's
// rows, by which two of A's voters are no members any more. B's two votes would
// be enough of those who are left, and have not won A's term by that.
func TestCandidateOfOtherMembers(t *testing.T) {
	w := newWorld(t)
	all := w.set(5, "N / 2 + 1")
	a, b, c, d, e := all[0], all[1], all[2], all[3], all[4]
	w.isolate(b, e)
	w.pass(1100 * time.Millisecond)
	w.stand(a)
	w.stand(b)
	if a.core.raft.Term() != b.core.raft.Term() {
		t.Fatalf("%v and %v are no rivals", a, b)
	}
	rowsOnly := func() { // of A come to B, and not its word that it leads
		for range 3 {
			for _, to := range []*host{b, c, d} {
				w.send(a, to, whole)
				w.ack(to, a)
			}
			w.pass(time.Millisecond)
		}
	}
	rowsOnly()
	w.expel(a, c.id)
	rowsOnly()
	w.expel(a, d.id)
	rowsOnly()
	b.counts(ab|1<<5, ab|1<<5, 2)
	w.show(e, b)
	w.ack(b, a)
	if a.core.raft.State() != raft.StateLeader {
		t.Errorf("%v has a quorum, and gave up", a)
	}
	w.end()
}

// What the files of a majority of voters name becomes the quorum; what those of
// a minority name does not, and neither does a file that was left behind when
// box.cfg changed it.
func TestFilesThatDiffer(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.three("N / 2 + 1")
	restart := func(h *host, quorum string) { // with another file
		h.core.cfg.Quorum = quorum
		h.core.raft.Show()
		w.settle()
	}
	restart(b, "3")
	a.counts(abc, abc, 2)
	restart(c, "3")
	for _, h := range w.hosts {
		h.counts(abc, abc, 3)
	}
	w.setQuorum(a, "1")
	w.settle()
	for _, h := range w.hosts {
		h.counts(abc, abc, 1)
	}
	restart(b, "3") // the same as before
	c.counts(abc, abc, 1)
	if !w.elect(b) {
		t.Fatal("B does not lead although all are there")
	}
	c.counts(abc, abc, 1) // a new leader asks nobody to go back
	restart(a, "3")
	restart(b, "2")
	restart(c, "2") // and now a majority names something else
	for _, h := range w.hosts {
		h.counts(abc, abc, 2)
	}
	w.write(b, 20)
	w.settle()
	w.mustTell(20)
	w.end()
}

// A majority's files lower the quorum while one is cut off: as in
// TestQuorumLowered.
func TestFilesThatDifferCutOff(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.three("N / 2 + 1")
	w.cut(a, c)
	w.cut(b, c)
	a.core.cfg.Quorum, b.core.cfg.Quorum = "1", "1"
	w.show(b, a) // it is a majority with A's own
	a.counts(abc, abc, 1)
	if a.core.members.confirmed.synchroQuorum != 2 {
		t.Errorf("%v obeys a change that nobody else has", a)
	}
	w.send(a, b, whole)
	w.ack(b, a)
	w.cut(a, b)
	w.write(a, 20)
	w.mustTell(20)
	w.link(b, c)
	w.noneElected(b, c)
	w.end()
}

// A linearizable read at an instance that knows the old members only. It asks
// one of them, and neither was in the quorum of the write.
func TestLinearizableReadOfOldMembers(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.three("2")
	w.cut(a, b)
	w.silence([2]*host{a, c}, [2]*host{b, c})
	w.join(a, 100, 7, "d", 77)
	w.send(a, c, whole)
	w.ack(c, a)
	w.pass(2 * time.Millisecond)
	d := w.joined("D", 7, a, 100)
	w.isolate(d)
	w.link(a, d)
	w.send(a, d, whole)
	w.ack(d, a)
	w.send(a, c, whole)
	w.ack(c, a) // C holds that D counts, not that this is decided; B nothing
	w.cut(a, c)
	a.counts(abcd, abcd, 2)
	c.counts(abc, abcd, 2)
	b.counts(abc, abc, 2)
	w.write(a, 20)
	w.carry(a, d)
	w.carry(a, d)
	w.mustTell(20)
	b.step(LinearRead{Conn: 1, Sync: 500})
	for range 3 {
		w.ack(c, b)
		w.send(c, b, whole)
		w.ack(b, c)
		w.pass(time.Millisecond)
	}
	if err, ok := b.answers[500]; ok && err == nil {
		t.Errorf("%v answers a linearizable read", b)
	}
	w.link(b, a)
	for range 3 {
		w.carry(b, a)
		w.ack(a, b)
		w.pass(time.Millisecond)
	}
	if err, ok := b.answers[500]; !ok || err != nil || !slices.Contains(b.keys(), 20) {
		t.Errorf("%v does not answer with what it heard of A: %t, %v", b, ok, err)
	}
	w.end()
}

// A set grows from one to three. The leader changes between the row that
// registers a member and the one by which it counts; the next leader goes on
// with it, and a repeated JOIN there gets the same ID.
func TestGrowth(t *testing.T) {
	w := newWorld(t)
	a := w.member(1, 1, "N / 2 + 1")
	if !w.elect(a) {
		t.Fatal("A does not lead by itself")
	}
	w.write(a, 10)
	w.mustTell(10)
	w.join(a, 100, 2, "b", 77)
	b := w.joined("B", 2, a, 100)
	a.counts(1<<1, 1<<1, 1)
	w.link(a, b)
	w.write(a, 20)
	w.mustTell(20) // A decides alone so long
	w.settle()
	a.counts(ab, ab, 2)
	b.counts(ab, ab, 2)
	w.write(a, 30)
	w.mustNotTell(30)
	w.settle()
	w.mustTell(30)

	w.join(a, 101, 3, "c", 78)
	w.settle()
	c := w.joined("C", 3, a, 101)
	w.isolate(c)
	b.counts(ab, ab, 2)
	if !w.elect(b) {
		t.Fatal("B does not lead with A's vote")
	}
	w.join(b, 102, 3, "c", 78)
	if s := b.states[102]; s.Err != nil || s.ID != c.id {
		t.Fatalf("the new leader gives ID %d, %v", s.ID, s.Err)
	}
	b.step(CloseView{View: b.states[102].View})
	w.isolate(a)
	w.link(b, c)
	w.settle()
	b.counts(ab, abc, 2) // A must have it too
	w.write(b, 40)
	w.settle()
	w.mustNotTell(40)
	w.heal()
	for _, h := range w.hosts {
		h.counts(abc, abc, 2)
	}
	w.mustTell(40)
	w.isolate(a)
	w.write(b, 50)
	w.settle()
	w.mustTell(50)
	w.isolate(b)
	w.link(a, c)
	if !w.elect(a) || !w.elect(c) { // A gets what C has first
		t.Error("A and C are a quorum, and do not elect")
	}
	w.end()
}

// A learner is to count, that is undecided, and a member is expelled meanwhile:
// one change after the other, each by the quorums before and after it.
func TestExpelBehindPromotion(t *testing.T) {
	for name, expelled := range map[string]uint32{"the learner": 4, "another": 3} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a, b, c := w.three("N / 2 + 1")
			w.join(a, 100, 7, "d", 77)
			w.settle()
			d := w.joined("D", 7, a, 100)
			w.isolate(d)
			w.link(a, d)
			w.isolate(b)
			w.isolate(c)
			w.carry(a, d)
			a.counts(abc, abcd, 3) // undecided: nobody of the others has it
			gone := w.expel(a, expelled)
			w.carry(a, d)
			a.counts(abc, abcd, 3) // one after the other
			w.link(a, b)
			for range 3 {
				w.carry(a, b)
				w.carry(a, d)
			}
			w.pass(2 * time.Millisecond)
			after := uint32(abcd &^ (1 << expelled))
			for range 3 {
				w.carry(a, b)
				w.carry(a, d)
			}
			if err, ok := a.answers[gone]; !ok || err != nil {
				t.Fatalf("the expulsion is not done: %t, %v; %v", ok, err, a)
			}
			a.counts(after, after, bits.OnesCount32(after)/2+1)
			w.write(a, 20)
			w.carry(a, b)
			w.carry(a, b)
			w.mustTell(20)
			w.isolate(a)
			w.isolate(b)
			w.link(c, d)
			w.noneElected(c, d) // one of them counts
			w.end()
		})
	}
}

// The quorum is a number, and there are fewer voters: all of them decide then.
// Else nobody could decide the row of such a quorum, nor that of an expulsion
// which leaves fewer, by whatever quorum; and every later leader would stand
// before it.
func TestQuorumAboveVoters(t *testing.T) {
	for _, c := range []struct {
		name   string
		begin  string
		change func(w *world, a *host)
		voters uint32
		quorum int
	}{
		{"asked for", "N / 2 + 1", func(w *world, a *host) { w.setQuorum(a, "5") }, abc, 3},
		{"one goes", "3", func(w *world, a *host) { w.expel(a, 3) }, ab, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a, b, _ := w.three(c.begin)
			c.change(w, a)
			w.settle()
			for _, h := range []*host{a, b} {
				h.counts(c.voters, c.voters, c.quorum)
			}
			w.write(a, 11)
			w.settle()
			w.mustTell(11)
			w.setQuorum(a, "2")
			w.settle()
			a.counts(c.voters, c.voters, 2)
			w.end()
		})
	}
}

// A learner is the first to have the PROMOTE of a new leader, before a quorum
// of voters has it. The leader cannot make a voter of it then, and does so later.
func TestLearnerHasThePromoteFirst(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.three("N / 2 + 1")
	w.join(a, 1, 5, "d", 55)
	w.settle()
	d := w.joined("D", 5, a, 1)
	for _, o := range []*host{a, b, c} {
		w.link(o, d)
	}
	w.campaign(b)
	w.send(b, d, whole)
	w.ack(d, b)
	if b.core.writable() {
		t.Fatal("the PROMOTE is in effect too early for this schedule")
	}
	w.settle()
	if b.core.raft.State() != raft.StateLeader {
		t.Fatal("B leads no more")
	}
	b.counts(abcd, abcd, 3)
	w.end()
}

// The change that makes a voter of a learner waits behind a client's when the
// leader is told to take no writes for a while. It is asked for again.
func TestLearnerAndReadOnly(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.three("N / 2 + 1")
	w.join(a, 1, 5, "d", 55)
	w.settle()
	d := w.joined("D", 5, a, 1)
	for _, o := range []*host{a, b, c} {
		w.link(o, d)
	}
	w.write(a, 11)
	w.send(a, d, whole)
	w.ack(d, a)
	if !a.core.gate.choresWait() {
		t.Fatal("the change does not wait")
	}
	for _, ro := range []bool{true, false} {
		a.step(Configure{Apply: func(c *Config) { c.ReadOnly = ro }})
	}
	w.settle()
	w.mustTell(11)
	a.counts(abcd, abcd, 3)
	w.end()
}

// The files of two of four name another quorum, and so does that of a learner.
// They are a majority from when it counts, without another word of anybody. What
// cannot be read is no wish.
func TestFilesOfNewVoter(t *testing.T) {
	w := newWorld(t)
	all := w.set(4, "N / 2 + 1")
	a, b, c := all[0], all[1], all[2]
	for _, h := range all[:2] {
		h.core.cfg.Quorum = "2"
	}
	c.core.cfg.Quorum = "none at all"
	w.join(a, 1, 5, "e", 55)
	w.settle()
	e := w.joined("E", 5, a, 1)
	e.core.cfg.Quorum = "2"
	for _, o := range all {
		w.link(o, e)
	}
	w.show(e, a)
	a.counts(abcd, abcd, 3)
	w.settle()
	w.settle()
	for _, h := range w.hosts {
		h.counts(abcd|1<<5, abcd|1<<5, 2)
	}
	w.expel(a, 4) // of the four that are left no majority names what one of them cannot have meant
	w.settle()
	if wish := a.core.peers.wishes[c.id]; wish != "" {
		t.Errorf("A takes %q for a quorum", wish)
	}
	b.counts(abc|1<<5, abc|1<<5, 2)
	w.end()
}

// A learner does not stand for election, by hand either: it would depose a leader
// and could not be elected.
func TestLearnerStandsNot(t *testing.T) {
	w := newWorld(t)
	a, _, _ := w.three("N / 2 + 1")
	w.join(a, 1, 5, "d", 55)
	w.settle()
	d := w.joined("D", 5, a, 1)
	term := a.core.raft.Term()
	d.step(PromoteRequest{Conn: 1, Sync: 1})
	if now := d.core.raft.Term(); now != term || d.answers[1] == nil {
		t.Errorf("a learner stands in term %d, behind %d: %v", now, term, d.answers[1])
	}
}

// The member with the greatest ID is expelled while it is cut off, and somebody
// joins. That one gets an ID of its own: the other goes by the old one when it
// comes back. A restart forgets who was there since the start; the row that the
// expulsion wrote does not.
func TestIDOfOneThatIsGone(t *testing.T) {
	for _, forgotten := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgotten %t", forgotten), func(t *testing.T) {
			w := newWorld(t)
			a, b, c := w.three("N / 2 + 1")
			w.isolate(c)
			w.expel(a, 3)
			w.settle()
			a.counts(ab, ab, 2)
			const want = 4
			if forgotten {
				a.core.members.givenBack = 0
			}
			w.join(a, 1, 5, "d", 55)
			w.carry(a, b)
			w.carry(a, b)
			if s := a.states[1]; s.ID != want || a.core.ShownBy(s.ID) != (Shown{}) {
				t.Errorf("the joiner has ID %d, wanted %d, and has shown %v", s.ID, want, a.core.ShownBy(s.ID))
			}
		})
	}
}
