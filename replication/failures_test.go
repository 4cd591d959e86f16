package replication

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// A dead peer is told once for each way in which it is dead, whatever differs
// in the texts of the errors.
func TestFailuresAreToldOnce(t *testing.T) {
	reset := func(port int) error {
		return fmt.Errorf("read tcp 127.0.0.1:%d: %w", port, &net.OpError{Op: "read", Err: syscall.ECONNRESET})
	}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	var f failures
	for i, c := range []struct {
		state State
		err   error
		fresh bool
	}{
		{StateDisconnected, reset(40001), true},
		{StateDisconnected, refused, true},
		{StateDisconnected, reset(40002), false},
		{StateDisconnected, refused, false},
		{StateLoading, xrow.Errorf(xrow.ErrLoading), true},
		{StateDisconnected, errSilent, true},
		{StateLoading, xrow.Errorf(xrow.ErrLoading), false},
	} {
		if got := f.add(c.state, c.err, 5); got != c.fresh {
			t.Errorf("%d: %v: %v", i, c.err, got)
		}
	}
	if n, since := f.over(); n != 7 || since != 5 {
		t.Errorf("%d failures since %v", n, since)
	}
	if !f.add(StateDisconnected, refused, 9) {
		t.Error("the next outage is news again")
	}
	for i := range 100 {
		f.add(StateStopped, errors.New(fmt.Sprint(i)), 9)
	}
	if len(f.kinds) > maxKinds {
		t.Errorf("%d kinds are remembered", len(f.kinds))
	}
}

func TestRefusalsAreToldOnce(t *testing.T) {
	var r refusals
	e := xrow.Errorf(xrow.ErrLoading)
	if !r.fresh("10.0.0.1:4000", e) || r.fresh("10.0.0.1:4001", e) || !r.fresh("10.0.0.2:4000", e) {
		t.Error("once for each host")
	}
	for i := range 1000 {
		r.fresh(fmt.Sprintf("h%d:1", i), e)
	}
	if len(r.told) > 64 {
		t.Errorf("%d are remembered", len(r.told))
	}
}
