package iproto

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

func watchBody(key string) []byte {
	return append([]byte{0x81, byte(xrow.KeyEventKey)}, msgp.AppendString(nil, key)...)
}

// wantEvent reads an EVENT; value nil: without data.
func (p *peer) wantEvent(sync uint64, key string, value []byte) {
	p.t.Helper()
	row := p.read()
	k, v, err := DecodeEvent(row.Body)
	if err != nil || k != key || row.Sync != sync || !bytes.Equal(v, value) || (v == nil) != (value == nil) {
		p.t.Fatalf("got %q %x sync %d, %v; want %q %x sync %d", k, v, row.Sync, err, key, value, sync)
	}
}

// A slow watcher holds no values: it gets the last one, once, after its
// acknowledgement.
func TestSlowWatcherGetsTheLastValue(t *testing.T) {
	f := newFixture(t, nil)
	p := f.connect()
	p.request(xrow.Watch, 1, watchBody("k"))
	p.wantEvent(1, "k", nil)
	for i := range byte(50) {
		f.hub.Set("k", []byte{i})
	}
	p.ping(2)
	p.request(xrow.Watch, 3, watchBody("k"))
	p.wantEvent(3, "k", []byte{49})
	p.request(xrow.Watch, 4, watchBody("k"))
	p.ping(5)
	f.hub.Update("k", []byte{49}) // no change, no event
	p.ping(6)
	f.hub.Set("k", []byte{49}) // said again on purpose
	p.wantEvent(4, "k", []byte{49})
	p.request(xrow.Watch, 7, watchBody("k"))
	p.ping(8)
	f.hub.Set("k", nil)
	p.wantEvent(7, "k", nil)
	p.request(xrow.Watch, 8, watchBody("k"))
	p.request(xrow.Unwatch, 9, watchBody("k"))
	p.ping(10)
	f.hub.Set("k", []byte{1})
	p.ping(11)
}

func TestHubForgets(t *testing.T) {
	f := newFixture(t, nil)
	p, q := f.connect(), f.connect()
	for i := range 10 {
		key := fmt.Sprint("k", i)
		p.request(xrow.Watch, 1, watchBody(key))
		p.wantEvent(1, key, nil)
		q.request(xrow.Watch, 1, watchBody(key))
		q.wantEvent(1, key, nil)
	}
	f.hub.Set("valued", []byte{1})
	p.nc.Close()
	f.wantCause(io.EOF)
	f.hub.mu.Lock()
	for key, e := range f.hub.keys {
		if key != "valued" && len(e.watchers) != 1 {
			t.Errorf("%s: %d watchers", key, len(e.watchers))
		}
	}
	f.hub.mu.Unlock()
	for i := range 10 {
		q.request(xrow.Unwatch, 1, watchBody(fmt.Sprint("k", i)))
	}
	q.ping(2)
	if len(f.hub.keys) != 1 {
		t.Errorf("%d keys, want the one with a value", len(f.hub.keys))
	}
}

// Watched keys cost memory, so their number on a connection is bounded.
func TestWatchBudget(t *testing.T) {
	f := newFixture(t, nil)
	p := f.connect()
	for i := uint64(1); ; i++ {
		key := fmt.Sprintf("%050000d", i)
		p.request(xrow.Watch, i, watchBody(key))
		row := p.read()
		if e := row.AsError(); e != nil {
			if e.Code != xrow.ErrMemoryIssue || i != watchBudget/(50000+watcherCost)+1 {
				t.Fatalf("after %d keys: %v", i-1, e)
			}
			break
		}
		if i > 100 {
			t.Fatal("no limit")
		}
	}
	p.request(xrow.Unwatch, 1, watchBody(fmt.Sprintf("%050000d", 1)))
	p.request(xrow.Watch, 2, watchBody("small"))
	p.wantEvent(2, "small", nil)
}

// Watchers leave in any order without taking others along.
func TestWatchersLeave(t *testing.T) {
	f := newFixture(t, nil)
	var peers []*peer
	for range 5 {
		p := f.connect()
		p.request(xrow.Watch, 1, watchBody("k"))
		p.wantEvent(1, "k", nil)
		p.request(xrow.Watch, 1, watchBody("k"))
		p.ping(2)
		peers = append(peers, p)
	}
	value := byte(0)
	for len(peers) > 0 {
		i := len(peers) / 3
		peers[i].request(xrow.Unwatch, 3, watchBody("k"))
		peers[i].ping(4)
		peers = append(peers[:i], peers[i+1:]...)
		value++
		f.hub.Set("k", []byte{value})
		for _, p := range peers {
			p.wantEvent(1, "k", []byte{value})
			p.request(xrow.Watch, 1, watchBody("k"))
			p.ping(5)
		}
	}
}
