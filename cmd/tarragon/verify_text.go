package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"tarragon.dev/tarragon/internal/mp"

	"github.com/vmihailenco/msgpack/v5"
)

// rawJSON is JSON that came as a text.
type rawJSON string

// MarshalJSON gives it as it is; nothing is null.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(cmp.Or(string(r), "null")), nil }

// DecodeMsgpack reads a text; anything else is nothing.
func (r *rawJSON) DecodeMsgpack(d *msgpack.Decoder) error {
	raw, err := d.DecodeRaw()
	if err != nil {
		return err
	}
	text, _, _ := mp.ReadString(raw)
	*r = rawJSON(text)
	return nil
}

func (r *verifyReport) print(w io.Writer) error {
	var b strings.Builder
	for i, s := range r.Sets {
		if i > 0 {
			b.WriteString("\n")
		}
		s.print(&b)
	}
	for _, why := range r.Unanswered {
		fmt.Fprintln(&b, "not compared:", why)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *provedSet) print(b *strings.Builder) {
	fmt.Fprintf(b, "replica set %s: %s\n", cmp.Or(s.Name, s.UUID), s.Verdict)
	if len(s.Ranges) > 0 {
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "TERM\tINSTANCE\tLSN\tROWS\tEQUAL AT")
		for _, r := range s.Ranges {
			at := plain(strings.Join(r.Members, ", "))
			if len(r.Members) == 1 {
				at = "not compared: only " + at + " has them in its log"
			}
			if d := s.Difference; d != nil && d.Term == r.Term && d.Origin == r.Origin && r.From <= d.From && d.From <= r.To {
				at = "DIFFERENT at " + at
			}
			fmt.Fprintf(t, "%d\t%d\t%d-%d\t%d\t%s\n", r.Term, r.Origin, r.From, r.To, r.To-r.From+1, at)
		}
		t.Flush()
	}
	if s.Difference != nil {
		s.Difference.print(b)
	}
	if sp := s.Spaces; sp != nil && len(s.SpaceDifferences) == 0 {
		fmt.Fprintf(b, "spaces: %d with %d tuples, equal at %s\n", sp.Spaces, sp.Tuples, plain(strings.Join(sp.Members, ", ")))
	}
	for i := range s.SpaceDifferences {
		s.SpaceDifferences[i].print(b)
	}
	for _, problem := range s.Problems {
		fmt.Fprintln(b, "different:", problem)
	}
	for _, m := range s.Members {
		if m.Why != "" {
			fmt.Fprintf(b, "not compared: %s: %s\n", plain(m.Name), m.Why)
		}
	}
	for _, note := range s.Notes {
		fmt.Fprintln(b, "note:", note)
	}
}

func (d *difference) print(b *strings.Builder) {
	fmt.Fprintf(b, "different from here on: term %d, instance %d, LSN %d", d.Term, d.Origin, d.From)
	if d.To > d.From {
		fmt.Fprintf(b, " to %d at least; the first of them is", d.To)
	}
	b.WriteString("\n")
	for _, side := range d.Sides {
		fmt.Fprintf(b, "  at %s: %s\n", plain(strings.Join(side.Members, ", ")), side.Row)
	}
}

// String is the row as a line.
func (r *toldRow) String() string {
	if r == nil {
		return "no such row"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s term %d, written %s", r.Type, r.Term, wallTime(r.Timestamp))
	if name := r.spaceName(); name != "" {
		fmt.Fprintf(&b, ", space %s", name)
	}
	if r.Body != "" {
		fmt.Fprintf(&b, " %s", string(r.Body))
	}
	return b.String()
}
