package box

import (
	"bytes"
	"testing"
)

// poisoned is memory that is spoilt before it is taken and when it is given back:
// whoever looks at it then sees that. All worlds of the tests are on it.
type poisoned struct {
	t     testing.TB
	taken map[*byte]int
	given int
}

func newPoisoned(t testing.TB) *poisoned { return &poisoned{t: t, taken: map[*byte]int{}} }

func (p *poisoned) Take(n int) []byte {
	b := bytes.Repeat([]byte{0xdb}, n)
	p.taken[&b[0]] = n
	return b
}

func (p *poisoned) Give(b []byte) {
	if n, ok := p.taken[&b[0]]; !ok || n != len(b) {
		p.t.Errorf("%d bytes are given back that were not taken", len(b))
	}
	delete(p.taken, &b[0])
	p.given++
	for i := range b {
		b[i] = 0xdb
	}
}

// Pages that fall empty are given back; what is larger than a slot is Go's, and never
// comes here; and the box tells what is beside the heap.
func TestPagesComeBack(t *testing.T) {
	w := newWorld(t)
	p := w.b.config.Pages.(*poisoned)
	w.space(512, "s", nil, nil, pkIndex([]any{0, "unsigned"}))
	const rows = 3000
	text := string(make([]byte, 1000))
	for i := range rows {
		w.must(insert(512, i, text))
	}
	w.must(insert(512, rows, string(make([]byte, 2*smallMax))))
	sum := 0
	for _, n := range p.taken {
		sum += n
	}
	if m := w.b.Memory(); m.Outside != sum || m.Pages+m.Nodes-sum < 2*smallMax || m.Pages+m.Nodes-sum > 3*smallMax {
		t.Errorf("%+v, %d bytes were taken", m, sum)
	}
	had := len(p.taken)
	for i := range rows {
		w.must(del(512, i))
	}
	if least := rows * 1000 / pageSize; p.given < least-1 || had-len(p.taken) < least-1 {
		t.Errorf("%d pages were given back, expected %d", p.given, least)
	}
	if m := New(Config{}).Memory(); m.Outside != 0 || m.Nodes == 0 {
		t.Errorf("of Go's heap alone: %+v", m)
	}
}
