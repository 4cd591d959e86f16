package iproto

import (
	"hash/maphash"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// guard slows down who guesses passwords. It counts failed logins for each pair
// of an address and a user, for each address, and for each user. Beyond the free
// ones an answer comes late, a right one too: else nobody would wait for a wrong
// one. And of one address only so many attempts a second are judged at all; the
// others are refused, whatever they say.
//
// # Invariants
//
//  1. A right login from an address with no failures is never held up, whatever
//     comes from others. So failures of a user from all over only take away the
//     free ones of addresses that have failed.
//  2. An address that has logged in as a user lately is not held up as that user
//     by what it gets wrong as others: they may be many behind one address.
//  3. A right login of a member of the replica set is never refused. Members are
//     users that members log in as, from where a member is or has logged in.
//  4. What is answered, and when, does not tell whether there is the user, or
//     whether it is one of a member, to whoever does not have the password.
//  5. The table is bounded. Who wants to have his failures forgotten must have
//     more of them elsewhere: what is given up first has the fewest.
type guard struct {
	pause  time.Duration          // the longest that an answer is held back
	login  func(user string) bool // members log in as that
	member func(netip.Addr) bool  // a member is there
	seed   maphash.Seed

	mu    sync.Mutex
	at    map[suspect]int // places in table
	table []record
	news  Guesses // since they were last told
}

const (
	guardSize   = 16 << 10
	guardSample = 8

	pairFree  = 5  // failures of a user from one address
	placeFree = 20 // of all users from one address
	userFree  = 50 // of a user from everywhere; beyond it the first one is free for each address
	overMost  = 10 // failures beyond the free ones that are remembered

	forgetOne   = 10 * time.Second // one failure is forgotten after each
	provenFor   = 24 * time.Hour   // how long a good login counts
	firstPause  = 50 * time.Millisecond
	judgedEach  = 250 * time.Millisecond // attempts of an address that is held up: so far apart on average,
	judgedAhead = 4 * time.Second        // and at most this much ahead of it
)

// suspect is what failures are counted for.
type suspect struct {
	kind suspectKind
	from netip.Addr // without a zone; of IPv6 the network of a site
	user uint64     // a hash, of names that do not exist too
}

type suspectKind uint8

const (
	suspectPair suspectKind = iota
	suspectPlace
	suspectUser
)

// record is what is known of a suspect. Times are the server's.
type record struct {
	suspect
	debt   time.Duration // when the last failure is forgotten
	proven time.Duration // of a pair: until when its last good login counts
	judged time.Duration // of a place: up to when its attempts have used their share
}

// Guesses is what there was of failed logins in some time.
type Guesses struct {
	Failed, Delayed, Refused uint64
	From, User               string // the last one
}

func newGuard(l *Limits) *guard {
	return &guard{pause: l.LoginPause, login: l.Reserved, member: l.Member, seed: maphash.MakeSeed(), at: map[suspect]int{}}
}

// verdict is how an attempt is answered.
type verdict struct {
	wait    time.Duration
	refused bool // it is not said whether it was right
}

// judge decides about an attempt that was found right or wrong, and counts it.
func (g *guard) judge(now time.Duration, from net.Addr, user string, right bool) (v verdict) {
	place := Site(from)
	hash := maphash.String(g.seed, user)
	g.mu.Lock()
	defer g.mu.Unlock()
	pair, where, whom := g.look(suspect{suspectPair, place, hash}), g.look(suspect{kind: suspectPlace, from: place}), g.look(suspect{kind: suspectUser, user: hash})
	proven := pair.proven > now
	free := pairFree
	if whom.failures(now) >= userFree {
		free = 1
	}
	over := pair.failures(now) - free
	if pair.failures(now) > 0 || !proven {
		over = max(over, where.failures(now)-placeFree)
	}
	if over >= 0 {
		v.wait = min(firstPause<<min(over, overMost), g.pause)
		where.judged = max(where.judged, now) + judgedEach
		if v.refused = where.judged > now+judgedAhead; v.refused {
			v.wait = g.pause
		} else {
			g.keep(now, where)
		}
	}
	if right && v.refused && g.login(user) && (proven || g.member(place)) {
		v.refused = false
	}
	switch {
	case v.refused:
	case right:
		pair.proven = now + provenFor
		g.keep(now, pair)
	default:
		for _, r := range []record{pair, where, whom} {
			r.fail(now)
			g.keep(now, r)
		}
	}
	g.note(v, right, from, user)
	return v
}

// failures is how many are remembered.
func (r *record) failures(now time.Duration) int {
	return int((max(r.debt-now, 0) + forgetOne - 1) / forgetOne)
}

func (r *record) fail(now time.Duration) {
	most := [...]int{suspectPair: pairFree, suspectPlace: placeFree, suspectUser: userFree}[r.kind] + overMost
	r.debt = min(max(r.debt, now)+forgetOne, now+time.Duration(most)*forgetOne)
}

// worth is how much would be lost with a record: failures before good logins,
// which who has one login could have any number of.
func (r *record) worth(now time.Duration) time.Duration {
	if owes := max(r.debt, r.judged) - now; owes > 0 {
		return provenFor + owes
	}
	return r.proven - now
}

// look is the record of a suspect, empty where there is none.
func (g *guard) look(s suspect) record {
	if i, ok := g.at[s]; ok {
		return g.table[i]
	}
	return record{suspect: s}
}

// keep puts a record back. Where the table is full it takes the place of the one
// of a few that is worth least. They are drawn, so nobody can aim.
func (g *guard) keep(now time.Duration, r record) {
	i, ok := g.at[r.suspect]
	if !ok && len(g.table) < guardSize {
		i = len(g.table)
		g.table = append(g.table, r)
	} else if !ok {
		i = rand.IntN(guardSize)
		for range guardSample - 1 {
			if j := rand.IntN(guardSize); g.table[j].worth(now) < g.table[i].worth(now) {
				i = j
			}
		}
		delete(g.at, g.table[i].suspect)
	}
	g.at[r.suspect], g.table[i] = i, r
}

// note counts for the log.
func (g *guard) note(v verdict, right bool, from net.Addr, user string) {
	if right && v == (verdict{}) {
		return
	}
	n := &g.news
	switch {
	case v.refused:
		n.Refused++
	case !right:
		n.Failed++
	}
	if v.wait > 0 && !v.refused {
		n.Delayed++
	}
	n.From, n.User = from.String(), user[:min(len(user), 64)]
}

// takeNews is what has not been told yet.
func (g *guard) takeNews() (n Guesses, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, g.news = g.news, Guesses{}
	return n, n != Guesses{}
}

// Site is what failures of an address are counted for: of IPv6 the network, since
// whoever has one address there has them all. All unix sockets are one.
func Site(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return ip
}

// noHash stands for that of a user who does not exist or has no password: to look
// at a wrong one takes as long.
var noHash = HashPassword("")

// checkPassword tells whether a user may log in, and who it is. What it says of a
// wrong password and of no such user is the same, and comes at the same time.
func (c *Conn) checkPassword(name []byte, passes func(hash []byte) bool) (user User, e *xrow.Error) {
	user, hash, _ := c.srv.logins.User(name)
	known := len(hash) == HashSize
	if !known {
		hash = noHash[:]
	}
	right := passes(hash) && known
	if c.control {
		if !right {
			return 0, xrow.Errorf(xrow.ErrCredsMismatch)
		}
		return user, nil
	}
	v := c.srv.guard.judge(c.srv.now(), c.nc.RemoteAddr(), string(name), right)
	c.srv.meter.login(v, right)
	c.pause = v.wait
	switch {
	case v.refused:
		e = xrow.Errorf(xrow.ErrCredsMismatch)
		e.Message = "Too many failed logins from this address: try again later"
		return 0, e
	case !right:
		return 0, xrow.Errorf(xrow.ErrCredsMismatch)
	}
	return user, nil
}

// rest holds back the answer to a login, and with it all that the client has sent
// behind it. Only the connection's own reader waits.
func (c *Conn) rest() {
	d := c.pause
	if d == 0 {
		return
	}
	c.pause = 0
	c.submit()
	c.emit()
	defer c.open()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.done:
	}
}
