package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// fakeServer speaks as much IPROTO as the tools need: it lets everybody in and
// answers CALL from a table.
type fakeServer struct {
	address string
	mu      sync.Mutex
	calls   []string // function(arguments), in order
}

// serveFake answers calls of functions with values, or what a func makes of the
// arguments; one that is an error is answered as such, and io.EOF closes the
// connection. It stops with the test.
func serveFake(t *testing.T, functions map[string]any) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{address: l.Addr().String()}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(conn, functions) })
		}
	})
	return s
}

func (s *fakeServer) serve(conn net.Conn, functions map[string]any) {
	defer conn.Close()
	salt := base64.StdEncoding.EncodeToString(make([]byte, 32))
	fmt.Fprintf(conn, "%-63s\n%-63s\n", "Tarantool 3.8.0 (Binary) 11111111-1111-4111-8111-111111111111", salt)
	r := bufio.NewReader(conn)
	for {
		typ, sync, body, err := readRequest(r)
		if err != nil {
			return
		}
		code, answer := 0, map[int]any{}
		if typ == 73 { // ID
			answer = map[int]any{0x54: 4, 0x55: []int{}}
		}
		if typ == 10 { // CALL
			name, _ := body[0x22].(string)
			s.mu.Lock()
			s.calls = append(s.calls, fmt.Sprint(name, body[0x21]))
			s.mu.Unlock()
			switch v := functions[name].(type) {
			case nil:
				code, answer = 0x8000|33, map[int]any{0x31: "Procedure '" + name + "' is not defined"}
			case error:
				if v == io.EOF {
					return
				}
				code, answer = 0x8000|1, map[int]any{0x31: v.Error()}
			case func(arguments any) any:
				answer = map[int]any{0x30: []any{v(body[0x21])}}
			default:
				answer = map[int]any{0x30: []any{v}}
			}
		}
		var b bytes.Buffer
		enc := msgpack.NewEncoder(&b)
		if enc.Encode(map[int]any{0: code, 1: sync, 5: 1}) != nil || enc.Encode(answer) != nil {
			return
		}
		frame := binary.BigEndian.AppendUint32([]byte{0xce}, uint32(b.Len()))
		if _, err := conn.Write(append(frame, b.Bytes()...)); err != nil {
			return
		}
	}
}

func readRequest(r *bufio.Reader) (typ int, sync uint64, body map[int]any, err error) {
	var prefix [5]byte
	if _, err = io.ReadFull(r, prefix[:]); err != nil {
		return
	}
	frame := make([]byte, binary.BigEndian.Uint32(prefix[1:]))
	if _, err = io.ReadFull(r, frame); err != nil {
		return
	}
	dec := msgpack.NewDecoder(bytes.NewReader(frame))
	var head map[int]uint64
	if err = dec.Decode(&head); err != nil {
		return
	}
	body = map[int]any{}
	if err = dec.Decode(&body); err != nil && err != io.EOF {
		return
	}
	return int(head[0]), head[1], body, nil
}
