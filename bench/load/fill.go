package load

import (
	"context"
	"fmt"
	"net"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Fill writes the keys 1..Keys of a workload's space once, each further field
// with the number of the key, over one connection.
func Fill(ctx context.Context, w Workload, p Plan) error {
	w.Op = Replace
	w, err := w.withDefaults()
	if err != nil {
		return err
	}
	nc, err := dial(ctx, &p)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	f := &filler{nc: nc, write: newWrite(xrow.Replace, w.Space, Value(w.ValueSize), w.Fields), next: 1, keys: w.Keys}
	f.slots = make([]uint64, min(fillAhead, max(1, maxInFlightBytes/w.bytes())))
	for i := range f.slots {
		f.free = append(f.free, uint32(i))
	}
	if err := f.run(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("fill the space: %w", err)
	}
	return nil
}

const (
	// fillAhead is how many rows are on their way.
	fillAhead = 512
	// queuePause is how long followers have to take some of what is undecided. An
	// asynchronous write has its answer before they have it, so writes may be
	// refused because the queue is full: they are written again.
	queuePause = 20 * time.Millisecond
)

// filler writes each key until it is taken.
type filler struct {
	nc    net.Conn
	write template
	next  uint64 // key that was not written yet
	keys  uint64
	again []uint64 // keys that were refused
	slots []uint64 // the key in flight by its SYNC
	free  []uint32
	in    []byte
	out   []byte
}

func (f *filler) run(ctx context.Context) error {
	chunk := make([]byte, readBuf)
	for {
		f.request()
		if len(f.free) == len(f.slots) {
			return nil
		}
		if _, err := f.nc.Write(f.out); err != nil {
			return err
		}
		n, err := f.nc.Read(chunk)
		if err != nil {
			return err
		}
		f.in = append(f.in, chunk[:n]...)
		refused, err := f.answers()
		if err != nil {
			return err
		}
		if refused {
			select {
			case <-time.After(queuePause):
			case <-ctx.Done():
			}
		}
	}
}

// request makes all slots busy, as far as there are keys.
func (f *filler) request() {
	f.out = f.out[:0]
	for len(f.free) > 0 {
		var key uint64
		switch last := len(f.again) - 1; {
		case last >= 0:
			key, f.again = f.again[last], f.again[:last]
		case f.next <= f.keys:
			key = f.next
			f.next++
		default:
			return
		}
		i := f.free[len(f.free)-1]
		f.free = f.free[:len(f.free)-1]
		f.slots[i] = key
		f.out = f.write.append(f.out, i, key, key)
	}
}

// answers takes what was read; refused: some of it for want of room.
func (f *filler) answers() (refused bool, err error) {
	rest := f.in
	for {
		a, n, err := cut(rest)
		if err != nil {
			return refused, err
		}
		if n == 0 {
			f.in = append(f.in[:0], rest...)
			return refused, nil
		}
		rest = rest[n:]
		if a.sync >= uint64(len(f.slots)) {
			return refused, fmt.Errorf("%w: to a request %d that was not asked", errAnswer, a.sync)
		}
		switch a.code {
		case 0:
		case uint32(xrow.ErrSyncQueueFull):
			refused = true
			f.again = append(f.again, f.slots[a.sync])
		default:
			return refused, fmt.Errorf("error %d, %s", a.code, a.message())
		}
		f.free = append(f.free, uint32(a.sync))
	}
}
