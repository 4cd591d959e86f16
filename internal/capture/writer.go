package capture

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Writer writes a recording. Each line is with the operating system when the
// call that made it returns. It is safe for concurrent use.
type Writer struct {
	now func() time.Duration // since the start

	mu  sync.Mutex
	w   io.Writer
	buf []byte
	err error // the first failure; nothing is written behind it
}

// NewWriter begins a recording.
func NewWriter(w io.Writer) *Writer {
	start := time.Now()
	return &Writer{w: w, now: func() time.Duration { return time.Since(start) }}
}

// Write adds lines; their times are those of the call.
func (w *Writer) Write(lines ...Line) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || len(lines) == 0 {
		return w.err
	}
	t := w.now().Seconds()
	w.buf = w.buf[:0]
	for i := range lines {
		lines[i].T = t
		if w.buf, w.err = lines[i].append(w.buf); w.err != nil {
			return w.err
		}
	}
	_, w.err = w.w.Write(w.buf)
	if cap(w.buf) > maxKept {
		w.buf = nil
	}
	return w.err
}

// maxKept bounds the buffer that is kept between writes.
const maxKept = 1 << 20

// direction records one direction of a connection.
type direction struct {
	w     *Writer
	conn  string
	from  Side
	cut   *Cutter
	lines []Line
}

func (w *Writer) direction(conn string, from Side) *direction {
	return &direction{w: w, conn: conn, from: from, cut: NewCutter(from)}
}

// add records bytes. They may be changed afterwards.
func (d *direction) add(b []byte) error {
	d.lines = d.lines[:0]
	if err := d.cut.Add(b, d.piece); err != nil {
		return err
	}
	return d.w.Write(d.lines...)
}

// end records that the stream is over; note says how. Without a note it has
// not ended, the recording has.
func (d *direction) end(note string) error {
	d.lines = d.lines[:0]
	if err := d.cut.Rest(d.piece); err != nil {
		return err
	}
	if note != "" {
		d.lines = append(d.lines, Line{Conn: d.conn, From: d.from, Kind: EOF, Note: note})
	}
	return d.w.Write(d.lines...)
}

func (d *direction) piece(kind Kind, b []byte) error {
	l := Line{Conn: d.conn, From: d.from, Kind: kind, Data: b}
	if kind != Raw {
		l.Note = label(&l)
	}
	d.lines = append(d.lines, l)
	return nil
}

const (
	labelWidth = 200     // where labels are cut
	labelled   = 4 << 10 // longer frames are not worth reading for one
)

// label describes a line for people.
func label(l *Line) string {
	if len(l.Data) > labelled {
		return fmt.Sprintf("%d bytes", len(l.Data))
	}
	m := Decode(l)
	text := m.text()
	if len(text) > labelWidth {
		text = strings.ToValidUTF8(text[:labelWidth], "") + "..."
	}
	return text
}
