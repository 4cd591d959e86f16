package iproto

import (
	"io"
	"net"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// minRead is the least room a read from the socket is given.
const minRead = 2 << 10

// Link is a connection as a stream of frames, for both ends of replication.
// One goroutine may read while another one writes.
type Link struct {
	nc    net.Conn
	limit int // frames beyond it are an error

	buf  []byte
	r, w int // buf[r:w] was read from the socket and not yet handed out

	eager  *eager // of WriteSome; nil: it was not called yet
	joined []byte // of WriteBuffers, with TLS
}

// linkBuf is the first size of a link's read buffer: rows of replication come
// many at a time.
const linkBuf = 64 << 10

// NewLink wraps a connection. Frames of more than limit bytes are refused.
func NewLink(nc net.Conn, limit int) *Link {
	return &Link{nc: nc, limit: limit, buf: make([]byte, linkBuf)}
}

// ReadFrame returns the payload of the next frame, valid until the next read.
func (l *Link) ReadFrame() ([]byte, error) {
	for {
		head, size, err := frameHead(l.buf[l.r:l.w], l.limit)
		if err != nil {
			return nil, err
		}
		if head > 0 && l.w-l.r >= head+size {
			frame := l.buf[l.r+head : l.r+head+size]
			l.r += head + size
			return frame, nil
		}
		if err := l.fill(head + size); err != nil {
			return nil, err
		}
	}
}

// HasFrame tells whether the next read will not wait.
func (l *Link) HasFrame() bool {
	head, size, err := frameHead(l.buf[l.r:l.w], l.limit)
	return err != nil || head > 0 && l.w-l.r >= head+size
}

// ReadRow reads and decodes the next frame; the body is valid until the next
// read.
func (l *Link) ReadRow() (xrow.Row, error) {
	frame, err := l.ReadFrame()
	if err != nil {
		return xrow.Row{}, err
	}
	return xrow.Decode(frame)
}

// ReadRows waits for at least one frame and appends it and every further whole
// frame that has already arrived to dst, as rows whose bodies point into buf,
// which the caller owns and hands in empty. Both are returned grown.
func (l *Link) ReadRows(dst []xrow.Row, buf []byte) ([]xrow.Row, []byte, error) {
	frame, err := l.ReadFrame()
	if err != nil {
		return dst, buf, err
	}
	// All bytes are copied before a body is cut: growing buf would move them.
	start := len(buf)
	buf = appendFrame(buf, frame)
	for {
		head, size, err := frameHead(l.buf[l.r:l.w], l.limit)
		if err != nil || head == 0 || l.w-l.r < head+size {
			break // a fault is reported by the next read
		}
		buf = appendFrame(buf, l.buf[l.r+head:l.r+head+size])
		l.r += head + size
	}
	for at := start; at < len(buf); {
		_, size, _ := frameHead(buf[at:], l.limit)
		at += xrow.FrameHead
		row, err := xrow.Decode(buf[at : at+size])
		if err != nil {
			return dst, buf, err
		}
		dst = append(dst, row)
		at += size
	}
	return dst, buf, nil
}

func appendFrame(dst, payload []byte) []byte {
	at := len(dst)
	dst = append(append(dst, 0xce, 0, 0, 0, 0), payload...)
	return endFrame(dst, at)
}

// fill reads at least one byte more; want is the size of the frame that is
// waited for, 0: not known yet. The buffer grows with what has arrived, never
// with what was only announced.
func (l *Link) fill(want int) error {
	have := l.w - l.r
	if l.r > 0 {
		copy(l.buf, l.buf[l.r:l.w])
		l.r, l.w = 0, have
	}
	if room := len(l.buf) - l.w; room < minRead || want > len(l.buf) && room < len(l.buf)/2 {
		grown := make([]byte, max(2*len(l.buf), linkBuf))
		copy(grown, l.buf[:l.w])
		l.buf = grown
	} else if have == 0 && len(l.buf) > largestBuf {
		l.buf = make([]byte, linkBuf)
	}
	n, err := l.nc.Read(l.buf[l.w:])
	l.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	if err == io.EOF && have > 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Write sends raw bytes: whole frames.
func (l *Link) Write(b []byte) (int, error) { return l.nc.Write(b) }

// WriteSome sends what the socket takes at once. There must be no deadline that has passed.
func (l *Link) WriteSome(b []byte) (n int, err error) {
	if l.eager == nil {
		l.eager = &eager{}
		l.eager.init(l.nc)
	}
	return l.eager.take(b)
}

// Allow changes how large a frame may be.
func (l *Link) Allow(limit int) { l.limit = limit }

// WriteBuffers sends several pieces with one system call where it can.
func (l *Link) WriteBuffers(v *net.Buffers) (n int64, err error) {
	s, ok := l.nc.(*secured)
	if !ok {
		return v.WriteTo(l.nc)
	}
	l.joined, n, err = s.writeGathered(v, l.joined)
	return n, err
}

// WriteRow encodes and sends one row.
func (l *Link) WriteRow(r *xrow.Row) error {
	_, err := l.nc.Write(r.Append(nil))
	return err
}

// SetReadDeadline bounds reads; the zero time means no bound.
func (l *Link) SetReadDeadline(t time.Time) error { return l.nc.SetReadDeadline(t) }

// SetWriteDeadline bounds writes; the zero time means no bound.
func (l *Link) SetWriteDeadline(t time.Time) error { return l.nc.SetWriteDeadline(t) }

// SetDeadline bounds both.
func (l *Link) SetDeadline(t time.Time) error { return l.nc.SetDeadline(t) }

// RemoteAddr is the address of the peer.
func (l *Link) RemoteAddr() net.Addr { return l.nc.RemoteAddr() }

// Close closes the connection; reads and writes that wait return an error.
func (l *Link) Close() error { return l.nc.Close() }
