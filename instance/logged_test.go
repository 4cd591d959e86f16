package instance

import (
	"math/rand/v2"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// What recovery reads keeps its bytes of the log, but not where the rows were changed.
func TestLoggedFrames(t *testing.T) {
	rows := []xrow.Row{
		{Type: xrow.Replace, ReplicaID: 1, LSN: 1, Body: []byte{0x80}},
		{Type: xrow.Replace, ReplicaID: 1, LSN: 2, Body: []byte{0x80}, Flags: xrow.FlagCommit},
	}
	var g xrow.Group
	g.Add(&xrow.Row{Type: xrow.Nop, ReplicaID: 1, LSN: 0}, 0, true, 0)
	g.Add(&rows[0], 0, true, 0)
	g.Add(&rows[1], 0, false, 0)
	for name, change := range map[string]func(a *arrival){"none": func(*arrival) {}, "stamp": func(a *arrival) { a.stamp(7) }, "void": (*arrival).void} {
		t.Run(name, func(t *testing.T) {
			c, err := New(Config{UUID: "u", Mode: ModeCandidate, Rand: rand.New(rand.NewPCG(1, 2))}, box.New(box.Config{}))
			if err != nil {
				t.Fatal(err)
			}
			all := append([]xrow.Row(nil), rows...)
			a := arrival{rows: all, logged: true, frames: g.Frames(1, 3)}
			change(&a)
			frames := c.log(&a)
			if same := &frames[0] == &g.Frame(1)[0]; same != (name == "none") {
				t.Errorf("the bytes of the log: %v", same)
			}
			for i, frame := range splitFrames(frames) {
				got, err := xrow.Decode(frame[xrow.FrameHead:])
				if err != nil || got.Type != a.rows[i].Type || got.Term != a.rows[i].Term || got.LSN != a.rows[i].LSN {
					t.Errorf("row %d: %+v, want %+v (%v)", i, got, a.rows[i], err)
				}
			}
			if n := len(splitFrames(frames)); n != len(rows) {
				t.Errorf("%d rows", n)
			}
		})
	}
}
