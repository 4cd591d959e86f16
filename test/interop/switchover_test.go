package interop

import (
	"fmt"
	"strings"
	"testing"
)

// With a Tarantool 3 as the third member leadership goes from one of ours to the other and
// back, under load, by no election that somebody lost and with no split brain. It is not
// handed to the Tarantool, nor by it.
func TestSwitchoverBesideTarantool(t *testing.T) {
	if modern.path == "" {
		t.Skip("TARANTOOL names no Tarantool 3")
	}
	r := newRig(t)
	r.configured(set{}, modern, us(modern), us(modern))
	r.formed()
	l := r.write(orders, r.leading)
	var ours []*node
	var theirs *node
	for _, n := range r.nodes {
		if n.isOurs() {
			ours = append(ours, n)
		} else {
			theirs = n
		}
	}
	r.lead(theirs)
	if err := ours[0].run("box.ctl.switchover"); err == nil {
		t.Error("one that does not lead handed over, while a Tarantool leads")
	}
	r.lead(ours[0])
	if err := ours[0].run("box.ctl.switchover", map[string]any{"to": theirs.name}); err == nil || !strings.Contains(err.Error(), "is a Tarantool, which is handed nothing") {
		t.Errorf("to a Tarantool: %v", err)
	}
	for i := range 6 {
		from, to := ours[i%2], ours[(i+1)%2]
		term := r.views.of(from).term
		r.until(from.name+" hands over", func() error { return from.run("box.ctl.switchover", map[string]any{"to": to.name}) })
		r.until(to.name+" leads the next term", func() error {
			if v := r.views.of(to); v.term != term+1 || r.leading(r.ctx) != to {
				return fmt.Errorf("term %d was handed over: %+v", term, r.said())
			}
			return nil
		})
		l.more(50)
	}
	r.same()
}
