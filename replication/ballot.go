package replication

import (
	"context"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// Ballot is what a booted instance tells of itself.
func (h *Hub) Ballot() xrow.Ballot {
	h.mu.Lock()
	node := h.node
	h.mu.Unlock()
	if node == nil {
		return xrow.Ballot{Group: h.cfg.Group, IsRO: true, IsAnon: h.cfg.Anon, InstanceName: h.cfg.Name, Kind: xrow.Tarragon}
	}
	info := node.Info()
	b := xrow.Ballot{Group: h.cfg.Group, IsROCfg: info.ROCfg, IsRO: info.RO, IsAnon: h.cfg.Anon, IsBooted: info.ReplicasetUUID != "", VClock: info.Synced,
		GCVClock: h.cfg.Log.Oldest(), CanLead: info.CanLead, InstanceName: h.cfg.Name, Kind: xrow.Tarragon,
		Replicaset: info.ReplicasetUUID, Founding: info.Founding}
	b.SetName, b.Leads = info.ReplicasetName, h.leads(&info)
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

// leads is who leads the replica set, for who has not joined yet.
func (h *Hub) leads(info *Info) xrow.BallotLeader {
	l := xrow.BallotLeader{Term: info.InEffect, UUID: info.Leader}
	if l.UUID == "" {
		return l
	}
	m, _ := info.member(l.UUID)
	l.Name = m.Name
	if h.cfg.AddressOf != nil {
		l.Addr = h.cfg.AddressOf(l.UUID)
	}
	return l
}

// AppendBallot appends the body of the answer to a VOTE.
func (h *Hub) AppendBallot(dst []byte) []byte {
	b := h.Ballot()
	return b.AppendBody(dst)
}

// AppendBallot is as that of Hub.
func (b *Boot) AppendBallot(dst []byte) []byte {
	ballot := b.Ballot()
	return ballot.AppendBody(dst)
}

// askBallot asks a peer for its ballot in a group. No login is needed for that.
func askBallot(ctx context.Context, p *Peer, group string, timeout time.Duration) (uuid string, b xrow.Ballot, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := p.dial(ctx)
	if err != nil {
		return "", b, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	b, err = vote(c, group)
	return c.Greeting.UUID, b, err
}
