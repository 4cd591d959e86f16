package server

import (
	"errors"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/xrow"
)

// nodeOf finds the node that a VOTE or a request of replication means.
func (s *Server) nodeOf(request []byte) (*node, *xrow.Error) {
	group, err := xrow.DecodeGroup(request)
	if err != nil {
		var e *xrow.Error
		errors.As(err, &e)
		return nil, e
	}
	if group == "" {
		return s.main(), nil
	}
	b := s.beside[group]
	if b == nil {
		return nil, replication.ErrNoGroup(group)
	}
	if n := b.node.Load(); n != nil {
		return n, nil
	}
	return nil, xrow.Errorf(xrow.ErrLoading)
}

// appendBallot appends the body of the answer to a VOTE. Of the replica set even one
// that has just started has an answer, which says nothing.
func (n *node) appendBallot(dst []byte) ([]byte, *xrow.Error) {
	if hub := n.hub.Load(); hub != nil && n.ready.Load() {
		return hub.AppendBallot(dst), nil
	}
	if boot := n.boot.Load(); boot != nil {
		return boot.AppendBallot(dst), nil
	}
	if n.group != "" {
		return dst, xrow.Errorf(xrow.ErrLoading)
	}
	return append(dst, 0x81, byte(xrow.KeyBallot), 0x80), nil
}

// replicate serves a peer.
func (n *node) replicate(l *iproto.Link, user iproto.User, row *xrow.Row) error {
	hub := n.hub.Load()
	if hub == nil || !n.ready.Load() || n.leaving.Load() {
		return xrow.Errorf(xrow.ErrLoading)
	}
	return hub.Serve(l, user, row)
}
