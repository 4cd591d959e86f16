package router

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/internal/httpport"
	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
)

// Router is a router that runs.
type Router struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	began  time.Time

	ports  [ports]*port   // nil: off
	health *httpport.Port // nil: off
	insts  []*instance
	self   int         // the place of the one that the router is in; -1: it is in none
	stops  atomic.Bool // clients have been asked to leave
	pool   pool
	users  users
	held   budget
	counts counters
	wrote  written
	slots  sync.Map // iproto.User: *numbers.Slots
	plain  numbers.Plain
	stream atomic.Uint64 // the newest STREAM_ID at a backend

	looks chan struct{} // capacity 1: words have changed
	wakes chan struct{} // capacity 1: somebody waits

	mu    sync.Mutex
	words []word // by the places of insts
	last  routes
	newer chan struct{} // closed and replaced when routes were decided
	lags  lags
	mind  consensus
	hides hiding
	seen  told      // by clients
	led   *instance // the newest leader; nil: there was none
	// deposed are instances that another one leads in place of, and since when. What they were asked
	// before and do not answer is given up in the end: clients have requests that wait behind it.
	deposed map[*instance]deposal
}

// deposal is the end of an instance's lead.
type deposal struct {
	since time.Duration
	moved bool // what can be asked of the next one in its place has been
}

// budget is bytes that may be taken up to a limit.
type budget struct{ n atomic.Int64 }

func (b *budget) add(n int, limit int64) bool {
	if b.n.Add(int64(n)) > limit {
		b.sub(n)
		return false
	}
	return true
}

func (b *budget) sub(n int) { b.n.Add(-int64(n)) }

// target is where a port leads to. It is replaced, never changed.
type target struct {
	version uint64
	insts   []*instance // empty: nowhere
	why     string
}

// Open begins to listen. The context ends nothing: Close does.
func Open(cfg Config) (*Router, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Router{cfg: cfg, began: time.Now(), deposed: map[*instance]deposal{}, newer: make(chan struct{}), looks: make(chan struct{}, 1), wakes: make(chan struct{}, 1)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.pool = pool{r: r, byKey: map[poolKey][]*backend{}, failed: map[poolKey]failure{}}
	r.users.init(r)
	r.words = make([]word, len(cfg.Instances))
	r.mind.limit = cfg.ConsensusTimeout
	r.lags.init(len(cfg.Instances))
	r.self = -1
	for i, in := range cfg.Instances {
		r.insts = append(r.insts, newInstance(r, i, in))
		if cfg.Self != "" && in.Name == cfg.Self {
			r.self = i
		}
	}
	for kind, addrs := range [...][]string{RW: cfg.RW, RO: cfg.RO} {
		if len(addrs) == 0 {
			continue
		}
		p, err := newPort(r, Port(kind))
		if err == nil {
			r.ports[kind] = p
			err = p.srv.ListenAll(iproto.Endpoints(addrs, cfg.TLS)...)
		}
		if err != nil {
			r.Close()
			return nil, err
		}
	}
	if len(cfg.HTTP) > 0 {
		if r.health, err = openHealth(r, cfg.HTTP); err != nil {
			r.Close()
			return nil, err
		}
	}
	r.decide()
	for _, in := range r.insts {
		r.wg.Go(in.keep)
	}
	r.wg.Go(r.runLooks)
	r.wg.Go(r.runClock)
	return r, nil
}

// Run is a router until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	r, err := Open(cfg)
	if err != nil {
		return err
	}
	for kind, p := range r.ports {
		if p == nil {
			continue
		}
		for _, a := range p.srv.Addrs() {
			r.cfg.Log.Info().Stringer("port", Port(kind)).Stringer("addr", a).Msg("routes")
		}
	}
	for _, addr := range r.HTTPAddrs() {
		r.cfg.Log.Info().Str("port", "http").Str("addr", addr).Msg("answers health checks")
	}
	<-ctx.Done()
	r.Drain()
	r.Close()
	return nil
}

// drainLimit is how long clients that watch box.shutdown have to leave.
const drainLimit = 3 * time.Second

// Drain asks clients to leave, and waits for those that have said that they would.
func (r *Router) Drain() {
	r.stops.Store(true)
	ctx, cancel := context.WithTimeout(r.ctx, drainLimit)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range r.ports {
		if p != nil {
			wg.Go(func() { p.srv.Drain(ctx) })
		}
	}
	wg.Wait()
}

