package server

import (
	"context"
	"encoding/hex"
	"strings"
	"sync/atomic"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"

	"github.com/tinylib/msgp/msgp"
)

// eventLeader is our own event: {id, uuid, name, uri, term} of the leader
// whose PROMOTE is in effect, nil values while there is none that this instance
// hears.
const eventLeader = "tarragon.leader"

// status keeps the values that clients watch true. It is one goroutine, so
// that the Loop never waits for watchers.
type status struct {
	s       *Server
	n       *node
	kick    chan struct{}
	schema  atomic.Uint64
	wasRW   bool
	rights  uint64 // version of users and rights by which sessions were looked at
	aligned uint64 // schema version at which credentials were aligned
}

func newStatus(s *Server, n *node) *status {
	t := &status{s: s, n: n, kick: make(chan struct{}, 1)}
	t.schema.Store(n.box.SchemaVersion())
	return t
}

// Changed is called on the Loop's goroutine.
func (t *status) Changed(e *instance.Effects) {
	if e.Schema {
		t.schema.Store(t.n.core.Box().SchemaVersion()) // we are the core's owner here
	}
	for _, snap := range e.Snaps {
		t.route(snap)
	}
	if len(e.Lost) > 0 {
		t.s.log.Warn().Int("transactions", len(e.Lost)).Uint64("term", e.Lost[0].Term).Uint64("lsn", e.Lost[len(e.Lost)-1].LSN).
			Msg("a newer term, or a ROLLBACK, voided transactions: they are kept for you to read (tarragon xlog cat --lost)")
	}
	if e.GaveWay {
		t.s.gaveWay()
	}
	if e.Fatal != nil {
		t.s.fatal(e.Fatal)
	}
	if e.Status {
		t.n.procs.StatusChanged()
	}
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

func (t *status) route(snap instance.Snapshot) {
	if snap.Tag == keepTag {
		t.n.keeper.snaps <- snap // capacity 1: one checkpoint is asked for at a time
		return
	}
	t.s.hub.Load().Snapshot(snap)
}

func (t *status) run(ctx context.Context) {
	for {
		t.publish()
		select {
		case <-ctx.Done():
			return
		case <-t.kick:
		}
	}
}

// publish computes all values anew; Update tells only of changes.
func (t *status) publish() {
	var i instance.Info
	var replicaset string
	var rights uint64
	now := t.n.loop.Now().Mono
	t.n.loop.Read(func(c *instance.Core) {
		i = c.Info(now)
		replicaset = c.Box().ReplicasetUUID()
		rights = c.Box().Schema().RightsVersion()
	})
	if rights != t.rights {
		t.rights = rights
		t.s.clients.Recheck()
	}
	t.s.learnAddresses(i.Members)
	t.n.procs.QuorumIs(i.QuorumText)
	h := t.s.events
	h.Update(iproto.EventID, t.boxID(&i, replicaset))
	h.Update(iproto.EventStatus, boxStatus(&i))
	h.Update(iproto.EventElection, boxElection(&i))
	h.Update(iproto.EventSchema, boxSchema(t.schema.Load()))
	h.Update(eventLeader, t.leader(&i))
	t.noteReady(&i, replicaset)
	t.s.publishBallot()
	if schema := t.schema.Load(); i.Registers() && (!t.wasRW || schema != t.aligned) {
		t.aligned = schema
		t.s.becameWritable()
	}
	t.wasRW = i.Registers()
}

// noteReady opens the door once the instance is a member of a replica set and
// the rows that say so are confirmed: before that it would show an empty set.
func (t *status) noteReady(i *instance.Info, replicaset string) {
	if i.ID == 0 && !t.s.in.Replication.Anon || replicaset == "" || t.s.ready.Swap(true) {
		return
	}
	t.s.log.Info().Uint32("id", i.ID).Str("uuid", i.UUID).Stringer("vclock", i.VClock).Msg("ready")
	if t.s.cfg.Ready != nil {
		t.s.cfg.Ready()
	}
}

func (t *status) boxID(i *instance.Info, replicaset string) []byte {
	b := msgp.AppendMapHeader(nil, 6)
	b = msgp.AppendString(b, "id")
	b = appendIDOrNil(b, i.ID)
	b = msgp.AppendString(b, "instance_uuid")
	b = appendUUID(b, i.UUID)
	b = msgp.AppendString(b, "instance_name")
	b = appendNameOrNil(b, t.s.in.Name)
	b = msgp.AppendString(b, "replicaset_uuid")
	b = appendUUID(b, replicaset)
	b = msgp.AppendString(b, "replicaset_name")
	b = appendNameOrNil(b, t.s.in.Replicaset)
	b = msgp.AppendString(b, "cluster_name")
	return msgp.AppendNil(b)
}

func boxStatus(i *instance.Info) []byte {
	b := msgp.AppendMapHeader(nil, 4)
	b = msgp.AppendBool(msgp.AppendString(b, "is_ro"), i.RO)
	b = msgp.AppendBool(msgp.AppendString(b, "is_ro_cfg"), i.ROCfg)
	b = msgp.AppendString(msgp.AppendString(b, "status"), "running")
	return msgp.AppendString(msgp.AppendString(b, "dd_version"), "3.8.0")
}

func boxElection(i *instance.Info) []byte {
	b := msgp.AppendMapHeader(nil, 4)
	b = msgp.AppendUint64(msgp.AppendString(b, "term"), i.Term)
	b = msgp.AppendString(msgp.AppendString(b, "role"), i.State.String())
	b = msgp.AppendBool(msgp.AppendString(b, "is_ro"), i.RO)
	return msgp.AppendUint32(msgp.AppendString(b, "leader"), i.Leader)
}

func boxSchema(version uint64) []byte {
	return msgp.AppendUint64(msgp.AppendString(msgp.AppendMapHeader(nil, 1), "version"), version)
}

func (t *status) leader(i *instance.Info) []byte {
	id := i.Leader
	if !i.LeaderSeen || i.QueueTerm != i.Term || i.QueueOwner != id {
		id = 0
	}
	var uuid, name string
	for _, m := range i.Members {
		if m.ID == id {
			uuid, name = m.UUID, m.Name
		}
	}
	b := msgp.AppendMapHeader(nil, 5)
	b = appendIDOrNil(msgp.AppendString(b, "id"), id)
	b = appendNameOrNil(msgp.AppendString(b, "uuid"), uuid)
	b = appendNameOrNil(msgp.AppendString(b, "name"), name)
	b = appendNameOrNil(msgp.AppendString(b, "uri"), t.s.addressOf(uuid))
	return msgp.AppendUint64(msgp.AppendString(b, "term"), i.Term)
}

func appendIDOrNil(b []byte, id uint32) []byte {
	if id == 0 {
		return msgp.AppendNil(b)
	}
	return msgp.AppendUint32(b, id)
}

func appendNameOrNil(b []byte, name string) []byte {
	if name == "" {
		return msgp.AppendNil(b)
	}
	return msgp.AppendString(b, name)
}

// appendUUID appends the extension type of uuids; what is none becomes nil.
func appendUUID(b []byte, text string) []byte {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != 16 {
		return msgp.AppendNil(b)
	}
	return append(append(b, 0xd8, 0x02), raw...)
}
