package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/xlog"

	"github.com/rs/zerolog"
)

// Version is what box.info says: the release of Tarantool whose protocol we
// speak, and who speaks it. The greeting has no room for more than the first
// part in front of the uuid.
const (
	Version         = greetingVersion + "-tarragon"
	greetingVersion = "3.8.0"
)

// Config is what a Server is opened with.
type Config struct {
	Instance *config.Instance // resolved; required
	Log      zerolog.Logger
	// Ready is called once, when the instance is a member of a replica set and
	// serves data; nil: nobody asks.
	Ready func()

	// SetHeapLimit is told how many bytes of memory the configuration leaves to the
	// process, at the start and when that changes: for debug.SetMemoryLimit. nil:
	// nobody asks.
	SetHeapLimit func(bytes int64)

	// Reload reads the configuration anew: what is heeded of it without a restart is
	// who may become a member. nil: there is no other than Instance.
	Reload func() (*config.Instance, error)

	giverPatience time.Duration // instead of [giverPatience]; 0: that
	trusted       bool          // an operator says that the disk is to be believed
	fileLimit     int           // instead of the limit of the process; 0: that
	opened        func(*Server) // told of each run, before it opens anything; nil: nobody asks
	openStore     func(xlog.Options) (*xlog.Store, error)
}

// Server is a running instance.
type Server struct {
	cfg       Config
	in        *config.Instance
	log       zerolog.Logger
	life      life
	files     descriptors
	lost      chan error                // the core is in doubt; capacity 1
	mixed     bool                      // we begin a replica set for which instances of Tarantool's kind wait
	after     *givingWay                // the run before gave its replica set up; nil: it did not
	rival     atomic.Pointer[givingWay] // whom a lone founder gives way to
	recovered *instance.Core            // before there is a node
	store     *xlog.Store
	slot      *xlog.Slot // what the store has of our Core
	events    *iproto.Hub
	clients   *iproto.Server
	debug     *http.Server // nil: off
	answers   *iproto.Answers
	hub       atomic.Pointer[replication.Hub]  // nil until the core runs
	boot      atomic.Pointer[replication.Boot] // answers VOTE before that
	drain     atomic.Int64                     // limit of a shutdown, a time.Duration
	ready     atomic.Bool                      // a member of a replica set, with its data
	calls     calls
	addrs     addresses
	tuning    tuning // what box.cfg changes and the core does not know
	admission admission
	troubles  troubles // what status shows as the last error
	badBytes  limiter  // of log lines about foreign bytes
	turned    limiter  // of those about connections that were closed to protect the others
	started   time.Time
	heapLimit int64 // what SetHeapLimit was told last; the keeper's

	node atomic.Pointer[node] // nil until the core runs
	fail chan error           // a part that cannot go on says why
	bg   sync.WaitGroup
	stop context.CancelCauseFunc
}

// node is what there is once the state is known: the core and all that hangs
// on it.
type node struct {
	core    *instance.Core
	box     *box.Box
	loop    *instance.Loop
	journal *xlog.Journal
	writer  *xlog.Writer
	keeper  *keeper
	procs   *proc.Procs
	status  *status
	running bool // the loop was started
}

// errStopped is the cause of an orderly stop.
var errStopped = errors.New("stopped")

// Run opens the instance, serves until ctx ends or something breaks, and
// closes it. An instance that has to join anew does so without returning. A
// disk that fails is no reason to return: reads go on, and status tells.
func Run(ctx context.Context, cfg Config) error {
	var anew *rejoin
	var way *givingWay
	pause := pacer{least: time.Second, most: 30 * time.Second}
	for {
		began := time.Now()
		err := runOnce(ctx, cfg, anew, way)
		switch {
		case errors.Is(err, errStuck):
			return err // what hangs still holds the store
		case errors.Is(err, errJoined):
			if err := swapStores(cfg.Instance, anew.newLife); err != nil {
				return fmt.Errorf("take the new store: %w", err)
			}
			if anew.newLife {
				cfg.Log.Warn().Str("dir", oldDir(storeDir(cfg.Instance))).
					Msg("the store of the former life is kept: it may hold rows that nobody else has (tarragon xlog cat); remove it when you have looked")
			}
			anew = nil
		case errors.Is(err, errAccepted):
			cfg.trusted, anew = true, nil
		case errors.Is(err, errNoGiver):
			cfg.Log.Warn().Err(err).Msg("not joining the replica set anew")
			anew = nil
			if !pause.wait(ctx, time.Since(began)) {
				return nil
			}
		case errors.As(err, &way):
			cfg.Log.Warn().Err(err).Str("dir", oldDir(storeDir(cfg.Instance))).Msg("giving way to another replica set: the store of this one is kept aside")
			if err := way.setAside(cfg.Instance); err != nil {
				return fmt.Errorf("set the store aside: %w", err)
			}
		case errors.As(err, &anew):
			cfg.Log.Warn().Err(err).Bool("new_identity", anew.newLife).Msg("joining the replica set anew")
			if !pause.wait(ctx, time.Since(began)) {
				return nil
			}
		case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
			return nil // asked to stop
		default:
			return err
		}
	}
}

