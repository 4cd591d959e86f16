package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pollFrom is how many connections are driven by one thread and epoll: a
// goroutine for each costs the load process as much as the server needs, on
// processors that they share.
const pollFrom = 8

// poller drives many raw connections from one thread. Each has few requests in
// flight, so that what it writes fits its socket's buffer.
type poller struct {
	*tally
	epoll   int
	conns   []polled
	waiting int // busy slots of all connections
}

// polled is one of its connections: a rawConn whose socket the poller reads and
// writes.
type polled struct {
	*rawConn
	file *os.File // keeps fd open
	fd   int
}

// newPoller connects all connections of a plan.
func newPoller(ctx context.Context, w *Workload, p *Plan, t *tally) (worker, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	po := &poller{tally: t, epoll: epoll}
	for i := range p.Conns {
		if err := po.add(ctx, w, p, i); err != nil {
			po.close()
			return nil, err
		}
	}
	return po, nil
}

// add connects one, and takes its socket away from Go's own poller.
func (po *poller) add(ctx context.Context, w *Workload, p *Plan, i int) error {
	one, err := newRawConn(ctx, w, p, i, po.tally)
	if err != nil {
		return err
	}
	c := one.(*rawConn)
	defer c.nc.Close() // the file is a duplicate
	sock, ok := c.nc.(interface{ File() (*os.File, error) })
	if !ok {
		return fmt.Errorf("load: no socket: %T", c.nc)
	}
	file, err := sock.File()
	if err != nil {
		return err
	}
	fd := int(file.Fd())
	po.conns = append(po.conns, polled{rawConn: c, file: file, fd: fd})
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(po.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}))
}

func (po *poller) counts() *tally { return po.tally }

func (po *poller) close() {
	for _, c := range po.conns {
		c.file.Close()
	}
	unix.Close(po.epoll)
}

func (po *poller) run(ctx context.Context, win *window) {
	defer po.close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range po.conns {
		c := &po.conns[i]
		now := win.now()
		for s := range c.slots {
			c.request(uint32(s), now)
		}
		po.waiting += c.waiting
		if err := c.write(); err != nil {
			po.lose(c, err)
		}
	}
	events := make([]unix.EpollEvent, 256)
	for po.waiting > 0 && ctx.Err() == nil && win.now() < win.last {
		n, err := unix.EpollWait(po.epoll, events, int(pollPatience/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			po.fail(0, os.NewSyscallError("epoll_wait", err).Error)
			break
		}
		for _, ev := range events[:max(n, 0)] {
			c := &po.conns[ev.Fd]
			was := c.waiting
			err := c.turn(win)
			po.waiting += c.waiting - was
			if err != nil {
				po.lose(c, err)
			}
		}
	}
	po.unanswered += int64(po.waiting)
}

// pollPatience is how long the end of the run may go unseen.
const pollPatience = 50 * time.Millisecond

// lose gives a connection up.
func (po *poller) lose(c *polled, err error) {
	po.fail(0, err.Error)
	po.unanswered += int64(c.waiting)
	po.waiting -= c.waiting
	c.waiting = 0
	_ = unix.EpollCtl(po.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
}

// turn reads what has come, and writes a new request for each answer.
func (c *polled) turn(win *window) error {
	n, err := unix.Read(c.fd, c.room())
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("read", err)
	case n == 0:
		return net.ErrClosed
	}
	c.w += n
	now := win.now()
	err = c.answers(func(i uint32) {
		if now < win.close {
			c.request(i, now)
		}
	}, win, now)
	if err != nil {
		return err
	}
	return c.write()
}

// write writes what was gathered. The buffer of the socket has room, unless the
// system gives less than was asked for: then it is waited for.
func (c *polled) write() error {
	out := c.out
	for len(out) > 0 {
		n, err := unix.Write(c.fd, out)
		switch {
		case errors.Is(err, unix.EAGAIN):
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}, int(pollPatience/time.Millisecond))
			n = 0
		case errors.Is(err, unix.EINTR):
			n, err = 0, nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("write", err)
		}
		out = out[n:]
	}
	c.out = c.out[:0]
	return nil
}
