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

	"tarragon.dev/tarragon/audit"
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/httpport"
	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/router"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// Version is what box.info says: the release of Tarantool whose protocol we
// speak, and who speaks it. The greeting has no room for more than the first
// part in front of the uuid.
const (
	Version         = GreetingVersion + "-tarragon"
	GreetingVersion = "3.8.0"
)

// Config is what a Server is opened with.
type Config struct {
	Instance *config.Instance // resolved; required
	Log      zerolog.Logger
	// Listening is called once, when the port is open: whoever asks is told at least what the
	// instance waits for. nil: nobody asks.
	Listening func()
	// Ready is called once, when the instance is a member of a replica set and
	// serves data; nil: nobody asks.
	Ready func()

	// Hooks are functions that statements of clients run, by the names of spaces: they run in
	// the core's Steps, so they wait for nothing. nil: there are none.
	Hooks map[string]*box.Hooks

	// SetHeapLimit is told how many bytes of memory the configuration leaves to the
	// process, at the start and when that changes: for debug.SetMemoryLimit. nil:
	// nobody asks.
	SetHeapLimit func(bytes int64)

	// Reload reads the configuration anew: what is heeded of it without a restart is
	// who may become a member. nil: there is no other than Instance.
	Reload func() (*config.Instance, error)

	// NoHandover has a leader that is told to stop resign at once, instead of moving
	// leadership to another member first.
	NoHandover bool

	// Program is what box.info says of the program; when it was started is filled in.
	Program proc.Program

	// Procedures are the functions of the program that clients may CALL.
	Procedures []Procedure
	// ProceduresAtOnce bounds how many calls of them run at the same time; 0: 1000.
	ProceduresAtOnce int

	// Reopen has messages when files of logs were moved away: the audit log is opened by its
	// name again. nil: nobody moves them.
	Reopen <-chan struct{}

	giverPatience time.Duration // instead of [giverPatience]; 0: that
	copyPause     time.Duration // instance.Config.CopyPause
	feature       uint32        // instead of [instance.FeatureLevel]; 0: that
	fileLimit     int           // instead of the limit of the process; 0: that
	opened        func(*Server) // told of the server before it opens anything; nil: nobody asks
	openStore     func(xlog.Options) (*xlog.Store, error)
	beside        []string // groups of Cores beside the replica set's: nothing configures them yet
	// begins is told of each run of a node, before it looks for its state; an error
	// ends the run. nil: nobody asks.
	begins func(ctx context.Context, group string) error
}

// Server is a running instance: the process around its nodes. The store, the port
// and what box.cfg changes are the process's, all else is a node's. It outlives the runs
// of all of them.
type Server struct {
	cfg       Config
	in        *config.Instance
	log       zerolog.Logger
	files     descriptors
	store     *xlog.Store
	journal   *xlog.Journal    // writes the groups of all Cores
	own       seat             // of the replica set's node
	next      *comeback        // its next run
	beside    map[string]*seat // those of other groups, by their names; never changed
	port      port
	drain     atomic.Int64 // limit of a shutdown, a time.Duration
	addrs     addresses
	tuning    tuning // what box.cfg changes and the core does not know
	admission admission
	hook      *roleHook // nil: none is configured
	procs     *procedures
	keepers   keepers
	troubles  troubles // of the process; those of nodes are theirs
	started   time.Time
	over      atomic.Bool // Run has returned
	heapLimit int64       // what SetHeapLimit was told last; the keeper's
	meters    *meters
	stopping  atomic.Bool // the stop has begun

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
	locals   atomic.Uint64  // sessions without a socket that were opened
	debug    *http.Server   // nil: off
	http     *httpport.Port // nil: off
	router   *router.Router // nil: off
	audit    *audit.Log     // nil: off
	badBytes limiter        // of log lines about foreign bytes
	turned   limiter        // of those about connections that were closed to protect the others
}