// Close ends all connections and waits for all goroutines. Sessions at the leader are ended first, if it answers soon.
func (r *Router) Close() {
	for _, p := range r.ports {
		if p != nil {
			p.srv.Close()
		}
	}
	if r.health != nil {
		r.health.Close()
	}
	r.endSessions()
	r.cancel()
	r.wg.Wait()
	r.users.close()
}

// now is the router's time.
func (r *Router) now() time.Duration { return time.Since(r.began) }

// look has the routes decided anew.
func (r *Router) look() { signal(r.looks) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// runLooks decides where ports lead to each time that an instance has told something new.
func (r *Router) runLooks() {
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.looks:
		}
		r.decide()
		r.advance()
		r.observe()
	}
}

// decide publishes where the ports lead to.
func (r *Router) decide() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	names, words := r.wordsLocked(now)
	next := r.routeLocked(words, names, now)
	if next.leader >= 0 && r.insts[next.leader] != r.led {
		if r.led != nil {
			r.counts.failovers.Add(1)
		}
		if r.hides.began(r.led == nil, now, r.seen) {
			r.counts.hidden.Add(1)
		}
		r.cfg.Log.Info().Str("leader", names[next.leader]).Uint64("term", words[next.leader].term).Msg("the port rw has another leader")
	}
	if next.leader >= 0 {
		if r.led != nil && r.led != r.insts[next.leader] {
			r.deposed[r.led] = deposal{since: now}
			signal(r.wakes)
		}
		r.led = r.insts[next.leader]
		delete(r.deposed, r.led)
	}
	for i, p := range r.ports {
		if p == nil {
			continue
		}
		var to []*instance
		if Port(i) == RW && next.leader >= 0 {
			to = []*instance{r.insts[next.leader]}
		} else if Port(i) == RO {
			for _, at := range next.readers {
				to = append(to, r.insts[at])
			}
		}
		p.leadTo(to, next.why[i])
	}
	r.last = next
	r.lags.leads(next.leader, now)
	close(r.newer)
	r.newer = make(chan struct{})
}

// changes is closed when routes are decided the next time.
func (r *Router) changes() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newer
}

// wordsLocked is what instances have told, with how far they are behind.
func (r *Router) wordsLocked(now time.Duration) (names []string, words []word) {
	words = slices.Clone(r.words)
	for i, in := range r.insts {
		names = append(names, in.name)
		words[i].anon = in.conf.Anon
		words[i].lag, words[i].lags = r.lags.of(i, now)
	}
	return names, words
}

// routeLocked is where ports lead to by these words.
func (r *Router) routeLocked(words []word, names []string, now time.Duration) routes {
	return r.mind.over(route(words, names, routing{maxLag: r.cfg.ReaderMaxLag, leaderReads: !r.cfg.NoLeaderReads}), now)
}

// runClock advances what waits, while there is something.
func (r *Router) runClock() {
	sweep := time.NewTicker(min(time.Second, r.cfg.HoldTime/4))
	defer sweep.Stop()
	for {
		var tick <-chan time.Time
		if r.waiting() || r.moves() {
			tick = time.After(tickWaiting)
		}
		select {
		case <-r.ctx.Done():
			return
		case <-tick:
			r.giveUp(r.now())
			r.advance()
			r.observe()
		case <-r.wakes:
		case <-sweep.C:
			r.pool.sweep(r.now())
			r.giveUp(r.now())
			r.look() // lags grow by themselves
		}
	}
}

// giveUp judges the newest failover, and closes backends of those that lead no more and do not answer what they were asked
// as leaders: soon where the next one can be asked for all of that, else so early that what waits behind it has half
// of its time left.
func (r *Router) giveUp(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hides.ended(now, r.cfg.HoldTime, r.seen) {
		r.counts.hidden.Add(1)
	}
	for in, d := range r.deposed {
		if !d.moved && now >= d.since+numbers.Grace {
			r.deposed[in] = deposal{since: d.since, moved: true}
			r.pool.closeNumbered(in)
		}
		if now < d.since+r.cfg.HoldTime/2 {
			continue
		}
		delete(r.deposed, in)
		r.pool.closeStale(in, now+r.cfg.HoldTime/2)
	}
}

// moves tells whether that time runs for one.
func (r *Router) moves() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.deposed {
		if !d.moved {
			return true
		}
	}
	return false
}

// tickWaiting is how often what waits is looked at though nothing has changed.
const tickWaiting = 20 * time.Millisecond

func (r *Router) waiting() bool {
	for _, p := range r.ports {
		if p != nil && p.anyWaits() {
			return true
		}
	}
	return false
}

