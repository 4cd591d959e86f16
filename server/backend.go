package server

import (
	"fmt"
	"sync"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// backend is what the client server needs of the process. Requests of clients go to
// the node of the replica set.
type backend struct{ s *Server }

func (b *backend) engine() *engine { return b.s.main().engine.Load() }

func (b *backend) Ready() *xrow.Error {
	n := b.s.main()
	if n.ready.Load() && !n.leaving.Load() {
		return nil
	}
	e := xrow.Errorf(xrow.ErrLoading)
	if boot := n.boot.Load(); boot != nil && n.hub.Load() == nil {
		if rows, bytes := boot.Progress.Read(); rows > 0 { // status shows it
			e.Message += fmt.Sprintf(" - joining: %d rows, %d MiB so far", rows, bytes>>20)
			if share := boot.Progress.Share(); share != "" {
				e.Message += ", " + share
			}
		} else if g := n.after; g != nil {
			e.Message += " - " + g.Error()
		}
	}
	return e
}

func (b *backend) SchemaVersion() uint64 {
	e := b.engine()
	if e == nil {
		return 1
	}
	return e.front.schema.Load()
}

func (b *backend) User(name []byte) (user iproto.User, hash []byte, ok bool) {
	b.engine().loop.Read(func(c *instance.Core) {
		var u box.User
		if u, ok = c.Box().UserByName(string(name)); ok {
			creds, _ := c.Box().Schema().Credentials(u.ID)
			user, hash = iproto.User(creds), u.Hash
		}
	})
	return user, hash, ok
}

func (b *backend) CanLogin(user iproto.User) (err error) {
	b.engine().loop.Read(func(c *instance.Core) {
		err = c.Box().Schema().CheckUniverse(box.Credentials(user), box.PrivSession)
	})
	return err
}

// Stays: who is logged in may have a session, and is still there. One may go on as
// another user who may not log in, as su allows, but not as one who was dropped.
func (b *backend) Stays(login, user iproto.User, replicates bool) (err error) {
	e := b.engine()
	if e == nil {
		return nil
	}
	e.loop.Read(func(c *instance.Core) {
		s := c.Box().Schema()
		if login != box.UserGuest {
			err = s.CheckUniverse(box.Credentials(login), box.PrivSession)
		}
		if err == nil {
			err = s.CheckUser(box.Credentials(user))
		}
		if err == nil && replicates {
			err = s.CheckUniverse(box.Credentials(user), box.PrivRead)
		}
	})
	return err
}

func (b *backend) MayWrite(user iproto.User) (may bool) {
	b.engine().loop.Read(func(c *instance.Core) { may = c.Box().Schema().MayWrite(box.Credentials(user)) })
	return may
}

func (b *backend) TakesNumbers() (takes bool) {
	if e := b.engine(); e != nil {
		e.loop.Read(func(c *instance.Core) { takes = c.TakesNumbers() })
	}
	return takes
}

func (b *backend) ResolveSpace(name []byte) (id uint32, err error) {
	b.engine().loop.Read(func(c *instance.Core) { id, err = c.Box().Schema().FindSpace(string(name)) })
	return id, err
}

func (b *backend) ResolveIndex(space uint32, name []byte) (id uint32, err error) {
	b.engine().loop.Read(func(c *instance.Core) { id, err = c.Box().Schema().FindIndex(space, string(name)) })
	return id, err
}

// Select answers on the connection's own goroutine, against what is confirmed.
func (b *backend) Select(q *iproto.Select, to iproto.Sink) (n uint32, position []byte, err error) {
	query := box.Query{Space: q.Space, Index: q.Index, Iterator: q.Iterator, Key: q.Key, Offset: q.Offset, Limit: q.Limit,
		FetchPosition: q.FetchPosition, AfterPosition: q.AfterPosition, AfterTuple: q.AfterTuple}
	e := b.engine()
	if e == nil { // a linearizable read that its connection did not wait for
		return 0, nil, xrow.Errorf(xrow.ErrLoading)
	}
	var count int
	if q.Space == xrow.SpaceSessionSettings {
		var rows []byte
		e.loop.Read(func(c *instance.Core) {
			rows, count, err = c.Box().SelectSettings(box.Credentials(q.User), &query, q.Settings, nil)
		})
		if err == nil {
			err = to.Take(rows)
		}
		return uint32(count), nil, err
	}
	count, err = e.loop.StreamSelect(instance.TxnID{Conn: q.Conn, Stream: q.Stream}, box.Credentials(q.User), &query, to)
	return uint32(count), query.Position, err
}

var lookupPool = sync.Pool{New: func() any { return new([]box.Lookup) }}

// Lookups answers those by key of one read buffer under one hold of the latch.
func (b *backend) Lookups(all []iproto.Lookup, room []byte) {
	pooled := lookupPool.Get().(*[]box.Lookup)
	qs := (*pooled)[:0]
	for i := range all {
		q := &all[i]
		qs = append(qs, box.Lookup{User: box.Credentials(q.User), Space: q.Space, Index: q.Index, Limit: q.Limit, Key: q.Key})
	}
	b.engine().loop.Lookups(qs, room)
	for i := range all {
		all[i].Done, all[i].N, all[i].Tuples = qs[i].Done, qs[i].N, qs[i].Tuples
	}
	clear(qs)
	*pooled = qs
	lookupPool.Put(pooled)
}

// UpdateSetting changes a setting of the session that asks.
func (b *backend) UpdateSetting(user iproto.User, d *xrow.DML, settings map[string][]byte) (data []byte, err error) {
	var tuple []byte
	b.engine().loop.Read(func(c *instance.Core) { tuple, err = c.Box().UpdateSetting(box.Credentials(user), d, settings) })
	if tuple == nil {
		return []byte{0x90}, err
	}
	return append([]byte{0x91}, tuple...), err
}

var requestPool = sync.Pool{New: func() any { return new([]instance.Request) }}

// Submit hands the writes of one read of a connection to the Loop.
func (b *backend) Submit(batch *iproto.Batch) {
	pooled := requestPool.Get().(*[]instance.Request)
	requests := (*pooled)[:0]
	for i := range batch.Writes {
		w := &batch.Writes[i]
		requests = append(requests, instance.Request{Conn: batch.Conn, Sync: w.Sync, User: box.Credentials(w.User), DML: w.DML})
		if w.Number != nil {
			number(&requests[i], w.Number)
		}
	}
	release := func() {
		clear(requests)
		*pooled = requests
		requestPool.Put(pooled)
		batch.Release()
	}
	if err := b.engine().loop.Submit(instance.Write{Requests: requests, Release: release}); err != nil {
		b.refuse(batch)
		release()
	}
}

// number makes a request one of an exactly-once session. What was found to be wrong with it
// is told by the core, which remembers that.
func number(r *instance.Request, n *iproto.Numbered) {
	if r.Number = &n.Number; n.Fault != nil {
		r.Do = func(*box.Txn) ([]byte, error) { return nil, n.Fault }
	}
}

// refuse answers writes that nobody will look at any more: each of them is
// counted as waiting until it is answered.
func (b *backend) refuse(batch *iproto.Batch) {
	answers := b.s.port.clients.Answers() // of this goroutine
	for i := range batch.Writes {
		answers.Reply(batch.Conn, batch.Writes[i].Sync, nil, xrow.Errorf(xrow.ErrShutdown))
	}
	answers.Flush()
}

// Linear runs a read once a quorum round says that all it must see is here.
func (b *backend) Linear(c *iproto.Conn, q *iproto.Select) {
	b.whenLinear(q.User, q.Space, func(e *xrow.Error) {
		if e != nil {
			c.Reply(q.Sync, nil, e)
			c.Flush()
			return
		}
		go c.FinishSelect(q)
	})
}

// whenLinear calls then behind such a round, or with the error. It may be the Loop that
// calls.
func (b *backend) whenLinear(user iproto.User, space uint32, then func(*xrow.Error)) {
	if e := b.engine().notLinearizable(box.Credentials(user), space); e != nil {
		then(e)
		return
	}
	conn := b.s.port.calls.add(func(r instance.Reply) { then(r.Err) })
	if err := b.engine().loop.Submit(instance.LinearRead{Conn: conn}); err != nil {
		b.s.port.calls.answer(instance.Reply{Conn: conn, Err: xrow.Errorf(xrow.ErrShutdown)})
	}
}

// notLinearizable is the error of a space of which no round can promise anything. One that
// is not there gets its usual error from the read.
func (e *engine) notLinearizable(user box.Credentials, space uint32) (err *xrow.Error) {
	e.loop.Read(func(c *instance.Core) {
		if !c.Linearizable(space) {
			err = c.NotLinearizable(user, space, box.PrivRead)
		}
	})
	return err
}

func (b *backend) Call(c *iproto.Conn, q *iproto.Call) {
	call := proc.Call{Conn: c.ID(), Sync: q.Sync, Session: proc.Session{Conn: c.ID(), Sync: q.Sync}, User: box.Credentials(q.User), Type: q.Type, Name: q.Name, Args: q.Args,
		Large: func() (func(), error) { return c.LargeAnswer(q) },
		Later: c.LargeAnswerLater,
		Push:  func(v []byte) error { return c.PushCall(q, v) },
		Reply: func(data []byte, err *xrow.Error) { c.ReplyCall(q, data, err) }}
	if q.Number != nil {
		call.Number = &q.Number.Number
	}
	if q.Stream != 0 {
		b.inStream(c, q.Stream, &call)
	}
	b.engine().front.procs.Call(call)
}

// AppendBallot answers for the node of the group that is asked.
func (b *backend) AppendBallot(dst, request []byte) ([]byte, *xrow.Error) {
	n, err := b.s.nodeOf(request)
	if err != nil {
		return dst, err
	}
	return n.appendBallot(dst)
}

func (b *backend) VClock() (v vclock.VClock) {
	if e := b.engine(); e != nil {
		e.loop.Read(func(c *instance.Core) { v = c.Info(0).VClock })
	}
	return v
}

func (b *backend) Replicate(l *iproto.Link, user iproto.User, row *xrow.Row) error {
	n, err := b.s.nodeOf(row.Body)
	if err != nil {
		return err
	}
	return n.replicate(l, user, row)
}
