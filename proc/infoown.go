package proc

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// infoOwn is what Tarantool has no place for, under the key tarragon of
// box.info.
type infoOwn struct {
	Mode       string        `msgpack:"mode"`
	Stalled    bool          `msgpack:"stalled"`
	Expelled   bool          `msgpack:"expelled"`
	Failed     *string       `msgpack:"failed"`
	LastError  *string       `msgpack:"last_error"`
	Synced     mp.Pairs      `msgpack:"synced"`
	Undecided  infoUndecided `msgpack:"undecided"`
	Confirmed  uint64        `msgpack:"confirmed"`
	Feature    infoFeature   `msgpack:"feature"`
	Filter     *infoFilter   `msgpack:"filter,omitempty"`
	Copies     *infoGiven    `msgpack:"copies,omitempty"`
	Replicas   []infoReplica `msgpack:"replicas,omitempty"` // that are registered
	Pause      *infoPause    `msgpack:"pause,omitempty"`
	Mandate    *infoMandate  `msgpack:"mandate,omitempty"` // where an agent says who leads
	Moving     *infoMoving   `msgpack:"moving,omitempty"`
	Preferred  *infoPrefers  `msgpack:"preferred,omitempty"` // leader, by the configuration
	Nodes      []infoRoute   `msgpack:"nodes,omitempty"`     // of which administrators said something
	Router     any           `msgpack:"router,omitempty"`    // the one in this instance
	Forwards   infoForwards  `msgpack:"forwards"`
	Txns       infoTxns      `msgpack:"transactions"`
	Sessions   infoSessions  `msgpack:"sessions"`
	Procedures *infoProcs    `msgpack:"procedures,omitempty"`
	Rules      *string       `msgpack:"rules"`
	Kinds      mp.Pairs      `msgpack:"kinds"`
	SplitBrain []infoSplit   `msgpack:"split_brain"`
	NotServed  []string      `msgpack:"not_served"`
	Learners   []uint32      `msgpack:"learners"`
	Memory     infoTaken     `msgpack:"memory"`
	Longest    infoLongest   `msgpack:"longest"`
	Quorum     infoFormula   `msgpack:"quorum"`
	History    []infoTerm    `msgpack:"history"` // the newest terms
	Log        infoLog       `msgpack:"log"`
	Program    infoProgram   `msgpack:"program"`
}

// infoProgram tells one build from another, and one process of an instance from the one before.
type infoProgram struct {
	Version string  `msgpack:"version,omitempty"`
	Commit  string  `msgpack:"commit,omitempty"`
	Changed bool    `msgpack:"changed,omitempty"`
	Time    int64   `msgpack:"time,omitempty"` // of the commit, seconds since 1970
	Started float64 `msgpack:"started"`        // seconds since 1970
}

func programInfo(p *Program) infoProgram {
	i := infoProgram{Version: p.Version, Commit: p.Commit, Changed: p.Changed}
	if !p.Built.IsZero() {
		i.Time = p.Built.Unix()
	}
	if !p.Started.IsZero() {
		i.Started = float64(p.Started.UnixMicro()) / 1e6
	}
	return i
}

type infoUndecided struct {
	Owner  uint32  `msgpack:"owner"`
	Number int     `msgpack:"number"`
	Bytes  int     `msgpack:"bytes"`
	Age    float64 `msgpack:"age"` // seconds
}

// infoFeature is the feature level of the replica set, and the newest that each
// member of ours reads; 0: it has not said.
type infoFeature struct {
	Level   uint32   `msgpack:"level"`
	Reads   uint32   `msgpack:"reads"`
	Members mp.Pairs `msgpack:"members"`
}

// infoSessions is the exactly-once sessions that are open, nil where this instance does not know, and what became of
// them here since the start.
type infoSessions struct {
	Open    *int   `msgpack:"open"`
	Slots   *int   `msgpack:"slots"`
	Repeats uint64 `msgpack:"repeats"` // requests that were given a stored answer
	Idle    uint64 `msgpack:"idle"`    // sessions that nobody used
}

func sessionsOf(n *instance.SessionCount) infoSessions {
	i := infoSessions{Repeats: n.Repeats, Idle: n.Idle}
	if n.Known {
		i.Open, i.Slots = &n.Open, &n.Slots
	}
	return i
}

// infoTxns is how transactions of streams stand, and how they ended since the start.
type infoTxns struct {
	Open       int    `msgpack:"open"`
	Bytes      int    `msgpack:"bytes"` // of what they would change and have read
	Keeps      int    `msgpack:"keeps"` // bytes of replaced tuples that one of them keeps in memory, the most
	Committed  uint64 `msgpack:"committed"`
	RolledBack uint64 `msgpack:"rolled_back"`
	Conflicts  uint64 `msgpack:"conflicts"`
	TimedOut   uint64 `msgpack:"timed_out"`
	Abandoned  uint64 `msgpack:"abandoned"` // the connection was gone
}

// infoProcs is how the procedures of the program stand.
type infoProcs struct {
	Running int      `msgpack:"running"`
	Limit   int      `msgpack:"limit"`
	All     mp.Pairs `msgpack:"registered"` // infoProc by name
}

type infoProc struct {
	Version uint32 `msgpack:"version"`
	Running int    `msgpack:"running"`
	Calls   uint64 `msgpack:"calls"`
	Failed  uint64 `msgpack:"failed"`
	Again   uint64 `msgpack:"again"` // attempts behind a conflict
}

