package iproto

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Limits bounds what connections may take from everybody else. A zero field
// means its default.
type Limits struct {
	Connections int    // that are logged in, but for Reserved users, and with the others at most Reserve more; no limit
	PerUser     int    // that are logged in as one user; no limit
	BeforeLogin int    // that have not logged in, guests too; half of Connections
	Option      string // what max_connections and max_connections_per_user belong to, in front of them, for messages; tarragon.
	Reserve     int    // for users that Reserved names, and for those who may be about to log in as one; 0
	// LoginSeconds is how long the first request of a connection may take, and each
	// one before login; 60. FrameSeconds is how long a client that is logged in may
	// send nothing in the midst of a request; 60.
	LoginSeconds, FrameSeconds int
	Reserved                   func(user string) bool // nil: nobody
	// Member says whether a member of the replica set is at a [Site]; nil: not that
	// we know. Such may always log in as a Reserved user, see guard.
	Member     func(netip.Addr) bool
	LoginPause time.Duration // the longest that the answer to a login is held back; 500ms
}

func (l Limits) withDefaults() Limits {
	set := func(n *int, def int) {
		if *n <= 0 {
			*n = def
		}
	}
	if l.Option == "" {
		l.Option = "tarragon."
	}
	set(&l.Connections, math.MaxInt32)
	set(&l.PerUser, math.MaxInt32)
	set(&l.BeforeLogin, max(l.Connections/2, 1))
	set(&l.LoginSeconds, 60)
	set(&l.FrameSeconds, 60)
	if l.LoginPause <= 0 {
		l.LoginPause = 500 * time.Millisecond
	}
	if l.Member == nil {
		l.Member = func(netip.Addr) bool { return false }
	}
	if l.Reserved == nil {
		l.Reserved = func(string) bool { return false }
	}
	return l
}

// maxControl is how many connections a control socket has at one time.
const maxControl = 16

// seat is what a connection counts as.
type seat uint8

const (
	seatNone     seat = iota
	seatBefore        // not logged in, or a guest
	seatUser          // logged in
	seatReserved      // logged in as one of those that there is room for in any case
	seatControl       // of the control socket
)

// gate counts connections. One that comes when there are too many takes the place
// of the one that has been idle for longest without a login; where all are logged in
// it may log in only as a user that there is room for in any case: a peer must
// get in however many clients there are.
//
// Invariant: at most Connections + Reserve connections have a seat, beside those of
// control sockets.
type gate struct {
	limits Limits

	mu     sync.Mutex
	counts [seatControl + 1]int
	users  map[User]int // by user, how many have a seatUser
}

// place is where a connection sits; the gate's lock guards it.
type place struct {
	seat seat
	user User
	name string
}

func (g *gate) fullLocked() bool {
	return g.counts[seatBefore]+g.counts[seatUser]+g.counts[seatReserved] >= g.limits.Connections+g.limits.Reserve
}

// enter seats a connection. Those who have to go for it are closed.
func (g *gate) enter(c *Conn, all func() []*Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.control {
		if g.counts[seatControl] >= maxControl {
			return false
		}
		g.sitLocked(c, place{seat: seatControl})
		return true
	}
	for g.counts[seatBefore] >= g.limits.BeforeLogin || g.fullLocked() {
		idle := idlest(all())
		if idle == nil {
			break
		}
		g.sitLocked(idle, place{})
		c.srv.meter.add(countTurned, 1)
		idle.close(ErrCrowded)
	}
	if g.fullLocked() {
		return false
	}
	g.sitLocked(c, place{seat: seatBefore, name: guestName})
	return true
}

// idlest is the one without a login that has sent nothing for longest; nil: all
// are logged in.
func idlest(all []*Conn) (idle *Conn) {
	for _, c := range all {
		if c.place.seat != seatBefore {
			continue
		}
		if idle == nil || c.active.Load() < idle.active.Load() || c.active.Load() == idle.active.Load() && c.id < idle.id {
			idle = c
		}
	}
	return idle
}

// login moves a connection to the seat of a user.
func (g *gate) login(c *Conn, user User, name string) *xrow.Error {
	g.mu.Lock()
	defer g.mu.Unlock()
	to := place{seat: seatUser, user: user, name: name}
	switch {
	case c.place.seat == seatControl || c.place.seat == seatNone: // it is being closed
		return nil
	case name == guestName:
		to.seat = seatBefore
	case g.limits.Reserved(name) && (c.place.seat == seatReserved || g.counts[seatReserved] < g.limits.Reserve):
		to.seat = seatReserved
	}
	others := g.users[user]
	if c.place.seat == seatUser && c.place.user == user {
		others--
	}
	switch {
	case to.seat == seatUser && others >= g.limits.PerUser:
		return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("user '%s' has %d connections, which is all that %smax_connections_per_user allows", name, others, g.limits.Option))
	case to.seat == seatUser && c.place.seat != seatUser && g.counts[seatUser] >= g.limits.Connections:
		return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("%d connections are logged in, which is all that %smax_connections and the file descriptors allow", g.limits.Connections, g.limits.Option))
	}
	g.sitLocked(c, to)
	return nil
}

// streams tells whether a connection is a stream of replication now: one of a
// guest is no idle client while it is.
func (g *gate) streams(c *Conn, yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch at := c.place; {
	case yes && at.seat == seatBefore && g.counts[seatReserved] < g.limits.Reserve:
		g.sitLocked(c, place{seat: seatReserved, user: c.User(), name: guestName})
	case yes && at.seat == seatBefore:
		g.sitLocked(c, place{seat: seatUser, user: c.User(), name: guestName})
	case !yes && at.name == guestName && at.seat != seatNone:
		g.sitLocked(c, place{seat: seatBefore, name: guestName})
	}
}

// loggedIn is how many connections are that of a user now.
func (g *gate) loggedIn() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts[seatUser] + g.counts[seatReserved]
}

// leave frees the seat of a connection that has ended.
func (g *gate) leave(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sitLocked(c, place{})
}

func (g *gate) sitLocked(c *Conn, to place) {
	if from := c.place; from.seat != seatNone {
		g.counts[from.seat]--
		if from.seat == seatUser {
			if g.users[from.user]--; g.users[from.user] == 0 {
				delete(g.users, from.user)
			}
		}
	}
	c.place = to
	if to.seat != seatNone {
		g.counts[to.seat]++
		if to.seat == seatUser {
			g.users[to.user]++
		}
	}
}
