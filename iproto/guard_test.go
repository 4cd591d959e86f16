package iproto

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// host is an address, as a connection has it.
func host(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }

// testGuard knows the user "repl" of members, and one of them at 10.0.0.2.
func testGuard() *guard {
	l := Limits{Reserved: func(user string) bool { return user == "repl" },
		Member: func(site netip.Addr) bool { return site == netip.MustParseAddr("10.0.0.2") }}.withDefaults()
	return newGuard(&l)
}

// wrong is so many wrong attempts at one moment.
func (g *guard) wrong(now time.Duration, from net.Addr, user string, times int) (last verdict) {
	for range times {
		last = g.judge(now, from, user, false)
	}
	return last
}

func wantVerdict(t *testing.T, what string, got, want verdict) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

// The first mistakes are free. Then answers come later and later, right ones too,
// and most attempts are not judged at all. In the end all is forgotten.
func TestAttackOneAddress(t *testing.T) {
	g, a := testGuard(), host("10.0.0.9")
	wantVerdict(t, "the last free one", g.wrong(0, a, "u", pairFree), verdict{})
	for _, ms := range []time.Duration{50, 100, 200, 400, 500, 500} {
		wantVerdict(t, "a further one", g.wrong(0, a, "u", 1), verdict{wait: ms * time.Millisecond})
	}
	wantVerdict(t, "a right one", g.judge(0, a, "u", true), verdict{wait: g.pause})
	g.wrong(0, a, "u", 100)
	wantVerdict(t, "one too many", g.wrong(0, a, "u", 1), verdict{wait: g.pause, refused: true})
	wantVerdict(t, "a right one among too many", g.judge(0, a, "u", true), verdict{wait: g.pause, refused: true})
	judged := 0
	const span = 100 * time.Second
	for now := time.Duration(0); now < span; now += time.Millisecond {
		if !g.judge(now, a, "u", false).refused {
			judged++
		}
	}
	if most := int((span + judgedAhead) / judgedEach); judged > most || judged < most/2 {
		t.Errorf("%d attempts were judged in %v, want about %d", judged, span, most)
	}
	wantVerdict(t, "all is forgotten", g.wrong(span+time.Hour, a, "u", 1), verdict{})
}

// Other names are no way around: an address has some free ones of all, and those
// that do not exist count as well. Who has logged in from there before is let in.
func TestAttackOneAddressManyUsers(t *testing.T) {
	g, a := testGuard(), host("10.0.0.9")
	wantVerdict(t, "a neighbour", g.judge(0, a, "neighbour", true), verdict{})
	for i := range 1000 {
		g.judge(time.Second, a, fmt.Sprint("user", i), false)
	}
	for range 2 { // to be refused is no login
		wantVerdict(t, "one that is new there", g.judge(time.Second, a, "late", true), verdict{wait: g.pause, refused: true})
	}
	wantVerdict(t, "the neighbour", g.judge(time.Second, a, "neighbour", true), verdict{})
	wantVerdict(t, "from elsewhere", g.judge(time.Second, host("10.0.0.8"), "late", true), verdict{})
}

// No number of failures elsewhere keeps a user out; an address that guesses with
// the others has one free guess, though.
func TestAttackOneUserManyAddresses(t *testing.T) {
	g := testGuard()
	for i := range 1000 {
		g.judge(0, host(fmt.Sprintf("10.1.%d.%d", i/250, i%250)), "u", false)
	}
	wantVerdict(t, "from an address without failures", g.judge(0, host("10.0.0.8"), "u", true), verdict{})
	wantVerdict(t, "the second guess", g.judge(0, host("10.1.0.1"), "u", false), verdict{wait: firstPause})
	// All of an IPv6 network are one.
	for i := range 100 {
		g.judge(0, host(fmt.Sprintf("2001:db8::%x", i+1)), "v", false)
	}
	wantVerdict(t, "the next of a network", g.judge(0, host("2001:db8::ffff"), "v", true), verdict{wait: g.pause, refused: true})
	wantVerdict(t, "the next network", g.judge(0, host("2001:db8:0:1::1"), "v", true), verdict{})
}

