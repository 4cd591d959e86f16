package raft

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/vclock"

	"github.com/cockroachdb/datadriven"
)

// TestScripts runs testdata: each line is an event of instance 1. The output
// repeats it with what was decided, the record to write and what may be shown
// to the peers; the last line is the state.
//
//	new self=1 members=1,2,3 quorum=2 mode=candidate
//	at 100ms
//	up 2
//
// Times: death timeout 1s, election timeout 5s, fencing interval 1s.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				s = newScript(t, d)
			case "step":
				s.t = t
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			for _, line := range strings.Split(d.Input, "\n") {
				if line != "" {
					s.event(line)
				}
			}
			s.state()
			out := s.out.String()
			s.out.Reset()
			return out
		})
	})
}

type script struct {
	t    *testing.T
	cfg  Config
	r    *Raft
	now  time.Duration
	mine vclock.VClock
	out  strings.Builder

	self, members uint64
	quorum        uint64
	next          Electorate // of a change that is undecided
	able          bool
	record        []Record // with the journal
}

func newScript(t *testing.T, d *datadriven.TestData) *script {
	s := &script{t: t, now: time.Second, self: 1, members: 0b1110, quorum: 2, able: !d.HasArg("unable")}
	w := words{t: t, line: d.Pos, named: map[string]string{}}
	for _, a := range d.CmdArgs {
		if len(a.Vals) > 0 {
			w.named[a.Key] = strings.Join(a.Vals, ",")
		}
	}
	if w.named["members"] != "" {
		s.members = 0
		for _, m := range strings.Split(strings.Trim(w.named["members"], "()"), ",") {
			s.members |= 1 << w.number(strings.TrimSpace(m))
		}
	}
	if w.named["quorum"] != "" {
		s.quorum = w.num("quorum")
	}
	if w.named["self"] != "" {
		s.self = w.num("self")
	}
	s.cfg = Config{Mode: modeOf(t, w.named["mode"]), ElectionTimeout: 5 * time.Second, DeathTimeout: time.Second, FencingInterval: time.Second,
		Rand: rand.New(rand.NewPCG(1, 2)), Trace: s.fact}
	if d.HasArg("nofencing") {
		s.cfg.FencingInterval = 0
	}
	s.start(Record{Term: max(w.num("term"), 1), Vote: uint32(w.num("vote"))})
	return s
}

// elect tells the machine who elects; without a change that is undecided, those
// of the newest rows are those of the confirmed ones.
func (s *script) elect() {
	e := Electorates{Confirmed: Electorate{uint32(s.members), int(s.quorum)}, Newest: s.next}
	if s.next.Voters == 0 {
		e.Newest = e.Confirmed
	}
	s.r.SetElectorates(e, s.now)
}

// start is what an instance does after its recovery.
func (s *script) start(saved Record) {
	s.record = nil
	s.r = New(s.cfg, saved)
	s.r.SetSelf(uint32(s.self), s.able, s.now)
	s.elect()
	s.r.Holds(&s.mine)
}

func modeOf(t *testing.T, name string) Mode {
	for _, m := range []Mode{Off, Voter, Manual, Candidate} {
		if m.String() == name {
			return m
		}
	}
	if name != "" {
		t.Fatalf("unknown mode %s", name)
	}
	return Candidate
}

// words are the arguments of a line: plain ones by their place, others by name.
type words struct {
	t     *testing.T
	line  string
	plain []string
	named map[string]string
}

func parse(t *testing.T, line string) words {
	w := words{t: t, line: line, named: map[string]string{}}
	for _, f := range strings.Fields(line)[1:] {
		if k, v, ok := strings.Cut(f, "="); ok {
			w.named[k] = v
		} else {
			w.plain = append(w.plain, f)
		}
	}
	return w
}

func (w words) number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		w.t.Fatalf("%s: %v", w.line, err)
	}
	return n
}

func (w words) num(name string) uint64 {
	if w.named[name] == "" {
		return 0
	}
	return w.number(w.named[name])
}

func (w words) peer() uint32 { return uint32(w.number(w.plain[0])) }

func (w words) has(word string) bool {
	for _, p := range w.plain {
		if p == word {
			return true
		}
	}
	return false
}

// vclock reads 1:5,2:3.
func (w words) vclock(text string) (v vclock.VClock) {
	for _, f := range strings.Split(text, ",") {
		if f == "" || f == "-" {
			continue
		}
		id, lsn, _ := strings.Cut(f, ":")
		v[w.number(id)] = w.number(lsn)
	}
	return v
}

