package proc

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// state is what box.info needs of the core, taken under the latch.
type state struct {
	info       instance.Info
	replicaset string
	schema     uint64
	carried    []box.Carried
	memory     box.Memory
}

func (p *Procs) state(user box.Credentials) (s state) {
	now := p.env.Loop.Now()
	p.env.Loop.Read(func(core *instance.Core) {
		s.info = core.Info(now.Mono)
		s.replicaset = core.Box().ReplicasetUUID()
		s.schema = core.Box().SchemaVersion()
		s.carried = visible(core.Box().Schema(), user)
		s.memory = core.Box().Memory()
	})
	return s
}

// visible is what is carried of spaces that a user sees in _vspace; functions are
// told to who may read _func.
func visible(s *box.Schema, user box.Credentials) (out []box.Carried) {
	functions := s.CheckSpace(user, spaceFunc, box.PrivRead) == nil
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
	c.reply(one(c.p.info(c.User)))
	return nil
}

func (p *Procs) info(user box.Credentials) []byte {
	s := p.state(user)
	i := &s.info
	var w writer
	w.openMap()
	p.infoNode(&w, &s)
	w.vclock("vclock", &i.VClock)
	w.num("lsn", i.VClock[i.ID])
	w.num("signature", i.VClock.Signature())
	var peers []PeerStatus
	if p.env.Peers != nil {
		peers = p.env.Peers()
	}
	w.mapKey("replication")
	infoMembers(&w, i, peers)
	w.close()
	w.mapKey("replication_anon")
	w.num("count", anonymous(i, peers))
	w.close()
	p.infoElection(&w, i)
	infoSynchro(&w, i)
	p.infoOwn(&w, &s, peers)
	for _, name := range [...]string{"memory", "gc", "vinyl", "sql"} {
		w.raw(name, []byte{0x90}) // functions in Tarantool
	}
	w.close()
	return w.b
}

// infoNode is what the instance is and whether it takes writes.
func (p *Procs) infoNode(w *writer, s *state) {
	id, i := &p.env.Identity, &s.info
	w.str("version", id.Version)
	w.str("package", "Tarragon")
	if i.ID == 0 {
		w.raw("id", []byte{0xc0})
	} else {
		w.num("id", uint64(i.ID))
	}
	w.str("uuid", i.UUID)
	w.strOrNil("name", id.Name)
	w.mapKey("replicaset")
	w.str("uuid", s.replicaset)
	w.strOrNil("name", id.ReplicasetName)
	w.close()
	w.mapKey("cluster")
	w.strOrNil("name", id.ClusterName)
	w.close()
	w.num("pid", uint64(id.PID))
	w.str("hostname", id.Hostname)
	w.num("uptime", uint64(max(p.env.Loop.Now().Mono-p.env.Started, 0)/time.Second))
	status := "running"
	if i.ID == 0 && !id.Anon {
		status = "orphan"
	}
	w.str("status", status)
	w.boolean("ro", i.RO)
	if i.RO {
		w.str("ro_reason", i.ROReason)
	}
	w.num("schema_version", s.schema)
	if p.env.Listen != nil {
		w.listen(p.env.Listen())
	}
	w.mapKey("config")
	w.str("status", "ready")
	w.mapKey("hierarchy")
	w.strOrNil("group", id.GroupName)
	w.strOrNil("replicaset", id.ReplicasetName)
	w.strOrNil("instance", id.Name)
	w.close()
	w.raw("alerts", []byte{0x90})
	w.close()
}

// listen is one address, or a list of several; absent if there is none.
func (w *writer) listen(addrs []string) {
	switch len(addrs) {
	case 0:
	case 1:
		w.str("listen", addrs[0])
	default:
		w.arrayKey("listen")
		for _, a := range addrs {
			w.text(a)
		}
		w.close()
	}
}

