package replication

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// told is a page of a peer's history.
type told struct {
	Confirmed uint64        `msgpack:"confirmed"`
	Terms     []historyTerm `msgpack:"terms"`
	More      bool          `msgpack:"more"`
}

// tells has a scripted peer answer tarragon.history with one page after the other, the last
// one again and again. It counts the calls.
func (s *scripted) tells(pages ...told) *atomic.Int32 {
	var calls atomic.Int32
	s.backend.call = func(c *iproto.Conn, q *iproto.Call) {
		n := min(int(calls.Add(1)), len(pages))
		if q.Name != "tarragon.history" || n == 0 {
			c.Reply(q.Sync, nil, xrow.Errorf(xrow.ErrNoSuchProc, q.Name))
		} else {
			c.Reply(q.Sync, mp.Encode([]any{pages[n-1]}), nil)
		}
		c.Flush()
	}
	return &calls
}

// followers makes an instance of ours, ID 1, with a line, that follows scripted peers of our
// kind, IDs 2 and up.
func followers(t *testing.T, line instance.Line, peers ...*scripted) *testHub {
	node := newFakeNode(1)
	for i := range node.info.Members {
		node.info.Members[i].Incarnation = 1
	}
	return newTestHubOf(t, 1, node, func(c *Config) {
		c.Line = func() instance.Line { return line }
		for _, p := range peers {
			c.Peers = append(c.Peers, Peer{Addr: p.addr})
		}
	})
}

func term(n uint64, owner uint32, first, last uint64) historyTerm {
	return historyTerm{Term: n, Owner: owner, First: first, Last: last}
}

var lineOf12 = instance.Line{Confirmed: 9, Term: 3, Owner: 2, Last: 12, History: []terms.Span{
	{Term: 2, Owner: 1, First: 1, Last: 5, Writer: 1, Rules: terms.Strong}, {Term: 3, Owner: 2, First: 1, Last: 12, Writer: 2, Rules: terms.Strong}}}

// An instance says where it stands before it subscribes, and once; a history may come in
// pages. A peer that has no such call is followed as ever.
func TestStandingIsSaid(t *testing.T) {
	for _, c := range []struct {
		want  string
		pages []told
	}{
		{`"standing":"behind"`, []told{{9, []historyTerm{term(2, 1, 1, 5)}, true}, {20, []historyTerm{term(3, 2, 1, 20)}, false}}},
		{`"standing":"ahead","void":3`, []told{{4, []historyTerm{term(2, 1, 1, 5), term(3, 2, 1, 9), term(4, 3, 1, 4)}, false}}},
		{`this peer tells no history`, nil},
	} {
		p := newScripted(t, 2, "127.0.0.1:0")
		calls := p.tells(c.pages...)
		h := followers(t, lineOf12, p)
		h.waitLog(c.want)
		p.accept(2, vclock.VClock{}).end(io.EOF)
		p.accept(2, vclock.VClock{})
		if n := int(calls.Load()); n != max(len(c.pages), 1) {
			t.Errorf("%s: asked %d times", c.want, n)
		}
	}
}

// A peer that tells a history which contradicts what is committed here is not followed, and
// it is said where the lines part and what to do; the others are followed all the
// same, so a forged history keeps nobody from its set.
func TestPartedLine(t *testing.T) {
	forged, honest := newScripted(t, 2, "127.0.0.1:0"), newScripted(t, 3, "127.0.0.1:0")
	forged.tells(told{3, []historyTerm{term(2, 1, 1, 5), term(3, 3, 1, 9)}, false})
	honest.tells(told{12, []historyTerm{term(2, 1, 1, 5), term(3, 2, 1, 12)}, false})
	h := followers(t, lineOf12, forged, honest)
	h.waitLog("The lines part behind LSN 5 of instance 1 in term 2: here term 3 is that of instance 2 from its LSN 1 on, there that of instance 3")
	honest.accept(3, vclock.VClock{})
	for _, s := range h.Status() {
		if s.Upstream != nil && s.UUID == testUUID(2) && s.Upstream.Status != StateStopped {
			t.Errorf("upstream %+v", s.Upstream)
		}
	}
	select {
	case <-forged.subs:
		t.Error("a parted line is followed")
	default:
	}
}

// A history that cannot be one is not taken for one.
func TestBadHistory(t *testing.T) {
	for name, pages := range map[string][]told{
		"terms go back":    {{1, []historyTerm{term(3, 1, 1, 5), term(2, 1, 6, 7)}, false}},
		"pages go back":    {{1, []historyTerm{term(3, 1, 1, 5)}, true}, {1, []historyTerm{term(3, 1, 1, 5)}, true}},
		"no end":           {{1, nil, true}},
		"an empty term":    {{1, []historyTerm{term(3, 1, 5, 4)}, false}},
		"beyond all terms": {{1, []historyTerm{term(1<<63, 1, 1, 5)}, false}},
	} {
		a := &applier{hub: followers(t, lineOf12).Hub}
		p := newScripted(t, 2, "127.0.0.1:0")
		p.tells(pages...)
		_, _, err := a.askHistory(t.Context(), dial(t, p.addr))
		if e := new(xrow.Error); !errors.As(err, &e) || e.Code != xrow.ErrProtocol {
			t.Errorf("%s: %v", name, err)
		}
	}
}
