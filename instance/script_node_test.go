package instance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/datadriven"
	"github.com/tinylib/msgp/msgp"
)

// start is the monotonic time at which every story begins.
const start = time.Second

// script is one core with its disk, and what a story says happened around it.
type script struct {
	t    testing.TB
	cfg  Config
	box  box.Config
	core *Core
	now  Now
	out  strings.Builder

	auto    bool
	log     []*xrow.Group    // handed over; the first synced are on disk
	lost    [][]xrow.LostRow // kept with each of them
	synced  int
	relayed uint64
	parked  bool
	sync    uint64    // of the request made last
	view    *box.View // of the snapshot given last
	tag     uint64

	founding   int             // voters that the set waits for; the core is its only member
	oldSchema  bool            // 2.10.1
	audited    bool            // changes of the schema are shown
	sequence   bool            // the space sync gets keys from one, up to 2
	tarantools map[uint32]bool // members of Tarantool's kind
}

var scriptSpaces = []string{"sync", "async", "local"} // 512 and up

func uuidOf(id uint32) string { return fmt.Sprintf("%08d-0000-4000-8000-%012d", id, id) }

func newScript(t testing.TB, d *datadriven.TestData) *script {
	s := &script{t: t, now: Now{Mono: start, Wall: 1}}
	s.cfg = Config{UUID: uuidOf(1), Mode: ModeCandidate, Rand: rand.New(rand.NewPCG(1, 2)), Trace: s.fact}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "mode":
			for _, m := range []Mode{ModeOff, ModeVoter, ModeManual, ModeCandidate} {
				if m.String() == a.Vals[0] {
					s.cfg.Mode = m
				}
			}
		case "self":
			s.cfg.UUID = uuidOf(uint32(a.Vals[0][0] - '0'))
		case "auto":
			s.auto = true
		case "slices": // a change of the schema takes a slice for each tuple
			s.cfg.BuildRows, s.cfg.BuildPause, s.box.BuildAtOnce = 1, 200*time.Millisecond, 1
		case "backlog":
			s.cfg.BacklogMaxSize = 500
		case "tarantools":
			s.tarantools = map[uint32]bool{}
			for _, id := range a.Vals {
				s.tarantools[uint32(id[0]-'0')] = true
			}
		case "gather":
			s.cfg.GatherMaxSize = 500
		case "founding":
			s.founding = int(a.Vals[0][0] - '0')
		case "sequence":
			s.sequence = true
		case "supervised":
			s.cfg.Supervised = true // and a candidate by its configuration, which it is not then
		case "nofencing":
			s.cfg.Fencing = FencingOff
		case "preferred": // this member, once it was well for two seconds
			s.cfg.Preferred, s.cfg.PreferredCalm = a.Vals[0], 2*time.Second
		case "syncall":
			s.cfg.SyncAll = true
		case "oldschema":
			s.oldSchema = true
		case "skip":
			s.cfg.SkipConflict = true
		case "forward":
			s.cfg.ForwardWrites = true
		case "allow":
			s.cfg.AllowTarantool = true
		case "members": // names that may join
			s.cfg.Members = a.Vals
		case "most":
			s.cfg.MaxMembers = int(a.Vals[0][0] - '0')
		case "limit":
			s.cfg.QueueMaxSize = 300
		case "shared": // the quorum is a row of the replica set; the files say so many
			s.cfg.ParseQuorum = parseQuorum
			if len(a.Vals) > 0 {
				s.cfg.Quorum = a.Vals[0]
			}
		case "reads": // levels up to
			s.cfg.Feature = uint32(a.Vals[0][0] - '0')
		case "procs": // NAME:VERSION of each that the program has
			s.cfg.Procedures = procedures(a.Vals)
		case "learners": // that are silent go soon
			s.cfg.LearnerTimeout = 2 * time.Second
		case "quorum":
			n := int(a.Vals[0][0] - '0')
			s.cfg.SynchroQuorum = func(int) int { return n }
		}
	}
	s.boot()
	return s
}

