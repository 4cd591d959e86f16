package replication

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// countedConn counts pieces that are written.
type countedConn struct {
	cannedConn
	writes atomic.Int64
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return len(b), nil
}

// Rows of a stream that is cut gather once the peer has all; heartbeats do not wait, nor do rows of
// a stream that has all, nor what is left of a log.
func TestRowsGather(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	for name, share := range map[string]*xrow.Share{"all": nil, "cut": {Filter: "hr", New: true}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			conn := &countedConn{}
			r := &relay{hub: h.Hub, link: iproto.NewLink(conn, 1<<20), wake: make(chan struct{}, 1), more: make(chan struct{}, 1),
				subscriber: subscriber{uuid: testUUID(9), share: share},
				cutter:     cutter{next: h.feed.upTo + 1, sentRaft: h.feed.raft.seq, sentBeat: h.feed.beats, gap: xrow.NewGap(share)}}
			h.mu.Lock()
			h.relays = []*relay{r}
			h.mu.Unlock()
			ended := make(chan error)
			go func() { ended <- r.send(ctx) }()
			wrote := func(what string, want int64) {
				t.Helper()
				synctest.Wait()
				if n := conn.writes.Swap(0); n != want {
					t.Errorf("%s, %s: %d writes, want %d", name, what, n, want)
				}
			}
			write := func(times int) {
				for range times {
					h.write(h.gm.rows(1, 1), true)
					synctest.Wait()
				}
			}
			steps := []struct {
				what     string
				do       func()
				all, cut int64
			}{
				{"nothing", func() {}, 0, 0},
				{"the first row", func() { write(1) }, 1, 1},
				{"rows behind it", func() { write(3) }, 3, 0},
				{"a heartbeat, and rows in front of it", func() { h.Handle(&instance.Effects{Beat: true}) }, 1, 2},
				{"rows behind that", func() { write(2) }, 2, 0},
				{"their time is over", func() { time.Sleep(gatherTime) }, 0, 1},
				{"nothing more", func() { time.Sleep(gatherTime) }, 0, 0},
				{"a row behind a rest", func() { write(1) }, 1, 1},
			}
			for _, s := range steps {
				want := s.cut
				if share == nil {
					want = s.all
				}
				s.do()
				wrote(s.what, want)
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if want := h.feed.ring.end() - 1; r.pos[1] != want {
				t.Errorf("%s: the stream stands at %d, want %d", name, r.pos[1], want)
			}
		})
	}
	h.mu.Lock()
	h.relays = nil
	h.mu.Unlock()
}

// The log is sent at one go, however many writes it takes.
func TestLogIsNotGathered(t *testing.T) {
	h := newTestHub(t, 1, nil)
	h.show(2)
	for range writeGroups + 1 {
		h.write(h.gm.rows(1, 1), true)
	}
	share := &xrow.Share{Filter: "hr", New: true}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		conn := &countedConn{}
		r := &relay{hub: h.Hub, link: iproto.NewLink(conn, 1<<20), wake: make(chan struct{}, 1), more: make(chan struct{}, 1),
			subscriber: subscriber{uuid: testUUID(9), share: share}, cutter: cutter{next: 1, sentRaft: h.feed.raft.seq, gap: xrow.NewGap(share)}}
		ended := make(chan error)
		go func() { ended <- r.send(ctx) }()
		synctest.Wait()
		if want := (vclock.VClock{1: writeGroups + 1}); conn.writes.Load() != 2 || r.pos != want {
			t.Errorf("%d writes up to %s, want 2 up to %s", conn.writes.Load(), r.pos, want)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
