package limbo

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"tarragon.dev/tarragon/vclock"

	"github.com/cockroachdb/datadriven"
)

// TestScripts runs testdata: each line of a step is an event. The output
// repeats it with what was decided at once, oldest commit first, newest void
// first; the last line is the state.
//
//	step
//	lead lsn=3
//	submit 7 lsn=4 sync
//
// A file is one life of one limbo; the command new begins another.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				*s = script{t: t}
			case "step":
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
	t   *testing.T
	l   Limbo[struct{}]
	out strings.Builder
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

// at is the nth plain word as a number.
func (w words) at(n int) uint64 {
	if n >= len(w.plain) {
		w.t.Fatalf("%s: too few words", w.line)
	}
	return w.number(w.plain[n])
}

func (w words) has(word string) bool {
	for _, p := range w.plain {
		if p == word {
			return true
		}
	}
	return false
}

func (w words) rules() Rules {
	if w.named["rules"] == "tarantool" {
		return Tarantool
	}
	return Strong
}

// list is a list of numbers, split by a slash or a comma.
func (w words) list(name string) (ns []uint64) {
	for _, p := range strings.FieldsFunc(w.named[name], func(r rune) bool { return r == '/' || r == ',' }) {
		ns = append(ns, w.number(p))
	}
	return ns
}

func (s *script) event(line string) {
	w := parse(s.t, line)
	fmt.Fprintln(&s.out, line)
	var err error
	switch verb, _, _ := strings.Cut(line, " "); verb {
	case "restore": // spans are term/owner/first/last
		var spans []Span
		for _, p := range w.plain {
			n := words{t: s.t, line: line, named: map[string]string{"span": p}}.list("span")
			spans = append(spans, Span{Term: n[0], Owner: uint32(n[1]), First: n[2], Last: n[3], Writer: uint32(n[1]), Rules: w.rules()})
		}
		s.l.Restore(spans, w.num("confirmed"), vclock.VClock{})
	case "promote":
		p := Promote{Term: w.num("term"), Owner: uint32(w.num("owner")), LSN: w.num("lsn"), Rules: w.rules()}
		if prev := w.list("prev"); prev != nil {
			p.PrevTerm, p.PrevOwner, p.PrevLSN = prev[0], uint32(prev[1]), prev[2]
		}
		var void bool
		if void, err = s.l.AddPromote(p); void {
			s.say("  not worth keeping")
		}
	case "submit":
		e := Entry[struct{}]{Seq: w.at(0), LSN: w.num("lsn"), Origin: s.l.Current().Owner, Term: s.l.Current().Term, Group: w.num("group"),
			Bytes: 10, Sync: w.has("sync")}
		if _, ok := w.named["term"]; ok {
			e.Term, e.Origin = w.num("term"), uint32(w.num("origin"))
		}
		e.Behind = w.num("behind")
		s.l.Held(e.Origin, e.Term, e.LSN)
		s.l.Push(e)
	case "row": // of a term; nothing waits for it
		s.l.Held(uint32(w.num("origin")), w.num("term"), w.num("lsn"))
	case "take":
		s.take(w)
		return
	case "confirm":
		err = s.l.Confirm(w.num("term"), w.num("lsn"))
	case "lead":
		s.l.Lead(w.num("lsn"))
	case "rest":
		s.l.Rest()
	case "ack":
		s.l.Ack(uint32(w.at(0)), w.at(1))
		s.count(w)
		return
	case "count":
		s.count(w)
		return
	case "told":
		s.l.Tell(w.at(0))
	case "untold":
		s.say("  %d", s.l.Untold(s.l.Current().Term))
	case "written":
		s.l.Written(w.at(0))
	case "show":
		s.l.Show(func(e *Entry[struct{}]) { s.say("  show %d", e.Seq) })
	case "judge": // the next LSN of the term unless it says another
		txn := Row{Origin: uint32(w.num("origin")), Term: w.num("term"), WaitSync: w.has("wait"), Empty: w.has("nop"),
			Taken: w.has("logged"), Partial: w.has("partial")}
		txn.LSN, _ = strong[struct{}]{&s.l}.next(txn.Term, txn.Origin)
		if _, ok := w.named["lsn"]; ok {
			txn.LSN = w.num("lsn")
		}
		var v Verdict
		if v, err = s.l.Judge(w.rules(), txn); err == nil {
			s.say("  %s", [...]string{"keep", "void", "idle"}[v])
		}
	case "next":
		next, _ := strong[struct{}]{&s.l}.next(w.num("term"), 0)
		s.say("  %d", next)
	case "newest":
		term, owner, last := s.l.Newest()
		s.say("  term %d owner %d last %d", term, owner, last)
	case "confirmedof":
		of := s.l.ConfirmedOf()
		s.say("  %s", &of)
	case "history":
		for _, h := range s.l.History() {
			s.say("  %d/%d/%d/%d", h.Term, h.Owner, h.First, h.Last)
			if h.Rules == Tarantool {
				s.say("    by %d, tarantool", h.Writer)
			}
		}
	default:
		s.t.Fatalf("unknown event %s", line)
	}
	s.decided(err)
}

