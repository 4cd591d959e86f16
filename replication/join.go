package replication

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Identity is who joins.
type Identity struct {
	Group       string // whose member, see group.go; empty: the replica set's
	UUID        string
	Name        string // empty: none
	Incarnation uint64
	Version     uint32 // SERVER_VERSION
	Feature     uint32 // the newest feature level that we read; 0: it is not told
	Anon        bool   // an anonymous replica: it takes the state without being registered
	Filter      string // the name of our filter; empty: we take all
	Raft        bool   // elections are on
	// What the old store knows, zero where there is none: the persisted term, the
	// newest term in effect, and the LSN of its owner up to which all is
	// committed. A peer that knows less cannot give us its state.
	Term      uint64
	InEffect  uint64
	Confirmed uint64
}

// Sink takes the state that a JOIN brings. It is a checkpoint in the making:
// worth nothing before Finish has succeeded.
type Sink interface {
	// Add takes a tuple. A space comes once, its tuples in any order. The tuple
	// is copied.
	Add(space uint32, tuple []byte) error
	// Finish takes what goes with the tuples. NextGroup is the caller's to set.
	// registered: the joiner's own _cluster row is among them.
	Finish(s instance.State, registered bool) error
	// Abort drops what was added.
	Abort()
}

// Join copies the state of a peer into sink, and has us registered. When it
// fails the caller must abort the sink: a part of a state is worth nothing. The
// exception is an error that wraps ErrFinalStage: the sink is complete then.
//
// A peer of Tarantool's kind opens its view before it registers us, and sends
// the rows behind that view in a final stage. They are not taken from there:
// SUBSCRIBE begins at the view and brings them once more, through the same
// checks as all others, while here they would have to be believed. The price is
// that they cross the wire twice. What the final stage tells is that we are
// registered.
func Join(ctx context.Context, p Peer, id Identity, silence time.Duration, sink Sink, told *Progress) error {
	c, stop, err := open(ctx, &p, &id, silence)
	if err != nil {
		return err
	}
	defer stop()
	req := xrow.JoinRequest{InstanceUUID: id.UUID, InstanceName: id.Name, ServerVersion: id.Version, Incarnation: id.Incarnation, Group: id.Group, Feature: id.Feature}
	kind := xrow.Join
	if id.Anon {
		kind = xrow.FetchSnap
		if id.Filter == "" {
			req.InstanceName = ""
		} else { // it is registered under its name
			req.Share = &xrow.Share{Filter: id.Filter}
		}
	}
	if err := c.WriteRow(&xrow.Row{Type: kind, Body: req.AppendBody(nil)}); err != nil {
		return err
	}
	j := joiner{reader: reader{link: c.Link, ctx: ctx, silence: silence}, id: id, sink: sink, told: told}
	return j.ended(j.run())
}

// open brings a connection to where requests are taken. stop ends it.
func open(ctx context.Context, p *Peer, id *Identity, silence time.Duration) (c *iproto.Client, stop func(), err error) {
	limit, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	if c, err = p.dial(limit); err != nil {
		return nil, nil, err
	}
	unhook := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	stop = func() {
		unhook()
		_ = c.Close()
	}
	switch c.Greeting.UUID {
	case id.UUID:
		err = xrow.Errorf(xrow.ErrConnectionToSelf)
	case xrow.NilUUID:
		err = xrow.Errorf(xrow.ErrNilUUID)
	default:
		if err = checkRelease(c.Greeting.Version, id.Raft); err == nil {
			err = hello(c, p, func() {})
		}
		if err == nil {
			err = confirmGroup(c, id.Group)
		}
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return c, stop, nil
}

// reader reads what a peer answers, row by row.
type reader struct {
	link    *iproto.Link
	ctx     context.Context
	silence time.Duration
}

// read is the next row; the body is valid until the next read.
func (r *reader) read() (row xrow.Row, err error) {
	if !r.link.HasFrame() { // a quarter of the time of a JOIN goes into deadlines else
		if err := r.link.SetReadDeadline(time.Now().Add(r.silence)); err != nil {
			return row, err
		}
	}
	if r.ctx.Err() != nil { // the deadline may have undone what ended us
		return row, context.Cause(r.ctx)
	}
	if row, err = r.link.ReadRow(); err != nil {
		return row, silence(err)
	}
	if e := row.AsError(); e != nil {
		return row, e
	}
	return row, nil
}

// ended is why an exchange failed: the caller's reason first.
func (r *reader) ended(err error) error {
	if err != nil && r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return err
}

func (r *reader) expect(t xrow.Type) (xrow.Row, error) {
	row, err := r.read()
	if err == nil && row.Type != t {
		err = unexpected(&row, t)
	}
	return row, err
}

func unexpected(row *xrow.Row, want xrow.Type) error {
	return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("%v in the answer to a JOIN, expected %v", row.Type, want))
}