func (s *script) event(line string) {
	w := parse(s.t, line)
	fmt.Fprintln(&s.out, line)
	switch verb, _, _ := strings.Cut(line, " "); verb {
	case "at":
		d, err := time.ParseDuration(w.plain[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = time.Second + d
		s.r.Tick(s.now)
	case "tick": // at the deadline
		d := s.r.Deadline()
		if d == 0 {
			s.say("  nothing is due")
			break
		}
		s.now = max(s.now, d)
		s.say("  at %s", s.now-time.Second)
		s.r.Tick(s.now)
	case "up": // and its first message, as a relay sends it
		s.r.Upstream(s.now, w.peer(), true, false)
		s.r.Receive(s.now, w.peer(), Message{Term: s.r.Term(), State: StateFollower}, &s.mine)
	case "silent": // the stream runs, but no message has come
		s.r.Upstream(s.now, w.peer(), true, false)
	case "lost":
		s.r.Upstream(s.now, w.peer(), false, false)
	case "gone":
		s.r.Upstream(s.now, w.peer(), false, true)
	case "raft":
		s.r.Receive(s.now, w.peer(), s.message(w), &s.mine)
	case "heard":
		s.r.Heard(s.now, w.peer())
	case "acked":
		v := w.vclock(w.named["vclock"])
		s.r.Acked(s.now, w.peer(), &v)
	case "mine":
		s.mine = w.vclock(w.plain[0])
		s.r.Holds(&s.mine)
		s.r.VClockGrew()
	case "written":
		if len(s.record) == 0 {
			s.t.Fatal("no record is with the journal")
		}
		rec := s.record[0]
		s.record = s.record[1:]
		s.r.Persisted(rec, s.now)
	case "restart":
		s.start(s.r.Saved())
	case "adopt":
		s.r.Adopt(w.num("term"), s.now)
	case "promote":
		if !s.r.Promote(s.now) {
			s.say("  refused")
		}
	case "resign":
		s.r.Resign(s.now, "told to")
	case "mode":
		s.cfg.Mode = modeOf(s.t, w.plain[0])
		s.r.Configure(s.cfg, s.now)
	case "able":
		s.able = true
		s.r.SetSelf(uint32(s.self), true, s.now)
	case "unable":
		s.able = false
		s.r.SetSelf(uint32(s.self), false, s.now)
	case "members":
		s.members = 0
		for _, m := range strings.Split(w.plain[0], ",") {
			s.members |= 1 << w.number(m)
		}
		s.quorum = w.num("quorum")
		s.next = Electorate{}
		s.elect()
	case "change": // undecided: new members and their quorum
		s.next = Electorate{Quorum: int(w.num("quorum"))}
		for _, m := range strings.Split(w.plain[0], ",") {
			s.next.Voters |= 1 << w.number(m)
		}
		s.elect()
	case "tarantools":
		mask := uint32(0)
		for i := range w.plain {
			mask |= 1 << w.number(w.plain[i])
		}
		s.r.SetTarantools(mask)
	default:
		s.t.Fatalf("unknown event %s", line)
	}
	s.decided()
}

func (s *script) message(w words) Message {
	m := Message{Term: w.num("term"), Vote: uint32(w.num("vote")), Leader: uint32(w.num("leader")), IsLeaderSeen: w.has("seen"), State: StateFollower}
	for _, state := range []State{StateCandidate, StateLeader} {
		if w.has(state.String()) {
			m.State = state
		}
	}
	if text, ok := w.named["vclock"]; ok {
		v := w.vclock(text)
		m.VClock = &v
	}
	return m
}

func (s *script) fact(f Fact) {
	who := ""
	if f.Peer != 0 {
		who = fmt.Sprintf(" %d", f.Peer)
	}
	why := ""
	if f.Text != "" {
		why = ": " + f.Text
	}
	s.say("  %s%s in term %d%s", f.Kind, who, f.Term, why)
}

// decided prints the record that goes to the journal and what peers may see.
func (s *script) decided() {
	if rec, ok := s.r.TakeRecord(); ok {
		s.record = append(s.record, rec)
		s.say("  write term=%d vote=%d", rec.Term, rec.Vote)
	}
	if !s.r.TakeShow() {
		return
	}
	m := s.r.Shown(&s.mine)
	fmt.Fprintf(&s.out, "  show term=%d vote=%d %s leader=%d", m.Term, m.Vote, m.State, m.Leader)
	if m.IsLeaderSeen {
		s.out.WriteString(" seen")
	}
	if m.VClock != nil {
		fmt.Fprintf(&s.out, " vclock=%s", m.VClock)
	}
	s.out.WriteByte('\n')
}

func (s *script) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *script) state() {
	s.say("%s term=%d vote=%d leader=%d seen=%t", s.r.State(), s.r.Term(), s.r.Vote(), s.r.Leader(), s.r.SeesLeader())
}