// errStopped is the cause of an orderly stop.
var errStopped = errors.New("stopped")

// Run opens the instance, serves until ctx ends or something breaks, and
// closes it. An instance that has to join anew does so without returning. A
// disk that fails is no reason to return: reads go on, and status tells.
func Run(ctx context.Context, cfg Config) error { return New(cfg).Run(ctx) }

// New is an instance that has opened nothing yet: it does in Run.
func New(cfg Config) *Server {
	s := newServer(cfg)
	if cfg.opened != nil {
		cfg.opened(s)
	}
	return s
}

// Run is [Run] of an instance that New has made. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	defer func() { // whatever hangs, nobody waits for it any more
		s.over.Store(true)
		s.port.calls.end()
	}()
	err := checkProcedures(s.cfg.Procedures)
	if err == nil {
		err = s.shareFiles()
	}
	if err == nil {
		err = s.openOr(ctx)
	}
	if err == nil {
		err = s.serve(ctx)
	}
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return nil // asked to stop
	}
	return err
}

func newServer(cfg Config) *Server {
	s := &Server{cfg: cfg, in: cfg.Instance, log: cfg.Log, started: time.Now(), beside: newSeats(cfg.beside), port: port{events: iproto.NewHub()}, meters: newMeters()}
	if cfg.openStore == nil {
		s.cfg.openStore = xlog.Open
	}
	s.procs = newProcedures(s, cfg.Procedures, cfg.ProceduresAtOnce)
	s.next = newComeback(&home{}, cfg.Log)
	s.own.node.Store(s.newMain())
	return s
}

// newMain makes the replica set's node for one run. What box.cfg has changed ends with the
// run before.
func (s *Server) newMain() *node {
	n := newNode("", s.host(), s.next)
	n.newFront = s.newFront
	s.tuning.read(s.in)
	s.admission.reset(s.in)
	return n
}

// main is the replica set's node: that of the present run, or of the one before until the
// next one has its identity.
func (s *Server) main() *node { return s.own.node.Load() }

// serve runs all nodes until the replica set's cannot go on, and closes the process.
func (s *Server) serve(ctx context.Context) error {
	s.journal = xlog.NewJournal(s.store)
	run, stop := context.WithCancelCause(ctx)
	s.stop = stop
	s.bg.Go(func() { s.publishBallots(run) })
	s.bg.Go(func() { s.reopenLogs(run) })
	s.startSeats(run)
	s.hook = s.startHook()
	err := s.keepMain(run)
	if errors.Is(err, errStuck) { // what hangs still holds the store
		s.log.Error().Err(err).Msg("giving up: the next start recovers from the log")
		return err
	}
	if stuck := s.close(err); stuck != nil {
		return errors.Join(err, stuck)
	}
	return err
}

