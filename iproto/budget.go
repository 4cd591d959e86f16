package iproto

import (
	"sync"
	"sync/atomic"
	"time"

	"tarragon.dev/tarragon/xrow"
)

const (
	// smallAnswer is up to where an answer is made without asking for room.
	smallAnswer = 1 << 20
	// defaultAnswerMemory is Config.AnswerMemory.
	defaultAnswerMemory = 512 << 20
)

// budget bounds the memory of answers, from when they are made until the socket
// has taken them, for all connections together.
//
// Nobody waits for room with much in hand, so nobody waits for somebody who
// waits: a read that turns out to be large gives back what it has, and begins
// anew when it has the turn, which one read has at a time. Whoever has it may wait
// with what it has got: what it waits for is on its way out. Small reads wait while
// all is used, before they begin, and answers of writes never wait: a quarter is
// left to both.
type budget struct {
	limit    int
	used     atomic.Int64
	turn     chan struct{} // capacity 1: held by who makes a large answer
	patience time.Duration // how long room may be waited for

	waiting atomic.Int32
	mu      sync.Mutex
	freed   chan struct{} // closed, and made anew, when something was given back and somebody waits
}

func (b *budget) init(limit int, patience time.Duration) {
	b.limit, b.patience = limit, patience
	b.turn, b.freed = make(chan struct{}, 1), make(chan struct{})
}

// maxAnswer is how large one answer may be.
func (b *budget) maxAnswer() int { return b.limit / 2 }

// forLarge is how much may be used when a large answer takes more.
func (b *budget) forLarge() int { return b.limit / 4 * 3 }

func (b *budget) over() bool { return b.used.Load() > int64(b.limit) }

// add takes n bytes, whatever is used; negative: gives them back.
func (b *budget) add(n int) {
	b.used.Add(int64(n))
	if n >= 0 || b.waiting.Load() == 0 {
		return
	}
	b.mu.Lock()
	close(b.freed)
	b.freed = make(chan struct{})
	b.mu.Unlock()
}

// wait waits until no more than bound is used. It gives up after a while, since
// clients may be slow for long, and with the connection.
func (b *budget) wait(bound int, done <-chan struct{}) error {
	if b.used.Load() <= int64(bound) {
		return nil
	}
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	t := time.NewTimer(b.patience)
	defer t.Stop()
	for {
		b.mu.Lock()
		freed := b.freed
		b.mu.Unlock()
		if b.used.Load() <= int64(bound) {
			return nil
		}
		select {
		case <-freed:
		case <-done:
			return ErrServerClosed
		case <-t.C:
			return b.shortage()
		}
	}
}

// take waits for the turn to make a large answer; give ends it.
func (b *budget) take(done <-chan struct{}) error {
	t := time.NewTimer(b.patience)
	defer t.Stop()
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-done:
		return ErrServerClosed
	case <-t.C:
		return b.shortage()
	}
}

// takeWith waits for no more than bound to be used, and for the turn, but not for room
// with the turn in hand: others can make do with less.
func (b *budget) takeWith(bound int, done <-chan struct{}) error {
	for until := time.Now().Add(b.patience); ; {
		if err := b.wait(bound, done); err != nil {
			return err
		}
		if err := b.take(done); err != nil {
			return err
		}
		if b.used.Load() <= int64(bound) {
			return nil
		}
		b.give()
		if time.Now().After(until) {
			return b.shortage()
		}
	}
}

func (b *budget) give() { <-b.turn }

// shortage is the error of a read that has waited in vain.
func (b *budget) shortage() error {
	return xrow.Errorf(xrow.ErrMemoryIssue, b.used.Load(), "answers that clients have not read", "another one")
}
