package iproto

import (
	"errors"
	"io"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

// sendAway makes users go, and asks about all sessions.
func (f *fixture) sendAway(gone ...User) {
	f.node.mu.Lock()
	f.node.gone = map[User]bool{}
	for _, u := range gone {
		f.node.gone[u] = true
	}
	f.node.mu.Unlock()
	f.srv.Recheck()
}

func (p *peer) wantEnd() {
	p.t.Helper()
	if _, err := p.link.ReadFrame(); err != io.EOF {
		p.t.Errorf("got %v, want EOF", err)
	}
}

// Sessions of who has gone end, with their watchers, and no others.
func TestAttackSessionsEnd(t *testing.T) {
	f := newFixture(t, nil)
	test, poor, guest := f.connect(), f.connect(), f.connect()
	for p, user := range map[*peer]string{test: "test", poor: "poor"} {
		if e := p.login(user); e != nil {
			t.Fatal(e)
		}
	}
	test.request(xrow.Watch, 2, []byte{0x81, byte(xrow.KeyEventKey), 0xa1, 'k'})
	test.read()
	f.sendAway(32)
	test.wantEnd()
	if cause := <-f.closed; !errors.Is(cause, ErrUserGone) || !errors.Is(cause, xrow.ErrNoSuchUser) {
		t.Errorf("closed by %v", cause)
	}
	poor.ping(3)
	guest.ping(3)
}

// One that goes on as another user ends with either of them.
func TestAttackSuEnds(t *testing.T) {
	for _, gone := range []User{32, 33} {
		f := newFixture(t, nil)
		f.node.onCall = func(c *Conn, q *Call) {
			if err := f.srv.Su(c.ID(), 33); err != nil {
				t.Error(err)
			}
			c.Reply(q.Sync, emptyArray, nil)
			c.Flush()
		}
		p := f.connect()
		if e := p.login("test"); e != nil {
			t.Fatal(e)
		}
		p.request(xrow.Call, 2, []byte{0x81, 0x22, 0xa1, 'f'})
		p.wantOK(2)
		f.sendAway(gone)
		p.wantEnd()
	}
}

// A user that goes while it logs in: nobody is there to send away yet.
func TestAttackGoneAtLogin(t *testing.T) {
	f := newFixture(t, nil)
	f.sendAway(32)
	p := f.connect()
	p.request(xrow.Auth, 77, authBody("test", "test", &p.greeting))
	p.wantEnd()
}

// A stream of who may not replicate any more ends, and only that.
func TestAttackStreamsEnd(t *testing.T) {
	f := newFixture(t, nil)
	begun := make(chan struct{})
	f.node.replicate = func(l *Link, _ User, _ *xrow.Row) error {
		close(begun)
		_, err := l.ReadRow()
		return err
	}
	stream, client := f.connect(), f.connect()
	stream.request(xrow.Subscribe, 1, []byte{0x80})
	<-begun
	f.sendAway(onlyStreams)
	stream.wantEnd()
	client.ping(1)
}
