package box

import (
	"sync"
	"testing"
)

// TestReadersShare: what readers call changes nothing, so that they may run at
// the same time; the race detector is the judge.
func TestReadersShare(t *testing.T) {
	w := clientSpaces(t)
	v := w.b.OpenView()
	var wg sync.WaitGroup
	for i := range uint32(4) {
		wg.Go(func() {
			for j := range uint32(50) {
				q := Query{Space: 512, Index: j % 3, Iterator: i % 7, Key: arr(), Limit: 100, MaxRows: 2, FetchPosition: true}
				for q.More = true; q.More; {
					if _, _, err := w.b.Select(UserAdmin, &q, nil); err != nil {
						t.Error(err)
					}
				}
				if _, _, err := w.b.Select(UserGuest, &Query{Space: 281, Limit: 100}, nil); err != nil {
					t.Error(err)
				}
				var c Cursor
				for more := true; more; {
					more, _ = v.Next(&c, 50, func(uint32, []byte) error { return nil })
				}
				w.b.Members()
				w.b.Spaces()
				w.b.ReplicasetUUID()
				_ = w.b.Schema().CheckSpace(UserGuest, 512, PrivRead)
				w.b.UserByName("guest")
			}
		})
	}
	wg.Wait()
}
