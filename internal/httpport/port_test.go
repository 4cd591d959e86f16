package httpport

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections keep nothing: what is not read is not written.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p <- theirs
	return ours
}

// Who takes nothing of an answer is closed after a while, and so is who asks nothing; others are answered
// meanwhile.
func TestWhoNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { Answer(w, http.StatusOK, strings.Repeat("x", 1<<20)) })
		p := newPort(large, func(error) {})
		ln := make(pipes)
		p.serve(ln)
		const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
		asked, silent := ln.dial(), ln.dial()
		if _, err := io.WriteString(asked, request); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		other := ln.dial()
		go func() { _, _ = io.WriteString(other, request) }()
		head := make([]byte, 15)
		if _, err := io.ReadFull(other, head); err != nil || string(head) != "HTTP/1.1 200 OK" {
			t.Errorf("%q, %v", head, err)
		}
		_ = other.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("the other one has waited %v", took)
		}
		if n, err := silent.Read(head); err == nil {
			t.Errorf("who asks nothing: %q", head[:n])
		}
		if took := time.Since(began); took != Time {
			t.Errorf("who asks nothing is closed after %v", took)
		}
		synctest.Wait()
		if n, err := io.Copy(io.Discard, asked); err != nil || n > 64<<10 {
			t.Errorf("who takes nothing had %d bytes: %v", n, err)
		}
		close(ln)
		p.Close()
	})
}

// Behind Close no answer is being made.
func TestCloseWaitsForAnswers(t *testing.T) {
	entered, leave, made := make(chan bool), make(chan bool), false
	p, err := Open([]string{"127.0.0.1:0"}, nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-leave
		made = true
	}), func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = http.Get("http://" + p.Addrs()[0]) }() // it is cut off
	<-entered
	go func() { leave <- true }()
	p.Close()
	if !made {
		t.Error("Close has not waited")
	}
}
