package attack

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// mistake is what the file has on one error.
//
//	error CODE NAME
//	never WHY                     nothing that a client sends gets it
//	elsewhere DIR TEST: WHY       that test gets it, for it takes more than a request
//	do REQUEST                    prepares and undoes: it succeeds
//	try REQUEST                   gets the error, as the next lines say:
//	= CODE CLASS TEXT             from ours, and from Tarantool 3.8
//	ours CODE CLASS TEXT          or from ours alone,
//	3.8 CODE CLASS TEXT           from 3.8 alone,
//	because WHY                   and why
//	  {...}                       below each: the fields of the error
//
// Lines before the first error prepare the node. A request is [USER@]TYPE, settings
// of its header, and a body as JSON, or CALL with a name and its arguments; -ours and
// -3.8 before it say that only the other kind is to be prepared.
type mistake struct {
	code      xrow.Code
	name      string
	never     string
	elsewhere string
	steps     []*step
	comments  []string // lines above it
}

// preparing stands for no error: what comes before the first.
const preparing xrow.Code = 1 << 31

func (e *mistake) head() string { return fmt.Sprintf("error %d %s", e.code, e.name) }

// outcome is what a request got: an error, or "ok", or "closed".
type outcome struct {
	code        xrow.Code
	class, text string
	fields      string // JSON
}

func (o outcome) lines(label string) string {
	text := strings.ReplaceAll(o.text, "\n", `\n`)
	if o.class == "" {
		return label + " " + text + "\n"
	}
	return fmt.Sprintf("%s %d %s %s\n  %s\n", label, o.code, o.class, text, o.fields)
}

// answer of both kinds of nodes.
type answer struct {
	ours, theirs outcome
	because      string
}

func (a *answer) String() string {
	if a.ours == a.theirs {
		return a.ours.lines("=")
	}
	return a.ours.lines("ours") + a.theirs.lines("3.8") + "because " + a.because + "\n"
}

func readMistakes(t *testing.T) []*mistake {
	t.Helper()
	text, err := os.ReadFile(mistakesFile)
	if err != nil {
		t.Fatal(err)
	}
	p := mistakeParser{all: []*mistake{{code: preparing}}}
	for i, line := range strings.Split(string(text), "\n") {
		if err := p.line(line); err != nil {
			t.Fatalf("%s:%d: %v", mistakesFile, i+1, err)
		}
	}
	return p.all
}

// mistakeParser reads the file line by line.
type mistakeParser struct {
	all      []*mistake
	comments []string
	fields   []*string // where the next line of fields goes
}

func (p *mistakeParser) line(line string) (err error) {
	e := p.all[len(p.all)-1]
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "":
		if rest = strings.TrimSpace(rest); rest != "" {
			for _, f := range p.fields {
				*f = rest
			}
		}
	case "error":
		code, name, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseUint(code, 10, 31)
		if err != nil {
			return err
		}
		p.all = append(p.all, &mistake{code: xrow.Code(n), name: name, comments: p.comments})
		p.comments = nil
	case "never":
		e.never = rest
	case "elsewhere":
		e.elsewhere = rest
	case "do", "try":
		st, err := parseStep(word, rest)
		if err != nil {
			return err
		}
		e.steps = append(e.steps, st)
	case "=", "ours", "3.8", "because":
		if len(e.steps) == 0 {
			return fmt.Errorf("an answer to nothing")
		}
		return p.answer(&e.steps[len(e.steps)-1].answer, word, rest)
	default:
		if word[0] != '#' {
			return fmt.Errorf("what is %q?", word)
		}
		p.comments = append(p.comments, line)
	}
	return nil
}

func (p *mistakeParser) answer(a *answer, word, rest string) error {
	if word == "because" {
		a.because = rest
		return nil
	}
	o := outcome{text: rest}
	if rest != "ok" && rest != "closed" {
		f := strings.SplitN(rest, " ", 3)
		if len(f) != 3 {
			return fmt.Errorf("%q is no answer", rest)
		}
		n, err := strconv.ParseUint(f[0], 10, 31)
		if err != nil {
			return err
		}
		o = outcome{code: xrow.Code(n), class: f[1], text: strings.ReplaceAll(f[2], `\n`, "\n")}
	}
	p.fields = nil
	if word != "3.8" {
		a.ours = o
		p.fields = append(p.fields, &a.ours.fields)
	}
	if word != "ours" {
		a.theirs = o
		p.fields = append(p.fields, &a.theirs.fields)
	}
	return nil
}

func writeMistakes(t *testing.T, all []*mistake) {
	t.Helper()
	var b strings.Builder
	for i, e := range all {
		if i > 0 {
			b.WriteString("\n")
			for _, c := range e.comments {
				b.WriteString(c + "\n")
			}
			b.WriteString(e.head() + "\n")
		}
		if e.never != "" {
			b.WriteString("never " + e.never + "\n")
		}
		if e.elsewhere != "" {
			b.WriteString("elsewhere " + e.elsewhere + "\n")
		}
		for _, st := range e.steps {
			b.WriteString(st.verb + " " + st.source + "\n")
			if st.verb == "try" {
				b.WriteString(st.answer.String())
			}
		}
	}
	if err := os.WriteFile(mistakesFile, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
