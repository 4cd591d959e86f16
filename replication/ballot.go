package replication

import (
	"context"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// Ballot is what a booted instance tells of itself.
func (h *Hub) Ballot() xrow.Ballot {
	h.mu.Lock()
	node := h.node
	h.mu.Unlock()
	if node == nil {
		return xrow.Ballot{IsRO: true, InstanceName: h.cfg.Name, Rules: 1}
	}
	info := node.Info()
	b := xrow.Ballot{IsROCfg: info.ROCfg, IsRO: info.RO, IsBooted: info.ReplicasetUUID != "", VClock: info.Synced,
		GCVClock: h.cfg.Log.Oldest(), CanLead: info.CanLead, InstanceName: h.cfg.Name, Rules: 1,
		Replicaset: info.ReplicasetUUID, Founding: info.Founding}
	if h.cfg.NameSelf && !info.RO {
		b.BootstrapLeader = h.cfg.UUID
	}
	for _, m := range info.Members {
		b.Registered = append(b.Registered, m.UUID)
	}
	for _, m := range info.Undecided {
		if _, known := info.member(m.UUID); !known {
			b.Registered = append(b.Registered, m.UUID)
		}
	}
	return b
}

// AppendBallot appends the inner map of the ballot, as the client server wants
// it for VOTE.
func (h *Hub) AppendBallot(dst []byte) []byte {
	b := h.Ballot()
	return appendBallot(dst, &b)
}

// AppendBallot is as that of Hub.
func (b *Boot) AppendBallot(dst []byte) []byte {
	ballot := b.Ballot()
	return appendBallot(dst, &ballot)
}

// appendBallot leaves out {BALLOT: around the map: two bytes.
func appendBallot(dst []byte, b *xrow.Ballot) []byte { return append(dst, b.AppendBody(nil)[2:]...) }

// askBallot asks a peer for its ballot. No login is needed for that.
func askBallot(ctx context.Context, p *Peer, timeout time.Duration) (uuid string, b xrow.Ballot, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := iproto.Dial(ctx, p.Addr)
	if err != nil {
		return "", b, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	row, err := c.Do(xrow.Vote, nil)
	if err != nil {
		return "", b, err
	}
	b, err = xrow.DecodeBallot(row.Body)
	return c.Greeting.UUID, b, err
}
