package server

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Who is refused by the leader asks ever more seldom; any other failure is tried
// again at once, and so is the next refusal behind one.
func TestRefusedJoinerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := refusedPace()
		waits := func(err error) time.Duration {
			began := time.Now()
			if !p.rest(t.Context(), err) {
				t.Fatal("stopped")
			}
			return time.Since(began)
		}
		name := xrow.Errorf(xrow.ErrCfg, "instance_name", `"i9" is not among those`)
		waits(name)
		last := time.Duration(0)
		for _, err := range []error{name, xrow.Errorf(xrow.ErrReplicaMax, 3), name, name, name, name} {
			d := waits(err)
			if d <= last && d != 10*time.Second {
				t.Errorf("%v behind %v", d, last)
			}
			last = d
		}
		if last != 10*time.Second {
			t.Errorf("in the end %v", last)
		}
		for _, err := range []error{errors.New("no route"), xrow.Errorf(xrow.ErrReadonly), xrow.Errorf(xrow.ErrCfg, "instance_uuid", "is alive")} {
			if d := waits(err); d != joinPause {
				t.Errorf("%v: %v", err, d)
			}
		}
	})
}
