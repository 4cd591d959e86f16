package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
)

// Recorder passes connections on to another address and records both
// directions. It changes nothing: bytes, their order and the end of a stream in
// one direction are passed on as they come. A slow disk slows the connections
// down, and a failed one ends them: a recording with holes would mislead.
type Recorder struct {
	l    net.Listener
	dial func(context.Context) (net.Conn, error)
	out  *Writer
	fail context.CancelCauseFunc
	wg   sync.WaitGroup
}

// errStopped is why connections end when the recording does.
var errStopped = errors.New("capture: the recording was stopped")

// Record passes connections of l on to where dial leads until ctx ends or the
// recording cannot be written. It closes l, and returns when all is written;
// the end of ctx is no error.
func Record(ctx context.Context, l net.Listener, dial func(context.Context) (net.Conn, error), out *Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &Recorder{l: l, dial: dial, out: out, fail: cancel}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	err := r.accept(ctx)
	cancel(errStopped)
	r.wg.Wait()
	if werr := out.Write(Line{From: Observer, Kind: Note, Note: "the recording ends"}); werr != nil {
		return werr
	}
	return err
}

func (r *Recorder) accept(ctx context.Context) error {
	for n := 1; ; n++ {
		c, err := r.l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		r.wg.Go(func() { r.serve(ctx, strconv.Itoa(n), c) })
	}
}

// serve passes one connection on.
func (r *Recorder) serve(ctx context.Context, name string, client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := r.dial(ctx)
	if err != nil {
		r.check(r.out.Write(Line{From: Observer, Kind: Note, Note: fmt.Sprintf("connection %s reaches nobody: %v", name, err)}))
		return
	}
	defer func() { _ = server.Close() }()
	stop := context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = server.Close()
	})
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { r.pass(ctx, r.out.direction(name, Client), server, client) })
	wg.Go(func() { r.pass(ctx, r.out.direction(name, Server), client, server) })
	wg.Wait()
}

// check ends everything when the recording cannot be written.
func (r *Recorder) check(err error) bool {
	if err != nil {
		r.fail(err)
	}
	return err == nil
}

// readSize is how much is read at once.
const readSize = 64 << 10

// pass moves bytes from src to dst until src ends. Bytes are recorded first,
// so that an answer never stands before its request; what dst would not take
// any more is in the file nevertheless.
func (r *Recorder) pass(ctx context.Context, d *direction, dst, src net.Conn) {
	buf := make([]byte, readSize)
	for {
		n, err := src.Read(buf)
		if n > 0 && (!r.check(d.add(buf[:n])) || !r.deliver(d, dst, src, buf[:n])) {
			return
		}
		if err == nil {
			continue
		}
		note := string(d.from) + " closed"
		switch {
		case ctx.Err() != nil:
			note = "" // it was us
		case !errors.Is(err, io.EOF):
			note = fmt.Sprintf("%s: %v", d.from, err)
		}
		r.check(d.end(note))
		if !errors.Is(err, io.EOF) {
			_ = dst.Close()
			return
		}
		closeWrite(dst)
		return
	}
}

// deliver writes to dst. When that is gone nobody needs to read src any more.
func (r *Recorder) deliver(d *direction, dst, src net.Conn, b []byte) bool {
	if _, err := dst.Write(b); err != nil {
		r.check(d.end(""))
		_ = src.Close()
		return false
	}
	return true
}

// closeWrite passes the end of a stream on; the other direction may go on.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it fails when the connection has gone, which the other direction sees
		return
	}
	_ = c.Close()
}
