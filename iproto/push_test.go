package iproto

import (
	"bytes"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"tarragon.dev/tarragon/xrow"
)

// What is pushed comes in order and before the answer, and waits for a client that does
// not read. When that is gone it is an error.
func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		const all = 20
		value := func(i int) []byte { return append([]byte{0x92, byte(i), 0xc6, 0, 4, 0, 0}, make([]byte, 256<<10)...) }
		var pushed atomic.Int32
		ends := make(chan error, 1)
		f.node.onCall = func(c *Conn, q *Call) {
			go func() {
				for i := range all {
					if err := c.PushCall(q, value(i)); err != nil {
						ends <- err
						return
					}
					pushed.Add(1)
				}
				c.ReplyCall(q, emptyArray, nil)
			}()
		}
		p := f.pipe()
		call := (&xrow.Row{Type: xrow.Call, Sync: 7, Body: []byte{0x81, 0x22, 0xa1, 'f'}}).Append(nil)
		p.send(call)
		synctest.Wait()
		if n := pushed.Load(); n < 4 || n > 8 {
			t.Errorf("%d of 256 KiB were pushed to who does not read", n)
		}
		for i := range all {
			row := p.read()
			if want := append([]byte{0x81, byte(xrow.KeyData), 0xdd, 0, 0, 0, 1}, value(i)...); row.Type != xrow.Chunk || row.Sync != 7 || !bytes.Equal(row.Body, want) {
				t.Fatalf("%d: %v of %d, %d bytes", i, row.Type, row.Sync, len(row.Body))
			}
		}
		p.wantOK(7)
		p.send(call)
		synctest.Wait()
		p.nc.Close()
		if err := <-ends; err == nil {
			t.Error("pushed to nobody")
		}
	})
}
