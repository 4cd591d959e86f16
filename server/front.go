package server

import (
	"encoding/hex"
	"strings"
	"sync/atomic"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/proc"
)

// eventLeader is our own event: {id, uuid, name, uri, term, kind, lsn} of the leader
// whose PROMOTE is in effect, nil values while there is none that this instance
// hears. kind is how it came to lead, lsn that of its PROMOTE: where the write role moved.
const eventLeader = "tarragon.leader"

// eventNode is another: {fence, writes, priority}, what administrators said of this instance.
const eventNode = "tarragon.node"

// published are the values that a front keeps, which end with its node.
var published = []string{iproto.EventID, iproto.EventStatus, iproto.EventElection, iproto.EventSchema, eventLeader, eventNode}

// front is what clients see of a node: procedures, and the values that they watch.
type front struct {
	s       *Server
	e       *engine
	procs   *proc.Procs
	ready   *atomic.Bool // the node's
	hook    *roleHook    // nil: nobody asked for one
	schema  atomic.Uint64
	wasRW   bool
	rights  uint64 // version of users and rights by which sessions were looked at
	aligned uint64 // schema version at which credentials were aligned
}

func (s *Server) newFront(n *node, e *engine) (*front, error) {
	procs, err := s.newProcs(n, e)
	if err != nil {
		return nil, err
	}
	f := &front{s: s, e: e, procs: procs, ready: &n.ready, hook: s.hook}
	f.schema.Store(e.box.SchemaVersion())
	s.watchMemory(e)
	return f, nil
}

// changed is called on the Loop's goroutine.
func (f *front) changed(e *instance.Effects) {
	f.audit(e)
	if e.Schema {
		f.schema.Store(f.e.core.Box().SchemaVersion()) // we are the core's owner here
	}
	if e.Status {
		f.procs.StatusChanged()
		f.s.procs.statusChanged(f.e)
	}
}

// publish computes all values anew; Update tells only of changes.
func (f *front) publish(l *look) {
	if l.rights != f.rights {
		f.rights = l.rights
		f.s.port.clients.Recheck()
	}
	f.s.learnAddresses(l.Members)
	f.procs.QuorumIs(l.QuorumText)
	h := f.s.port.events
	h.Update(iproto.EventID, f.boxID(&l.Info, l.replicaset))
	h.Update(iproto.EventStatus, boxStatus(&l.Info))
	h.Update(iproto.EventElection, boxElection(&l.Info))
	h.Update(iproto.EventSchema, boxSchema(f.schema.Load()))
	h.Update(eventNode, mp.Encode(watchedNode{l.Node.Fence, !l.Node.NoWrites, l.Node.Priority}))
	h.Update(eventLeader, f.leader(&l.Info))
}

// published is told when the node has drawn its conclusions of a look.
func (f *front) published(l *look) {
	f.s.publishBallot()
	f.s.noteProcedures(f.e)
	if f.ready.Load() {
		f.hook.look(l, f.s.addressOf)
	}
	if schema := f.schema.Load(); l.Registers() && (!f.wasRW || schema != f.aligned) {
		f.aligned = schema
		f.becameWritable()
	}
	f.wasRW = l.Registers()
}

// becameWritable aligns users and rights with the configuration: each new
// leader does it, adding and changing, never dropping.
func (f *front) becameWritable() {
	c := &f.s.in.Credentials
	if len(c.Users) == 0 && len(c.Roles) == 0 {
		return
	}
	conn := f.s.port.calls.add(func(r instance.Reply) {
		if r.Err == nil {
			f.s.troubles.set(areaCredentials, "", nil)
		} else if f.s.troubles.set(areaCredentials, "credentials of the configuration could not be applied", r.Err) {
			f.s.log.Error().Err(r.Err).Msg("credentials of the configuration could not be applied")
		}
	})
	if err := f.e.loop.Submit(instance.Write{Requests: []instance.Request{proc.AlignCredentials(conn, credentials(c), f.e.loop.Now().Wall)}}); err != nil {
		f.s.port.calls.answer(instance.Reply{Conn: conn}) // the end of the run: the next leader does it
	}
}

// What clients may watch, as Tarantool's own events have it.
type (
	watchedID struct {
		ID             *uint32 `msgpack:"id"`
		InstanceUUID   mp.Raw  `msgpack:"instance_uuid"`
		InstanceName   *string `msgpack:"instance_name"`
		ReplicasetUUID mp.Raw  `msgpack:"replicaset_uuid"`
		ReplicasetName *string `msgpack:"replicaset_name"`
		ClusterName    *string `msgpack:"cluster_name"`
	}
	watchedStatus struct {
		RO        bool   `msgpack:"is_ro"`
		ROCfg     bool   `msgpack:"is_ro_cfg"`
		Status    string `msgpack:"status"`
		DDVersion string `msgpack:"dd_version"`
	}
	watchedElection struct {
		Term   uint64 `msgpack:"term"`
		Role   string `msgpack:"role"`
		RO     bool   `msgpack:"is_ro"`
		Leader uint32 `msgpack:"leader"`
	}
	watchedNode struct {
		Fence    bool  `msgpack:"fence"`
		Writes   bool  `msgpack:"writes"`
		Priority int64 `msgpack:"priority"`
	}
	watchedSchema struct {
		Version uint64 `msgpack:"version"`
	}
	watchedLeader struct {
		ID   *uint32 `msgpack:"id"`
		UUID *string `msgpack:"uuid"`
		Name *string `msgpack:"name"`
		URI  *string `msgpack:"uri"`
		Term uint64  `msgpack:"term"`
		Kind *string `msgpack:"kind"`
		LSN  *uint64 `msgpack:"lsn"`
	}
)

func (f *front) boxID(i *instance.Info, replicaset string) []byte {
	return mp.Encode(watchedID{
		ID:             orNil(i.ID),
		InstanceUUID:   rawUUID(i.UUID),
		InstanceName:   orNil(f.s.in.Name),
		ReplicasetUUID: rawUUID(replicaset),
		ReplicasetName: orNil(f.s.in.Replicaset),
	})
}

func boxStatus(i *instance.Info) []byte {
	return mp.Encode(watchedStatus{i.RO, i.ROCfg, "running", "3.8.0"})
}

func boxElection(i *instance.Info) []byte {
	return mp.Encode(watchedElection{i.Term, i.State.String(), i.RO, i.Leader})
}

func boxSchema(version uint64) []byte { return mp.Encode(watchedSchema{version}) }

func (f *front) leader(i *instance.Info) []byte {
	id := i.LeaderInEffect()
	var uuid, name string
	for _, m := range i.Members {
		if m.ID == id {
			uuid, name = m.UUID, m.Name
		}
	}
	var kind string
	var lsn uint64
	if n := len(i.History); n > 0 && id != 0 {
		kind, lsn = i.History[n-1].Began.Kind.String(), i.History[n-1].First
	}
	return mp.Encode(watchedLeader{orNil(id), orNil(uuid), orNil(name), orNil(f.s.addressOf(uuid)), i.Term, orNil(kind), orNil(lsn)})
}

// orNil is nil for the zero value, which stands for none.
func orNil[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// rawUUID is the extension type of uuids; what is none becomes nil.
func rawUUID(text string) mp.Raw {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != 16 {
		return nil
	}
	return append(mp.Raw{0xd8, byte(mp.ExtUUID)}, raw...)
}