// joiner reads the answer to a JOIN or FETCH_SNAPSHOT.
type joiner struct {
	reader
	id    Identity
	sink  Sink
	told  *Progress
	state instance.State
	self  bool // our own _cluster row came
}

func (j *joiner) run() error {
	row, err := j.expect(xrow.OK)
	if err != nil {
		return err
	}
	if j.state.VClock, err = j.clock(&row); err != nil {
		return err
	}
	if row, err = j.read(); err != nil {
		return err
	}
	if row.Type == xrow.JoinMeta {
		if err := j.meta(&row); err != nil {
			return err
		}
		if row, err = j.read(); err != nil {
			return err
		}
	} else if err := j.metaTarantool(&xrow.Synchro{}); err != nil {
		return err
	}
	stop, err := j.rows(row)
	if err != nil {
		return err
	}
	j.told.done()
	if !stop.Covers(&j.state.VClock) {
		return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("JOIN ends at %s, before its snapshot at %s", stop, j.state.VClock))
	}
	if err := j.sink.Finish(j.state, j.self); err != nil || j.id.Anon {
		return err
	}
	if err := j.final(); err != nil {
		return fmt.Errorf("%w: %w", ErrFinalStage, err)
	}
	return nil
}

// rows reads the snapshot, of which row is the first, up to the OK behind it.
func (j *joiner) rows(row xrow.Row) (stop vclock.VClock, err error) {
	for row.Type != xrow.OK {
		if row.Type != xrow.Insert {
			return stop, xrow.Errorf(xrow.ErrUnknownRequestType, uint32(row.Type))
		}
		d, err := xrow.DecodeDML(row.Type, row.Body)
		if err != nil {
			return stop, err
		}
		if d.SpaceID == xrow.SpaceCluster && isOwnRow(d.Tuple, j.id.UUID) {
			j.self = true
		}
		if err := j.sink.Add(d.SpaceID, d.Tuple); err != nil {
			return stop, err
		}
		j.told.add(len(d.Tuple))
		if row, err = j.read(); err != nil {
			return stop, err
		}
	}
	return j.clock(&row)
}

// clock reads an OK row of the answer, each of which says whose it is.
func (j *joiner) clock(row *xrow.Row) (v vclock.VClock, err error) {
	v, group, err := xrow.DecodeVClockBody(row.Body)
	if err == nil {
		err = checkGroup(j.id.Group, group)
	}
	return v, err
}

// ErrFinalStage is wrapped by errors of Join when the state came whole, but not
// the word that we are registered. REGISTER asks for that alone.
var ErrFinalStage = errors.New("replication: the state came whole, but not the registration")

// final reads the rows behind the snapshot. Among them, or in the snapshot, is
// the one that registers us.
func (j *joiner) final() error {
	for {
		row, err := j.read()
		if err != nil {
			return err
		}
		if row.Type == xrow.OK {
			if _, err := j.clock(&row); err != nil {
				return err
			}
			break
		}
		if err := j.registration(&row); err != nil {
			return err
		}
	}
	if !j.self {
		return xrow.Errorf(xrow.ErrUnknownReplica, j.id.UUID, "the state that came by JOIN")
	}
	return nil
}

// registration looks whether a row of the log is our own _cluster row.
func (j *joiner) registration(row *xrow.Row) error {
	switch {
	case row.LSN == 0 || !row.Type.IsDML() && !row.Type.IsSynchro() && row.Type != xrow.Nop:
		return xrow.Errorf(xrow.ErrUnknownRequestType, uint32(row.Type))
	case !row.Type.IsDML():
		return nil
	}
	d, err := xrow.DecodeDML(row.Type, row.Body)
	if err != nil {
		return err
	}
	if d.SpaceID != xrow.SpaceCluster {
		return nil
	}
	// The ID of a namesake is inherited by an UPDATE, [["=", 1, uuid], ...].
	if isOwnRow(d.Tuple, j.id.UUID) || row.Type == xrow.Update && bytes.Contains(d.Tuple, []byte(j.id.UUID)) {
		j.self = true
	}
	return nil
}

// isOwnRow tells whether a tuple of _cluster has the UUID.
func isOwnRow(tuple []byte, uuid string) bool {
	fields, n, ok := mp.ReadArrayHeader(tuple)
	if !ok || fields < 2 {
		return false
	}
	m, err := mp.Scan(tuple[n:])
	if err != nil {
		return false
	}
	s, _, ok := mp.ReadString(tuple[n+m:])
	return ok && string(s) == uuid
}
