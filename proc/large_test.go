package proc

import (
	"errors"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// An answer of :select has the limit of all answers, and a large one asks for
// room before it is made, once, and gives it back behind its reply.
func TestLargeSelect(t *testing.T) {
	refused := xrow.Errorf(xrow.ErrMemoryIssue, 1, "here", "there")
	for _, test := range []struct {
		name   string
		limit  int
		refuse error
		code   xrow.Code
		asked  int
	}{
		{name: "within the limits", limit: 64 << 20, asked: 1},
		{name: "above the limit", limit: LargeAnswer - 1, code: xrow.ErrMemoryIssue},
		{name: "no room", limit: 64 << 20, refuse: refused, code: xrow.ErrMemoryIssue, asked: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCaller(t, instance.ModeCandidate, func(env *Env) { env.MaxAnswer = test.limit })
			c.admin("box.schema.space.create", `["t"]`)
			c.admin("box.space.t:create_index", `["pk"]`)
			for i := range byte(4) {
				tuple := append([]byte{0x91, 0x92, i, 0xc6, 0, 0xa, 0, 0}, make([]byte, 0xa<<16)...)
				if a := c.call(1, xrow.Call, "box.space.t:insert", tuple); a == nil || a.err != nil {
					t.Fatalf("%+v", a)
				}
			}
			asked, given, replies := 0, 0, 0
			var failed *xrow.Error
			c.p.Call(Call{Conn: 1, Sync: 1, User: 1, Type: xrow.Call, Name: "box.space.t:select", Args: []byte{0x90},
				Reply: func(_ []byte, err *xrow.Error) {
					replies, failed = replies+1, err
					if given != 0 {
						t.Error("the room was given back before the reply")
					}
				},
				Large: func() (func(), error) {
					if asked++; test.refuse != nil {
						return nil, test.refuse
					}
					return func() { given++ }, nil
				}})
			if asked != test.asked || replies != 1 {
				t.Errorf("asked %d times, %d replies", asked, replies)
			}
			if test.refuse == nil && given != asked {
				t.Errorf("given back %d times", given)
			}
			if (failed == nil) != (test.code == 0) || failed != nil && !errors.Is(failed, test.code) {
				t.Errorf("got %v", failed)
			}
		})
	}
}
