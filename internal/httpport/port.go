package httpport

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Bounds of a port.
const (
	MaxHeader = 8 << 10         // bytes of a request, which has no body
	Time      = 5 * time.Second // for a request to come, and for an answer to be taken
	Idle      = time.Minute     // between requests of a connection
	Clients   = 128             // connections at a time; more are closed at once
)

// Port answers at some addresses until it is closed.
type Port struct {
	srv    http.Server
	failed func(error)
	at     []net.Listener
	wg     sync.WaitGroup

	open   sync.RWMutex // shared: an answer is being made
	closed bool
}

// Open listens at host:port addresses and answers what comes there, by HTTPS where conf is not nil. failed is told when an
// address is lost; it may be called from any goroutine. The error names the address.
func Open(addrs []string, conf *tls.Config, answers http.Handler, failed func(error)) (*Port, error) {
	p := newPort(answers, failed)
	room := make(chan struct{}, Clients)
	for _, addr := range addrs {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			p.Close()
			return nil, err
		}
		ln = &bounded{ln, room}
		if conf != nil {
			ln = tls.NewListener(ln, conf) // the server bounds its handshakes by the time of a request
		}
		p.serve(ln)
	}
	return p, nil
}

func newPort(answers http.Handler, failed func(error)) *Port {
	p := &Port{failed: failed}
	p.srv = http.Server{
		Handler: p.checked(answers), ReadHeaderTimeout: Time, ReadTimeout: Time, WriteTimeout: Time, IdleTimeout: Idle,
		MaxHeaderBytes: MaxHeader, ErrorLog: stdlog.New(io.Discard, "", 0),
	}
	return p
}

func (p *Port) serve(ln net.Listener) {
	p.at = append(p.at, ln)
	p.wg.Go(func() {
		if err := p.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			p.failed(err)
		}
	})
}

// Addrs are the addresses that it listens at, in their order.
func (p *Port) Addrs() (out []string) {
	for _, ln := range p.at {
		out = append(out, ln.Addr().String())
	}
	return out
}

// Close ends all connections, and waits for answers that are being made and for the goroutines that
// accept.
func (p *Port) Close() {
	_ = p.srv.Close() // what it could not close is closed with the process
	for _, ln := range p.at {
		_ = ln.Close() // one whose Serve has not begun; else it is closed already
	}
	p.wg.Wait()
	p.open.Lock() // they ask nobody who ends behind this
	defer p.open.Unlock()
	p.closed = true
}

// checked lets questions through: requests that change nothing and have no body.
func (p *Port) checked(answers http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		p.open.RLock()
		defer p.open.RUnlock()
		if p.closed {
			return
		}
		switch q.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
		default:
			w.Header().Set("Allow", "GET, HEAD, OPTIONS")
			Answer(w, http.StatusMethodNotAllowed, Why{"GET, HEAD or OPTIONS expected"})
			return
		}
		if q.ContentLength != 0 {
			w.Header().Set("Connection", "close")
			Answer(w, http.StatusBadRequest, Why{"a question has no body"})
			return
		}
		answers.ServeHTTP(w, q)
	})
}

// Why is the answer to what is no question.
type Why struct {
	Why string `json:"why"`
}

// Answer gives a value as JSON, which nobody may keep for later.
func Answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // else the client has gone
}

// bounded is a listener that closes what is too much at once.
type bounded struct {
	net.Listener
	room chan struct{}
}

// Accept is that of net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.room <- struct{}{}:
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { <-b.room })}, nil
		default:
			_ = c.Close()
		}
	}
}

// boundedConn gives its room back when it is closed.
type boundedConn struct {
	net.Conn
	leave func()
}

// Close is that of net.Conn.
func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
