package replication

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// Boot decides what an instance does at its start, and answers VOTE until the
// hub does.
//
// An instance that has no data asks all configured peers for their ballots. If
// one is booted it joins; it never begins a second replica set while a booted
// peer is visible. That one may be out of sight all the same, so no set takes
// writes of clients before a majority has its store, and of several all prefer
// the same (founding.go). Else the best of those that answer is named in the own
// ballot, and it begins the replica set when a majority of all configured
// instances, itself among them, names it in one quick round. An instance names
// another one only many rounds after the first that it would have: whoever
// counted on it has either begun by then or asked again. So two majorities do
// not name two. Where the configuration appoints the one that begins, nobody else
// does; it needs that majority to answer all the same, so that it does not
// overlook a replica set that has begun.
type Boot struct {
	Self        Identity
	Addr        string // own address as configured; empty: the Peers do not have it
	Peers       []Peer // all members as configured; ourselves may be among them
	ReadOnly    bool   // by configuration
	CanLead     bool
	Timeout     time.Duration // for one ballot; 1s
	JoinTimeout time.Duration // longest silence within a JOIN; 30s
	RetryPause  time.Duration // between rounds; 250ms
	Logger      zerolog.Logger
	Data        *BootData // what we hold and can go on with; nil: nothing
	MustJoin    bool      // never begin a replica set: there was a store, or another one is to begin it
	Appointed   bool      // to begin the replica set, whatever the ballots say
	Set         string    // the UUID of the only set to join; empty: any
	Progress    Progress  // of the JOIN under way
	// Mixed: who does not answer may be of Tarantool's kind.
	Mixed bool
	// ConnectTimeout is how long all configured instances are waited for, where
	// some are or may be of Tarantool's kind; 30s.
	ConnectTimeout time.Duration

	// Grace is how long all configured instances are waited for in any case: an
	// Tarantool may be among those that are only starting; 0: not at all.
	Grace time.Duration

	asking
	naming
}

// asking is how the rounds of ballots go.
type asking struct {
	hasty     bool     // Grace has not passed since the first round
	impatient bool     // ConnectTimeout has
	joinSaid  []string // how attempts to join failed
	decided   string   // the action that was told last
}

// naming is whom our ballot names. Whoever asks for it looks at it.
type naming struct {
	mu     sync.Mutex
	leader string // UUID that our ballot names; empty: none yet
	passed int    // rounds in a row in which another one would have been named
}

// BootData is what a restarted instance holds.
type BootData struct {
	VClock vclock.VClock
}

// Action is the outcome of Decide.
type Action uint8

// What an instance does at its start.
const (
	ActionRecover   Action = iota // it goes on with its own data
	ActionBootstrap               // it begins the replica set
	ActionJoin                    // it takes the state of a peer
)

func (a Action) String() string { return [...]string{"recover", "bootstrap", "join"}[a] }

// Decision says what to do, and whom to join, the best peer first.
type Decision struct {
	Action     Action
	Peers      []Peer
	Tarantools bool // some of those that we begin with, or join, are of Tarantool's kind
}

// roundsToForget is how many rounds in a row another one must be the best
// before our ballot names it.
const roundsToForget = 20

// Ballot is what we tell of ourselves before there is a hub. An instance that
// is not booted is read-only: else Tarantool takes its ballot for none.
func (b *Boot) Ballot() xrow.Ballot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return xrow.Ballot{Group: b.Self.Group, IsROCfg: b.ReadOnly, IsRO: true, IsAnon: b.Self.Anon, CanLead: b.CanLead, BootstrapLeader: b.leader,
		InstanceName: b.Self.Name, Kind: xrow.Tarragon}
}

// candidate is an instance that answered, ourselves included.
type candidate struct {
	uuid   string
	peer   Peer
	ballot xrow.Ballot
}

// score is the order of Tarantool (replicaset_find_join_master, src/box/replication.cc).
func (c *candidate) score() (n int) {
	if c.ballot.IsBooted {
		n += 1000
	}
	if !c.ballot.IsROCfg {
		n += 100
	}
	if !c.ballot.IsRO {
		n += 10
	}
	if c.ballot.CanLead {
		n++
	}
	return n
}

// better orders candidates, the best first: score, then the larger vclock, then
// the smaller UUID. The sum of a vclock stands for it: it agrees with every
// comparison, and makes incomparable ones the same order for everybody.
func better(a, b *candidate) int {
	return cmp.Or(cmp.Compare(b.score(), a.score()),
		cmp.Compare(b.ballot.VClock.Signature(), a.ballot.VClock.Signature()),
		cmp.Compare(a.uuid, b.uuid))
}

func (b *Boot) withDefaults() {
	setDefault(&b.Timeout, time.Second)
	setDefault(&b.JoinTimeout, 30*time.Second)
	setDefault(&b.ConnectTimeout, 30*time.Second)
	setDefault(&b.RetryPause, 250*time.Millisecond)
}

