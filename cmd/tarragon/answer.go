package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tarantool/go-tarantool/v2"
	"github.com/vmihailenco/msgpack/v5"

	"tarragon.dev/tarragon/internal/mp"
)

// request sends a request; the first value of its answer goes to what answer points
// to, unless that is nil.
func request(conn *tarantool.Connection, req tarantool.Request, answer any) error {
	var values []msgpack.RawMessage
	if err := conn.Do(scanned{req}).GetTyped(&values); err != nil || answer == nil {
		return answered(err)
	}
	if len(values) == 0 || len(values[0]) == 0 { // none, or nil
		return errNothing
	}
	if err := mp.Decode(values[0], answer); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}

// errNothing is an answer without a value.
var errNothing = errors.New("the answer is empty")

// scanned is a request whose answer is scanned before the driver decodes it,
// which believes every length and nests as deep as its input.
type scanned struct{ tarantool.Request }

// Response is the answer, or the error of a malformed one.
func (r scanned) Response(header tarantool.Header, body io.Reader) (tarantool.Response, error) {
	if body == nil {
		return r.Request.Response(header, nil)
	}
	b, err := io.ReadAll(body)
	if err == nil && len(b) > 0 {
		err = mp.Check(b)
	}
	if err != nil {
		return nil, err
	}
	return r.Request.Response(header, bytes.NewReader(b))
}
