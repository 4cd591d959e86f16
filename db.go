package tarragon

import (
	"context"
	"sync"

	"tarragon.dev/tarragon/server"
)

// DB is an instance that runs in this process. Its methods may be called by several
// goroutines. Requests of its own are those of the administrator; As is for others.
type DB struct {
	*Session
	srv  *server.Server
	stop context.CancelFunc
	done chan struct{} // closed when the instance has ended
	err  error         // how; behind done
}

// Open starts the instance and waits until it serves its data; an instance on its own (Dir)
// takes writes then. If ctx ends before, or the instance does, it is closed again. ctx is
// for the start alone.
//
// Goroutines: one, which runs the instance until Close or until that cannot go on; those of
// the instance are below it (docs/architecture.md).
func Open(ctx context.Context, c Config) (*DB, error) {
	in, again, err := c.resolve()
	if err == nil {
		err = c.checkTriggers()
	}
	if err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	var once sync.Once
	conf := server.Config{Instance: in, Log: c.Log, Reload: again, NoHandover: c.NoHandover, Hooks: c.triggers, Procedures: c.procedures(), ProceduresAtOnce: c.ProceduresAtOnce, Ready: func() {
		if c.Ready != nil {
			c.Ready()
		}
		once.Do(func() { close(ready) })
	}}
	db := &DB{srv: server.New(conf), done: make(chan struct{})}
	run, stop := context.WithCancel(context.Background())
	db.stop = stop
	go func() {
		defer close(db.done)
		db.err = db.srv.Run(run)
	}()
	if err := db.settle(ctx, ready, c.Dir != ""); err != nil {
		_ = db.Close() // the error that matters is there
		return nil, err
	}
	return db, nil
}

// settle waits until the instance serves.
func (db *DB) settle(ctx context.Context, ready <-chan struct{}, writes bool) error {
	select {
	case <-ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-db.done:
		return db.Err()
	}
	own, err := db.As("admin")
	if err != nil {
		return err
	}
	if db.Session = own; !writes {
		return nil
	}
	return db.WaitWritable(ctx)
}

// WaitWritable waits until this instance takes writes of replicated spaces: at once where it
// leads, for good where another one does.
func (s *Session) WaitWritable(ctx context.Context) error {
	_, err := s.Call(ctx, "box.ctl.wait_rw")
	return err
}

// As is a session of a user, with whose rights its requests are made. It is of that user and
// not of one of the same name that is made when this one is dropped.
func (db *DB) As(user string) (*Session, error) {
	l, err := db.srv.Session(user)
	if err != nil {
		return nil, err
	}
	return &Session{l: l}, nil
}

// Close stops the instance and waits for its end: a leader moves leadership to another member
// first, if there is one; then all that waits is answered, what the log was handed is
// written, and the files are closed. Requests get ErrShutdown from then on. To close it again waits as
// well. The error is that of the instance's end, as of Err.
func (db *DB) Close() error {
	db.stop()
	<-db.done
	return db.err
}

// Done is closed when the instance has ended, by Close or because it could not go on.
func (db *DB) Done() <-chan struct{} { return db.done }

// Err is why the instance has ended by itself; nil: it has not, or Close was called.
func (db *DB) Err() error {
	select {
	case <-db.done:
		return db.err
	default:
		return nil
	}
}
