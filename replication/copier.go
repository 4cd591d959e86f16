package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// copier brings the base copies that the core of a filtered replica orders, one at a time: a
// newer order ends the one before. It is a value under the hub's lock but for what its goroutine has.
type copier struct {
	order  uint64
	cancel context.CancelCauseFunc // of the one under way; nil: none is
	ready  chan struct{}           // closed when its tuples may come
	next   int                     // peer that is asked next
	failed int                     // transfers by the command, in a row
	early  *instance.CopyOrder     // came before Start, as where spaces are lacking since the last life; nil: none
}

// errOrder is why a copy ends when there is another order.
var errOrder = errors.New("replication: another base copy is asked for")

// copyBytes is about how many bytes of tuples go to the core at once: a Step takes them
// whole.
const copyBytes = 128 << 10

// copyTuples bounds their number.
const copyTuples = 512

// orderCopy takes what the core asks for. The hub's lock is held.
func (h *Hub) orderCopy(e *instance.Effects) {
	c := &h.copier
	if e.Copy != nil && !h.closed {
		order := *e.Copy
		if c.early = &order; h.node != nil {
			h.beginCopy()
		}
	}
	if e.CopyReady != 0 && e.CopyReady == c.order && c.ready != nil {
		close(c.ready)
		c.ready = nil
	}
}

// beginCopy does what was ordered last. The hub's lock is held.
func (h *Hub) beginCopy() {
	c := &h.copier
	if c.early == nil {
		return
	}
	order := *c.early
	c.early = nil
	if c.cancel != nil {
		c.cancel(errOrder)
	}
	ctx, cancel := context.WithCancelCause(h.ctx)
	c.order, c.cancel, c.ready = order.Order, cancel, make(chan struct{})
	ready, peer := c.ready, c.next
	c.next++
	h.wg.Go(func() {
		defer cancel(nil)
		err := h.bring(ctx, &order, ready, peer)
		if err != nil && context.Cause(ctx) == nil {
			h.cfg.Logger.Info().Err(err).Msg("base copy broken off")
		}
		_ = h.node.Submit(instance.CopyEnds{Order: order.Order, Err: err, Busy: allBusy(err)}) // else the loop has ended
	})
}

// refusals are what each of the peers answered that was asked for a base copy.
type copyRefusals []error

// Error is all of them.
func (r copyRefusals) Error() string { return errors.Join(r...).Error() }

// Unwrap gives them to errors.Is.
func (r copyRefusals) Unwrap() []error { return r }

// allBusy tells whether each peer said that it cannot now.
func allBusy(err error) bool {
	var all copyRefusals
	if !errors.As(err, &all) {
		return false
	}
	return !slices.ContainsFunc(all, func(err error) bool { return !errors.Is(err, xrow.ErrLoading) })
}

// bring asks one peer after the other, the first of them that has what is needed sends it.
func (h *Hub) bring(ctx context.Context, order *instance.CopyOrder, ready <-chan struct{}, first int) error {
	if len(h.cfg.Peers) == 0 {
		return errors.New("replication: there is nobody to ask for a base copy")
	}
	var errs copyRefusals
	for i := range h.cfg.Peers {
		p := &h.cfg.Peers[(first+i)%len(h.cfg.Peers)]
		begun, err := h.bringFrom(ctx, p, order, ready)
		if err == nil || begun || ctx.Err() != nil {
			return err
		}
		errs = append(errs, fmt.Errorf("%s: %w", p.label(), err))
	}
	return errs
}