func (p *Procs) infoProcs() *infoProcs {
	if p.env.Procedures == nil {
		return nil
	}
	i := p.env.Procedures.Info()
	out := &infoProcs{Running: i.Running, Limit: i.Limit}
	for _, x := range i.All {
		out.All.Put(x.Name, infoProc{x.Version, x.Running, x.Calls, x.Failed, x.Again})
	}
	return out
}

// infoForwards counts writes of clients that went to other leaders, since the start.
type infoForwards struct {
	Open     int    `msgpack:"open"` // not answered yet
	Bytes    int    `msgpack:"bytes"`
	Answered uint64 `msgpack:"answered"` // by a leader, with an error too
	Unknown  uint64 `msgpack:"unknown"`  // whether it was executed
	Refused  uint64 `msgpack:"refused"`  // no leader has executed it
}

type infoSplit struct {
	Peer    uint32 `msgpack:"peer"`
	Message string `msgpack:"message"`
}

type infoTaken struct {
	Taken int `msgpack:"taken"`
	Limit int `msgpack:"limit"`
}

// infoLongest is seconds, since the start.
type infoLongest struct {
	Step float64 `msgpack:"step"`
	Scan float64 `msgpack:"scan"`
}

type infoFormula struct {
	Value *string `msgpack:"value"`
	File  string  `msgpack:"file"`
}

type infoLog struct {
	Last  uint64  `msgpack:"last_group"`
	First *uint64 `msgpack:"first_group,omitempty"`
}

func (p *Procs) infoOwn(s *state, peers []PeerStatus) infoOwn {
	i := &s.info
	failed, last := p.failure(i)
	step, scan := p.env.Loop.Longest()
	own := infoOwn{
		Program:    programInfo(&p.env.Identity.Program),
		Mode:       i.Mode.String(),
		Stalled:    i.Stalled,
		Expelled:   i.Expelled,
		Failed:     orNil(failed),
		LastError:  orNil(last),
		Synced:     clockOf(&i.Synced),
		Undecided:  infoUndecided{i.QueueOwner, i.QueueLen, i.QueueSize, i.QueueAge.Seconds()},
		Confirmed:  i.Confirmed,
		Feature:    featureOf(i),
		Filter:     filterOf(i),
		Copies:     p.infoGiven(),
		Replicas:   replicasOf(registered(s.replicas), peers),
		Pause:      pauseOf(i),
		Mandate:    mandateInfo(i),
		Moving:     movingOf(i),
		Preferred:  preferredOf(i),
		Nodes:      routesOf(s.nodes),
		Forwards:   infoForwards{i.Forwards.Open, i.Forwards.Bytes, i.Forwards.Answered, i.Forwards.Unknown, i.Forwards.Refused},
		Txns:       infoTxns(i.Txns),
		Sessions:   sessionsOf(&i.Sessions),
		Procedures: p.infoProcs(),
		Rules:      orNil(rules(i)),
		SplitBrain: []infoSplit{},
		NotServed:  p.notServed(s.carried),
		Learners:   []uint32{},
		Memory:     infoTaken{s.memory.Taken, s.memory.Limit},
		Longest:    infoLongest{step.Seconds(), scan.Seconds()},
		Quorum:     infoFormula{orNil(i.QuorumText), i.QuorumFile},
		History:    termsOf(i.History, i.Members),
		Log:        infoLog{Last: i.GroupsWritten},
	}
	if p.env.Router != nil {
		own.Router = p.env.Router()
	}
	for _, m := range i.Members {
		own.Kinds.Put(m.ID, kindOf(i, &m, peers))
		if m.Learner {
			own.Learners = append(own.Learners, m.ID)
		}
	}
	for _, x := range i.SplitBrains {
		own.SplitBrain = append(own.SplitBrain, infoSplit{x.Peer, x.Text})
	}
	if p.env.OldestGroup != nil {
		first := p.env.OldestGroup()
		own.Log.First = &first
	}
	return own
}

// failure is why the disk failed, and the newest thing that went wrong; empty:
// nothing.
func (p *Procs) failure(i *instance.Info) (failed, last string) {
	switch {
	case i.Failed != nil && errors.Is(i.Failed, instance.ErrLostData):
		return i.Failed.Error(), i.Failed.Error()
	case i.Failed != nil:
		return i.Failed.Error(), "the disk failed: " + i.Failed.Error()
	case i.Stalled:
		return "", "the disk stalls"
	case i.Doubted != "":
		return "", i.Doubted
	case p.env.LastError != nil:
		return "", p.env.LastError()
	}
	return "", ""
}

// maxCarried bounds a list that grows with the schema.
const maxCarried = 100

// notServed names what is carried; each feature names its space. A function that the
// program has is served.
func (p *Procs) notServed(carried []box.Carried) []string {
	out := []string{}
	for k, c := range carried {
		if f := &c.Function; f.MayBeGo() {
			if _, ok := p.hasProcedure(f.Name); ok {
				continue
			}
		}
		if len(out) == maxCarried {
			return append(out, fmt.Sprintf("and %d more", len(carried)-k))
		}
		out = append(out, c.Feature)
	}
	return out
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

func featureOf(i *instance.Info) infoFeature {
	f := infoFeature{Level: i.Feature.Level, Reads: i.Feature.Reads}
	for _, m := range i.Members {
		if i.Tarantools&(1<<(m.ID%vclock.Max)) != 0 {
			continue // has none
		}
		reads := i.Feature.Reads
		if m.UUID != i.UUID {
			reads = i.Feature.Others[m.ID%vclock.Max]
		}
		f.Members.Put(m.ID, reads)
	}
	return f
}
