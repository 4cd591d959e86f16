package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// giving are the base copies that this instance gives. It is a value under the hub's lock.
//
// Invariant: each of open holds one view or file at most, and there are no more of them than
// Hub.SetCopies allows; of one replica there is one.
type giving struct {
	last   uint64   // number of the newest
	open   []*given // oldest first
	turned []turned // who was turned away for want of a place, and may come again; oldest first
	counts CopyCounts
}

// CopyCounts is what has become of base copies since the start.
type CopyCounts struct {
	Whole     uint64 // all of it was sent
	Broken    uint64 // ended before that, cancelled ones too
	Cancelled uint64 // by hand
	Refused   uint64 // there was no place
}

// given is a base copy for one replica.
type given struct {
	hub    *Hub
	no     uint64
	to     replica
	spaces []uint32
	since  time.Time
	link   *iproto.Link
	ctx    context.Context // ends with the copy, or the hub
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when it holds nothing any more

	// Guarded by the hub's lock.
	of    *copyFile // by which it is served; nil: by the connection
	stage GivenStage
	told  *Progress // of the tuples; nil: none have gone
	view  pins      // nil: none is open
	armed time.Time // when the write that is under way began; zero: none is
}

// replica is who takes a base copy, and the filter that it has.
type replica struct{ uuid, name, addr, filter string }

// turned is a replica that was turned away.
type turned struct {
	to     replica
	spaces []uint32
	at     time.Time
	why    string
}

// GivenStage is how far a base copy is that this instance gives.
type GivenStage string

// Stages of a base copy at its sender.
const (
	GivenRefused  GivenStage = "refused"  // it may come again
	GivenDeciding GivenStage = "deciding" // not all that the replica holds is decided here yet
	GivenSending  GivenStage = "sending"
	GivenWriting  GivenStage = "writing" // the file that a command will bring
	GivenWritten  GivenStage = "written" // a command brings it
)

// GivenCopy is a base copy as its sender tells of it.
type GivenCopy struct {
	ID      string // for Hub.CancelCopies; empty: there is nothing to cancel
	UUID    string // of the replica
	Name    string // of the replica; empty: it told none
	Addr    string // of the replica
	Spaces  []uint32
	Stage   GivenStage
	Rows    uint64 // sent
	Total   uint64 // about
	Bytes   uint64 // of tuples
	Rate    uint64 // rows a second, since the first
	For     time.Duration
	Pins    int    // bytes of replaced tuples that its view keeps in memory
	Spooled bool   // the rest of it is in a file, and its view is closed
	Reason  string // why it was refused
}

// errNewer is why a base copy ends when its replica asks anew.
var errNewer = errors.New("replication: the replica asks for another base copy")

// cancelGrace is how long a write to a replica may take on when its copy is cancelled: so
// one that listens gets to know why.
const cancelGrace = time.Second

// maxTurned bounds what is remembered of replicas that were turned away.
const maxTurned = 64

// limits of base copies, which may change while the hub runs.
type copyLimits struct {
	silence time.Duration // what a replica takes nothing for
	places  int
}

// SetCopies says how long a replica may take nothing of a base copy, and how many there may
// be at once. Those that are under way follow at once.
func (h *Hub) SetCopies(silence time.Duration, places int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.copyLimits.Store(&copyLimits{silence, places})
	for _, g := range h.giving.open {
		if !g.armed.IsZero() && g.ctx.Err() == nil {
			_ = g.link.SetWriteDeadline(g.armed.Add(silence)) // else it is closed
		}
	}
}

// give finds a place for a base copy. Who asks anew gives up what it had.
func (h *Hub) give(link *iproto.Link, req *xrow.JoinRequest) (*given, error) {
	to := replica{req.InstanceUUID, req.InstanceName, link.RemoteAddr().String(), req.Share.Filter}
	for {
		g, older, err := h.tryGive(link, &to, req.Copy.Spaces, req.File)
		if older == nil {
			return g, err
		}
		older.end(errNewer)
		select {
		case <-older.done:
		case <-h.ctx.Done():
			return nil, context.Cause(h.ctx)
		}
	}
}

func (h *Hub) tryGive(link *iproto.Link, to *replica, spaces []uint32, file bool) (g, older *given, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.expelled {
		return nil, nil, xrow.Errorf(xrow.ErrLoading)
	}
	if err := h.refuseCopy(to); err != nil {
		return nil, nil, err
	}
	r := &h.giving
	r.turned = slices.DeleteFunc(r.turned, func(t turned) bool { return t.to.uuid == to.uuid })
	for _, o := range r.open {
		if o.to.uuid == to.uuid {
			return nil, o, nil
		}
	}
	if places := h.copyLimits.Load().places; !file && h.views() >= places {
		return nil, nil, h.turnAway(to, spaces, places)
	}
	r.last++
	g = &given{hub: h, no: r.last, to: *to, spaces: spaces, since: time.Now(), link: link, done: make(chan struct{}), stage: GivenDeciding}
	g.ctx, g.cancel = context.WithCancelCause(h.ctx)
	r.open = append(r.open, g)
	h.wg.Add(1)
	return g, nil, nil
}

// turnAway refuses a replica for which there is no place, and takes it down. The hub's lock
// is held.
func (h *Hub) turnAway(to *replica, spaces []uint32, places int) *xrow.Error {
	r := &h.giving
	why := fmt.Sprintf("as many base copies are under way here as tarragon.max_copies allows: %d", places)
	r.counts.Refused++
	if len(r.turned) == maxTurned {
		r.turned = slices.Delete(r.turned, 0, 1)
	}
	r.turned = append(r.turned, turned{*to, spaces, time.Now(), why})
	return &xrow.Error{Code: xrow.ErrLoading, Message: why}
}

// end has a base copy end: what is held for it goes at once, and a write that is under way
// soon.
func (g *given) end(why error) {
	g.cancel(why)
	_ = g.link.SetWriteDeadline(time.Now().Add(cancelGrace)) // else it is closed
}

// leave gives the place back.
func (g *given) leave(err error) {
	h := g.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.giving.open = slices.DeleteFunc(h.giving.open, func(o *given) bool { return o == g })
	if err == nil {
		h.giving.counts.Whole++
	} else {
		h.giving.counts.Broken++
	}
	g.cancel(nil)
	close(g.done)
	h.wg.Done()
}

// arm bounds a write, and refuses it when the copy is to end.
func (g *given) arm() error {
	now := time.Now()
	g.hub.mu.Lock()
	defer g.hub.mu.Unlock() // so SetCopies sees it, or has its effect here
	g.armed = now
	if err := g.link.SetWriteDeadline(now.Add(g.hub.copyLimits.Load().silence)); err != nil {
		return err
	}
	if g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	return nil
}

// GivenCopies lists the base copies that this instance gives, oldest first, and those that
// it refused lately.
func (h *Hub) GivenCopies() (list []GivenCopy, counts CopyCounts, places int) {
	places = h.copyLimits.Load().places
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.giving.open {
		list = append(list, g.status())
	}
	h.giving.turned = slices.DeleteFunc(h.giving.turned, func(t turned) bool { return time.Since(t.at) > h.cfg.JoinTimeout })
	for _, t := range h.giving.turned {
		list = append(list, GivenCopy{UUID: t.to.uuid, Name: t.to.name, Addr: t.to.addr, Spaces: t.spaces, Stage: GivenRefused, For: time.Since(t.at), Reason: t.why})
	}
	return list, h.giving.counts, places
}

func (g *given) id() string {
	name := g.hub.cfg.Name
	if name == "" {
		name = g.hub.cfg.UUID
	}
	return fmt.Sprintf("%s.%d", name, g.no)
}

// status is under the hub's lock.
func (g *given) status() GivenCopy {
	c := GivenCopy{ID: g.id(), UUID: g.to.uuid, Name: g.to.name, Addr: g.to.addr, Spaces: g.spaces, Stage: g.stage, For: time.Since(g.since)}
	if g.told != nil {
		c.Rows, c.Bytes = g.told.Read()
		c.Total, c.Rate = g.told.expected(), g.told.Rate()
	}
	if g.view != nil {
		g.hub.node.Read(func() { c.Pins = g.view.Pins() })
	}
	c.Spooled = g.stage == GivenSending && g.view == nil
	if g.of != nil {
		c.Stage, c.Spooled = GivenWriting, true
		select {
		case <-g.of.done:
			c.Stage = GivenWritten
		default:
		}
	}
	return c
}

// errCancelled is what the replica is told.
func (h *Hub) errCancelled() *xrow.Error {
	return &xrow.Error{Code: xrow.ErrSystem, Message: fmt.Sprintf("The base copy was cancelled at instance '%s'", h.cfg.Name)}
}

// CancelCopies ends the base copies of a replica, by its uuid or name, or the one of an ID:
// what is held for them goes. It tells how many there were. A replica that lives asks again.
func (h *Hub) CancelCopies(who string) (n int) {
	var ends []*given
	h.mu.Lock()
	for _, g := range h.giving.open {
		if who != "" && (who == g.to.uuid || who == g.to.name || who == g.id()) {
			ends = append(ends, g)
		}
	}
	h.giving.counts.Cancelled += uint64(len(ends))
	h.mu.Unlock()
	for _, g := range ends {
		g.end(h.errCancelled())
	}
	return len(ends)
}
