package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tarragon/instance"
	"tarragon/iproto"
	"tarragon/xrow"
)

// Identity is who joins.
type Identity struct {
	UUID        string
	Name        string // empty: none
	Incarnation uint64
	Version     uint32 // SERVER_VERSION
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
	// Add takes a tuple; the order is that of a checkpoint. The tuple is copied.
	Add(space uint32, tuple []byte) error
	// Finish takes what goes with the tuples. NextGroup is the caller's to set.
	Finish(s instance.State) error
	// Abort drops what was added.
	Abort()
}

// Join copies the state of a peer into sink. When it fails the caller must
// abort the sink: a part of a state is worth nothing.
func Join(ctx context.Context, p Peer, id Identity, silence time.Duration, sink Sink) error {
	limit, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	c, err := iproto.Dial(limit, p.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if c.Greeting.UUID == id.UUID {
		return xrow.Errorf(xrow.ErrConnectionToSelf)
	}
	if err := hello(c, &p, func() {}); err != nil {
		return err
	}
	req := xrow.JoinRequest{InstanceUUID: id.UUID, InstanceName: id.Name, ServerVersion: id.Version, Incarnation: id.Incarnation}
	if err := c.WriteRow(&xrow.Row{Type: xrow.Join, Body: req.AppendBody(nil)}); err != nil {
		return err
	}
	j := joiner{link: c.Link, ctx: ctx, id: id, silence: silence, sink: sink}
	if err := j.run(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
	return nil
}

// joiner reads the answer to a JOIN.
type joiner struct {
	link    *iproto.Link
	ctx     context.Context
	id      Identity
	silence time.Duration
	sink    Sink
	state   instance.State
	self    bool // our own _cluster row came
}

// spaceCluster is _cluster: [id, uuid, ...].
const spaceCluster = 320

func (j *joiner) run() error {
	row, err := j.expect(xrow.OK)
	if err != nil {
		return err
	}
	if j.state.VClock, err = xrow.DecodeVClockBody(row.Body); err != nil {
		return err
	}
	if err := j.meta(); err != nil {
		return err
	}
	stop, err := j.rows()
	if err != nil {
		return err
	}
	v, err := xrow.DecodeVClockBody(stop.Body)
	if err != nil {
		return err
	}
	if v != j.state.VClock {
		return unsupportedJoin("rows behind its snapshot")
	}
	if _, err := j.expect(xrow.OK); err != nil {
		return err
	}
	if !j.self {
		return xrow.Errorf(xrow.ErrUnknownReplica, j.id.UUID, "the state that came by JOIN")
	}
	return j.sink.Finish(j.state)
}

func unsupportedJoin(what string) error {
	return unsupported("a JOIN that brings " + what)
}

// read is the next row; the body is valid until the next read.
func (j *joiner) read() (row xrow.Row, err error) {
	if err := j.link.SetReadDeadline(time.Now().Add(j.silence)); err != nil {
		return row, err
	}
	if j.ctx.Err() != nil {
		return row, context.Cause(j.ctx)
	}
	if row, err = j.link.ReadRow(); err != nil {
		return row, silence(err)
	}
	if e := row.AsError(); e != nil {
		return row, e
	}
	return row, nil
}

func (j *joiner) expect(t xrow.Type) (xrow.Row, error) {
	row, err := j.read()
	if err == nil && row.Type != t {
		err = xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("%v in a JOIN, expected %v", row.Type, t))
	}
	return row, err
}

// meta reads the terms: a state without them is of the original kind, which
// cannot be joined yet.
func (j *joiner) meta() error {
	row, err := j.expect(xrow.JoinMeta)
	if err != nil {
		return err
	}
	meta, ours, err := xrow.DecodeJoinMeta(row.Body)
	if err != nil {
		return err
	}
	if !ours {
		return unsupportedJoin("no history of terms")
	}
	s := &j.state
	for _, span := range meta.History {
		s.History = append(s.History, instance.TermSpan(span))
	}
	if row, err = j.expect(xrow.RaftState); err != nil {
		return err
	}
	raft, err := xrow.DecodeRaft(row.Body)
	if err != nil {
		return err
	}
	s.Term, s.Vote = raft.Term, raft.Vote
	if row, err = j.expect(xrow.Promote); err != nil {
		return err
	}
	promote, err := xrow.DecodeSynchro(row.Body)
	if err != nil {
		return err
	}
	s.Confirmed = promote.LSN
	if promote.VClock != nil {
		s.ConfirmedOf = *promote.VClock
	}
	if err := j.checkMeta(&meta, &promote); err != nil {
		return err
	}
	_, err = j.expect(xrow.JoinSnapshot)
	return err
}

// checkMeta refuses a state whose parts do not fit, or one that is older than
// what we have promised.
func (j *joiner) checkMeta(meta *xrow.JoinMetaBody, promote *xrow.Synchro) error {
	s := &j.state
	var newest instance.TermSpan
	if n := len(s.History); n > 0 {
		newest = s.History[n-1]
	}
	switch {
	case s.Term < j.id.Term:
		return fmt.Errorf("%w: its term is %d, ours %d", errStale, s.Term, j.id.Term)
	case newest.Term < j.id.InEffect || newest.Term == j.id.InEffect && s.Confirmed < j.id.Confirmed:
		return fmt.Errorf("%w: it knows rows up to %d of term %d to be committed, we %d of term %d", errStale,
			s.Confirmed, newest.Term, j.id.Confirmed, j.id.InEffect)
	case newest.Term > s.Term:
		return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("JOIN with term %d in effect under term %d", newest.Term, s.Term))
	case meta.Term != newest.Term || promote.Term != newest.Term || promote.ReplicaID != newest.Owner || meta.LSN != promote.LSN:
		return xrow.Errorf(xrow.ErrProtocol, "JOIN with a history that does not end with its PROMOTE")
	case newest.Term != 0 && (meta.LSN < newest.First || meta.LSN > newest.Last || newest.Last > s.VClock[newest.Owner]):
		return xrow.Errorf(xrow.ErrProtocol, "JOIN with a confirmed LSN outside of its term")
	}
	return nil
}

// errStale: a peer that is behind cannot give us its state; another one can.
var errStale = errors.New("replication: the state of this peer is older than what this instance holds")

// rows reads the snapshot up to the OK behind it.
func (j *joiner) rows() (stop xrow.Row, err error) {
	for {
		row, err := j.read()
		if err != nil || row.Type == xrow.OK {
			return row, err
		}
		if row.Type != xrow.Insert {
			return row, xrow.Errorf(xrow.ErrUnknownRequestType, uint32(row.Type))
		}
		d, err := xrow.DecodeDML(row.Type, row.Body)
		if err != nil {
			return row, err
		}
		if d.SpaceID == spaceCluster && isOwnRow(d.Tuple, j.id.UUID) {
			j.self = true
		}
		if err := j.sink.Add(d.SpaceID, d.Tuple); err != nil {
			return row, err
		}
	}
}

// isOwnRow tells whether a tuple of _cluster has the UUID.
func isOwnRow(tuple []byte, uuid string) bool {
	fields, n, ok := xrow.ReadArrayHeader(tuple)
	if !ok || fields < 2 {
		return false
	}
	m, err := xrow.Scan(tuple[n:])
	if err != nil {
		return false
	}
	s, _, ok := xrow.ReadString(tuple[n+m:])
	return ok && string(s) == uuid
}