// Who guesses the password of the members, even on the host of one, does not keep
// that one out: it waits for less than it takes for silence.
func TestAttackMember(t *testing.T) {
	g, member, other := testGuard(), host("10.0.0.2"), host("10.0.0.9")
	for _, a := range []net.Addr{member, other} {
		g.wrong(0, a, "repl", 1000)
	}
	wantVerdict(t, "the member", g.judge(0, member, "repl", true), verdict{wait: g.pause})
	wantVerdict(t, "somewhere else", g.judge(0, other, "repl", true), verdict{wait: g.pause, refused: true})
	wantVerdict(t, "another user from there", g.judge(0, member, "app", true), verdict{wait: g.pause, refused: true})
	known := host("10.0.0.3") // by a login, not as the address of a member
	g.judge(0, known, "repl", true)
	g.wrong(0, known, "repl", 1000)
	wantVerdict(t, "a member that has been here", g.judge(0, known, "repl", true), verdict{wait: g.pause})
}

// The table is bounded, and whoever has failed most stays in it whatever is
// thrown at it: names, addresses, logins with an account of one's own.
func TestAttackTable(t *testing.T) {
	g, a := testGuard(), host("10.0.0.9")
	g.wrong(0, a, "u", 1000)
	for i := range 4 * guardSize {
		from := host(fmt.Sprintf("10.%d.%d.%d", 100+i>>16, i>>8&255, i&255))
		g.judge(time.Duration(i)*time.Microsecond, from, "x", i%2 == 0)
	}
	if len(g.table) != guardSize || len(g.at) != guardSize {
		t.Fatalf("%d records, %d places", len(g.table), len(g.at))
	}
	for i, r := range g.table {
		if g.at[r.suspect] != i {
			t.Fatalf("record %d is at %d", i, g.at[r.suspect])
		}
	}
	wantVerdict(t, "the one who has failed most", g.judge(time.Second, a, "u", true), verdict{wait: g.pause})
}

// knock is a login with a password of one's choice.
func (p *peer) knock(user, password string) *xrow.Error {
	p.t.Helper()
	p.request(xrow.Auth, 77, authBody(user, password, &p.greeting))
	row := p.read()
	return row.AsError()
}

// Whether there is the user, whether it has a password, and whether members log in
// as it cannot be told from answers nor from their times.
func TestAttackNoOracle(t *testing.T) {
	type answer struct {
		code xrow.Code
		text string
		took time.Duration
	}
	var first []answer
	for _, user := range []string{"test", "nobody-has-that-name", "admin"} {
		for _, member := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, func(c *Config) {
					c.Limits = Limits{Reserved: func(string) bool { return member }, Member: func(netip.Addr) bool { return member }}
				})
				var got []answer
				for range 40 {
					p, began := f.pipe(), time.Now()
					e := p.knock(user, "wrong")
					if e == nil {
						t.Fatal("let in")
					}
					got = append(got, answer{e.Code, e.Message, time.Since(began)})
					p.nc.Close()
				}
				if first == nil {
					first = got
				}
				for i := range got {
					if got[i] != first[i] {
						t.Fatalf("%s, member %v, attempt %d: %+v, of another user %+v", user, member, i, got[i], first[i])
					}
				}
				f.srv.Close()
			})
		}
	}
	if last := first[len(first)-1]; last.took == 0 {
		t.Errorf("the last answer came at once: %+v", last)
	}
}

