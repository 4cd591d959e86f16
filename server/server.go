package server

import (
	"cmp"
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
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

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
	feature       uint32        // instead of [instance.FeatureLevel]; 0: that
	fileLimit     int           // instead of the limit of the process; 0: that
	opened        func(*Server) // told of each run, before it opens anything; nil: nobody asks
	openStore     func(xlog.Options) (*xlog.Store, error)
	beside        []string // groups of Cores beside the replica set's: nothing configures them yet
	// begins is told of each run of a node, before it looks for its state; an error
	// ends the run. nil: nobody asks.
	begins func(ctx context.Context, group string) error
}

// Server is a running instance: the process around its nodes. The store, the port
// and what box.cfg changes are the process's, all else is a node's.
type Server struct {
	cfg       Config
	in        *config.Instance
	log       zerolog.Logger
	files     descriptors
	store     *xlog.Store
	journal   *xlog.Journal    // writes the groups of all Cores
	main      *node            // the replica set's
	beside    map[string]*seat // those of other groups, by their names; never changed
	port      port
	drain     atomic.Int64 // limit of a shutdown, a time.Duration
	addrs     addresses
	tuning    tuning // what box.cfg changes and the core does not know
	admission admission
	troubles  troubles // of the process; those of nodes are theirs
	started   time.Time
	heapLimit int64 // what SetHeapLimit was told last; the keeper's

	bg        sync.WaitGroup
	stop      context.CancelCauseFunc
	seats     sync.WaitGroup // of nodes beside the replica set's
	stopSeats context.CancelCauseFunc
}

// port is where clients and peers come in.
type port struct {
	events   *iproto.Hub
	clients  *iproto.Server
	calls    calls
	debug    *http.Server // nil: off
	badBytes limiter      // of log lines about foreign bytes
	turned   limiter      // of those about connections that were closed to protect the others
}

// errStopped is the cause of an orderly stop.
var errStopped = errors.New("stopped")

// Run opens the instance, serves until ctx ends or something breaks, and
// closes it. An instance that has to join anew does so without returning. A
// disk that fails is no reason to return: reads go on, and status tells.
func Run(ctx context.Context, cfg Config) error {
	at := &directories{conf: cfg.Instance}
	next := newComeback(at, cfg.Log)
	for {
		began := time.Now()
		end := runOnce(ctx, cfg, at, next)
		if again, err := next.after(ctx, end, began); !again {
			return err
		}
	}
}

func runOnce(ctx context.Context, cfg Config, at *directories, next *comeback) error {
	s := &Server{cfg: cfg, in: cfg.Instance, log: cfg.Log, started: time.Now(), beside: newSeats(cfg.beside), port: port{events: iproto.NewHub()}}
	at.open = s.openStore
	s.main = newNode("", s.host(), next)
	s.main.newFront = s.newFront
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
	s.journal = xlog.NewJournal(s.store)
	run, stop := context.WithCancelCause(ctx)
	s.stop = stop
	s.bg.Go(func() { s.publishBallots(run) })
	s.startSeats(run)
	err := s.main.run(run)
	s.main.noteSet(err)
	if stuck := s.close(err); stuck != nil {
		return errors.Join(err, stuck)
	}
	s.main.noteShown(err)
	return err
}

// host is what nodes know of this process.
func (s *Server) host() host {
	return host{in: s.in, log: s.log, tuning: &s.tuning, patience: s.cfg.giverPatience, feature: cmp.Or(s.cfg.feature, instance.FeatureLevel), replies: s.newReplies,
		addressOf: s.addressOf, rights: s.rights, registers: s.reloadMembers, serves: s.nowReady, tick: s.tick, writer: s.newWriter, begins: s.cfg.begins}
}

// newReplies makes the end of the port for one Loop: answers gather there without a lock.
func (s *Server) newReplies() instance.Clients {
	return &clients{s.port.clients.Answers(), &s.port.calls}
}

func (s *Server) nowReady() {
	if s.cfg.Ready != nil {
		s.cfg.Ready()
	}
}

// tick is the clock of the chores of the process.
func (s *Server) tick() {
	s.port.clients.Tick()
	s.watchMemory(s.main.engine.Load())
}

func (s *Server) newWriter(slot *xlog.Slot, written func(group uint64), failed func(error)) writer {
	return s.journal.Writer(slot, written, failed)
}

// rights of a user that wants to replicate; member: as a member of the set.
func (s *Server) rights(user iproto.User, member bool) *xrow.Error {
	e := s.main.engine.Load()
	if e == nil {
		return xrow.Errorf(xrow.ErrLoading)
	}
	var err error
	e.loop.Read(func(c *instance.Core) {
		schema := c.Box().Schema()
		if member {
			err = schema.CheckSpace(box.Credentials(user), xrow.SpaceCluster, box.PrivWrite)
		}
		if err == nil {
			err = schema.CheckUniverse(box.Credentials(user), box.PrivRead)
		}
	})
	var refused *xrow.Error
	if errors.As(err, &refused) {
		return refused
	}
	return nil
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
				s.port.clients.Close()
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
	slot, err := s.main.life.begin()
	if err != nil {
		return err
	}
	s.store, s.main.store = slot.Store(), slot
	if err := s.openSeats(); err != nil {
		return closeOver(s.store, err)
	}
	if err := s.openClients(); err != nil {
		return closeOver(s.store, err)
	}
	if err := s.openDebug(); err != nil {
		s.port.clients.Close()
		return closeOver(s.store, err)
	}
	return nil
}

func (s *Server) openClients() error {
	cfg := iproto.Config{Version: greetingVersion, InstanceUUID: s.main.life.UUID, Hub: s.port.events, Pagination: true,
		SocketMode: s.in.Tarragon.SocketMode, MaxInFlight: s.in.IProto.NetMsgMax, AnswerMemory: int(s.in.Tarragon.AnswerMemory), Limits: s.clientLimits(),
		Trace: s.clientTrace()}
	srv, err := iproto.NewServer(cfg, &backend{s})
	if err != nil {
		return err
	}
	s.port.clients = srv
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

func seeded() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
