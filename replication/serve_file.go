package replication

import (
	"context"
	"errors"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// errLeft is why a replica's part in a file ends: it has it, or is gone.
var errLeft = errors.New("replication: the replica has left")

// fileBeats is how often both ends say that they are there, in the time of silence.
const fileBeats = 4

// beat is how often an end of a transfer by a command says that it is there.
func (l *copyLimits) beat() time.Duration { return min(l.silence/fileBeats, time.Second) }

// serveFile answers a replica that has a command bring its base copy: as serveCopy up to how
// many tuples there are; then where the file is, once it is written. Either end sends an OK
// now and then for as long as the replica needs the file.
func (h *Hub) serveFile(g *given, link *iproto.Link, sync uint64, order *instance.CopyOrder) error {
	f, refused := h.fileFor(g, order)
	if refused != nil {
		return refused
	}
	defer f.leave()
	heard := make(chan struct{})
	h.wg.Go(func() {
		defer close(heard)
		g.listen()
	})
	defer func() {
		g.cancel(errLeft)
		_ = link.SetReadDeadline(time.Unix(1, 0)) // else it is closed
		<-heard
	}()
	select {
	case <-f.begun:
	case <-g.ctx.Done():
		return context.Cause(g.ctx)
	}
	select {
	case <-f.done:
		if f.err != nil {
			return plainError(f.err)
		}
	default:
	}
	g.sends(f.told, nil)
	meta := xrow.JoinMetaBody{Tuples: f.told.expected()}
	ok := xrow.Row{Type: xrow.OK, Sync: sync, Body: xrow.AppendGroupVClockBody(nil, &f.vclock, h.cfg.Group)}
	if err := g.write(&ok, &xrow.Row{Type: xrow.JoinMeta, Sync: sync, Body: meta.AppendBody(nil)}); err != nil {
		return err
	}
	beat := time.NewTicker(h.copyLimits.Load().beat())
	defer beat.Stop()
	for done := f.done; ; {
		var err error
		select {
		case <-done:
			if f.err != nil {
				row := plainError(f.err).Row(sync, 0)
				_ = g.write(&row) // the connection ends behind it anyway
				return plain(f.err)
			}
			done = nil
			meta.File = &f.file
			err = g.write(&xrow.Row{Type: xrow.JoinMeta, Sync: sync, Body: meta.AppendBody(nil)})
		case <-beat.C:
			err = g.write(&ok)
		case <-g.ctx.Done():
			var e *xrow.Error
			if err = context.Cause(g.ctx); errors.As(err, &e) {
				row := e.Row(sync, 0)
				_ = link.SetWriteDeadline(time.Now().Add(cancelGrace))
				_ = link.WriteRow(&row)
			}
			if errors.Is(err, errLeft) && done == nil {
				return nil // it has what it wanted, or will ask again
			}
		}
		if err != nil {
			return plain(err)
		}
	}
}

// plainError is an error for the replica.
func plainError(err error) *xrow.Error {
	var e *xrow.Error
	if errors.As(err, &e) {
		return e
	}
	return &xrow.Error{Code: xrow.ErrSystem, Message: "No file of the base copy: " + err.Error(), Err: err}
}

func (g *given) write(rows ...*xrow.Row) error {
	if err := g.arm(); err != nil {
		return err
	}
	for _, r := range rows {
		if err := g.link.WriteRow(r); err != nil {
			return err
		}
	}
	return nil
}

// listen reads what the replica says until it has left, or says nothing for too long.
func (g *given) listen() {
	for {
		err := g.link.SetReadDeadline(time.Now().Add(g.hub.copyLimits.Load().silence))
		if err == nil && g.ctx.Err() == nil {
			_, err = g.link.ReadRow()
		}
		if err != nil || g.ctx.Err() != nil {
			g.cancel(errLeft)
			return
		}
	}
}
