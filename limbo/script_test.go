package limbo

import (
	"fmt"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/testscript"
	"tarragon.dev/tarragon/terms"
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

// words are a line of a script.
type words struct{ testscript.Words }

func parse(t testing.TB, line string) words { return words{testscript.Parse(t, line)} }

func (w words) rules() terms.Rules {
	if w.Named["rules"] == "tarantool" {
		return terms.Tarantool
	}
	return terms.Strong
}

func (s *script) event(line string) {
	w := parse(s.t, line)
	fmt.Fprintln(&s.out, line)
	var err error
	switch verb, _, _ := strings.Cut(line, " "); verb {
	case "restore": // spans are term/owner/first/last
		var spans []terms.Span
		for _, p := range w.Plain {
			n := w.Numbers(p)
			spans = append(spans, terms.Span{Term: n[0], Owner: uint32(n[1]), First: n[2], Last: n[3], Writer: uint32(n[1]), Rules: w.rules()})
		}
		s.l.Restore(spans, w.Num("confirmed"), vclock.VClock{})
	case "promote":
		p := Promote{Term: w.Num("term"), Owner: uint32(w.Num("owner")), LSN: w.Num("lsn"), Rules: w.rules()}
		if prev := w.List("prev"); prev != nil {
			p.PrevTerm, p.PrevOwner, p.PrevLSN = prev[0], uint32(prev[1]), prev[2]
		}
		var void bool
		if void, err = s.l.AddPromote(p); void {
			s.say("  not worth keeping")
		}
	case "submit":
		e := Entry[struct{}]{Seq: w.At(0), LSN: w.Num("lsn"), Origin: s.l.Current().Owner, Term: s.l.Current().Term, Group: w.Num("group"),
			Bytes: 10, Sync: w.Has("sync")}
		if _, ok := w.Named["term"]; ok {
			e.Term, e.Origin = w.Num("term"), uint32(w.Num("origin"))
		}
		e.Behind = w.Num("behind")
		s.l.Held(e.Origin, e.Term, e.LSN)
		s.l.Push(e)
	case "row": // of a term; nothing waits for it
		s.l.Held(uint32(w.Num("origin")), w.Num("term"), w.Num("lsn"))
	case "take":
		s.take(w)
		return
	case "confirm":
		err = s.l.Confirm(w.Num("term"), w.Num("lsn"))
	case "lead":
		s.l.Lead(w.Num("lsn"))
	case "rest":
		s.l.Rest()
	case "ack":
		s.l.Ack(uint32(w.At(0)), w.At(1))
		s.count(w)
		return
	case "count":
		s.count(w)
		return
	case "told":
		s.l.Tell(w.At(0))
	case "untold":
		s.say("  %d", s.l.Untold(s.l.Current().Term))
	case "written":
		s.l.Written(w.At(0))
	case "show":
		s.l.Show(func(e *Entry[struct{}]) { s.say("  show %d", e.Seq) })
	case "judge": // the next LSN of the term unless it says another
		txn := Row{Origin: uint32(w.Num("origin")), Term: w.Num("term"), WaitSync: w.Has("wait"), Empty: w.Has("nop"),
			Taken: w.Has("logged"), Partial: w.Has("partial")}
		txn.LSN, _ = strong[struct{}]{&s.l}.next(txn.Term, txn.Origin)
		if _, ok := w.Named["lsn"]; ok {
			txn.LSN = w.Num("lsn")
		}
		var v Verdict
		if v, err = s.l.Judge(w.rules(), txn); err == nil {
			s.say("  %s", [...]string{"keep", "void", "idle"}[v])
		}
	case "next":
		next, _ := strong[struct{}]{&s.l}.next(w.Num("term"), 0)
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
			if h.Rules == terms.Tarantool {
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
	r := Row{Kind: kinds[w.Plain[0]], Origin: uint32(row[0]), LSN: row[1], Owner: uint32(of[0]), UpTo: of[1], Begins: w.Num("term"),
		PrevTerm: w.Num("prev"), Known: 1 << 40}
	if _, ok := w.Named["known"]; ok {
		r.Known = w.Num("known")
	}
	if !w.Has("lax") {
		if _, err := s.l.Judge(terms.Tarantool, r); err != nil {
			s.say("  refuse, split brain %t: %s", err.(*Refusal).Kind == SplitBrain, err)
			return
		}
	}
	s.l.Held(r.Origin, 0, r.LSN)
	err := s.l.Take(terms.Tarantool, r)
	s.decided(err)
}

// pair splits the nth plain word into two numbers.
func (w words) pair(n int, by string) [2]uint64 {
	a, b, ok := strings.Cut(w.Plain[n], by)
	if !ok {
		w.T.Fatalf("%s: no pair: %s", w.Line, w.Plain[n])
	}
	return [2]uint64{w.Number(a), w.Number(b)}
}

// count counts as the leader of the term of the newest PROMOTE, with a quorum
// of 2 of 3 unless the line says otherwise; newest and size are those of a
// change that is undecided.
func (s *script) count(w words) {
	term, _, _ := s.l.Newest()
	if t, ok := w.Named["term"]; ok {
		term = w.Number(t)
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
	if list := w.List(voters); list != nil {
		q.Voters = 0
		for _, m := range list {
			q.Voters |= 1 << m
		}
	}
	if n, ok := w.Named[size]; ok {
		q.Size = int(w.Number(n))
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