// parseQuorum reads a number, or the majority.
func parseQuorum(text string) (func(n int) int, error) {
	if text == "N / 2 + 1" {
		return majority, nil
	}
	q, err := strconv.Atoi(text)
	return func(int) int { return q }, err
}

// boot recovers from a checkpoint with three members and three spaces, behind
// which the log is empty.
func (s *script) boot() {
	b := box.New(s.box)
	core, err := New(s.cfg, b)
	if err != nil {
		s.t.Fatal(err)
	}
	rows := box.BootstrapRows(box.Profile3_8_0, uuidOf(99), uuidOf(1), "", "")
	add := func(space uint32, tuple []byte) { rows = append(rows, xrow.DML{SpaceID: space, Tuple: tuple}) }
	others := []uint32{2, 3}
	if s.founding > 0 {
		others = nil
		rows = append(rows, FoundingRow(s.founding))
	}
	for _, id := range others {
		if s.tarantools[id] {
			add(xrow.SpaceCluster, msgp.AppendString([]byte{0x92, byte(id)}, uuidOf(id)))
		} else {
			add(xrow.SpaceCluster, MemberTuple(id, uuidOf(id), "", uint64(id)))
		}
	}
	for i, name := range scriptSpaces {
		flags := []byte{0x80}
		switch name {
		case "sync":
			flags = append(msgp.AppendString([]byte{0x81}, "is_sync"), 0xc3)
		case "local":
			flags = append(msgp.AppendString([]byte{0x81}, "group_id"), 1)
		}
		id := 512 + uint64(i)
		row := msgp.AppendString(append(msgp.AppendUint64([]byte{0x97}, id), 1), name)
		add(280, append(append(append(msgp.AppendString(row, "memtx"), 0), flags...), 0x90))
		add(288, indexRow(id))
	}
	if s.sequence {
		row := msgp.AppendString([]byte{0x99, 1, 1}, "seq")
		add(284, append(row, 1, 1, 2, 1, 0, 0xc2))
		add(340, append(msgp.AppendUint64([]byte{0x95}, 512), 1, 0xc3, 0, 0xa0))
	}
	slices.SortStableFunc(rows, func(a, b xrow.DML) int { return int(a.SpaceID) - int(b.SpaceID) })
	for _, r := range rows {
		if version := msgp.AppendString([]byte{0x94}, "version"); s.oldSchema && bytes.HasPrefix(r.Tuple, version) {
			r.Tuple = append(version, 2, 10, 1)
		}
		if err := b.Load(r.SpaceID, r.Tuple); err != nil {
			s.t.Fatalf("space %d: %v", r.SpaceID, err)
		}
	}
	if err := b.LoadDone(); err != nil {
		s.t.Fatal(err)
	}
	if err := core.Restore(State{Term: 1, NextGroup: 1}); err != nil {
		s.t.Fatal(err)
	}
	s.core = core
	for i, g := range s.log[:s.synced] {
		if err := core.Replay(uint64(i+1), g); err != nil {
			s.t.Fatal(err)
		}
	}
	core.Start(s.now)
	s.step()
}

// indexRow is the row of the primary index of a space.
func indexRow(space uint64) []byte { return indexOn(space, 0, "pk", 0) }

// indexOn is the row of a unique index of a space on one field.
func indexOn(space uint64, id byte, name string, field byte) []byte {
	row := msgp.AppendUint64([]byte{0x96}, space)
	row = msgp.AppendString(append(row, id), name)
	row = msgp.AppendString(row, "tree")
	row = append(msgp.AppendString(append(row, 0x81), "unique"), 0xc3)
	return msgp.AppendString(append(row, 0x91, 0x92, field), "unsigned")
}

// restart is a crash: what was not synced is gone.
func (s *script) restart() {
	s.log, s.lost = s.log[:s.synced], s.lost[:s.synced]
	s.relayed, s.parked = 0, false
	s.boot()
}

