package server

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"tarragon.dev/tarragon/xrow"
)

// fakeLog has so many groups, and then an error.
type fakeLog struct {
	groups uint64
	end    error
	next   uint64
	closed bool
}

func (f *fakeLog) Next() (no uint64, g *xrow.Group, err error) {
	if f.closed {
		panic("read behind Close")
	}
	if f.next++; f.next > f.groups {
		return 0, nil, f.end
	}
	return f.next, f.group(int(f.next)), nil
}

// group has so many rows, whose LSN is the group's number.
func (f *fakeLog) group(n int) *xrow.Group {
	g := &xrow.Group{}
	for range n {
		g.Add(&xrow.Row{Type: xrow.Nop, ReplicaID: 1, LSN: uint64(n)}, 0, true, 0)
	}
	return g
}

func (f *fakeLog) Close() { f.closed = true }

// All groups come in their order, then the error of the log; each stays what it is
// until the next one is asked for.
func TestReadAhead(t *testing.T) {
	for _, end := range []error{io.EOF, errors.New("damage")} {
		synctest.Test(t, func(t *testing.T) {
			log := &fakeLog{groups: 10 * aheadGroups, end: end}
			a := readAhead(t.Context(), log)
			for want := uint64(1); want <= log.groups; want++ {
				read := a.Next(t.Context())
				synctest.Wait() // all is read that has room
				if read.err != nil || read.no != want || read.d.Rows() != int(want) {
					t.Fatalf("group %d of %d rows (%v), want %d", read.no, read.d.Rows(), read.err, want)
				}
			}
			if read := a.Next(t.Context()); read.err != end {
				t.Errorf("%v behind the last group, want %v", read.err, end)
			}
			a.Close()
			if !log.closed {
				t.Error("the log was not closed")
			}
		})
	}
}

// A bounded number of groups is ahead, whoever stops early waits for the goroutine,
// and a stop from outside is the error.
func TestReadAheadStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &fakeLog{groups: 1000}
		ctx, cancel := context.WithCancelCause(t.Context())
		a := readAhead(ctx, log)
		synctest.Wait()
		if log.next != aheadGroups+1 {
			t.Errorf("%d groups were read before any was asked for, want %d", log.next, aheadGroups+1)
		}
		stop := errors.New("stop")
		cancel(stop)
		synctest.Wait()
		var err error
		for err == nil {
			err = a.Next(ctx).err
		}
		if err != stop {
			t.Errorf("%v, want that of the stop", err)
		}
		a.Close()

		log = &fakeLog{groups: 1000}
		a = readAhead(t.Context(), log)
		a.Close()
		at := log.next
		synctest.Wait()
		if !log.closed || log.next != at {
			t.Error("the log was read behind Close")
		}
	})
}
