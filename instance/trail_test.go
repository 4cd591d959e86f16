package instance

import (
	"testing"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// What a member lacks is told in bytes: exactly for the last groups, and at least for older
// ones.
func TestTrail(t *testing.T) {
	const size = 100 // bytes of a group, which ends with the LSN of its number
	o := outbox{nextNo: 1}
	for no := uint64(1); no <= 1000; no++ {
		o.open = &xrow.Group{After: vclock.VClock{1: no}, Rows: make([]byte, size)}
		o.depart(time.Second, 1)
		o.arrived(no)
		for lsn, want := range map[uint64]uint64{no: 0, no - 1: 1, no - min(no, 200): min(no, 200)} {
			if got := o.trail.behind(lsn); got != int(want*size) {
				t.Fatalf("behind LSN %d of %d: %d bytes, not %d", lsn, no, got, want*size)
			}
		}
	}
	if got := o.trail.behind(0); got < 200*size || got > 1000*size {
		t.Errorf("behind all of 1000 groups: %d bytes", got)
	}
}
