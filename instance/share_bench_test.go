package instance

import (
	"fmt"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// BenchmarkManySpaces is what a filter costs a replica that gives it so many spaces at once, from
// the CONFIRM of its row until all of them are open, with a row of each committed meanwhile.
func BenchmarkManySpaces(b *testing.B) {
	for _, n := range []uint64{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				rows, spaces := shareRows(b), []uint32{sharePeople}
				for id := range n {
					id += 1000
					row := msgp.AppendString(append(msgp.AppendUint64([]byte{0x97}, id), 1), fmt.Sprint("s", id))
					rows = append(rows, xrow.DML{SpaceID: xrow.SpaceSpace, Tuple: append(append(msgp.AppendString(row, "memtx"), 0), 0x80, 0x90)},
						xrow.DML{SpaceID: xrow.SpaceIndex, Tuple: indexRow(id)})
					spaces = append(spaces, uint32(id))
				}
				r := startShareReader(b, State{Share: &shareFilter(1).Share}, rows).promoted()
				r.core.cfg.BacklogMaxSize = 1 << 30
				f := Filter{Share: xrow.Share{Filter: "hr", Version: 2, Spaces: spaces}}
				b.StartTimer()
				r.take(r.gen, replaceRow(r.core.box.OwnSpaces().Always[0], f.Tuple()), confirmRow)
				r.step(CopyBegins{Order: 1, VClock: r.core.Decided(), Tuples: int(n)})
				for _, id := range spaces[1:] {
					r.step(CopyRows{Order: 1, Space: id, Tuples: [][]byte{key(1)}})
				}
				var written []xrow.Row
				for _, id := range spaces[1:] {
					written = append(written, replaceRow(id, key(2)))
				}
				r.take(r.core.share.gen, append(written, confirmRow)...)
				r.step(CopyEnds{Order: 1})
				if r.len(spaces[1]) != 2 || len(r.core.share.lacks) > 0 {
					b.Fatalf("%d tuples, %d are lacking", r.len(spaces[1]), len(r.core.share.lacks))
				}
			}
		})
	}
}