// step takes events and prints what follows from them.
func (s *script) step(events ...Event) {
	s.now.Wall = 1 + (s.now.Mono - start).Seconds()
	e := s.core.Step(s.now, events)
	tell := e.Tell
	s.effects(e)
	if tell != 0 {
		s.say("  tell who leads since term %d", tell)
		s.step(LeaderTold{Term: tell})
	}
	for s.auto && len(s.log) > s.synced {
		s.written()
	}
}

func (s *script) written() {
	if len(s.log) == s.synced {
		s.t.Fatal("nothing is with the journal")
	}
	s.synced++
	s.effects(s.core.Step(s.now, []Event{Written{Group: uint64(s.synced)}}))
}

func (s *script) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *script) fact(f Fact) {
	var b strings.Builder
	fmt.Fprintf(&b, "  * %s", f.Kind)
	if f.Peer != 0 || f.LSN != 0 {
		fmt.Fprintf(&b, " %d:%d", f.Peer, f.LSN)
	}
	if f.Text != "" {
		fmt.Fprintf(&b, ": %s", f.Text)
	}
	s.say("%s", b.String())
}

func (s *script) effects(e *Effects) {
	if e.Group != nil {
		s.log = append(s.log, e.Group)
		s.lost = append(s.lost, e.Lost)
		s.say("  group %d: %s", e.GroupNo, groupText(s.t, e.Group))
	} else if e.Lost != nil {
		s.t.Fatal("voided rows without the group that voids them")
	}
	if s.parked != e.Park {
		s.parked = e.Park
		s.say("  %s", map[bool]string{true: "peers' rows wait", false: "peers' rows go on"}[e.Park])
	}
	if e.Relay != s.relayed && e.Relay != 0 {
		s.relayed = e.Relay
		s.say("  relay up to group %d", e.Relay)
	}
	if e.Raft != nil {
		s.say("  show %s", raftText(e.Raft))
	}
	if e.Ack != nil {
		s.say("  ack %s term %d", &e.Ack.VClock, e.Ack.Term)
	}
	if e.Beat {
		s.say("  heartbeat sync=%d", e.BeatSync)
	}
	for _, r := range e.Replies {
		switch {
		case r.Err != nil:
			s.say("  reply #%d: %d %s", r.Sync, r.Err.Code, r.Err.Message)
		case len(r.Data) > 5 && r.Data[4] == 3 && r.Data[0] == 0xdd: // to another instance
			rest, _ := msgp.Skip(r.Data[5:])
			origin, rest, _ := msgp.ReadUint32Bytes(rest)
			lsn, _, _ := msgp.ReadUint64Bytes(rest)
			s.say("  reply #%d: done, %d:%d", r.Sync, origin, lsn)
		case bytes.Equal(r.Data, noValues) && &r.Data[0] != &noValues[0]:
			s.say("  reply #%d: done, nothing", r.Sync)
		default:
			s.say("  reply #%d: done", r.Sync)
		}
	}
	for _, f := range e.Forwards {
		s.say("  forward %d to %d, leader of term %d, for %s: %s", f.No, f.To, f.Term, f.User, forwardText(&f))
	}
	if e.VoidPromotes != nil {
		s.say("  void promotes %v", e.VoidPromotes)
	}
	for _, l := range e.Lost {
		s.say("  keep aside %d:%d/%d", l.Origin, l.LSN, l.Term)
	}
	for _, c := range e.Changes {
		if s.audited {
			s.say("  change %d/%d by user %d, void %t, of %d rows", c.LSN, c.Term, c.User.User(), c.Void, len(c.Rows))
		}
	}
	for _, r := range e.Refused {
		s.say("  refuse %d: %d %s", r.Peer, r.Err.Code, r.Err.Message)
	}
	for _, r := range e.Ended {
		s.say("  end relay to %d: %d %s", r.Peer, r.Err.Code, r.Err.Message)
	}
	for _, snap := range e.Snaps {
		s.snapshot(&snap)
	}
	if e.Replicas != nil {
		s.say("  %d replicas are known", len(e.Replicas))
	}
	if e.Lazy != 0 {
		s.say("  lazy to those who hear %d", e.Lazy)
	}
	if e.Expelled {
		s.say("  expelled")
	}
	if e.GaveWay {
		s.say("  gave way")
	}
	if e.Fatal != nil {
		s.say("  fatal: %s", e.Fatal)
	}
}