// keepMain runs the replica set's node again and again, and returns at an end that no run
// follows: then the process ends.
func (s *Server) keepMain(ctx context.Context) error {
	for {
		began, n := time.Now(), s.main()
		end := n.run(n.begin(ctx))
		n.noteSet(end)
		if !goesOn(end) { // close ends the node, behind its clients
			return end
		}
		if err := runSteps(n.ending(s.cutClients), closeLimit); err != nil {
			return errors.Join(end, err)
		}
		s.port.calls.end()
		s.hook.resigned()
		n.noteShown(end)
		if again, err := s.next.after(ctx, end, began); !again {
			return cmp.Or(err, context.Cause(ctx))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.beginMain(); err != nil {
			return err
		}
	}
}

// beginMain puts a node for the next run in the place of the one before.
func (s *Server) beginMain() error {
	n := s.newMain()
	slot, err := n.life.begin()
	if err != nil {
		return err
	}
	n.store = slot
	n.announce()
	s.port.clients.SetMaxInFlight(s.in.IProto.NetMsgMax)
	s.own.node.Store(n)
	return nil
}

// host is what nodes know of this process.
func (s *Server) host() host {
	return host{in: s.in, audit: s.auditFact, hooks: s.cfg.Hooks, log: s.log, tuning: &s.tuning, patience: s.cfg.giverPatience, copyPause: s.cfg.copyPause, feature: cmp.Or(s.cfg.feature, instance.FeatureLevel), procedures: announced(s.cfg.Procedures), replies: s.newReplies,
		addressOf: s.addressOf, secure: s.secure, rights: s.rights, registers: s.reloadMembers, serves: s.nowReady, tick: s.tick, meters: s.meters, writer: s.newWriter, begins: s.cfg.begins}
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
	s.watchMemory(s.main().engine.Load())
}

func (s *Server) newWriter(slot *xlog.Slot, written func(group uint64), failed func(error)) writer {
	return s.journal.Writer(slot, written, failed)
}

// rights of a user that wants to replicate; member: as a member of the set.
func (s *Server) rights(user iproto.User, member bool) *xrow.Error {
	e := s.main().engine.Load()
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
				s.closeRouter()
				s.closeDebug()
				s.closeHTTP()
				s.port.clients.Close()
				_ = s.store.Close()
			}
		}()
		return context.Cause(ctx)
	}
}

// open does what needs no peer: directories, store, identity, listeners.
func (s *Server) open() (err error) {
	if err := s.openTLS(); err != nil {
		return err
	}
	dir := storeDir(s.in)
	if err := perm.MkdirAll(filepath.Dir(dir), s.in.Tarragon.DirMode); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	s.resetModes()
	if err := finishElder(dir); err != nil {
		return err
	}
	if s.store, err = s.openStore(dir); err != nil {
		return err
	}
	s.next.home.store = s.store
	n := s.main()
	if n.store, err = n.life.begin(); err != nil {
		return closeOver(s.store, err)
	}
	n.announce()
	if err := s.openSeats(); err != nil {
		return closeOver(s.store, err)
	}
	if s.port.audit, err = s.openAudit(); err != nil {
		return closeOver(s.store, err)
	}
	if err := s.openClients(); err != nil {
		return closeOver(s.store, errors.Join(err, s.port.audit.Close()))
	}
	err = s.openDebug()
	if err == nil {
		err = s.openRouter()
	}
	if err == nil {
		err = s.openHTTP() // it tells of all others
	}
	if err != nil {
		s.closeRouter()
		s.closeDebug()
		s.port.clients.Close()
		err = errors.Join(err, s.port.audit.Close())
		return closeOver(s.store, err)
	}
	return nil
}

func (s *Server) openClients() error {
	cfg := iproto.Config{Version: GreetingVersion, InstanceUUID: s.main().life.UUID, Hub: s.port.events, Pagination: true, Streams: true,
		SocketMode: s.in.Tarragon.SocketMode, AuthMethod: s.in.IProto.AuthType, MaxInFlight: s.in.IProto.NetMsgMax, AnswerMemory: int(s.in.Tarragon.AnswerMemory), Limits: s.clientLimits(),
		Trace: s.clientTrace(), Member: s.memberProof()}
	srv, err := iproto.NewServer(cfg, &backend{s})
	if err != nil {
		return err
	}
	s.port.clients = srv
	s.publishBallot() // whoever watches finds one
	var ends []iproto.Endpoint
	for _, u := range s.in.IProto.Listen {
		if err := socketDir(u.Unix, s.in.Tarragon.DirMode); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		conf, err := s.listenTLS(u.TLS)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		ends = append(ends, iproto.Endpoint{Addr: u.Address(), TLS: conf})
	}
	if err := srv.ListenAll(ends...); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for _, a := range srv.Addrs() {
		s.log.Info().Str("addr", a.String()).Msg("listening")
	}
	s.openControl()
	if s.cfg.Listening != nil {
		s.cfg.Listening()
	}
	return nil
}

func seeded() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }
