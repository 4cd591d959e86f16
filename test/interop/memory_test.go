package interop

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// TestMemory: what one of ours takes within its memtx.memory, a Tarantool that
// follows it with the same limit can hold, whatever the tuples are like; the
// write that is refused is refused by Tarantool's error.
func TestMemory(t *testing.T) {
	const limit = 64 << 20
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(us(p), settings{first: true, env: append(p.profile(), "TT_MEMTX_MEMORY=67108864")})
		replica := r.add(p, settings{from: []*node{master}, ro: true, extra: "\tmemtx_memory = 67108864,\n"})
		if !master.isOurs() {
			master.set.extra = replica.set.extra
		}
		master.start()
		r.up(master)
		r.space(master, "big", nil)
		r.space(master, "wide", nil)
		for _, name := range []string{"a", "b", "c"} {
			master.must("box.space.wide:create_index", name, map[string]any{"unique": false, "parts": []any{[]any{2, "unsigned"}}})
		}
		replica.start()
		r.up(replica)
		r.follows(replica)
		rnd := rand.New(rand.NewPCG(5, 5))
		for _, shape := range []struct {
			name, space string
			size        func() int
		}{
			{"64 KiB", "big", func() int { return 1 << 16 }},
			{"60 bytes", "big", func() int { return 60 }},
			{"10000 bytes", "big", func() int { return 10_000 }},
			{"1 MB", "big", func() int { return 1_000_000 }},
			{"up to 16 kB", "big", func() int { return int(math.Pow(2, 14*rnd.Float64())) }},
			{"four indexes", "wide", func() int { return 20 }},
		} {
			rows, bytes := master.fillUp(shape.space, shape.size)
			r.catchesUp(replica, master)
			info, err := replica.call("box.slab.info")
			if err != nil {
				t.Fatal(err)
			}
			used, size := value{info[0]}.at("quota_used").num(), value{info[0]}.at("quota_size").num()
			arena := value{info[0]}.at("arena_used").num()
			t.Logf("%s: %d rows with %d bytes; there %d of %d are used, %d by tuples and indexes", shape.name, rows, bytes, used, size, arena)
			if size != limit {
				t.Errorf("the limit there is %d", size)
			}
			if bytes < limit/4 && shape.space == "big" && shape.size() > 100 {
				t.Errorf("%s: refused after %d bytes", shape.name, bytes)
			}
			r.follows(replica)
			master.must("box.space." + shape.space + ":truncate")
			r.catchesUp(replica, master)
			master.givesBack()
			replica.must("box.snapshot")
			replica.restart() // else it keeps a slab for each size that it has seen
			r.up(replica)
			r.follows(replica)
		}
		r.equal()
		r.healthy(replica)
	})
}

// givesBack waits until the room of what was dropped is free again, which takes a while.
func (n *node) givesBack() {
	n.r.t.Helper()
	n.r.until(n.name+" has room again", func() error {
		info, err := n.call("box.slab.info")
		if err != nil {
			return err
		}
		if used := (value{info[0]}).at("arena_used").num(); used > 8<<20 {
			return fmt.Errorf("%d bytes are used", used)
		}
		return nil
	})
}

// fillUp inserts rows until one is refused for lack of memory.
func (n *node) fillUp(space string, size func() int) (rows, bytes int) {
	n.r.t.Helper()
	conn, err := n.connection()
	if err != nil {
		n.r.t.Fatal(err)
	}
	for {
		var futures []*tarantool.Future
		base := rows
		for sent := 0; len(futures) < 500 && sent < 1<<20; {
			k := size()
			sent += k
			futures = append(futures, conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{base + len(futures), (base * 7919) % 1000, strings.Repeat("x", k)})))
			bytes += k
		}
		for _, f := range futures {
			_, err := f.Get()
			var e tarantool.Error
			switch {
			case err == nil:
				rows++
			case errors.As(err, &e) && e.Code == 2 && strings.HasPrefix(e.Msg, "Failed to allocate "):
				return rows, bytes
			default:
				n.r.t.Fatalf("row %d: %v", rows, err)
			}
		}
	}
}

// catchesUp waits until a Tarantool has all rows of its master.
func (r *rig) catchesUp(replica, master *node) {
	r.t.Helper()
	id := r.id(master)
	r.until(replica.name+" has all rows of "+master.name, func() error {
		info, err := master.info()
		if err != nil {
			return err
		}
		if lsn, has := info.at("lsn").num(), cluster.Number(replica.eval("return box.info.vclock[...]", id)[0]); has != lsn {
			return fmt.Errorf("%d of %d, upstream %v", has, lsn, replica.eval("return box.info.replication[...].upstream", id))
		}
		return nil
	})
}
