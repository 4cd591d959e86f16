package proc

import (
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// state is what box.info needs of the core, taken under the latch.
type state struct {
	info       instance.Info
	replicaset string
	schema     uint64
	carried    []box.Carried
	replicas   []instance.Replica
	nodes      []instance.Node
	memory     box.Memory
}

func (p *Procs) state(user box.Credentials) (s state) {
	now := p.env.Loop.Now()
	p.env.Loop.Read(func(core *instance.Core) {
		s.info = core.Info(now.Mono)
		s.replicaset = core.Box().ReplicasetUUID()
		s.schema = core.Box().SchemaVersion()
		s.carried = visible(core.Box().Schema(), user)
		s.replicas = core.Replicas()
		s.nodes = core.Nodes()
		s.memory = core.Box().Memory()
	})
	return s
}

// visible is what is carried of spaces that a user sees in _vspace; functions are
// told to who may read _func.
func visible(s *box.Schema, user box.Credentials) (out []box.Carried) {
	functions := s.CheckSpace(user, xrow.SpaceFunc, box.PrivRead) == nil
	for _, c := range s.Carried() {
		sees := functions
		if c.Space != "" {
			id, err := s.FindSpace(c.Space)
			sees = err == nil && s.SeesSpace(user, id)
		}
		if sees {
			out = append(out, c)
		}
	}
	return out
}

// boxInfo is box.info (Tarantool, src/box/lua/info.c).
func boxInfo(c *call) error {
	c.reply(one(mp.Encode(c.p.info(c.User))))
	return nil
}

// infoAnswer is box.info. Keys stand in this order.
type infoAnswer struct {
	infoNode
	VClock      mp.Pairs     `msgpack:"vclock"`
	LSN         uint64       `msgpack:"lsn"`
	Signature   uint64       `msgpack:"signature"`
	Replication mp.Pairs     `msgpack:"replication"` // infoMember by ID
	Anonymous   infoCount    `msgpack:"replication_anon"`
	Election    infoElection `msgpack:"election"`
	Synchro     infoSynchro  `msgpack:"synchro"`
	Own         infoOwn      `msgpack:"tarragon"`

	Memory nothing `msgpack:"memory"` // these are functions in Tarantool
	GC     nothing `msgpack:"gc"`
	Vinyl  nothing `msgpack:"vinyl"`
	SQL    nothing `msgpack:"sql"`
}

// nothing is an empty array, as Tarantool encodes an empty table.
type nothing [0]bool

type infoCount struct {
	Count uint64 `msgpack:"count"`
}

func (p *Procs) info(user box.Credentials) *infoAnswer {
	s := p.state(user)
	i := &s.info
	var peers []PeerStatus
	if p.env.Peers != nil {
		peers = p.env.Peers()
	}
	return &infoAnswer{
		infoNode:    p.infoNode(&s),
		VClock:      clockOf(&i.VClock),
		LSN:         i.VClock[i.ID],
		Signature:   i.VClock.Signature(),
		Replication: infoMembers(i, peers),
		Anonymous:   infoCount{anonymous(i, peers)},
		Election:    electionOf(i),
		Synchro:     synchroOf(i),
		Own:         p.infoOwn(&s, peers),
	}
}

// infoNode is what the instance is and whether it takes writes.
type infoNode struct {
	Version       string     `msgpack:"version"`
	Package       string     `msgpack:"package"`
	ID            *uint32    `msgpack:"id"`
	UUID          string     `msgpack:"uuid"`
	Name          *string    `msgpack:"name"`
	Replicaset    infoSet    `msgpack:"replicaset"`
	Cluster       infoName   `msgpack:"cluster"`
	PID           int        `msgpack:"pid"`
	Hostname      string     `msgpack:"hostname"`
	Uptime        uint64     `msgpack:"uptime"` // seconds
	Status        string     `msgpack:"status"`
	RO            bool       `msgpack:"ro"`
	ROReason      string     `msgpack:"ro_reason,omitempty"`
	SchemaVersion uint64     `msgpack:"schema_version"`
	Listen        any        `msgpack:"listen,omitempty"`
	Config        infoConfig `msgpack:"config"`
}

type infoSet struct {
	UUID string  `msgpack:"uuid"`
	Name *string `msgpack:"name"`
}

type infoName struct {
	Name *string `msgpack:"name"`
}

type infoConfig struct {
	Status    string        `msgpack:"status"`
	Hierarchy infoHierarchy `msgpack:"hierarchy"`
	Alerts    nothing       `msgpack:"alerts"`
}

type infoHierarchy struct {
	Group      *string `msgpack:"group"`
	Replicaset *string `msgpack:"replicaset"`
	Instance   *string `msgpack:"instance"`
}

// orNil is nil for the empty string.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (p *Procs) infoNode(s *state) infoNode {
	id, i := &p.env.Identity, &s.info
	n := infoNode{
		Version:       id.Version,
		Package:       "Tarragon",
		UUID:          i.UUID,
		Name:          orNil(id.Name),
		Replicaset:    infoSet{s.replicaset, orNil(id.ReplicasetName)},
		Cluster:       infoName{orNil(id.ClusterName)},
		PID:           id.PID,
		Hostname:      id.Hostname,
		Uptime:        uint64(max(p.env.Loop.Now().Mono-p.env.Started, 0) / time.Second),
		Status:        "running",
		RO:            i.RO,
		SchemaVersion: s.schema,
		Config:        infoConfig{Status: "ready", Hierarchy: infoHierarchy{orNil(id.GroupName), orNil(id.ReplicasetName), orNil(id.Name)}},
	}
	switch {
	case i.ID != 0:
		n.ID = &i.ID
	case !id.Anon:
		n.Status = "orphan"
	}
	if i.RO {
		n.ROReason = i.ROReason
	}
	if p.env.Listen != nil {
		n.Listen = listenOf(p.env.Listen())
	}
	return n
}

