package replication

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

const testGroup = "top"

func inGroup(group string) func(*Config) { return func(c *Config) { c.Group = group } }

// Members of a group follow each other by its name.
func TestFollowInAGroup(t *testing.T) {
	up := newTestHub(t, 2, inGroup(testGroup))
	h := newTestHub(t, 1, func(c *Config) { c.Group, c.Peers = testGroup, []Peer{{Addr: up.addr}} })
	wait(t, h.node, func(ev instance.Upstream) bool { return ev.Peer == 2 && ev.State == instance.UpstreamFollow })
	wait(t, up.node, func(ev instance.Downstream) bool { return ev.Peer == 1 && ev.Up })
	up.Handle(&instance.Effects{Raft: &xrow.Raft{Term: 1, State: 1}})
	up.write(up.gm.rows(2, 1), true)
	wait(t, h.node, func(ev instance.Rows) bool {
		defer ev.Release()
		return ev.From == 2
	})
}

// withoutGroup is a request as a peer reads it that knows no groups.
func withoutGroup(row *xrow.Row) *xrow.Row {
	out := *row
	switch row.Type {
	case xrow.Join, xrow.FetchSnap:
		r, _ := xrow.DecodeJoin(row.Body)
		r.Group = ""
		out.Body = r.AppendBody(nil)
	case xrow.Register:
		r, _ := xrow.DecodeRegister(row.Body)
		r.Group = ""
		out.Body = r.AppendBody(nil)
	case xrow.Subscribe:
		r, _ := xrow.DecodeSubscribe(row.Body)
		r.Group = ""
		out.Body = r.AppendBody(nil)
	}
	return &out
}

// oldPeer is a member of the replica set that passes over the key GROUP.
func oldPeer(t *testing.T) (h *testHub, addr string) {
	h = newTestHub(t, 2, nil)
	_, addr = serve(t, testUUID(2), "127.0.0.1:0", &backend{ballot: h.AppendBallot, replicate: func(l *iproto.Link, row *xrow.Row) error {
		return h.Serve(l, 0, withoutGroup(row))
	}})
	return h, addr
}

// untouched: nobody has asked a node for anything.
func untouched(t *testing.T, who string, n *fakeNode) {
	t.Helper()
	select {
	case ev := <-n.events:
		t.Errorf("%s was told %+v", who, ev)
	default:
	}
}

func ofReplicaSet(err error) bool {
	return errors.Is(err, xrow.ErrProtocol) && strings.Contains(err.Error(), "of the replica set, and group 'top' was asked")
}

// A peer that knows no groups answers for its replica set. It is asked for a ballot
// only, so that nobody is registered with it, and nothing of it is taken.
func TestOldPeerIsRefused(t *testing.T) {
	old, addr := oldPeer(t)
	p := Peer{Addr: addr}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, _, err := askBallot(ctx, &p, testGroup, patience); !ofReplicaSet(err) {
		t.Errorf("VOTE: %v", err)
	}
	id := Identity{Group: testGroup, UUID: testUUID(9), Incarnation: 1, Version: 3<<16 | 8<<8}
	sink := &memSink{}
	if err := Join(ctx, p, id, patience, sink, new(Progress)); !ofReplicaSet(err) || sink.inserted > 0 || sink.state != nil {
		t.Errorf("JOIN: %v, %+v", err, sink)
	}
	if err := Register(ctx, p, id, &vclock.VClock{}, patience); !ofReplicaSet(err) {
		t.Errorf("REGISTER: %v", err)
	}
	h := newTestHub(t, 1, func(c *Config) { c.Group, c.Peers = testGroup, []Peer{p} })
	h.waitLog("nothing of it is taken")
	h.Close()
	untouched(t, "the asker", h.node)
	untouched(t, "the peer", old.node)
	boot := &Boot{Self: Identity{Group: testGroup, UUID: testUUID(9)}, Peers: []Peer{p}, MustJoin: true}
	boot.withDefaults()
	if seen := boot.round(ctx); len(seen) != 1 {
		t.Errorf("counted as a member of the group: %+v", seen)
	}
}

// groupless is a peer that repeats the group in ballots and, for the rest, says what a
// test wants.
func groupless(t *testing.T, replicate func(l *iproto.Link, row *xrow.Row) error) string {
	_, addr := serve(t, testUUID(2), "127.0.0.1:0", &backend{replicate: replicate, ballot: func(dst []byte) []byte {
		return (&xrow.Ballot{Group: testGroup, IsBooted: true}).AppendBody(dst)
	}})
	return addr
}

