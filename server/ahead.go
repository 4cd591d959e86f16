package server

import (
	"context"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// aheadGroups is how many groups are read before they are asked for: the reader
// never waits for the core then, nor the core for it, while both are about as
// fast as before. A group may have 16 MiB, so there are few.
const aheadGroups = 4

// logReader is an *xlog.Reader.
type logReader interface {
	Next() (no uint64, g *xrow.Group, err error)
	Close()
}

// ahead reads and decodes a log on a goroutine of its own while what was read is
// applied: the disk, checksums and decoding are another processor's then.
type ahead struct {
	groups chan readGroup
	stop   context.CancelFunc
	r      logReader // the goroutine's, until groups is closed
	// decoded is used in turns. Those that wait in groups, the one that is applied
	// and the one that is filled are different ones.
	decoded [aheadGroups + 2]instance.Decoded
}

type readGroup struct {
	no  uint64
	d   *instance.Decoded
	err error // the last one has it: io.EOF, or what went wrong
}

func readAhead(ctx context.Context, r logReader) *ahead {
	ctx, stop := context.WithCancel(ctx)
	a := &ahead{groups: make(chan readGroup, aheadGroups), stop: stop, r: r}
	go a.run(ctx)
	return a
}

func (a *ahead) run(ctx context.Context) {
	defer close(a.groups)
	for turn := 0; ; turn++ {
		no, g, err := a.r.Next()
		read := readGroup{no: no, err: err}
		if err == nil {
			read.d = &a.decoded[turn%len(a.decoded)]
			read.d.Decode(g)
		}
		select {
		case a.groups <- read:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// Next is the next group, valid until it is called again; behind its first error it
// must not be called. When ctx of readAhead ends, its cause is the error.
func (a *ahead) Next(ctx context.Context) readGroup {
	read, ok := <-a.groups
	if !ok {
		return readGroup{err: context.Cause(ctx)}
	}
	return read
}

// Close ends the goroutine, waits for it, and closes the reader.
func (a *ahead) Close() {
	a.stop()
	for range a.groups {
	}
	a.r.Close()
}
