package interop

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarantool/go-tarantool/v2"
)

// An anonymous Tarantool reads along while the leader of a set of ours is killed
// again and again under load, synchronous and asynchronous. It follows all of
// them to the end, restarts, and holds the same rows. What it may keep is an
// asynchronous row that a new leader voided; that space is emptied at last.
func TestReaderOfStrongSet(t *testing.T) {
	if modern.path == "" {
		t.Skip("TARANTOOL names no Tarantool 3")
	}
	r := newRig(t)
	r.configured(set{}, us(modern), us(modern), us(modern))
	r.formed()
	members := r.nodes
	first, _ := r.leader(0)
	r.space(first, plain, nil)
	reader := r.add(modern, settings{from: members, anon: true, ro: true})
	reader.start()
	r.up(reader)
	r.follows(reader)
	l := r.write(orders, r.leading)
	stop := r.replaceAsync()
	for round := range 6 {
		l.more(60)
		n, term := r.leader(0)
		n.kill()
		r.leader(term)
		l.more(60)
		n.start()
		r.up(n)
		r.meshed(members...)
		if round == 3 {
			reader.restart()
			r.up(reader)
		}
		r.follows(reader)
	}
	stop()
	last, _ := r.leader(0)
	last.must("box.space." + plain + ":truncate")
	r.same()
	if info, err := last.info(); err != nil || info.at("tarragon", "rules").text() != "strong" {
		t.Errorf("the set is not under the strong rules: %v, %v", info.at("tarragon").any, err)
	}
	if v := r.views.of(last); v.term < 7 {
		t.Errorf("only %d terms", v.term)
	}
}

// A Tarantool cuts nothing. A Tarragon with a filter takes no state of it, says so by name, and again
// after a restart of either.
func TestFilteredReaderOfTarantool(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(p, settings{first: true})
		reader := r.add(us(p), settings{from: []*node{master}, anon: true, env: []string{"TT_TARRAGON_FILTER=hr"}})
		master.start()
		r.up(master)
		master.fill()
		const refused = "Tarantool does not support filters: a replica with a filter ('hr') takes nothing from it"
		for times := 1; times <= 2; times++ {
			reader.start()
			r.until("the reader says why it takes nothing", func() error {
				if n := strings.Count(reader.text(), refused); n < times {
					return fmt.Errorf("it has said so %d times", n)
				}
				return nil
			})
			reader.terminate()
			master.restart()
			r.up(master)
		}
		out, err := exec.Command(ours, "xlog", "cat", filepath.Join(reader.dir, "var", "lib", reader.name)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("its store has: %v, %s", err, out)
		}
	})
}

// replaceAsync writes rows to an asynchronous space until it is told to stop.
func (r *rig) replaceAsync() (stop func()) {
	var wg sync.WaitGroup
	end := make(chan struct{})
	wg.Go(func() {
		for i := uint64(0); ; i++ {
			select {
			case <-end:
				return
			case <-r.ctx.Done():
				return
			case <-time.After(pace):
			}
			if n := r.leading(r.ctx); n != nil {
				_, _ = n.do(tarantool.NewReplaceRequest(plain).Tuple([]any{i % 50, i})) // a dying leader may lose it
			}
		}
	})
	return sync.OnceFunc(func() { close(end); wg.Wait() })
}