// listenOf is one address, or a list of several; nil if there is none.
func listenOf(addrs []string) any {
	switch len(addrs) {
	case 0:
		return nil
	case 1:
		return addrs[0]
	}
	return addrs
}

// clockOf is the components that are set, that of local rows included.
func clockOf(v *vclock.VClock) (p mp.Pairs) {
	for id, lsn := range v {
		if lsn != 0 {
			p.Put(id, lsn)
		}
	}
	return p
}

// anonymous counts those who follow us and have no row in _cluster.
func anonymous(i *instance.Info, peers []PeerStatus) (n uint64) {
	for _, peer := range peers {
		known := slices.ContainsFunc(i.Members, func(m box.Member) bool { return m.UUID == peer.UUID })
		if d := peer.Downstream; d != nil && d.Status == "follow" && !known {
			n++
		}
	}
	return n
}

// infoMember is a row of _cluster, and the streams between it and us.
type infoMember struct {
	ID         uint32          `msgpack:"id"`
	UUID       string          `msgpack:"uuid"`
	Name       *string         `msgpack:"name"`
	LSN        uint64          `msgpack:"lsn"`
	Upstream   *infoUpstream   `msgpack:"upstream,omitempty"`
	Downstream *infoDownstream `msgpack:"downstream,omitempty"`
}

type infoUpstream struct {
	Status string   `msgpack:"status"`
	Idle   *float64 `msgpack:"idle,omitempty"` // seconds, as is lag; both and peer while it runs
	Lag    *float64 `msgpack:"lag,omitempty"`
	Peer   *string  `msgpack:"peer,omitempty"`
	infoMessages
}

type infoDownstream struct {
	Status string   `msgpack:"status"`
	Idle   *float64 `msgpack:"idle,omitempty"`
	Lag    *float64 `msgpack:"lag,omitempty"`
	VClock any      `msgpack:"vclock,omitempty"`
	infoMessages
}

type infoMessages struct {
	Message string `msgpack:"message,omitempty"`
	System  string `msgpack:"system_message,omitempty"`
}

// infoMembers is one entry for each row of _cluster.
func infoMembers(i *instance.Info, peers []PeerStatus) (out mp.Pairs) {
	for _, m := range i.Members {
		e := infoMember{ID: m.ID, UUID: m.UUID, Name: orNil(m.Name)}
		if m.ID < vclock.Max {
			e.LSN = i.VClock[m.ID]
		}
		if k := slices.IndexFunc(peers, func(p PeerStatus) bool { return p.UUID == m.UUID }); k >= 0 {
			e.streams(&peers[k])
		}
		out.Put(m.ID, &e)
	}
	return out
}

// streams are both directions of replication with a peer.
func (e *infoMember) streams(p *PeerStatus) {
	if u := p.Upstream; u != nil {
		e.Upstream = &infoUpstream{Status: u.Status, infoMessages: infoMessages{u.Message, u.SystemMessage}}
		if u.Status != "off" {
			e.Upstream.Idle, e.Upstream.Lag, e.Upstream.Peer = inSeconds(u.Idle), inSeconds(u.Lag), &u.Peer
		}
	}
	if d := p.Downstream; d != nil {
		e.Downstream = &infoDownstream{Status: d.Status, infoMessages: infoMessages{d.Message, d.SystemMessage}}
		if d.Status == "follow" {
			e.Downstream.Idle, e.Downstream.Lag = inSeconds(d.Idle), inSeconds(d.Lag)
			var clock mp.Pairs
			for id, lsn := range d.VClock {
				if id > 0 && lsn > 0 {
					clock.Put(id, lsn)
				}
			}
			e.Downstream.VClock = clock
		}
	}
}

func inSeconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

type infoElection struct {
	State      string  `msgpack:"state"`
	Term       uint64  `msgpack:"term"`
	Vote       uint32  `msgpack:"vote"`
	Leader     uint32  `msgpack:"leader"`
	LeaderName *string `msgpack:"leader_name"`
	LeaderIdle float64 `msgpack:"leader_idle"` // seconds
}

func electionOf(i *instance.Info) infoElection {
	return infoElection{
		State:      i.State.String(),
		Term:       i.Term,
		Vote:       i.Vote,
		Leader:     i.Leader,
		LeaderName: orNil(memberName(i, i.Leader)),
		LeaderIdle: i.LeaderIdle.Seconds(),
	}
}

func memberName(i *instance.Info, id uint32) string {
	for _, m := range i.Members {
		if m.ID == id {
			return m.Name
		}
	}
	return ""
}

type infoSynchro struct {
	Quorum int       `msgpack:"quorum"`
	Queue  infoQueue `msgpack:"queue"`
}

type infoQueue struct {
	Owner      uint32  `msgpack:"owner"`
	Term       uint64  `msgpack:"term"`
	Len        int     `msgpack:"len"`
	Size       int     `msgpack:"size"` // bytes
	Busy       bool    `msgpack:"busy"`
	Age        float64 `msgpack:"age"` // seconds
	ConfirmLag uint64  `msgpack:"confirm_lag"`
}

func synchroOf(i *instance.Info) infoSynchro {
	return infoSynchro{
		Quorum: i.Quorum,
		Queue:  infoQueue{Owner: i.QueueOwner, Term: i.QueueTerm, Len: i.QueueLen, Size: i.QueueSize, Age: i.QueueAge.Seconds()},
	}
}
