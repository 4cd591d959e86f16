package instance

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"tarragon.dev/tarragon/vclock"
)

// ErrLostData is the cause of Effects.Fatal when it is proven that others were
// shown more of this instance than its disk has: it comes back as a new
// incarnation, never by writing on (docs/architecture.md#the-life-of-a-lost-log).
var ErrLostData = errors.New("instance: this disk has lost what others have seen of it")

// claims are what members say that this instance has shown them and that its
// disk does not have. One that says so may be wrong, or lie: a single peer must
// not take an instance out of its set. So a claim is no proof. What proves it is
// a row of ours that we lack, or a second voter that claims as well (the only
// other one, where there are but two).
//
// Until it is proven or has lapsed this instance has no voice: it neither acks,
// nor votes, nor leads, for the claim may be true. It lapses when a majority of
// the voters, ourselves among them, claim nothing, and what is claimed is here or
// had [claimPatience] to come, while the claimant is there: one that tells the truth
// has the rows. An operator may end it: [Trust].
//
// Only voters are heard. Sets are a bit each by replica ID.
type claims struct {
	shown  uint32 // who was shown more by us, as its last answer to a SUBSCRIBE of ours says
	spent  uint32 // whose claim has lapsed or was taken back
	silent uint32 // who has answered a SUBSCRIBE of ours in this process, and claims nothing
	since  time.Duration
	acked  vclock.VClock // all that is claimed to be acked
	text   string        // the newest claim, in words
}

// claimPatience is how many death timeouts the claimed rows have to come.
const claimPatience = 2

// open are the claims that count. Each voter has one in the life of a process: no disk
// goes back under one that runs, and who claims again and again would silence for good.
func (s *claims) open() uint32 { return s.shown &^ s.spent }

// claim notes a claim, and tells whether it is new.
func (s *claims) claim(id uint32, acked *vclock.VClock, now time.Duration) bool {
	bit, known := uint32(1)<<id, s.open()
	s.shown |= bit
	s.silent &^= bit
	if s.open() == known {
		return false
	}
	if known == 0 {
		s.since, s.acked = now, vclock.VClock{}
	}
	s.acked.Merge(acked)
	return true
}

// clear notes that a voter claims nothing, or nothing any more.
func (s *claims) clear(id uint32) {
	bit := uint32(1) << id
	s.spent |= s.open() & bit
	s.shown &^= bit
	s.silent |= bit
}

// forget: an ID begins a new life.
func (s *claims) forget(id uint32) {
	for _, set := range [...]*uint32{&s.shown, &s.spent, &s.silent} {
		*set &^= 1 << id
	}
}

// proven tells whether enough of the other voters claim.
func (s *claims) proven(others uint32) bool {
	n := bits.OnesCount32(s.open() & others)
	return n > 0 && n >= min(2, bits.OnesCount32(others))
}

// refuted tells whether a majority of the voters claims nothing. We are one.
func (s *claims) refuted(others uint32) bool {
	return bits.OnesCount32(s.silent&others)+1 > (bits.OnesCount32(others)+1)/2
}

// inVain tells whether what is claimed had its time to come. A peer that has
// answered our SUBSCRIBE with a claim must be there for that: if it is gone the rows
// may be with it.
func (s *claims) inVain(now, deathTimeout time.Duration, live func(id uint32) bool) bool {
	if now < s.since+claimPatience*deathTimeout {
		return false
	}
	for id := range uint32(vclock.Max) {
		if s.open()&(1<<id) != 0 && !live(id) {
			return false
		}
	}
	return true
}

// deadline is when claims may lapse; 0: nothing waits for that.
func (s *claims) deadline(now, deathTimeout time.Duration, others uint32) time.Duration {
	at := s.since + claimPatience*deathTimeout
	if s.open() == 0 || at <= now || !s.refuted(others) {
		return 0 // or the claimant has to come back, which is an event
	}
	return at
}

// claimed takes a claim of a peer, and tells whether it is open now and was not before.
func (c *Core) claimed(from uint32, acked *vclock.VClock, err error) bool {
	if c.cfg.Trusted || c.out.failed != nil || c.members.self == 0 || c.members.otherVoters()&(1<<from) == 0 {
		return false
	}
	if !c.peers.claims.claim(from, acked, c.now.Mono) {
		return false
	}
	c.trace(FactClaim, from, 0, err.Error())
	c.peers.claims.text = fmt.Sprintf("instance %d claims to have seen more of this disk: %v", from, err)
	if c.peers.claims.proven(c.members.otherVoters()) {
		c.broken(fmt.Errorf("%w: instance %d says so, and it is not the only one: %w", ErrLostData, from, err))
		return false
	}
	return true
}

// knowsNoMore tells whether a member's SUBSCRIBE shows no row of ours that we lack.
// One that does is not served: there is nothing that it could be sent. It is no claim
// either: whoever knows the password and a uuid can say it, and what is true in it our
// own stream from that member brings.
func (c *Core) knowsNoMore(ev *Downstream) bool {
	theirs, ours := ev.VClock[c.members.self], c.out.vclock[c.members.self]
	if c.members.self == 0 || theirs <= ours || c.cfg.Trusted {
		return true
	}
	c.eff.endRelay(ev.Peer, protocolError(fmt.Sprintf("a vclock with LSN %d of instance %d, which has written %d", theirs, c.members.self, ours)))
	return false
}

// trust is an operator's word that this disk is to be believed, whatever others say.
func (c *Core) trust(ev Trust) {
	c.cfg.Trusted, c.peers.claims = true, claims{}
	c.eff.reply(ev.Conn, ev.Sync, noValues, nil)
}

// doubtText says why this instance has no voice; empty: it has, or for other reasons.
func (c *Core) doubtText() string {
	if !c.doubted() {
		return ""
	}
	return c.peers.claims.text
}

// judgeClaims lets claims lapse, and gives the voice back when none is left.
func (c *Core) judgeClaims() {
	s := &c.peers.claims
	if open := s.open(); open != 0 && s.refuted(c.members.otherVoters()) && (c.out.onDisk.Covers(&s.acked) || s.inVain(c.now.Mono, c.cfg.DeathTimeout, func(id uint32) bool { return c.raft.Live(c.now.Mono, id) })) {
		c.trace(FactClaimLapsed, uint32(bits.TrailingZeros32(open)), 0, "")
		s.spent |= open
	}
	if silenced := c.doubted(); silenced != c.peers.silenced {
		c.peers.silenced = silenced
		c.raft.SetSelf(c.members.self, c.able(), c.now.Mono)
	}
}
