package replication

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// A view pins every version that is replaced while it is open, so a joiner must
// not keep one for as long as it likes. It is sent rows from the view for
// Config.ViewTime at most, and until Config.ViewBytes are pinned. What is left of
// the state then goes to a file as fast as the disk takes it, the view is
// closed, and the joiner has the file at its own pace: whoever takes each write
// within Config.JoinTimeout gets to the end. If there is no room for the file
// the joiner is told, and begins anew.

// spool is that file. It has no name, so nothing is left of it behind a crash.
type spool struct {
	f    *os.File
	size int64
	room int64 // bytes that may be written before the room is looked at again
}

const (
	// spoolReserve is what stays free on the disk, for the log.
	spoolReserve = 1 << 30
	spoolLook    = 64 << 20
	// maxSpools is how many there may be: each has a descriptor, and whoever may
	// replicate may ask for states.
	maxSpools = 16
)

func (h *Hub) newSpool() (s *spool, err error) {
	if h.joins.spools.Add(1) > maxSpools {
		h.joins.spools.Add(-1)
		return nil, fmt.Errorf("%d others have one", maxSpools)
	}
	if s, err = openSpool(h.cfg.SpoolDir); err != nil {
		h.joins.spools.Add(-1)
	}
	return s, err
}

func openSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "join-*.tmp")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &spool{f: f}, nil
}

func (s *spool) write(b []byte) error {
	if s.room < int64(len(b)) {
		var st syscall.Statfs_t
		if err := syscall.Fstatfs(int(s.f.Fd()), &st); err != nil {
			return err
		}
		if free := int64(st.Bavail) * int64(st.Bsize); free < spoolReserve+spoolLook {
			return fmt.Errorf("%d bytes are free, and %d must stay so: %w", free, spoolReserve, syscall.ENOSPC)
		}
		s.room = spoolLook + int64(len(b))
	}
	n, err := s.f.WriteAt(b, s.size)
	s.size += int64(n)
	s.room -= int64(n)
	return err
}

// pins is a view as far as it may be given up, see box.View.
type pins interface{ Pins() int }

// outlet sends the answer to a JOIN, and turns to a spool when the view has been
// open for too long. It belongs to one goroutine; a write runs on another one,
// so that one that takes long does not hold the view.
type outlet struct {
	hub   *Hub
	link  *iproto.Link
	of    *given // the base copy that it sends; nil: it is a JOIN
	view  pins   // nil: there is none to give up
	until time.Time
	look  time.Time // when the view is looked at next

	spare   []byte
	writing chan error // answers the write that is under way; nil: none is
	spool   *spool
}

// outletLook is how often the view is looked at. A busy leader replaces some MiB
// within it.
const outletLook = 100 * time.Millisecond

func newOutlet(h *Hub, link *iproto.Link, view pins) *outlet {
	now := time.Now()
	return &outlet{hub: h, link: link, view: view, until: now.Add(h.cfg.ViewTime), look: now.Add(outletLook)}
}

// put sends b, and gives another buffer for it.
func (o *outlet) put(b []byte) (next []byte, err error) {
	if err := o.ready(); err != nil {
		return b, err
	}
	if o.spool != nil {
		if err := o.spool.write(b); err != nil {
			return b, tooSlow(err)
		}
		return b[:0], nil
	}
	if err := o.arm(); err != nil {
		return b, err
	}
	o.writing = make(chan error, 1)
	go func(answer chan error) {
		_, err := o.link.Write(b)
		answer <- err
	}(o.writing)
	next, o.spare = o.spare[:0], b
	return next, nil
}

// arm bounds the next write.
func (o *outlet) arm() error {
	if o.of != nil {
		return o.of.arm()
	}
	return o.hub.armWrite(o.link)
}

// ended is closed when a base copy has to end; nil: there is none.
func (o *outlet) ended() <-chan struct{} {
	if o.of == nil {
		return nil
	}
	return o.of.ctx.Done()
}

// ready waits until the write before has ended, or the view has to be given up.
func (o *outlet) ready() error {
	for o.spool == nil {
		if !time.Now().Before(o.look) {
			if err := o.lookAtView(); err != nil || o.spool != nil {
				return err
			}
		}
		if o.writing == nil {
			return nil
		}
		t := time.NewTimer(outletLook)
		select {
		case <-o.ended():
			t.Stop()
			return context.Cause(o.of.ctx)
		case err := <-o.writing:
			o.writing = nil
			t.Stop()
			return err
		case <-t.C:
		}
	}
	return nil
}

// lookAtView begins the spool if the view pins too much, or has done so for too long.
func (o *outlet) lookAtView() (err error) {
	now := time.Now()
	o.look = now.Add(outletLook)
	if o.view == nil {
		return nil
	}
	pinned := 0
	o.hub.node.Read(func() { pinned = o.view.Pins() })
	if pinned < o.hub.cfg.ViewBytes && now.Before(o.until) {
		return nil
	}
	if o.spool, err = o.hub.newSpool(); err != nil {
		return tooSlow(err)
	}
	o.hub.cfg.Logger.Info().Str("to", o.link.RemoteAddr().String()).Int("pinned", pinned).Dur("open", now.Sub(o.until)+o.hub.cfg.ViewTime).
		Msg("a joiner takes its time: the rest of the state goes to a file for it")
	return nil
}

// tooSlow is what a joiner is told for whom nothing more can be kept.
func tooSlow(cause error) *xrow.Error {
	e := xrow.Errorf(xrow.ErrSystem, "the state was taken too slowly to be kept in memory, and could not be kept in a file: "+cause.Error()+". Join anew")
	e.Err = cause
	return e
}

// finish sends what is left, when the view is closed.
func (o *outlet) finish() error {
	if err := o.join(); err != nil || o.spool == nil {
		return err
	}
	from := io.NewSectionReader(o.spool.f, 0, o.spool.size)
	buf := make([]byte, joinBytes)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if err := o.arm(); err != nil {
				return err
			}
			if _, err := o.link.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the rest of a state: %w", err)
		}
	}
}

// join waits for the write that is under way.
func (o *outlet) join() error {
	if o.writing == nil {
		return nil
	}
	err := <-o.writing
	o.writing = nil
	return err
}

// fail tells the joiner why it does not get the rest, where it still listens.
func (o *outlet) fail(e *xrow.Error, sync uint64) {
	if o.join() != nil || o.hub.armWrite(o.link) != nil {
		return
	}
	if o.of != nil {
		_ = o.link.SetWriteDeadline(time.Now().Add(cancelGrace)) // nobody is waited for any more
	}
	row := e.Row(sync, 0)
	_ = o.link.WriteRow(&row) // the connection ends behind it anyway
}

func (o *outlet) close() {
	_ = o.join() // its deadline ends it
	if o.spool != nil {
		_ = o.spool.f.Close()
		o.hub.joins.spools.Add(-1)
	}
}