// bringFrom takes the copy from one peer. begun: the core knows its view, so no other one
// may go on.
func (h *Hub) bringFrom(ctx context.Context, p *Peer, order *instance.CopyOrder, ready <-chan struct{}) (begun bool, err error) {
	id := Identity{Group: h.cfg.Group, UUID: h.cfg.UUID, Version: h.cfg.Version, Feature: h.cfg.Feature}
	c, stop, err := open(ctx, p, &id, h.cfg.JoinTimeout)
	if err != nil {
		return false, err
	}
	defer stop()
	command := h.transfers()
	req := xrow.JoinRequest{File: command, InstanceUUID: id.UUID, InstanceName: h.cfg.Name, ServerVersion: id.Version, Group: id.Group, Feature: id.Feature, Share: order.Share,
		Copy: &xrow.Copy{Spaces: order.Spaces, VClock: order.VClock, Term: order.Term}}
	if err := c.WriteRow(&xrow.Row{Type: xrow.FetchSnap, Body: req.AppendBody(nil)}); err != nil {
		return false, err
	}
	r := copyReader{reader: reader{link: c.Link, ctx: ctx, silence: h.cfg.JoinTimeout}, hub: h, order: order.Order}
	view, tuples, err := r.head(h.cfg.Group)
	if err != nil {
		return false, r.ended(err)
	}
	if err := h.node.Submit(instance.CopyBegins{Order: order.Order, VClock: view, Tuples: tuples, Source: instance.CopySource{From: p.label(), Command: command}}); err != nil {
		return true, err
	}
	var file *copyInput
	if command {
		if file, err = r.transfer(c, p, view); err != nil {
			return true, r.ended(err)
		}
		defer file.close()
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return true, context.Cause(ctx)
	case <-time.After(h.cfg.JoinTimeout):
		return true, fmt.Errorf("what %s had decided is not decided here after %v", p.Addr, h.cfg.JoinTimeout)
	}
	if file != nil {
		return true, h.transferred(file.rows(&r))
	}
	return true, r.ended(r.rows())
}

// copyReader reads the answer.
type copyReader struct {
	reader
	hub   *Hub
	order uint64
}

// head reads what goes before the tuples.
func (r *copyReader) head(group string) (view vclock.VClock, tuples int, err error) {
	row, err := r.expect(xrow.OK)
	if err != nil {
		return view, 0, err
	}
	view, of, err := xrow.DecodeVClockBody(row.Body)
	if err == nil {
		err = checkGroup(group, of)
	}
	if err != nil {
		return view, 0, err
	}
	if row, err = r.expect(xrow.JoinMeta); err != nil {
		return view, 0, err
	}
	meta, ours, err := xrow.DecodeJoinMeta(row.Body)
	if err == nil && !ours {
		err = cutsNothing(r.hub.cfg.Filter)
	}
	return view, int(meta.Tuples), err
}

// parcel gathers tuples for the core: it gets some at a time, and no more than it takes.
type parcel struct {
	*copyReader
	ev   instance.CopyRows
	room chan struct{}
	buf  []byte
}

func (r *copyReader) parcel() *parcel {
	return &parcel{copyReader: r, ev: instance.CopyRows{Order: r.order}, room: make(chan struct{}, 2)}
}

func (p *parcel) send() error {
	if len(p.ev.Tuples) == 0 {
		return nil
	}
	select {
	case p.room <- struct{}{}:
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
	p.ev.Release = func() { <-p.room }
	err := p.hub.node.Submit(p.ev)
	p.ev, p.buf = instance.CopyRows{Order: p.order, Space: p.ev.Space}, nil
	return err
}

func (p *parcel) add(space uint32, tuple []byte) error {
	if space != p.ev.Space || len(p.buf)+len(tuple) > copyBytes || len(p.ev.Tuples) == copyTuples {
		if err := p.send(); err != nil {
			return err
		}
		p.ev.Space = space
	}
	at := len(p.buf)
	p.buf = append(p.buf, tuple...)
	p.ev.Tuples = append(p.ev.Tuples, p.buf[at:len(p.buf):len(p.buf)])
	return nil
}

// rows hands tuples to the core.
func (r *copyReader) rows() error {
	p := r.parcel()
	for {
		row, err := r.read()
		switch {
		case err != nil:
			return err
		case row.Type == xrow.OK:
			return p.send()
		case row.Type != xrow.Insert:
			return unexpected(&row, xrow.Insert)
		}
		d, err := xrow.DecodeDML(row.Type, row.Body)
		if err != nil {
			return err
		}
		if err := p.add(d.SpaceID, d.Tuple); err != nil {
			return err
		}
	}
}