// While an answer is held back, what was sent before it is answered and what was
// sent behind it waits. Others are served, nothing counts as in progress, and the
// node stops without waiting for it. It is told once in a sweep.
func TestAttackDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Guesses
		f := newFixture(t, func(c *Config) { c.Trace.Guessed = func(g Guesses) { told = append(told, g) } })
		f.srv.sweep()
		p, other := f.pipe(), f.pipe()
		for range pairFree {
			if e := p.knock("test", "wrong"); e == nil || e.Code != xrow.ErrCredsMismatch {
				t.Fatal(e)
			}
		}
		var b []byte
		b = (&xrow.Row{Type: xrow.Ping, Sync: 1}).Append(b)
		b = (&xrow.Row{Type: xrow.Insert, Sync: 5, Body: insertBody(5)}).Append(b)
		b = (&xrow.Row{Type: xrow.Auth, Sync: 2, Body: authBody("test", "wrong", &p.greeting)}).Append(b)
		b = (&xrow.Row{Type: xrow.Ping, Sync: 3}).Append(b)
		began := time.Now()
		p.send(b)
		p.wantOK(5)
		p.wantOK(1)
		other.ping(1)
		if n := f.srv.Stats().InProgress; n != 0 || time.Since(began) != 0 {
			t.Errorf("%d requests in progress, %v", n, time.Since(began))
		}
		p.wantError(2, xrow.ErrCredsMismatch, "User not found or supplied credentials are invalid")
		p.wantOK(3)
		if took := time.Since(began); took != firstPause {
			t.Errorf("it was held back for %v", took)
		}
		f.srv.sweep()
		f.srv.sweep()
		want := Guesses{Failed: pairFree + 1, Delayed: 1, From: "pipe", User: "test"}
		if len(told) != 1 || told[0] != want {
			t.Errorf("told %+v, want %+v once", told, want)
		}
		if s := f.srv.Stats(); s.Failed.Total != pairFree+1 || s.Delayed.Total != 1 || s.Refused.Total != 0 {
			t.Errorf("%+v", s)
		}
		b = (&xrow.Row{Type: xrow.Auth, Sync: 4, Body: authBody("test", "wrong", &p.greeting)}).Append(nil)
		began = time.Now()
		p.send(b)
		synctest.Wait()
		f.srv.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("the stop waited for %v", took)
		}
	})
}

// What is refused does not log in, though it be right; nothing else ends with it.
func TestAttackRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		p := f.pipe()
		f.srv.guard.wrong(0, p.nc.LocalAddr(), "test", 1000)
		if e := p.knock("test", "test"); e == nil || e.Code != xrow.ErrCredsMismatch || e.Message != "Too many failed logins from this address: try again later" {
			t.Fatal(e)
		}
		for _, c := range f.srv.conns.all() {
			if c.User() != 0 || c.known.Load() {
				t.Error("it is logged in")
			}
		}
		if s := f.srv.Stats(); s.Refused.Total != 1 {
			t.Errorf("%+v", s)
		}
		p.request(xrow.Auth, 77, append([]byte{0x82, 0x23, 0xa5}, "guest\x21\x90"...))
		p.wantOK(77)
		time.Sleep(time.Hour)
		if e := p.knock("test", "test"); e != nil {
			t.Errorf("an hour later: %v", e)
		}
		f.srv.Close()
	})
}

// A right login that is held back has its place at once: a crowd of newcomers does
// not push it out.
func TestAttackCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *Config) {
			c.Limits = Limits{Connections: 4, BeforeLogin: 2, Reserve: 1, Reserved: func(string) bool { return true }, Member: func(netip.Addr) bool { return true }}
		})
		f.srv.guard.wrong(0, host("10.0.0.9"), "other", 1) // that of another address
		a := f.pipe()
		f.srv.guard.wrong(0, a.nc.LocalAddr(), "test", 1000)
		a.send((&xrow.Row{Type: xrow.Auth, Sync: 1, Body: authBody("test", "test", &a.greeting)}).Append(nil))
		synctest.Wait()
		for range 10 {
			f.pipe()
		}
		a.wantOK(1)
		a.ping(2)
		f.srv.Close()
	})
}

// Who may open the control socket may do anything: there is nothing to guess, and
// nobody is kept out of it.
func TestAttackControlIsExempt(t *testing.T) {
	f := newFixture(t, nil)
	path := t.TempDir() + "/c"
	if err := f.srv.ListenControl(path, 1); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	p := f.greet(nc)
	for range 100 {
		if e := p.knock("test", "wrong"); e == nil || e.Message != "User not found or supplied credentials are invalid" {
			t.Fatal(e)
		}
	}
	if s := f.srv.Stats(); s.Failed.Total != 0 {
		t.Errorf("%d were counted", s.Failed.Total)
	}
}
