package server

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
	_ "github.com/tarantool/go-tarantool/v2/uuid" // an error names the leader
)

// memory is what an instance counts.
func (n *node1) memory() (m box.Memory) {
	n.server().main().engine.Load().loop.Read(func(c *instance.Core) { m = c.Box().Memory() })
	return m
}

// insertUntilFull writes large rows until one is refused for lack of memory.
func (n *node1) insertUntilFull(from int) (rows int, text string) {
	n.set.t.Helper()
	conn := n.dial()
	defer conn.Close()
	for i := from; ; i++ {
		_, err := conn.Do(tarantool.NewInsertRequest("t").Tuple([]any{i, strings.Repeat("x", 1_000_000)})).Get()
		var e tarantool.Error
		switch {
		case err == nil:
		case errors.As(err, &e) && e.Code == 2:
			return i, e.Msg
		case errors.As(err, &e) && (e.Code == iproto.ER_READONLY || e.Code == iproto.Error(xrow.ErrSyncTimeout)): // a busy machine
			n.set.leader()
			i--
		case errors.As(err, &e) && e.Code == iproto.ER_TUPLE_FOUND: // what timed out was written
		default:
			n.set.t.Fatal(err)
		}
	}
}

// TestMemoryIsLimited: a leader refuses writes at its limit. A follower with less
// goes on beyond its own, and says so, also behind a restart; that ends when
// rows are deleted, or its limit is raised. The collector is told each time.
func TestMemoryIsLimited(t *testing.T) {
	if raceDetector {
		t.Skip("128 MiB of rows through three nodes take the race detector so long that leaders are lost; other tests have the same goroutines")
	}
	s := newSet(t, 3, "wal: {mode: write}\nmemtx: {memory: 128 MiB}\n")
	leader, small := s.nodes[0], s.nodes[1]
	for _, n := range s.nodes[1:] {
		n.flags = []config.Flag{{Name: "test", Path: "replication.election_mode", Value: "voter"}}
	}
	small.flags = append(small.flags, config.Flag{Name: "test", Path: "memtx.memory", Value: "67108864"})
	var heap atomic.Int64
	small.heap = heap.Store
	s.startAll()
	s.makeSpace()
	if got, want := heap.Load(), 64<<20+8<<20+heapBeside+small.load().Tarragon.AnswerMemory; got != want {
		t.Errorf("the collector was told %d, expected %d", got, want)
	}
	rows, text := leader.insertUntilFull(0)
	if text != "Failed to allocate 1000017 bytes in slab allocator for memtx_tuple" || rows < 60 {
		t.Errorf("%d rows, then %s", rows, text)
	}
	s.level()
	const what = "tuples and indexes take more than memtx.memory, which is 67108864: as a leader this instance refuses"
	says := func() bool {
		return strings.HasPrefix(small.server().lastError(), what) && strings.Contains(small.log.String(), "tuples and indexes take more")
	}
	s.until("the small one says that it is beyond its limit", says)
	if m := small.memory(); !m.Over() || small.rows() != rows {
		t.Errorf("%+v, %d rows of %d", m, small.rows(), rows)
	}
	if err := small.halt(); err != nil {
		t.Fatal(err)
	}
	small.start()
	s.until("it starts with more than its limit", func() bool { i, ok := small.info(); return ok && i.ID != 0 })
	s.until("it says so again", says)
	s.until("the collector is told of all that there is", func() bool { return heap.Load() > int64(rows*1_000_000+heapBeside) })
	s.level()

	small.call("box.cfg", map[string]any{"memtx_memory": 256 << 20})
	s.until("all is well with more memory", func() bool { return small.server().lastError() == "" })
	if m := small.memory(); m.Over() || m.Limit != 256<<20 {
		t.Errorf("%+v", m)
	}

	conn := leader.dial()
	defer conn.Close()
	if _, err := conn.Do(tarantool.NewDeleteRequest("t").Key([]any{1})).Get(); err != nil {
		t.Fatal(err)
	}
	if again, _ := leader.insertUntilFull(rows); again != rows+1 {
		t.Errorf("in the place of one row there was room for %d", again-rows)
	}
	s.level()
}