// advance lets all sessions that wait look again.
func (r *Router) advance() {
	d := newDelivery(r)
	for _, p := range r.ports {
		if p == nil {
			continue
		}
		now := r.now()
		for _, s := range p.thatWait() {
			s.tick(now, d)
		}
	}
	d.flush()
}

// told takes the word of an instance.
func (r *Router) told(i int, change func(*word)) {
	r.mu.Lock()
	was := r.words[i]
	change(&r.words[i])
	changed := r.words[i] != was
	r.mu.Unlock()
	if changed {
		r.look()
	}
}

// HTTPAddrs are the addresses that the port for health checks listens on.
func (r *Router) HTTPAddrs() []string {
	if r.health == nil {
		return nil
	}
	return r.health.Addrs()
}

// Addrs are the addresses that a port listens on.
func (r *Router) Addrs(kind Port) (out []string) {
	if p := r.ports[kind]; p != nil {
		for _, a := range p.srv.Addrs() {
			out = append(out, a.String())
		}
	}
	return out
}

// port is what clients come in by.
type port struct {
	r          *Router
	kind       Port
	srv        *iproto.Server
	hub        *iproto.Hub
	target     atomic.Pointer[target]
	deliveries sync.Pool

	mu      sync.Mutex
	waiting map[*session]struct{}
	watched map[string]struct{} // keys that clients watch
	source  *instance           // that tells their values; nil: nobody does
	clients int
	turned  turned
}

func newPort(r *Router, kind Port) (*port, error) {
	p := &port{r: r, kind: kind, hub: iproto.NewHub(), waiting: map[*session]struct{}{}, watched: map[string]struct{}{}}
	p.deliveries.New = func() any { return newDelivery(r) }
	p.target.Store(&target{why: "no instance that answers"})
	p.hub.Follow(p.follow)
	var err error
	p.srv, err = iproto.NewRelayServer(iproto.Config{
		Version: r.cfg.Version, InstanceUUID: r.cfg.UUID, Hub: p.hub, Pagination: true, Streams: true, SocketMode: r.cfg.SocketMode,
		AnswerMemory: r.cfg.AnswerMemory, SlowTimeout: r.cfg.SlowTimeout, AuthMethod: r.cfg.AuthMethod, Limits: r.cfg.Limits, Trace: p.trace(),
	}, &r.users, p)
	return p, err
}

// Carrier makes the session of a connection.
func (p *port) Carrier(c *iproto.Conn) iproto.Carrier {
	s := &session{r: p.r, port: p, conn: c}
	s.plain.s = s
	p.mu.Lock()
	p.clients++
	p.mu.Unlock()
	return s
}

func (p *port) left(*session) {
	p.mu.Lock()
	p.clients--
	p.mu.Unlock()
}

// leadTo says where the port leads to now.
func (p *port) leadTo(to []*instance, why string) {
	was := p.target.Load()
	same := len(was.insts) == len(to) && was.why == why
	for i := range to {
		same = same && was.insts[i] == to[i]
	}
	if same {
		return
	}
	version := was.version
	if len(was.insts) != len(to) || len(to) == 0 || was.insts[0] != to[0] {
		version++
	}
	p.target.Store(&target{version, to, why})
	p.mu.Lock()
	defer p.mu.Unlock()
	var source *instance
	if len(to) > 0 {
		source = to[0]
	}
	for _, in := range to {
		if in == p.source {
			source = in
		}
	}
	if source == p.source || source == nil {
		return // watchers hear nothing while there is nobody
	}
	if p.source != nil {
		p.source.follow(p, nil)
	}
	p.source = source
	keys := make([]string, 0, len(p.watched))
	for key := range p.watched {
		keys = append(keys, key)
	}
	source.follow(p, keys)
}

// follow is the hub's: a key has its first watcher, or none any more. It runs under the
// hub's lock.
func (p *port) follow(key string, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !on {
		delete(p.watched, key)
		return
	}
	p.watched[key] = struct{}{}
	if p.source != nil {
		p.source.follow(p, []string{key})
	}
}

// waits notes whether a session has requests that wait.
func (p *port) waits(s *session, yes bool) {
	p.mu.Lock()
	if yes {
		p.waiting[s] = struct{}{}
	} else {
		delete(p.waiting, s)
	}
	p.mu.Unlock()
	if yes {
		signal(p.r.wakes)
	}
}

func (p *port) anyWaits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) > 0
}

func (p *port) thatWait() []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*session, 0, len(p.waiting))
	for s := range p.waiting {
		all = append(all, s)
	}
	return all
}