// Decide asks the peers until it knows what to do; ctx ends it.
func (b *Boot) Decide(ctx context.Context) (Decision, error) {
	b.withDefaults()
	said, first := "", time.Now()
	for {
		begun := time.Now()
		b.impatient = b.impatient || begun.Sub(first) > b.ConnectTimeout
		b.hasty = begun.Sub(first) < b.Grace
		seen := b.round(ctx)
		if err := context.Cause(ctx); err != nil {
			return Decision{}, err
		}
		d, why := b.judge(seen)
		if d.Action == ActionBootstrap && len(b.Peers) > 1 && time.Since(begun) > roundsToForget*b.RetryPause/2 {
			why = "the answers took too long to rely on them"
		}
		if why == "" {
			level := zerolog.DebugLevel
			if b.decided != d.Action.String() { // an attempt to join may follow each second
				b.decided = d.Action.String()
				level = zerolog.InfoLevel
			}
			b.Logger.WithLevel(level).Stringer("action", d.Action).Int("answers", len(seen)).Msg("start decided")
			return d, nil
		}
		if why != said {
			said = why
			b.Logger.Info().Str("reason", why).Msg("waiting for peers")
		}
		if err := b.rest(ctx); err != nil {
			return Decision{}, err
		}
	}
}

// round asks every peer once. Our own answer is among the result, once.
func (b *Boot) round(ctx context.Context) []candidate {
	answers := make([]*candidate, len(b.Peers))
	var wg sync.WaitGroup
	for i := range b.Peers {
		p := &b.Peers[i]
		if p.Addr == b.Addr {
			continue
		}
		wg.Go(func() {
			uuid, ballot, err := askBallot(ctx, p, b.Self.Group, b.Timeout)
			if err != nil {
				b.Logger.Debug().Str("peer", p.Addr).Err(err).Msg("no ballot")
				return
			}
			answers[i] = &candidate{uuid: uuid, peer: *p, ballot: ballot}
		})
	}
	wg.Wait()
	seen := []candidate{{uuid: b.Self.UUID, ballot: b.Ballot()}}
	for _, c := range answers {
		if c != nil && c.uuid != b.Self.UUID {
			seen = append(seen, *c)
		}
	}
	return seen
}

// HasGiver asks every peer once, and tells whether one of them registers members now
// and so can give the whole state of our replica set.
func (b *Boot) HasGiver(ctx context.Context) bool {
	b.withDefaults()
	return slices.ContainsFunc(b.round(ctx), func(c candidate) bool {
		v := &c.ballot
		return c.uuid != b.Self.UUID && v.IsBooted && !v.IsRO && v.VClock != (vclock.VClock{}) && // one that recovers says nothing yet
			(b.Set == "" || v.Replicaset == "" || v.Replicaset == b.Set)
	})
}

// configured is the number of members as configured, ourselves included.
func (b *Boot) configured() int {
	if b.Addr == "" || slices.ContainsFunc(b.Peers, func(p Peer) bool { return p.Addr == b.Addr }) {
		return max(len(b.Peers), 1)
	}
	return len(b.Peers) + 1
}

// judge draws the conclusion of one round; why is set when it must go on.
func (b *Boot) judge(seen []candidate) (d Decision, why string) {
	if b.Data != nil {
		return b.judgeData(seen), ""
	}
	if booted := oneSet(booted(seen), b.Set); len(booted) > 0 {
		return join(booted), ""
	}
	if b.MustJoin || b.Self.Anon {
		return d, "no member of the replica set answers"
	}
	need := b.configured()/2 + 1
	if len(seen) < need {
		return d, fmt.Sprintf("%d of %d configured instances answer, and %d are needed to begin a replica set", len(seen), b.configured(), need)
	}
	begin := Decision{Action: ActionBootstrap, Tarantools: slices.ContainsFunc(seen, tarantool)}
	if b.Appointed {
		b.name(b.Self.UUID)
		return begin, ""
	}
	switch {
	case len(seen) == b.configured():
	case b.hasty:
		return d, fmt.Sprintf("%d of %d configured instances answer", len(seen), b.configured())
	case (begin.Tarantools || b.Mixed) && !b.impatient:
		return d, fmt.Sprintf("%d of %d configured instances answer; where some may be Tarantool all are waited for", len(seen), b.configured())
	}
	best := slices.MinFunc(seen, func(x, y candidate) int { return better(&x, &y) })
	named := b.name(best.uuid)
	if named != b.Self.UUID {
		return d, "instance " + named + " is to begin the replica set"
	}
	votes := 1
	for i := range seen {
		if seen[i].uuid != b.Self.UUID && seen[i].ballot.BootstrapLeader == b.Self.UUID {
			votes++
		}
	}
	if votes < need {
		return d, fmt.Sprintf("%d instances name this one to begin the replica set, and %d are needed", votes, need)
	}
	return begin, ""
}

// Tarantool tells whether a candidate is no Tarragon. Such an instance waits for
// all before it names the best, and its process ends when another one's ballot
// names somebody else: so nobody is named before all had their chance to answer.
func tarantool(c candidate) bool { return c.ballot.Kind != xrow.Tarragon }