// Every single answer says whose it is; where one does not, what goes with it is
// not taken. That holds as well for one that asks in the name of nobody.
func TestEachAnswerNamesItsGroup(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, c := range []struct{ asked, head, end string }{
		{testGroup, "", ""}, {testGroup, "other", "other"}, {testGroup, testGroup, ""}, {"", testGroup, testGroup}, {"", "", testGroup},
	} {
		h := newTestHub(t, 2, nil)
		st := goodState()
		addr := groupless(t, func(l *iproto.Link, row *xrow.Row) error {
			if row.Type == xrow.Register {
				return l.WriteRow(&xrow.Row{Type: xrow.OK, Body: xrow.AppendGroupVClockBody(nil, &st.VClock, c.end)})
			}
			j := joinStream{hub: h.Hub, link: l, sync: row.Sync, version: 1, ours: true, final: true, out: newOutlet(h.Hub, l, nil), group: c.head}
			defer j.out.close()
			j.ok(&st.VClock)
			j.meta(&st)
			if err := j.sendRows(&fakeView{member: testUUID(9), n: 3}, isLocal); err != nil {
				return err
			}
			j.group = c.end
			j.ok(&st.VClock)
			j.ok(&st.VClock)
			if err := j.flush(); err != nil {
				return err
			}
			return j.out.finish()
		})
		id := Identity{Group: c.asked, UUID: testUUID(9), Incarnation: 1, Version: 3<<16 | 8<<8}
		sink := &memSink{}
		if err := Join(ctx, Peer{Addr: addr}, id, patience, sink, new(Progress)); !errors.Is(err, xrow.ErrProtocol) || sink.state != nil {
			t.Errorf("JOIN %+v: %v", c, err)
		}
		if c.head != c.asked && sink.inserted > 0 {
			t.Errorf("JOIN %+v: rows were looked at", c)
		}
		if err := Register(ctx, Peer{Addr: addr}, id, &vclock.VClock{}, patience); !errors.Is(err, xrow.ErrProtocol) || !strings.Contains(err.Error(), "nothing of it is taken") {
			t.Errorf("REGISTER %+v: %v", c, err)
		}
	}
}

func TestSubscriptionNamesItsGroup(t *testing.T) {
	for _, c := range []struct{ asked, answered string }{{testGroup, ""}, {testGroup, "other"}, {"", testGroup}} {
		asked := make(chan string, 1)
		addr := groupless(t, func(l *iproto.Link, row *xrow.Row) error {
			req, err := xrow.DecodeSubscribe(row.Body)
			if err != nil {
				return err
			}
			select {
			case asked <- req.Group:
			default: // it asks again and again
			}
			ok := xrow.SubscribeOK{ReplicasetUUID: testSet, Kind: xrow.Tarragon, Group: c.answered}
			return l.WriteRow(&xrow.Row{Type: xrow.OK, ReplicaID: 2, Body: ok.AppendBody(nil)})
		})
		h := newTestHub(t, 1, func(cfg *Config) { cfg.Group, cfg.Peers = c.asked, []Peer{{Addr: addr}} })
		h.waitLog("nothing of it is taken")
		if got := <-asked; got != c.asked {
			t.Errorf("asked for %q, not %q", got, c.asked)
		}
		h.Close()
		untouched(t, "the asker", h.node)
	}
}

// Who is asked for a group that it does not have says so by name, and does nothing.
func TestUnknownGroup(t *testing.T) {
	for _, own := range []string{"", "other"} {
		h := newTestHub(t, 2, inGroup(own))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, err := iproto.Dial(ctx, h.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		join := xrow.JoinRequest{InstanceUUID: testUUID(9), Group: testGroup, Incarnation: 1}
		register := xrow.RegisterRequest{InstanceUUID: testUUID(9), Group: testGroup}
		subscribe := xrow.SubscribeRequest{InstanceUUID: testUUID(3), ReplicasetUUID: testSet, Group: testGroup, Kind: xrow.Tarragon}
		for _, q := range []struct {
			t    xrow.Type
			body []byte
		}{{xrow.Join, join.AppendBody(nil)}, {xrow.FetchSnap, join.AppendBody(nil)}, {xrow.Register, register.AppendBody(nil)}, {xrow.Subscribe, subscribe.AppendBody(nil)}} {
			_, err := c.Do(q.t, q.body)
			var e *xrow.Error
			if !errors.As(err, &e) || e.Code != xrow.ErrCfg || e.Message != "This instance has no group 'top'" {
				t.Errorf("%v: %v", q.t, err)
			}
			if _, again := classify(err); !again {
				t.Errorf("%v: the asker gives up, though the group may come", q.t)
			}
		}
		untouched(t, "the node", h.node)
	}
}
