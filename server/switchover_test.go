package server

import (
	"errors"
	"sync"
	"testing"

	"tarragon.dev/tarragon/terms"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// box.ctl.wait_ro at the old leader and box.ctl.wait_rw at the new one end with a
// switchover, and not before; what is written behind them is taken.
func TestWaitsFollowSwitchover(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.level()
	old := s.leader()
	for round := range 3 {
		target := s.nodes[0]
		if target == old {
			target = s.nodes[1]
		}
		from, to := old.dial(), target.dial()
		ro := from.Do(tarantool.NewCallRequest("box.ctl.wait_ro").Args([]any{patience.Seconds()}))
		rw := to.Do(tarantool.NewCallRequest("box.ctl.wait_rw").Args([]any{patience.Seconds()}))
		for _, c := range []*tarantool.Connection{from, to} { // asked behind the waits, on their connections
			if _, err := c.Do(tarantool.NewPingRequest()).Get(); err != nil {
				t.Fatal(err)
			}
		}
		for what, f := range map[string]*tarantool.Future{"wait_ro at the leader": ro, "wait_rw at the target": rw} {
			select {
			case <-f.WaitChan():
				_, err := f.Get()
				t.Fatalf("%s has ended before anything moved: %v", what, err)
			default:
			}
		}
		s.until(target.name+" leads", func() bool { // it is refused while the target gives no word
			_, err := from.Do(tarantool.NewCallRequest("box.ctl.switchover").Args([]any{map[string]any{"to": target.name}})).Get()
			return err == nil
		})
		if _, err := ro.Get(); err != nil {
			t.Errorf("wait_ro at the old leader: %v", err)
		}
		if _, err := rw.Get(); err != nil {
			t.Errorf("wait_rw at the new leader: %v", err)
		}
		if _, err := to.Do(tarantool.NewReplaceRequest("t").Tuple([]any{round, "x"})).Get(); err != nil {
			t.Errorf("a write at the new leader: %v", err)
		}
		from.Close()
		to.Close()
		old = target
	}
}

// A leader is told to stop while clients that go nowhere else write. What it has answered
// is there, what it has refused is not. Where it moves leadership first it refuses nothing:
// what it held and forwarded is answered before its connections end; of what comes behind
// that each client may have one request on its way.
func TestStopAnswersWrites(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.level()
	old := s.leader()
	const clients = 16
	var mu sync.Mutex
	fate := map[int]error{}
	var wg sync.WaitGroup
	began := make(chan struct{}, clients)
	for c := range clients {
		conn := old.dial()
		wg.Go(func() {
			defer conn.Close()
			for i := 0; ; i++ {
				key := c*1_000_000 + i
				_, err := conn.Do(tarantool.NewInsertRequest("t").Tuple([]any{key, "x"})).Get()
				mu.Lock()
				fate[key] = err
				mu.Unlock()
				if i == 20 {
					began <- struct{}{}
				}
				if err != nil {
					return
				}
			}
		})
	}
	for range clients {
		<-began
	}
	if err := old.halt(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s.level()
	conn := s.leader().dial()
	defer conn.Close()
	done, refused, unsent, unknown := 0, 0, 0, 0
	for key, err := range fate {
		rows, readErr := conn.Do(tarantool.NewSelectRequest("t").Key([]any{key})).Get()
		if readErr != nil {
			t.Fatal(readErr)
		}
		var answer tarantool.Error
		var client tarantool.ClientError
		switch {
		case err == nil:
			if done++; len(rows) != 1 {
				t.Errorf("%d was acknowledged and is not there", key)
			}
			continue
		case errors.As(err, &answer) && (answer.Code == iproto.ER_READONLY || answer.Code == iproto.ER_SHUTDOWN):
			refused++
		case errors.As(err, &client) && client.Code == tarantool.ErrConnectionClosed:
			unsent++
		default:
			unknown++
			continue
		}
		if len(rows) != 0 {
			t.Errorf("%d was not executed (%v) and is there", key, err)
		}
	}
	t.Logf("%d acknowledged, %d refused, %d not sent, %d of unknown outcome", done, refused, unsent, unknown)
	history := s.leader().readyInfo().History
	if moved := history[len(history)-1].Began.Kind == terms.Switchover; moved && (refused > 0 || unknown > clients) {
		t.Errorf("leadership moved first, and %d were refused, %d are of unknown outcome", refused, unknown)
	}
}
