package capture

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Side is who sent something.
type Side string

// Sides of a connection, and who recorded it.
const (
	Client   Side = "client"
	Server   Side = "server"
	Observer Side = "recorder"
)

// Kind says what a line is.
type Kind string

// Kinds of lines. Readers pass over those that they do not know.
const (
	Greeting Kind = "greeting"
	Frame    Kind = "frame"
	Raw      Kind = "raw"
	EOF      Kind = "eof"
	Cut      Kind = "cut"
	Note     Kind = "note"
)

// Line is one line of a recording.
type Line struct {
	T    float64 // seconds since the start
	Conn string
	From Side
	Kind Kind
	Data []byte
	Note string
}

// wireLine is a Line as it is written, keys in this order.
type wireLine struct {
	T    json.Number `json:"t"`
	Conn string      `json:"conn"`
	From Side        `json:"from"`
	Kind Kind        `json:"kind"`
	Hex  string      `json:"hex"`
	Note string      `json:"note"`
}

// MarshalJSON is the form of the file.
func (l *Line) MarshalJSON() ([]byte, error) {
	b, err := l.append(nil)
	return bytes.TrimSuffix(b, []byte("\n")), err
}

// append encodes the line with its newline.
func (l *Line) append(dst []byte) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(wireLine{T: json.Number(fmt.Sprintf("%.3f", l.T)), Conn: l.Conn, From: l.From, Kind: l.Kind,
		Hex: hex.EncodeToString(l.Data), Note: l.Note})
	return buf.Bytes(), err
}

// parse reads one line.
func (l *Line) parse(b []byte) error {
	var w wireLine
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	t, err := w.T.Float64()
	if err != nil {
		return fmt.Errorf("t: %w", err)
	}
	data, err := hex.DecodeString(w.Hex)
	if err != nil {
		return err
	}
	if w.Kind == "" {
		return errors.New("no kind")
	}
	*l = Line{T: t, Conn: w.Conn, From: w.From, Kind: w.Kind, Data: data, Note: w.Note}
	return nil
}

// maxLine is the longest line that is read: a frame of MaxFrame bytes in hex,
// and what is around it.
const maxLine = 2*MaxFrame + 64<<10

// Reader reads the lines of a recording.
type Reader struct {
	r  *bufio.Reader
	no int
}

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 64<<10)} }

// DamagedError says that a line cannot be read. Reading may go on behind it.
type DamagedError struct {
	Line int // counted from 1
	Err  error
}

func (e *DamagedError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap is what is wrong with the line.
func (e *DamagedError) Unwrap() error { return e.Err }

// Next returns the next line. io.EOF ends the file; a *DamagedError stands for
// one line.
func (r *Reader) Next() (l Line, err error) {
	for {
		b, err := r.line()
		if err != nil {
			return l, err
		}
		if b = bytes.TrimSpace(b); len(b) == 0 {
			continue
		}
		if err := l.parse(b); err != nil {
			return Line{}, &DamagedError{r.no, err}
		}
		return l, nil
	}
}

// line reads one line; what is too long is passed over.
func (r *Reader) line() (b []byte, err error) {
	r.no++
	tooLong := false
	for {
		part, err := r.r.ReadSlice('\n')
		if tooLong = tooLong || len(b)+len(part) > maxLine; !tooLong {
			b = append(b, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(b) == 0 && !tooLong):
			return nil, err
		case tooLong:
			return nil, &DamagedError{r.no, fmt.Errorf("longer than %d bytes", maxLine)}
		}
		return b, nil
	}
}

// ReadAll reads a whole recording, of which every line must be readable.
func ReadAll(r io.Reader) ([]Line, error) {
	var lines []Line
	for in := NewReader(r); ; {
		l, err := in.Next()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		lines = append(lines, l)
	}
}
