package instance

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tarragon.dev/tarragon/box"

	"github.com/tinylib/msgp/msgp"
)

// BenchmarkReadSessions is a slice of what a new leader reads of sessions, of as many slots as there may be, without
// answers and with the largest; and what all of it takes, which was one Step before.
func BenchmarkReadSessions(b *testing.B) {
	for _, slots := range []int{1, MaxSlots} {
		for _, answer := range []int{16, maxAnswer} {
			b.Run(fmt.Sprintf("%d slots, answers of %d", slots, answer), func(b *testing.B) {
				benchmarkRead(b, slots, answer)
			})
		}
	}
}

func benchmarkRead(b *testing.B, slots, answer int) {
	c, err := New(Config{UUID: "u", Mode: ModeCandidate, Rand: rand.New(rand.NewPCG(1, 2))}, filterBox(b))
	if err != nil {
		b.Fatal(err)
	}
	tx := c.box.Begin(1)
	if _, err := tx.MakeOwn(&box.OwnSession); err != nil {
		b.Fatal(err)
	}
	kept := msgp.AppendString([]byte{0x91}, string(make([]byte, answer)))
	n := maxSlotsOfAll / slots
	for id := range n {
		for slot := range slots + 1 {
			row := msgp.AppendUint64(msgp.AppendString([]byte{0x95}, fmt.Sprint("1/", id)), uint64(slot))
			row = msgp.AppendUint64(row, uint64(slots))
			if slot == 0 {
				row = append(msgp.AppendUint32(row, 1), 0xc0)
			} else {
				row = append(msgp.AppendBytes(row, make([]byte, 16)), kept...)
			}
			if err := tx.PutOwn(&box.OwnSession, row); err != nil {
				b.Fatal(err)
			}
		}
	}
	tx.Prepare()
	runs := 0
	c.sessions.reading.whole = true
	for b.Loop() {
		if c.sessions.reading.whole {
			c.sessions.term = 1 << 60
			c.learnSessions()
			runs++
		}
		c.readSessions(sliceSessions)
	}
	if got := len(c.sessions.all); runs > 1 && got != n && c.sessions.reading.whole {
		b.Fatalf("%d sessions", got)
	}
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(runs), "ms/all")
}