func (s *script) snapshot(snap *Snapshot) {
	if snap.Err != nil {
		s.say("  snapshot %d: %d %s", snap.Tag, snap.Err.Code, snap.Err.Message)
		return
	}
	st := snap.Complete()
	s.say("  snapshot %d: vclock %s term %d vote %d confirmed %d next group %d", snap.Tag, &st.VClock, st.Term, st.Vote, st.Confirmed, st.NextGroup)
	if snap.ID != 0 {
		s.say("    for instance %d", snap.ID)
	}
	for _, h := range st.History {
		s.say("    term %d: owner %d LSN %d to %d", h.Term, h.Owner, h.First, h.Last)
	}
	if st.Undecided != nil && len(st.Undecided.Table) > 0 {
		s.say("    undecided: %s", groupText(s.t, st.Undecided))
	}
	if snap.View == nil {
		s.say("    without tuples")
		return
	}
	s.view = snap.View
	snap.View.Close()
}

// read prints the keys that default readers see in a space.
func (s *script) read(name string) { s.readIn(TxnID{}, name) }

// readIn is read within a stream.
func (s *script) readIn(id TxnID, name string) {
	q := box.Query{Space: spaceID(s.t, name), Iterator: box.ALL, Key: []byte{0x90}, Limit: 1 << 20}
	raw, n, err := s.core.StreamSelect(id, box.UserAdmin, &q, nil)
	if err != nil {
		s.say("  sees no more: %v", err)
		return
	}
	var keys []string
	for range n {
		key, _, _ := mp.ReadUint(raw[1:])
		keys = append(keys, fmt.Sprint(key))
		raw, _ = msgp.Skip(raw)
	}
	s.say("  sees %s", strings.Join(keys, " "))
}

// refused tells whether the newest Step answered a request by an error.
func (s *script) refused(sync uint64) bool {
	return slices.ContainsFunc(s.core.eff.Replies, func(r Reply) bool { return r.Sync == sync && r.Err != nil })
}

// stream sends a request of a stream.
func (s *script) stream(w words) {
	s.sync++
	s.say("  #%d", s.sync)
	ev := StreamRequest{ID: TxnID{1, w.Number(w.Word(0))}, Conn: 1, Sync: s.sync, User: box.UserAdmin, IsSync: w.Has("sync!")}
	rest := strings.TrimSpace(strings.TrimPrefix(w.Line, "stream "+w.Word(0)))
	switch verb := w.Word(1); verb {
	case "begin":
		ev.Op, ev.Isolation, ev.Timeout = StreamBegin, box.Isolation(w.Num("level")), time.Duration(w.Num("ms"))*time.Millisecond
	case "commit":
		ev.Op = StreamCommit
	case "rollback":
		ev.Op = StreamRollback
	case "read":
		ev.Op, ev.DML.SpaceID = StreamRead, spaceID(s.t, w.Word(2))
		if s.step(Streams{Requests: []StreamRequest{ev}}); !s.refused(s.sync) {
			s.readIn(ev.ID, w.Word(2))
		}
		return
	default:
		ev.Op, ev.DML = StreamWrite, parse(s.t, rest).dml()
	}
	s.step(Streams{Requests: []StreamRequest{ev}})
}

