package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
	"github.com/vmihailenco/msgpack/v5"
)

// sessions are the exactly-once sessions of a client (docs/protocol/sessions.md): what all its writes
// share.
type sessions struct {
	slots numbers.Slots
	plain numbers.Plain
	wakes chan struct{} // capacity 1: a slot may be had, and somebody waits for one
	began time.Time     // from which slots and plain have their time
}

func (s *sessions) now() time.Duration { return time.Since(s.began) }

// wake lets one look that waits for a slot.
func (s *sessions) wake() {
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

// give gives a slot back.
func (s *sessions) give(p numbers.Place) {
	s.slots.Give(p)
	s.wake()
}

// numbering is what a request has to do with numbers.
type numbering struct {
	takes  bool         // it is of a kind that takes one
	maybe  bool         // a copy of it may be executed: the next one is a repeat
	at     string       // the instance that has the newest such copy
	number *xrow.Number // nil: it has none
	place  numbers.Place
	body   []byte // what it is encoded to, once: a copy has the same bytes. nil: it was not yet
}

// errNoSlot is why a request was not sent that wants a slot, and there is none.
type errNoSlot struct{ size int }

// Error is never seen by a caller.
func (e *errNoSlot) Error() string { return "client: no slot of a session" }

// encode makes its bytes, and its kind.
func (n *numbering) encode(req tarantool.Request, r tarantool.SchemaResolver) error {
	if n.body != nil {
		return nil
	}
	var b bytes.Buffer
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(&b)
	if err := req.Body(r, enc); err != nil {
		return err
	}
	n.body = b.Bytes()
	if !isStatement(req.Type()) {
		name := n.subject()
		n.takes = strings.HasPrefix(name, "call box.space.") || strings.HasPrefix(name, "call box.schema.")
	}
	return nil
}

// subject names the function of a CALL, or the space of a write.
func (n *numbering) subject() string {
	d := msgpack.NewDecoder(bytes.NewReader(n.body))
	pairs, err := d.DecodeMapLen()
	for ; err == nil && pairs > 0; pairs-- {
		var key int
		if key, err = d.DecodeInt(); err != nil {
			break
		}
		var of string
		switch iproto.Key(key) {
		case iproto.IPROTO_FUNCTION_NAME:
			of = "call "
		case iproto.IPROTO_SPACE_ID, iproto.IPROTO_SPACE_NAME:
			of = "space "
		default:
			err = d.Skip()
			continue
		}
		v, _ := d.DecodeInterface() // a body that we have encoded ourselves
		return of + fmt.Sprint(v)
	}
	return ""
}

// mayTakeNumber tells whether a request may be of a kind that takes a number. What a CALL asks for is known
// when it is encoded.
func mayTakeNumber(t iproto.Type) bool {
	return isStatement(t) || t == iproto.IPROTO_CALL || t == iproto.IPROTO_CALL_16
}

// take gives the request a number where it can; it goes without one where it cannot, and where none is taken.
// The error is an errNoSlot.
func (s *sessions) take(n *numbering) error {
	now := s.now()
	switch {
	case n.number != nil:
		n.number.Repeat = n.maybe
		return nil
	case !n.takes || s.plain.Any() && s.plain.Has(n.subject(), now):
		return nil
	}
	p, no, step, size := s.slots.Take(now)
	switch step {
	case numbers.Taken:
		number := p.Number(no)
		n.number, n.place = &number, p
		s.wake() // there may be more
	case numbers.Open, numbers.Wait:
		return &errNoSlot{size}
	}
	return nil
}

// drop takes the number of a request back.
func (s *sessions) drop(n *numbering) {
	if n.number != nil {
		s.give(n.place)
		n.number, n.place = nil, numbers.Place{}
	}
}

// judge says what an answer means to a request with a number, and notes what follows from it.
func (s *sessions) judge(n *numbering, at string, e *tarantool.Error) verdict {
	v, unsure := numbers.Judge(numbers.Copy{Maybe: n.maybe, Session: n.number.Session}, xrow.Code(e.Code), e.Msg)
	if unsure {
		n.maybe, n.at = true, at
	}
	switch v {
	case numbers.NotTaken, numbers.NotKnown:
		return again
	case numbers.Unknown:
		return unknown
	case numbers.Gone:
		s.slots.Gone(n.place.Session())
		return unknown
	case numbers.NoNumber:
		s.plain.Note(n.subject(), s.now())
		s.drop(n)
		n.takes = false
		return atOnce
	case numbers.NoSession:
		s.slots.Gone(n.place.Session())
		s.drop(n)
		return atOnce
	}
	return answered
}

// slotTick is how often somebody looks for a slot who was not told that there is one: some rest until a time.
const slotTick = 20 * time.Millisecond

// awaitSlot waits until there may be a slot. The error is why nobody waits any more.
func (c *Client) awaitSlot(p *passage, a *attempt) error {
	var missing *errNoSlot
	if errors.As(a.failed, &missing) && missing.size > 0 {
		c.bg.Go(func() { c.openSession(a.at, missing.size) })
	}
	p.held.begin()
	limit := time.NewTimer(time.Until(p.held.since.Add(c.conf.holdLimit)))
	defer limit.Stop()
	tick := time.NewTimer(slotTick)
	defer tick.Stop()
	select {
	case <-c.once.wakes:
	case <-tick.C:
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	case <-c.ctx.Done():
		return ErrClosed
	case <-limit.C:
		return errors.New("no slot of an exactly-once session: too many writes are under way")
	}
	return nil
}

// openSession asks an instance for a session.
func (c *Client) openSession(at place, slots int) {
	defer c.once.wake()
	ctx, cancel := context.WithTimeout(c.ctx, c.conf.timeout)
	defer cancel()
	resp, err := at.conn.Do(tarantool.NewCallRequest(numbers.OpenCall).Args([]any{slots}).Context(ctx)).GetResponse()
	if err != nil {
		c.once.slots.NotOpened(0, false) // the connection has ended, or will
		return
	}
	data, err := resp.Decode()
	if err == nil && len(data) > 0 {
		if id, ok := data[0].(string); ok && id != "" {
			c.once.slots.Opened(id, slots)
			return
		}
	}
	var e tarantool.Error
	errors.As(err, &e)
	c.once.slots.Refused(xrow.Code(e.Code), e.Msg, c.once.now())
}

// closeLimit is how long Close waits for the leader to end sessions. One that is not ended ends by idleness.
const closeLimit = time.Second

// closeSessions ends the sessions of the client, so that others can have their slots.
func (c *Client) closeSessions() {
	at, ok, _ := c.pick(Leader)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, closeLimit)
	defer cancel()
	var ends []*tarantool.Future
	for _, id := range c.once.slots.Sessions() {
		ends = append(ends, at.conn.Do(tarantool.NewCallRequest(numbers.CloseCall).Args([]any{id}).Context(ctx)))
	}
	for _, fut := range ends {
		_, _ = fut.GetResponse() // else it ends by idleness
	}
}
