package capture

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// Message is a line of a recording in readable form.
type Message struct {
	T       float64         `json:"t"`
	Conn    string          `json:"conn,omitempty"`
	From    Side            `json:"from"`
	Kind    Kind            `json:"kind"`
	Type    string          `json:"type,omitempty"`   // of a frame
	Size    int             `json:"size,omitempty"`   // bytes
	Header  *Header         `json:"header,omitempty"` // without the type
	Body    json.RawMessage `json:"body,omitempty"`
	Error   *ErrorInfo      `json:"error,omitempty"`   // what an error frame says
	Problem string          `json:"problem,omitempty"` // why it could not be read to its end
	Note    string          `json:"note,omitempty"`
	Hex     string          `json:"hex,omitempty"` // on demand
}

// ErrorInfo is an error with the name of its code.
type ErrorInfo struct {
	Code    uint32 `json:"code"`
	Name    string `json:"name"`
	Class   string `json:"class"`
	Message string `json:"message"`
}

// Header is the header of a frame, in its order.
type Header []xrow.Field

// MarshalJSON writes an object.
func (h *Header) MarshalJSON() ([]byte, error) {
	dst := []byte{'{'}
	for i, f := range *h {
		if i > 0 {
			dst = append(dst, ',')
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		dst = append(append(append(dst, name...), ':'), f.JSON...)
	}
	return append(dst, '}'), nil
}

// Decode makes a line readable. It takes any line.
func Decode(l *Line) Message {
	m := Message{T: l.T, Conn: l.Conn, From: l.From, Kind: l.Kind, Size: len(l.Data)}
	switch l.Kind {
	case Greeting:
		m.greeting(l.Data)
	case Frame:
		m.frame(l.Data)
	case Raw:
		m.raw(l.Data)
	default:
		m.Note = l.Note
		return m
	}
	if _, intent, ok := strings.Cut(l.Note, " -- "); ok {
		m.Note = intent
	}
	return m
}

func (m *Message) greeting(b []byte) {
	g, err := iproto.ParseGreeting(b)
	if err != nil {
		m.Problem = err.Error()
		return
	}
	text, _ := json.Marshal(map[string]string{"version": g.Version, "uuid": g.UUID}) // strings always have a form
	m.Body = text
}

// raw reads what may be a frame nevertheless.
func (m *Message) raw(b []byte) {
	if len(b) > 0 {
		if head, size, ok := frameLength(b); ok && head > 0 && size == uint64(len(b)-head) {
			m.frame(b)
			return
		}
	}
	m.Problem = "no frame"
}

// frame reads a length, a header and a body.
func (m *Message) frame(b []byte) {
	if len(b) == 0 {
		m.Problem = "no bytes"
		return
	}
	head, size, ok := frameLength(b)
	if !ok || head == 0 || size != uint64(len(b)-head) {
		m.Problem = "the length does not fit"
		return
	}
	b = b[head:]
	n, err := mp.Scan(b)
	if err != nil {
		m.Problem = "header: " + err.Error()
		return
	}
	fields, ok := xrow.RenderHeader(b[:n])
	if !ok {
		m.Problem = "the header is no map"
		return
	}
	typ := m.header(fields)
	if b = b[n:]; len(b) == 0 {
		return
	}
	if n, err = mp.Scan(b); err != nil {
		m.Problem = "body: " + err.Error()
		return
	}
	m.Body = xrow.RenderBody(typ, b[:n])
	if len(b) > n {
		m.Problem = fmt.Sprintf("%d bytes behind the body", len(b)-n)
	}
	if typ&xrow.ErrorFlag != 0 {
		row := xrow.Row{Type: typ, Body: b[:n]}
		e := row.AsError()
		code := xrow.Code(typ &^ xrow.ErrorFlag)
		m.Error = &ErrorInfo{Code: uint32(code), Name: code.Error(), Class: e.Class(), Message: e.Message}
	}
}

// header takes the type out of the fields.
func (m *Message) header(fields []xrow.Field) xrow.Type {
	rest := make(Header, 0, len(fields))
	typ := uint64(0)
	for _, f := range fields {
		if f.Name != "type" {
			rest = append(rest, f)
			continue
		}
		var err error
		if typ, err = strconv.ParseUint(string(f.JSON), 10, 32); err != nil {
			m.Problem = "type " + string(f.JSON)
		}
	}
	if len(rest) > 0 {
		m.Header = &rest
	}
	m.Type = xrow.Type(typ).String()
	return xrow.Type(typ)
}

// SetHex shows the bytes of the line too.
func (m *Message) SetHex(l *Line) { m.Hex = hex.EncodeToString(l.Data) }

// arrows show who sent something: the client is at the left.
var arrows = map[Side]string{Client: "->", Server: "<-"}

// String is the message as one line.
func (m *Message) String() string {
	var b strings.Builder
	arrow := arrows[m.From]
	if m.Conn == "" {
		fmt.Fprintf(&b, "%9.3f #", m.T)
	} else {
		fmt.Fprintf(&b, "%9.3f %s %s", m.T, m.Conn, arrow)
	}
	if text := m.text(); text != "" {
		b.WriteString(" " + text)
	}
	if m.Kind != Note && m.Note != "" {
		b.WriteString(" -- " + m.Note)
	}
	if m.Hex != "" {
		b.WriteString(" " + m.Hex)
	}
	return b.String()
}

// text is what was said, without when and by whom.
func (m *Message) text() string {
	var parts []string
	switch m.Kind {
	case Note:
		return m.Note
	case Frame, Raw:
		if m.Type != "" && m.Error == nil {
			parts = append(parts, m.Type)
		}
	default:
		parts = append(parts, strings.ToUpper(string(m.Kind)))
	}
	if m.Kind == Raw {
		parts = append(parts, fmt.Sprintf("RAW %d bytes", m.Size))
	}
	if m.Error != nil {
		parts = append(parts, fmt.Sprintf("ERROR %d %s %s %q", m.Error.Code, m.Error.Name, m.Error.Class, m.Error.Message))
	}
	if m.Header != nil {
		for _, f := range *m.Header {
			parts = append(parts, headerName(f.Name)+"="+headerValue(f))
		}
	}
	if m.Body != nil && m.Error == nil {
		parts = append(parts, string(m.Body))
	}
	if m.Problem != "" {
		parts = append(parts, "BAD ("+m.Problem+")")
	}
	return strings.Join(parts, " ")
}

// headerName is a key of the header: one that a peer made up may have any bytes.
func headerName(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` || strings.ContainsAny(name, " =") {
		return quoted
	}
	return name
}

// headerValue renders a value of the header for people.
func headerValue(f xrow.Field) string {
	text := string(f.JSON)
	switch f.Name {
	case "timestamp":
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			return strconv.FormatFloat(v, 'f', 6, 64)
		}
	case "flags":
		if v, err := strconv.ParseUint(text, 10, 8); err == nil && v != 0 {
			return flagNames(v)
		}
	}
	return text
}

func flagNames(v uint64) string {
	var names []string
	for bit, name := range [...]string{"commit", "wait_sync", "wait_ack"} {
		if v&(1<<bit) != 0 {
			names = append(names, name)
			v &^= 1 << bit
		}
	}
	if v != 0 {
		names = append(names, strconv.FormatUint(v, 10))
	}
	return strings.Join(names, "|")
}
