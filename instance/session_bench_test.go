package instance

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tarragon.dev/tarragon/box"

	"github.com/tinylib/msgp/msgp"
)

// BenchmarkLearnSessions is what the first request with a number in a term costs the Step that it is in: the leader reads
// all rows of sessions. It is of as many slots as there may be, without answers and with the largest.
func BenchmarkLearnSessions(b *testing.B) {
	for _, answer := range []int{16, maxAnswer} {
		b.Run(fmt.Sprint(answer), func(b *testing.B) {
			c, err := New(Config{UUID: "u", Mode: ModeCandidate, Rand: rand.New(rand.NewPCG(1, 2))}, filterBox(b))
			if err != nil {
				b.Fatal(err)
			}
			tx := c.box.Begin(1)
			if _, err := tx.MakeOwn(&box.OwnSession); err != nil {
				b.Fatal(err)
			}
			kept := msgp.AppendString([]byte{0x91}, string(make([]byte, answer)))
			for id := range maxSlotsOfAll / MaxSlots {
				for slot := range MaxSlots + 1 {
					row := msgp.AppendUint64(msgp.AppendString([]byte{0x95}, fmt.Sprint("1/", id)), uint64(slot))
					row = msgp.AppendUint64(row, MaxSlots)
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
			for b.Loop() {
				c.sessions.term = 1 << 60
				c.learnSessions()
			}
			if len(c.sessions.all) != maxSlotsOfAll/MaxSlots {
				b.Fatalf("%d sessions", len(c.sessions.all))
			}
		})
	}
}