// kept prints the voided rows on disk, in the order in which they came there.
func (s *script) kept() {
	var b strings.Builder
	for _, rows := range s.lost[:s.synced] {
		for _, l := range rows {
			fmt.Fprintf(&b, " %d:%d/%d", l.Origin, l.LSN, l.Term)
		}
	}
	s.say("  kept%s", b.String())
}

// indexes prints the indexes that readers know of a space.
func (s *script) indexes(name string) {
	sp, _ := s.core.Box().Space(spaceID(s.t, name))
	var names []string
	for _, ix := range sp.Indexes {
		names = append(names, ix.Name)
	}
	s.say("  has %s", strings.Join(names, " "))
}

func (s *script) info() {
	i := s.core.Info(s.now.Mono)
	s.say("  %s term %d vote %d leader %d vclock %s synced %s", i.State, i.Term, i.Vote, i.Leader, &i.VClock, &i.Synced)
	s.say("  queue of %d in term %d: %d undecided, confirmed %d, quorum %d", i.QueueOwner, i.QueueTerm, i.QueueLen, i.Confirmed, i.Quorum)
	if newest := s.core.members.newest; newest != s.core.members.confirmed {
		s.say("  undecided: voters %b, quorums %d and %d", newest.voters, newest.synchroQuorum, newest.electionQuorum)
	}
	if i.RO {
		s.say("  read-only: %s", i.ROReason)
	}
	if f := i.Feature; f.Newest > 1 {
		s.say("  feature level %d, newest %d, read up to %d", f.Level, f.Newest, f.Reads)
	}
	if p := i.Pause; p.Left > 0 {
		s.say("  paused: %v of %v left, by %s: %s", p.Left, p.For, p.By, p.Reason)
	}
	for _, n := range s.core.Nodes() {
		s.say("  node %s: fence %t, writes %t, priority %d", n.Name, n.Fence, !n.NoWrites, n.Priority)
	}
	if m := i.Moving; m.To != 0 {
		s.say("  moving to %d for %v, written %t, it lacks %d rows, by %s: %s", m.To, m.For, m.Written, m.Lacks, m.By, m.Reason)
	}
	if p := i.Preferred; p.Name != "" {
		s.say("  %s is preferred: %v left; %s", p.Name, p.Left, p.Why)
	}
	if f := i.Forwards; f != (Forwarding{}) {
		s.say("  forwards: %d open, %d answered, %d unknown, %d refused", f.Open, f.Answered, f.Unknown, f.Refused)
	}
	if f := i.Founding; f.Need > 0 {
		s.say("  founding: %d of %d, lone %t", f.Have, f.Need, f.Lone)
	}
	if i.Tarantool || i.Tarantools != 0 {
		s.say("  Tarantool's rules %t, tarantools %b", i.Tarantool, i.Tarantools)
	}
	for _, b := range i.SplitBrains {
		s.say("  split brain with %d: %s", b.Peer, b.Text)
	}
}

func forwardText(f *Forward) string {
	if f.Call != nil {
		return f.Call.Name
	}
	return fmt.Sprintf("%v in %s", f.DML.Type, scriptSpaces[f.DML.SpaceID-512])
}

func spaceID(t testing.TB, name string) uint32 {
	i := slices.Index(scriptSpaces, name)
	if i < 0 {
		t.Fatalf("no space %s", name)
	}
	return 512 + uint32(i)
}

func raftText(r *xrow.Raft) string {
	var b strings.Builder
	fmt.Fprintf(&b, "term %d vote %d %s leader %d", r.Term, r.Vote, raft.State(r.State), r.LeaderID)
	if r.IsLeaderSeen {
		b.WriteString(" seen")
	}
	if r.VClock != nil {
		fmt.Fprintf(&b, " vclock %s", r.VClock)
	}
	if r.Unfit != nil && *r.Unfit != "" {
		b.WriteString(" unfit: " + *r.Unfit)
	}
	if r.Move != nil {
		fmt.Fprintf(&b, " moves to %d", r.Move.To)
	}
	return b.String()
}
