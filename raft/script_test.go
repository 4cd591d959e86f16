package raft

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/testscript"
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
	w := parse(t, d.Pos)
	for _, a := range d.CmdArgs {
		if len(a.Vals) > 0 {
			w.Named[a.Key] = strings.Join(a.Vals, ",")
		}
	}
	if w.Named["members"] != "" {
		s.members = 0
		for _, m := range strings.Split(strings.Trim(w.Named["members"], "()"), ",") {
			s.members |= 1 << w.Number(strings.TrimSpace(m))
		}
	}
	if w.Named["quorum"] != "" {
		s.quorum = w.Num("quorum")
	}
	if w.Named["self"] != "" {
		s.self = w.Num("self")
	}
	s.cfg = Config{Mode: modeOf(t, w.Named["mode"]), ElectionTimeout: 5 * time.Second, DeathTimeout: time.Second, FencingInterval: time.Second,
		Rand: rand.New(rand.NewPCG(1, 2)), Trace: s.fact}
	if d.HasArg("nofencing") {
		s.cfg.FencingInterval = 0
	}
	s.start(Record{Term: max(w.Num("term"), 1), Vote: uint32(w.Num("vote"))})
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

// words are a line of a script.
type words struct{ testscript.Words }

func parse(t testing.TB, line string) words { return words{testscript.Parse(t, line)} }

func (s *script) event(line string) {
	w := parse(s.t, line)
	fmt.Fprintln(&s.out, line)
	switch verb, _, _ := strings.Cut(line, " "); verb {
	case "at":
		d, err := time.ParseDuration(w.Plain[0])
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
		s.r.Upstream(s.now, w.Peer(), true, false)
		s.r.Receive(s.now, w.Peer(), Message{Term: s.r.Term(), State: StateFollower}, &s.mine)
	case "silent": // the stream runs, but no message has come
		s.r.Upstream(s.now, w.Peer(), true, false)
	case "lost":
		s.r.Upstream(s.now, w.Peer(), false, false)
	case "gone":
		s.r.Upstream(s.now, w.Peer(), false, true)
	case "raft":
		s.r.Receive(s.now, w.Peer(), s.message(w), &s.mine)
	case "heard":
		s.r.Heard(s.now, w.Peer())
	case "acked":
		v := w.VClock(w.Named["vclock"])
		s.r.Acked(s.now, w.Peer(), &v)
	case "mine":
		s.mine = w.VClock(w.Plain[0])
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
		s.r.Adopt(w.Num("term"), s.now)
	case "promote":
		if !s.r.Promote(s.now) {
			s.say("  refused")
		}
	case "pause": // until so long after the start
		d, err := time.ParseDuration(w.Plain[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.r.Pause(time.Second+d, s.now)
	case "handover": // to whom, by a row in the log
		s.r.HandOver(s.now, w.Num("term"), w.Peer())
	case "effect": // a term took effect in the log
		s.r.Succeeded(w.Number(w.Plain[0]))
	case "resume":
		s.r.Pause(0, s.now)
	case "resign":
		s.r.Resign(s.now, "told to")
	case "mode":
		s.cfg.Mode = modeOf(s.t, w.Plain[0])
		s.r.Configure(s.cfg, s.now)
	case "able":
		s.able = true
		s.r.SetSelf(uint32(s.self), true, s.now)
	case "unable":
		s.able = false
		s.r.SetSelf(uint32(s.self), false, s.now)
	case "members":
		s.members = 0
		for _, m := range strings.Split(w.Plain[0], ",") {
			s.members |= 1 << w.Number(m)
		}
		s.quorum = w.Num("quorum")
		s.next = Electorate{}
		s.elect()
	case "change": // undecided: new members and their quorum
		s.next = Electorate{Quorum: int(w.Num("quorum"))}
		for _, m := range strings.Split(w.Plain[0], ",") {
			s.next.Voters |= 1 << w.Number(m)
		}
		s.elect()
	case "tarantools":
		mask := uint32(0)
		for i := range w.Plain {
			mask |= 1 << w.Number(w.Plain[i])
		}
		s.r.SetTarantools(mask)
	default:
		s.t.Fatalf("unknown event %s", line)
	}
	s.decided()
}

func (s *script) message(w words) Message {
	m := Message{Term: w.Num("term"), Vote: uint32(w.Num("vote")), Leader: uint32(w.Num("leader")), IsLeaderSeen: w.Has("seen"), State: StateFollower}
	for _, state := range []State{StateCandidate, StateLeader} {
		if w.Has(state.String()) {
			m.State = state
		}
	}
	if text, ok := w.Named["vclock"]; ok {
		v := w.VClock(text)
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