// vclock writes the components that are set, that of local rows included.
func (w *writer) vclock(key string, v *vclock.VClock) {
	w.mapKey(key)
	for id, lsn := range v {
		if lsn != 0 {
			w.id(uint64(id))
			w.uint(lsn)
		}
	}
	w.close()
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

// infoMembers is one entry for each row of _cluster.
func infoMembers(w *writer, i *instance.Info, peers []PeerStatus) {
	for _, m := range i.Members {
		w.id(uint64(m.ID))
		w.openMap()
		w.num("id", uint64(m.ID))
		w.str("uuid", m.UUID)
		w.strOrNil("name", m.Name)
		lsn := uint64(0)
		if m.ID < vclock.Max {
			lsn = i.VClock[m.ID]
		}
		w.num("lsn", lsn)
		for k := range peers {
			if peers[k].UUID == m.UUID {
				w.streams(&peers[k])
				break
			}
		}
		w.close()
	}
}

// streams are both directions of replication with a peer.
func (w *writer) streams(p *PeerStatus) {
	if u := p.Upstream; u != nil {
		w.mapKey("upstream")
		w.str("status", u.Status)
		if u.Status != "off" {
			w.float("idle", u.Idle.Seconds())
			w.float("lag", u.Lag.Seconds())
			w.str("peer", u.Peer)
		}
		w.messages(u.Message, u.SystemMessage)
		w.close()
	}
	if d := p.Downstream; d != nil {
		w.mapKey("downstream")
		w.str("status", d.Status)
		if d.Status == "follow" {
			w.float("idle", d.Idle.Seconds())
			w.float("lag", d.Lag.Seconds())
			w.mapKey("vclock")
			for id, lsn := range d.VClock {
				if id > 0 && lsn > 0 {
					w.id(uint64(id))
					w.uint(lsn)
				}
			}
			w.close()
		}
		w.messages(d.Message, d.SystemMessage)
		w.close()
	}
}

func (w *writer) messages(message, system string) {
	if message != "" {
		w.str("message", message)
	}
	if system != "" {
		w.str("system_message", system)
	}
}

func (p *Procs) infoElection(w *writer, i *instance.Info) {
	w.mapKey("election")
	w.str("state", i.State.String())
	w.num("term", i.Term)
	w.num("vote", uint64(i.Vote))
	w.num("leader", uint64(i.Leader))
	w.strOrNil("leader_name", memberName(i, i.Leader))
	w.float("leader_idle", i.LeaderIdle.Seconds())
	w.close()
}

func memberName(i *instance.Info, id uint32) string {
	for _, m := range i.Members {
		if m.ID == id {
			return m.Name
		}
	}
	return ""
}

func infoSynchro(w *writer, i *instance.Info) {
	w.mapKey("synchro")
	w.num("quorum", uint64(i.Quorum))
	w.mapKey("queue")
	w.num("owner", uint64(i.QueueOwner))
	w.num("term", i.QueueTerm)
	w.num("len", uint64(i.QueueLen))
	w.num("size", uint64(i.QueueSize))
	w.boolean("busy", false)
	w.float("age", i.QueueAge.Seconds())
	w.num("confirm_lag", 0)
	w.close()
	w.close()
}

// maxCarried bounds a list that grows with the schema.
const maxCarried = 100

// infoOwn is what Tarantool has no place for, under the key tarragon.
func (p *Procs) infoOwn(w *writer, s *state, peers []PeerStatus) {
	i := &s.info
	w.mapKey("tarragon")
	w.str("mode", i.Mode.String())
	w.boolean("stalled", i.Stalled)
	w.boolean("expelled", i.Expelled)
	failed, last := "", ""
	if i.Failed != nil {
		failed = i.Failed.Error()
		last = "the disk failed: " + failed
		if errors.Is(i.Failed, instance.ErrLostData) {
			last = failed
		}
	} else if i.Stalled {
		last = "the disk stalls"
	} else if i.Doubted != "" {
		last = i.Doubted
	} else if p.env.LastError != nil {
		last = p.env.LastError()
	}
	w.strOrNil("failed", failed)
	w.strOrNil("last_error", last)
	w.vclock("synced", &i.Synced)
	w.mapKey("undecided")
	w.num("owner", uint64(i.QueueOwner))
	w.num("number", uint64(i.QueueLen))
	w.num("bytes", uint64(i.QueueSize))
	w.float("age", i.QueueAge.Seconds())
	w.close()
	w.num("confirmed", i.Confirmed)
	infoFeature(w, i)
	w.strOrNil("rules", rules(i))
	w.mapKey("kinds")
	for _, m := range i.Members {
		w.id(uint64(m.ID))
		w.b = msgp.AppendString(w.b, kindOf(i, &m, peers))
	}
	w.close()
	w.arrayKey("split_brain")
	for _, x := range i.SplitBrains {
		w.count()
		w.openMap()
		w.num("peer", uint64(x.Peer))
		w.str("message", x.Text)
		w.close()
	}
	w.close()
	w.arrayKey("not_served")
	for k, c := range s.carried {
		if k == maxCarried {
			w.text(fmt.Sprintf("and %d more", len(s.carried)-k))
			break
		}
		w.text(c.Feature) // names its space
	}
	w.close()
	w.arrayKey("learners")
	for _, m := range i.Members {
		if m.Learner {
			w.id(uint64(m.ID))
		}
	}
	w.close()
	w.mapKey("memory")
	w.num("taken", uint64(s.memory.Taken))
	w.num("limit", uint64(s.memory.Limit))
	w.close()
	step, scan := p.env.Loop.Longest()
	w.mapKey("longest") // seconds, since the start
	w.float("step", step.Seconds())
	w.float("scan", scan.Seconds())
	w.close()
	w.mapKey("quorum")
	w.strOrNil("value", i.QuorumText)
	w.str("file", i.QuorumFile)
	w.close()
	w.arrayKey("history")
	for _, t := range i.History {
		w.count()
		w.openMap()
		w.num("term", t.Term)
		w.num("owner", uint64(t.Owner))
		w.num("first", t.First)
		w.num("last", t.Last)
		w.boolean("tarantool", t.Rules == terms.Tarantool)
		w.close()
	}
	w.close()
	w.mapKey("log")
	w.num("last_group", i.GroupsWritten)
	if p.env.OldestGroup != nil {
		w.num("first_group", p.env.OldestGroup())
	}
	w.close()
	w.close()
}

// rules under which the newest term in effect is: strong or Tarantool; off: no
// queue is owned, and elections are off; empty: no leader has been yet.
func rules(i *instance.Info) string {
	n := len(i.History)
	switch {
	case n > 0 && i.QueueOwner != 0:
		return i.History[n-1].Rules.String()
	case i.Mode == instance.ModeOff:
		return terms.NoRules.String()
	}
	return ""
}

// kindOf tells what a member is: what it said of itself, or the mark that ours
// leave in their row of _cluster.
func kindOf(i *instance.Info, m *box.Member, peers []PeerStatus) string {
	for _, p := range peers {
		if p.UUID == m.UUID && p.Kind != "" {
			return p.Kind
		}
	}
	if m.Kind() == xrow.Tarragon || m.ID == i.ID {
		return xrow.Tarragon.String()
	}
	return xrow.Tarantool.String()
}

// infoFeature is the feature level of the replica set, and the newest that each member
// of ours reads; 0: it has not said.
func infoFeature(w *writer, i *instance.Info) {
	w.mapKey("feature")
	w.num("level", uint64(i.Feature.Level))
	w.num("reads", uint64(i.Feature.Reads))
	w.mapKey("members")
	for _, m := range i.Members {
		if i.Tarantools&(1<<(m.ID%vclock.Max)) != 0 {
			continue // has none
		}
		reads := i.Feature.Reads
		if m.UUID != i.UUID {
			reads = i.Feature.Others[m.ID%vclock.Max]
		}
		w.id(uint64(m.ID))
		w.b = msgp.AppendUint64(w.b, uint64(reads))
	}
	w.close()
	w.close()
}
