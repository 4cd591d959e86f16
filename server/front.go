package server

import (
	"encoding/hex"
	"strings"
	"sync/atomic"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/proc"

	"github.com/tinylib/msgp/msgp"
)

// eventLeader is our own event: {id, uuid, name, uri, term} of the leader
// whose PROMOTE is in effect, nil values while there is none that this instance
// hears.
const eventLeader = "tarragon.leader"

// front is what clients see of a node: procedures, and the values that they watch.
type front struct {
	s       *Server
	e       *engine
	procs   *proc.Procs
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
	f := &front{s: s, e: e, procs: procs}
	f.schema.Store(e.box.SchemaVersion())
	s.watchMemory(e)
	return f, nil
}

// changed is called on the Loop's goroutine.
func (f *front) changed(e *instance.Effects) {
	if e.Schema {
		f.schema.Store(f.e.core.Box().SchemaVersion()) // we are the core's owner here
	}
	if e.Status {
		f.procs.StatusChanged()
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
	h.Update(eventLeader, f.leader(&l.Info))
}

// published is told when the node has drawn its conclusions of a look.
func (f *front) published(l *look) {
	f.s.publishBallot()
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

func (f *front) boxID(i *instance.Info, replicaset string) []byte {
	b := msgp.AppendMapHeader(nil, 6)
	b = msgp.AppendString(b, "id")
	b = appendIDOrNil(b, i.ID)
	b = msgp.AppendString(b, "instance_uuid")
	b = appendUUID(b, i.UUID)
	b = msgp.AppendString(b, "instance_name")
	b = appendNameOrNil(b, f.s.in.Name)
	b = msgp.AppendString(b, "replicaset_uuid")
	b = appendUUID(b, replicaset)
	b = msgp.AppendString(b, "replicaset_name")
	b = appendNameOrNil(b, f.s.in.Replicaset)
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

func (f *front) leader(i *instance.Info) []byte {
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
	b = appendNameOrNil(msgp.AppendString(b, "uri"), f.s.addressOf(uuid))
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
