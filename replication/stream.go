package replication

import (
	"fmt"
	"sync/atomic"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// maxTransaction bounds what is held of a transaction that is not whole yet.
const maxTransaction = 256 << 20

// batches is how many batches of an applier the core may hold at a time: the
// applier stops reading beyond it.
const batches = 4

// batch is the rows of one read and the bytes they point into. The applier and
// each event made of it hold a reference.
type batch struct {
	rows []xrow.Row
	buf  []byte
	refs atomic.Int32
	home chan *batch
	free func() // release, made once
}

// eventRows is about how many rows one event has, but for those of a longer
// transaction: a Step takes an event whole.
const eventRows = 512

// keepBatch is the largest buffer that is used again.
const keepBatch = 4 << 20

func newBatches() chan *batch {
	home := make(chan *batch, batches)
	for range batches {
		b := &batch{home: home}
		b.free = b.release
		home <- b
	}
	return home
}

func (b *batch) release() {
	if b.refs.Add(-1) > 0 {
		return
	}
	if cap(b.buf) > keepBatch {
		b.buf, b.rows = nil, nil
	}
	b.rows, b.buf = b.rows[:0], b.buf[:0]
	b.home <- b // it has room for all of them
}

// stream cuts what a relay sends into events of the core: whole transactions,
// and what goes between them.
type stream struct {
	link  *iproto.Link
	from  uint32
	done  <-chan struct{} // the connection is to end
	home  chan *batch
	batch *batch
	open  int // first row of batch that was not handed out: all are of one transaction
	beat  uint64

	// Called between transactions, in the order of the stream.
	onRows      func(ev instance.Rows) error
	onRaft      func(msg xrow.Raft) error
	onHeartbeat func(sync uint64) error
	onTime      func(timestamp float64) // of the newest row or heartbeat that has one
}

// read waits for bytes and hands out every event that they complete.
func (s *stream) read() error {
	if s.batch == nil {
		if err := s.take(); err != nil {
			return err
		}
	}
	b := s.batch
	first := len(b.rows)
	var err error
	b.rows, b.buf, err = s.link.ReadRows(b.rows, b.buf)
	if err != nil {
		return err
	}
	return s.split(first)
}

// take gets an empty batch, and waits while the core holds too many.
func (s *stream) take() error {
	select {
	case s.batch = <-s.home:
	case <-s.done:
		return ErrClosed
	}
	s.batch.refs.Store(1)
	s.open = 0
	return nil
}

// split goes over the rows of the batch from first on.
func (s *stream) split(first int) error {
	b := s.batch
	whole := s.open // rows[s.open:whole] are whole transactions
	stamp := 0.0
	for i := first; i < len(b.rows); i++ {
		r := &b.rows[i]
		if r.Timestamp != 0 {
			stamp = r.Timestamp
		}
		if r.LSN != 0 {
			if err := checkRowTerm(r); err != nil {
				return err
			}
			if i == whole && r.TSN != r.LSN {
				return xrow.Errorf(xrow.ErrProtocol, "Transaction id must be equal to LSN of the first row in the transaction.")
			}
			if r.Flags&xrow.FlagCommit != 0 {
				whole = i + 1
			}
			if whole-s.open >= eventRows {
				if err := s.handOut(whole); err != nil {
					return err
				}
			}
			continue
		}
		if e := r.AsError(); e != nil {
			return e // rows before it are handed over again by the next connection
		}
		if whole != i {
			return xrow.Errorf(xrow.ErrUnsupported, "replication", "interleaving transactions")
		}
		if err := s.handOut(whole); err != nil {
			return err
		}
		if err := s.control(r); err != nil {
			return err
		}
		s.open, whole = i+1, i+1
	}
	if err := s.handOut(whole); err != nil {
		return err
	}
	s.open = whole
	if stamp != 0 {
		s.onTime(stamp)
	}
	return s.carry()
}

// handOut gives the core rows[s.open:to].
func (s *stream) handOut(to int) error {
	if to <= s.open {
		return nil
	}
	b := s.batch
	b.refs.Add(1)
	rows := b.rows[s.open:to:to]
	s.open = to
	if err := s.onRows(instance.Rows{From: s.from, Rows: rows, Release: b.free}); err != nil {
		b.release()
		return err
	}
	return nil
}

// control takes a row that is in no transaction.
func (s *stream) control(r *xrow.Row) error {
	switch r.Type {
	case xrow.OK:
		sync, err := xrow.DecodeHeartbeat(r.Body)
		if err != nil {
			return err
		}
		if sync < s.beat {
			return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("VCLOCK_SYNC goes back from %d to %d", s.beat, sync))
		}
		s.beat = sync
		return s.onHeartbeat(sync)
	case xrow.RaftState:
		msg, err := xrow.DecodeRaft(r.Body)
		if err != nil {
			return err
		}
		if err := s.checkRaft(&msg); err != nil {
			return err
		}
		return s.onRaft(msg)
	}
	return xrow.Errorf(xrow.ErrUnknownRequestType, uint32(r.Type))
}

// checkRowTerm refuses a term that must not reach the core: see maxTerm.
func checkRowTerm(r *xrow.Row) error {
	if r.Type != xrow.Promote && r.Type != xrow.Demote {
		return checkTerms(r.Term)
	}
	body, err := xrow.DecodeSynchro(r.Body)
	if err != nil {
		return err
	}
	return checkTerms(r.Term, body.Term, body.PrevTerm)
}

// checkRaft refuses what no election machine shows (Tarantool, raft_process_msg).
func (s *stream) checkRaft(msg *xrow.Raft) error {
	switch {
	case s.from == 0:
		return xrow.Errorf(xrow.ErrProtocol, "Can't apply a Raft request from an instance without an ID")
	case msg.Term > maxTerm:
		return checkTerms(msg.Term)
	case msg.Term == 0 || msg.State == 0 || msg.State > 3:
		return raftError("Invalid term or state")
	case msg.State == 2 && (msg.Vote != s.from || msg.VClock == nil):
		return raftError("A candidate without a vote for itself or without a vclock")
	}
	return nil
}

func raftError(text string) *xrow.Error {
	return &xrow.Error{Code: xrow.ErrProtocol, Type: "RaftError", Message: text}
}

// carry ends the batch. What is not whole yet stays in it when there is nothing
// else, and moves to the next one otherwise.
func (s *stream) carry() error {
	b := s.batch
	if s.open == 0 {
		if len(b.buf) > maxTransaction {
			return xrow.Errorf(xrow.ErrProtocol, "a transaction is too large")
		}
		return nil
	}
	tail := b.rows[s.open:]
	if len(tail) == 0 {
		s.drop()
		return nil
	}
	if err := s.take(); err != nil {
		return err
	}
	next := s.batch
	size := 0
	for i := range tail {
		size += len(tail[i].Body)
	}
	if cap(next.buf) < size {
		next.buf = make([]byte, 0, 2*size)
	}
	for i := range tail {
		r := tail[i]
		if r.Body != nil {
			at := len(next.buf)
			next.buf = append(next.buf, r.Body...)
			r.Body = next.buf[at:len(next.buf):len(next.buf)]
		}
		next.rows = append(next.rows, r)
	}
	b.release()
	return nil
}

// drop gives the batch back as far as it is ours.
func (s *stream) drop() {
	if s.batch != nil {
		s.batch.release()
		s.batch = nil
	}
}