// take takes a row that acts on the queue under Tarantool's rules, if the
// filter lets it pass: KIND origin:lsn owner/lsn [term=]. lax takes it anyhow.
func (s *script) take(w words) {
	kinds := map[string]Kind{"confirm": Confirmation, "rollback": Rollback, "promote": Promotion, "demote": Demotion}
	row, of := w.pair(1, ":"), w.pair(2, "/")
	r := Row{Kind: kinds[w.plain[0]], Origin: uint32(row[0]), LSN: row[1], Owner: uint32(of[0]), UpTo: of[1], Begins: w.num("term"),
		PrevTerm: w.num("prev"), Known: 1 << 40}
	if _, ok := w.named["known"]; ok {
		r.Known = w.num("known")
	}
	if !w.has("lax") {
		if _, err := s.l.Judge(Tarantool, r); err != nil {
			s.say("  refuse, split brain %t: %s", err.(*Refusal).Kind == SplitBrain, err)
			return
		}
	}
	s.l.Held(r.Origin, 0, r.LSN)
	err := s.l.Take(Tarantool, r)
	s.decided(err)
}

// pair splits the nth plain word into two numbers.
func (w words) pair(n int, by string) [2]uint64 {
	a, b, ok := strings.Cut(w.plain[n], by)
	if !ok {
		w.t.Fatalf("%s: no pair: %s", w.line, w.plain[n])
	}
	return [2]uint64{w.number(a), w.number(b)}
}

// count counts as the leader of the term of the newest PROMOTE, with a quorum
// of 2 of 3 unless the line says otherwise; newest and size are those of a
// change that is undecided.
func (s *script) count(w words) {
	term, _, _ := s.l.Newest()
	if t, ok := w.named["term"]; ok {
		term = w.number(t)
	}
	confirmed := Quorum{0b1110, 2}
	s.quorum(w, "members", "quorum", &confirmed)
	newest := confirmed
	s.quorum(w, "newest", "size", &newest)
	lsn, err := s.l.Count(term, confirmed, newest)
	if lsn != 0 {
		s.say("  confirm to %d", lsn)
	}
	s.decided(err)
}

func (s *script) quorum(w words, voters, size string, q *Quorum) {
	if list := w.list(voters); list != nil {
		q.Voters = 0
		for _, m := range list {
			q.Voters |= 1 << m
		}
	}
	if n, ok := w.named[size]; ok {
		q.Size = int(w.number(n))
	}
}

func (s *script) decided(err error) {
	for _, e := range s.l.TakeCommitted() {
		s.say("  commit %d", e.Seq)
	}
	for _, e := range s.l.TakeVoid() {
		s.say("  void %d", e.Seq)
	}
	for _, e := range s.l.TakeAgain() {
		s.say("  again %d", e.Seq)
	}
	for _, p := range s.l.TakeVoidPromotes() {
		s.say("  void PROMOTE %d:%d of term %d", p.Owner, p.LSN, p.Term)
	}
	if err != nil {
		s.say("  %s", err)
	}
}

func (s *script) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *script) state() {
	cur := s.l.Current()
	s.say("term=%d owner=%d confirmed=%d queued=%d bytes=%d sync=%t", cur.Term, cur.Owner, s.l.Confirmed(), s.l.Len(), s.l.Size(), s.l.HasSync())
	for _, p := range s.l.Pending() {
		s.say("pending term=%d owner=%d lsn=%d last=%d", p.Term, p.Owner, p.LSN, p.Last)
	}
}