// name puts an instance into our ballot, unless one that was put there before
// may still rely on that.
func (b *Boot) name(best string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.leader == "" || b.leader == best:
		b.leader, b.passed = best, 0
	default:
		if b.passed++; b.passed >= roundsToForget {
			b.leader, b.passed = best, 0
		}
	}
	return b.leader
}

// booted are those that can give us a state: an anonymous replica registers
// nobody.
func booted(seen []candidate) []candidate {
	return slices.DeleteFunc(slices.Clone(seen), func(c candidate) bool { return !c.ballot.IsBooted || c.ballot.IsAnon })
}

func join(booted []candidate) Decision {
	d := Decision{Action: ActionJoin, Tarantools: slices.ContainsFunc(booted, tarantool)}
	for i := range booted {
		d.Peers = append(d.Peers, booted[i].peer)
	}
	return d
}

// judgeData goes on with what we hold, unless every peer that answers has
// dropped rows that we lack and one of them holds all that we hold
// (Tarantool, replicaset_needs_rejoin; component 0 does not count).
func (b *Boot) judgeData(seen []candidate) Decision {
	var better []candidate
	for i := range seen {
		c := &seen[i]
		if c.uuid == b.Self.UUID || !c.ballot.IsBooted {
			continue
		}
		if b.Data.VClock.Covers(&c.ballot.GCVClock) {
			return Decision{Action: ActionRecover}
		}
		if c.ballot.VClock.Covers(&b.Data.VClock) {
			better = append(better, *c)
		}
	}
	if len(better) == 0 {
		return Decision{Action: ActionRecover}
	}
	return join(oneSet(better, b.Set))
}

// JoinAny joins the first peer of the list that takes us. When none does it
// rests for RetryPause; Retry tells whether to decide and try again then. An
// error that wraps ErrFinalStage says that the sink is complete all the same.
func (b *Boot) JoinAny(ctx context.Context, peers []Peer, newSink func() (Sink, error)) error {
	b.withDefaults()
	return b.tryAll(ctx, peers, "joined", func(p *Peer) error {
		sink, err := newSink()
		if err != nil {
			return err
		}
		b.Progress.begin(b.Logger.With().Str("peer", p.Addr).Logger(), "taking the snapshot")
		err = Join(ctx, *p, b.Self, b.JoinTimeout, sink, &b.Progress)
		if err != nil && !errors.Is(err, ErrFinalStage) {
			sink.Abort()
		}
		return err
	})
}

// RegisterAny has us registered by the first booted peer that does it; v is
// what we hold. Errors are as those of JoinAny.
func (b *Boot) RegisterAny(ctx context.Context, v *vclock.VClock) error {
	b.withDefaults()
	return b.tryAll(ctx, join(oneSet(booted(b.round(ctx)), b.Set)).Peers, "registered", func(p *Peer) error {
		return Register(ctx, *p, b.Self, v, b.JoinTimeout)
	})
}

// tryAll asks peer after peer until one has done what is asked.
func (b *Boot) tryAll(ctx context.Context, peers []Peer, done string, ask func(*Peer) error) (err error) {
	err = errNobody
	for i := range peers {
		p := &peers[i]
		if err = ask(p); err == nil {
			b.Logger.Info().Str("peer", p.Addr).Msg(done)
			return nil
		}
		err = fmt.Errorf("%s: %w", p.Addr, err)
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if text := p.Addr + kindOf(err); len(b.joinSaid) < maxKinds && !slices.Contains(b.joinSaid, text) { // not once for each attempt
			b.joinSaid = append(b.joinSaid, text)
			level := zerolog.InfoLevel
			if Refused(err) {
				level = zerolog.WarnLevel
			}
			b.Logger.WithLevel(level).Str("peer", p.Addr).Err(err).Msg("not " + done + " yet")
		}
		if errors.Is(err, ErrFinalStage) || Refused(err) {
			return err
		}
	}
	return cmp.Or(b.rest(ctx), err)
}

// errNobody: there was nobody to join.
var errNobody = errors.New("replication: no peer to join")

// rest waits between two attempts.
func (b *Boot) rest(ctx context.Context) error {
	t := time.NewTimer(b.RetryPause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Retry tells whether a JOIN that failed so may succeed later, or elsewhere.
func Retry(err error) bool {
	var e *xrow.Error
	if !errors.As(err, &e) {
		return true // the connection, or a state that is too old
	}
	_, again := classify(e)
	// A namesake that has just died counts as alive for the death timeout.
	return again || e.Code == xrow.ErrReadonly || e.Code == xrow.ErrInstanceNameDuplicate || e.Code == xrow.ErrReplicaMax
}

// Refused tells whether the one that leads will not have us as a member: the others
// would say the same. It takes somebody who changes that, so there is no hurry to
// ask again.
func Refused(err error) bool {
	var e *xrow.Error
	return errors.As(err, &e) && (e.Code == xrow.ErrReplicaMax || e.Code == xrow.ErrCfg && strings.HasPrefix(e.Message, ofName))
}

// ofName begins the error for a name that may not join.
var ofName = xrow.Errorf(xrow.ErrCfg, "instance_name", "").Message
