package attack

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/xrow"
)

const mistakesFile = "testdata/errors.txt"

// lastCode is the greatest code of 3.8 and of its master.
const lastCode = 305

// script plays the file on one node: a session for each user, kept as long as the
// node keeps it.
type script struct {
	n        *node
	sessions map[string]*client
	words    *strings.Replacer // $SET and $ME, in what is sent
	back     *strings.Replacer // and the way back, in what comes
	// direct has what changes the role of the node, where n is a router; nil: n has it
	direct *script
}

func newScript(n *node) *script {
	n.t.Helper()
	awaitBoss(n.t, n.addr)
	n.boss = n.dial(bossName)
	if !n.theirs {
		n.must("box.ctl.promote")
	}
	set, me := n.replicaset(), n.boss.Greeting.UUID
	return &script{n: n, sessions: map[string]*client{bossName: n.boss},
		words: strings.NewReplacer("$SET", set, "$ME", me), back: strings.NewReplacer(set, "$SET", me, "$ME")}
}

func (s *script) session(user string) *client {
	s.n.t.Helper()
	if s.sessions[user] == nil {
		s.sessions[user] = s.n.dial(user)
	}
	return s.sessions[user]
}

// send carries out one request and tells what came of it.
func (s *script) send(st *step) outcome {
	s.n.t.Helper()
	if s.direct != nil && st.verb == "do" && st.called == "box.cfg" {
		return s.direct.send(st)
	}
	c := s.session(st.user)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		s.n.t.Fatal(err)
	}
	err := c.send(st.frame(s.n, s.words))
	if st.typ == xrow.Subscribe { // whose error ends the connection
		defer s.hangUp(st.user)
	}
	if err == nil {
		return outcome{text: "ok"}
	}
	var e *xrow.Error
	if errors.As(err, &e) {
		return outcome{code: e.Code, class: e.Class(), text: s.back.Replace(e.Message), fields: s.back.Replace(readFields(s.n.t, e.Fields))}
	}
	s.hangUp(st.user)
	return outcome{text: "closed"}
}

func (s *script) hangUp(user string) {
	s.n.t.Helper()
	if c := s.sessions[user]; c != nil {
		delete(s.sessions, user)
		if err := c.Close(); err != nil {
			s.n.t.Fatal(err)
		}
	}
}

// send writes a frame and returns the error that answers it.
func (c *client) send(frame []byte) error {
	if _, err := c.Write(frame); err != nil {
		return err
	}
	for {
		row, err := c.ReadRow()
		if err != nil {
			return err
		}
		if row.Type == xrow.Event {
			continue
		}
		if e := row.AsError(); e != nil {
			return e
		}
		return nil
	}
}

// play runs all steps in their order; what is prepared has to succeed.
func (s *script) play(m []*mistake) map[*step]outcome {
	s.n.t.Helper()
	out := map[*step]outcome{}
	for _, e := range m {
		for _, st := range e.steps {
			if st.verb == "do" && st.skips(s.n.theirs) {
				continue
			}
			got := s.send(st)
			if st.verb == "do" && got.text != "ok" {
				s.n.t.Errorf("%s: %s: %v", e.head(), st.source, got)
			}
			out[st] = got
		}
	}
	return out
}

// TestAttackErrors: each error of Tarantool has a case here that provokes it, whose
// code, class, text and fields are those of testdata/errors.txt, or a word on why
// there is none. With TARANTOOL the original has to say the same.
func TestAttackErrors(t *testing.T) {
	all := readMistakes(t)
	ours := newScript(startOurs(t)).play(all)
	var theirs map[*step]outcome
	if path := tarantool(t); path != "" {
		theirs = newScript(startTheirs(t, path, "memtx_use_mvcc_engine = true")).play(all)
	}
	for _, e := range all {
		for _, st := range e.steps {
			if st.verb != "try" {
				continue
			}
			was := st.answer
			st.answer.ours = ours[st]
			if theirs != nil {
				st.answer.theirs = theirs[st]
			} else if was.theirs == (outcome{}) {
				st.answer.theirs = was.ours
			}
			if !*rewrite && st.answer != was {
				t.Errorf("%s: %s\n got %s\nwant %s", e.head(), st.source, &st.answer, &was)
			}
		}
	}
	if *rewrite {
		writeMistakes(t, all)
	}
}

// TestAttackErrorsAreWhole: the file has every code, by its name, and of each either
// a case that gets it, or the test elsewhere, or the reason why nobody can.
func TestAttackErrorsAreWhole(t *testing.T) {
	byCode := map[xrow.Code]*mistake{}
	for _, e := range readMistakes(t) {
		if e.code == preparing {
			continue
		}
		if byCode[e.code] != nil {
			t.Errorf("%s is there twice", e.head())
		}
		byCode[e.code] = e
		if e.name != e.code.Error() {
			t.Errorf("%s: its name is %s", e.head(), e.code.Error())
		}
		e.judge(t)
	}
	for code := range xrow.Code(lastCode + 1) {
		if strings.HasPrefix(code.Error(), "error ") {
			continue // a number that is not used
		}
		if byCode[code] == nil {
			t.Errorf("no case has error %d %s", code, code.Error())
		}
	}
}

// judge an error's part of the file by itself. A case that ours answers otherwise has
// its reason.
func (e *mistake) judge(t *testing.T) {
	provoked := false
	for _, st := range e.steps {
		a := &st.answer
		switch {
		case st.verb != "try":
		case a.ours != a.theirs && a.because == "":
			t.Errorf("%s: %s: no word on why ours differs", e.head(), st.source)
		case a.ours == a.theirs && a.because != "":
			t.Errorf("%s: %s: nothing differs", e.head(), st.source)
		case a.theirs.code != e.code:
			t.Errorf("%s: %s: it is provoked by nothing here", e.head(), st.source)
		default:
			provoked = true
		}
	}
	ways := 0
	for _, way := range [...]bool{provoked, e.never != "", e.elsewhere != ""} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		t.Errorf("%s has %d of a case, a reason and a test elsewhere", e.head(), ways)
	}
	if e.elsewhere != "" {
		checkElsewhere(t, e)
	}
}

// checkElsewhere: the test that is named is there.
func checkElsewhere(t *testing.T, e *mistake) {
	t.Helper()
	dir, name, _ := strings.Cut(e.elsewhere, " ")
	files, err := filepath.Glob(filepath.Join("..", "..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ = strings.Cut(name, ":")
	def := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name) + `\(t \*testing\.T\)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if def.Match(text) {
			return
		}
	}
	t.Errorf("%s: %s has no %s", e.head(), dir, name)
}
