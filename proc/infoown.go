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
	Pause      *infoPause    `msgpack:"pause,omitempty"`
	Rules      *string       `msgpack:"rules"`
	Kinds      mp.Pairs      `msgpack:"kinds"`
	SplitBrain []infoSplit   `msgpack:"split_brain"`
	NotServed  []string      `msgpack:"not_served"`
	Learners   []uint32      `msgpack:"learners"`
	Memory     infoTaken     `msgpack:"memory"`
	Longest    infoLongest   `msgpack:"longest"`
	Quorum     infoFormula   `msgpack:"quorum"`
	History    []infoTerm    `msgpack:"history"`
	Log        infoLog       `msgpack:"log"`
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

type infoTerm struct {
	Term      uint64 `msgpack:"term"`
	Owner     uint32 `msgpack:"owner"`
	First     uint64 `msgpack:"first"`
	Last      uint64 `msgpack:"last"`
	Tarantool bool   `msgpack:"tarantool"`
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
		Mode:       i.Mode.String(),
		Stalled:    i.Stalled,
		Expelled:   i.Expelled,
		Failed:     orNil(failed),
		LastError:  orNil(last),
		Synced:     clockOf(&i.Synced),
		Undecided:  infoUndecided{i.QueueOwner, i.QueueLen, i.QueueSize, i.QueueAge.Seconds()},
		Confirmed:  i.Confirmed,
		Feature:    featureOf(i),
		Pause:      pauseOf(i),
		Rules:      orNil(rules(i)),
		SplitBrain: []infoSplit{},
		NotServed:  notServed(s.carried),
		Learners:   []uint32{},
		Memory:     infoTaken{s.memory.Taken, s.memory.Limit},
		Longest:    infoLongest{step.Seconds(), scan.Seconds()},
		Quorum:     infoFormula{orNil(i.QuorumText), i.QuorumFile},
		History:    []infoTerm{},
		Log:        infoLog{Last: i.GroupsWritten},
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
	for _, t := range i.History {
		own.History = append(own.History, infoTerm{t.Term, t.Owner, t.First, t.Last, t.Rules == terms.Tarantool})
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

// notServed names what is carried; each feature names its space.
func notServed(carried []box.Carried) []string {
	out := []string{}
	for k, c := range carried {
		if k == maxCarried {
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