func runOnce(ctx context.Context, cfg Config, anew *rejoin, after *givingWay) error {
	s := &Server{cfg: cfg, in: cfg.Instance, log: cfg.Log, after: after, fail: make(chan error, 8), lost: make(chan error, 1), started: time.Now(), events: iproto.NewHub()}
	s.life = life{conf: s.in, log: s.log, open: s.openStore, trusted: cfg.trusted, anew: anew}
	s.tuning.read(cfg.Instance)
	s.admission.members, s.admission.most = s.in.Tarragon.Members, s.in.Tarragon.MaxMembers
	if cfg.openStore == nil {
		s.cfg.openStore = xlog.Open
	}
	if cfg.opened != nil {
		cfg.opened(s)
	}
	if err := s.shareFiles(); err != nil {
		return err
	}
	if err := s.openOr(ctx); err != nil {
		return err
	}
	run, stop := context.WithCancelCause(ctx)
	s.stop = stop
	s.bg.Go(func() { s.publishBallots(run) })
	err := s.serve(run)
	if again := new(rejoin); errors.As(err, &again) && again.set == "" {
		again.set = s.heldSet()
	}
	if stuck := s.close(err); stuck != nil {
		return errors.Join(err, stuck)
	}
	if again := new(rejoin); errors.As(err, &again) {
		again.noteShown(s)
	}
	return err
}

const (
	// openTell is how often an open that takes long is told of.
	openTell = 10 * time.Second
	// openGrace is how long a stop waits for it: a store that was opened and
	// closed needs no recovery.
	openGrace = time.Second
)

// openOr is open, but a stop does not wait for a disk that is slow or hangs. Then
// what opens late is closed, or dies with the process.
func (s *Server) openOr(ctx context.Context) error {
	opened := make(chan error, 1)
	go func() { opened <- s.open() }()
	tell := time.NewTicker(openTell)
	defer tell.Stop()
	for {
		select {
		case err := <-opened:
			return err
		case <-tell.C:
			s.log.Warn().Str("store", storeDir(s.in)).Dur("since", time.Since(s.started)).Msg("the store is still being opened")
			continue
		case <-ctx.Done():
		}
		select {
		case err := <-opened:
			return err // serve and close see to the rest
		case <-time.After(openGrace):
		}
		s.log.Warn().Str("store", storeDir(s.in)).Msg("stopping while the store is being opened: the next start recovers from the log")
		go func() {
			if err := <-opened; err == nil {
				s.closeDebug()
				s.clients.Close()
				_ = s.store.Close()
			}
		}()
		return context.Cause(ctx)
	}
}

// open does what needs no peer: directories, store, identity, listeners.
func (s *Server) open() (err error) {
	dir := storeDir(s.in)
	if err := perm.MkdirAll(filepath.Dir(dir), s.in.Tarragon.DirMode); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	s.resetModes()
	if err := finishSwap(dir); err != nil {
		return err
	}
	if s.slot, err = s.life.begin(); err != nil {
		return err
	}
	s.store = s.slot.Store()
	if s.life.anew == nil {
		if err := s.life.checkEmptyLoss(); err != nil {
			return closeOver(s.store, err)
		}
	}
	if err := s.openClients(); err != nil {
		return closeOver(s.store, err)
	}
	if err := s.openDebug(); err != nil {
		s.clients.Close()
		return closeOver(s.store, err)
	}
	return nil
}

func (s *Server) openClients() error {
	cfg := iproto.Config{Version: greetingVersion, InstanceUUID: s.life.UUID, Hub: s.events, Pagination: true,
		SocketMode: s.in.Tarragon.SocketMode, MaxInFlight: s.in.IProto.NetMsgMax, AnswerMemory: int(s.in.Tarragon.AnswerMemory), Limits: s.clientLimits(),
		Trace: s.clientTrace()}
	srv, err := iproto.NewServer(cfg, &backend{s})
	if err != nil {
		return err
	}
	s.clients, s.answers = srv, srv.Answers()
	s.publishBallot() // whoever watches finds one
	var addrs []string
	for _, u := range s.in.IProto.Listen {
		if err := socketDir(u.Unix, s.in.Tarragon.DirMode); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		addrs = append(addrs, u.Address())
	}
	if err := srv.Listen(addrs...); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for _, a := range srv.Addrs() {
		s.log.Info().Str("addr", a.String()).Msg("listening")
	}
	s.openControl()
	return nil
}

// serve brings the instance into a replica set and runs it.
func (s *Server) serve(ctx context.Context) error {
	begin, err := s.settle(ctx)
	if err != nil {
		return err
	}
	n := s.node.Load()
	loopErr := make(chan error, 1)
	go func() { loopErr <- n.loop.Run(context.WithoutCancel(ctx)) }()
	n.running = true
	s.hub.Load().Start(replication.FromLoop(n.loop))
	if begin {
		if err := s.bootstrap(n); err != nil {
			return err
		}
	}
	s.background(ctx, n)
	if s.life.doubt != nil {
		s.fatal(s.life.doubt)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err := <-s.fail:
		return err
	case err := <-loopErr:
		return err
	}
}

func (s *Server) background(ctx context.Context, n *node) {
	s.watchMemory(n)
	for _, f := range []func(context.Context){n.status.run, n.keeper.run, func(ctx context.Context) { s.watchRivals(ctx, n) }, s.leaveWhenLost} {
		s.bg.Add(1)
		go func() {
			defer s.bg.Done()
			f(ctx)
		}()
	}
}

// broken tells the run why a part cannot go on. The first one counts.
func (s *Server) broken(err error) {
	select {
	case s.fail <- err:
	default:
	}
}

func seeded() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
