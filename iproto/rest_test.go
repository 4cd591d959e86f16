package iproto

import (
	"testing"
	"testing/synctest"

	"tarragon.dev/tarragon/xrow"
)

// A connection that is idle for a second keeps no read buffer; what comes then is read whole, in whatever pieces
// it comes, and half a request keeps its bytes.
func TestIdleConnectionHasNoBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		p := f.pipe()
		f.login(p, "test", "test")
		c := f.srv.conns.all()[0]
		sweeps := func(n int) {
			for range n {
				f.srv.sweep()
				synctest.Wait()
			}
		}
		for _, pieces := range []int{1, 2, 5, 9} {
			synctest.Wait()
			if c.buf == nil {
				t.Fatal("no buffer, as soon as nothing comes")
			}
			sweeps(restAfter + 1)
			if c.buf != nil {
				t.Fatal("it is idle, and has a buffer")
			}
			sweeps(3)
			frame := (&xrow.Row{Type: xrow.Ping, Sync: 7}).Append(nil)
			if pieces%2 == 0 { // another first byte: a buffer may have the one before
				frame = append([]byte{0xcd, 0, byte(len(frame) - xrow.FrameHead)}, frame[xrow.FrameHead:]...)
			}
			for i := range pieces {
				p.send(frame[i*len(frame)/pieces : (i+1)*len(frame)/pieces])
				synctest.Wait()
				if i < pieces-1 {
					sweeps(restAfter + 1)
				}
			}
			p.wantOK(7)
		}
		p.send([]byte{0xce}) // half a request
		synctest.Wait()
		sweeps(restAfter + 3)
		if c.buf == nil {
			t.Error("half a request has no bytes any more")
		}
		if err := p.nc.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	})
}

// The deadline that ends an idle read is gone before anything else reads from the socket.
func TestIdleReadEndsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		p := f.pipe()
		f.login(p, "test", "test")
		for i := range uint64(200) {
			go f.srv.sweep()
			p.request(xrow.Ping, i, nil)
			p.wantOK(i)
			go f.srv.sweep()
			synctest.Wait()
		}
		f.srv.sweep()
		f.srv.sweep()
		synctest.Wait()
		if err := p.nc.Close(); err != nil {
			t.Fatal(err)
		}
		if cause := <-f.closed; cause == nil || cause.Error() != "EOF" {
			t.Errorf("closed by %v", cause)
		}
	})
}
