package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/router"
)

// instanceInfo is what status shows of an instance.
type instanceInfo struct {
	Name       string        `json:"name"`
	Replicaset string        `json:"replicaset,omitempty"` // name, or uuid where it has none
	Address    string        `json:"address"`
	Error      string        `json:"error,omitempty"`   // why it did not answer
	Refused    string        `json:"refused,omitempty"` // it answers, but not us: denied, wrong password
	ID         uint64        `json:"id,omitempty"`
	UUID       string        `json:"uuid,omitempty"`
	Kind       string        `json:"kind,omitempty"` // Tarragon or Tarantool
	Version    string        `json:"version,omitempty"`
	Status     string        `json:"status,omitempty"`
	Role       string        `json:"role,omitempty"` // leader, follower, candidate; with elections off: rw, ro
	Term       uint64        `json:"term"`
	Leader     string        `json:"leader,omitempty"` // name, or id where it has none
	VClock     string        `json:"vclock,omitempty"`
	Signature  uint64        `json:"signature"`
	Lag        *float64      `json:"lag_seconds,omitempty"` // the greatest of the upstreams
	Quorum     uint64        `json:"synchro_quorum,omitempty"`
	Undecided  *undecided    `json:"undecided,omitempty"`
	ReadOnly   bool          `json:"read_only"`
	Reason     string        `json:"read_only_reason,omitempty"`
	Streams    []stream      `json:"streams,omitempty"`
	LastError  string        `json:"last_error,omitempty"`
	Uptime     uint64        `json:"uptime_seconds,omitempty"`
	Rules      string        `json:"rules,omitempty"`       // of failover, as a Tarragon sees them: strong, tarantool, off
	Tarantools []string      `json:"tarantools,omitempty"`  // members that are no Tarragon, as one sees them
	Carried    []string      `json:"not_served,omitempty"`  // what it keeps and replicates without serving it
	SplitBrain []stream      `json:"split_brain,omitempty"` // upstreams that were given up for that
	Learners   []string      `json:"learners,omitempty"`    // members that do not count yet, as one sees them
	Memory     *memory       `json:"memory,omitempty"`
	Feature    *feature      `json:"feature,omitempty"`
	Pause      *pause        `json:"pause,omitempty"` // of automatic elections
	Mandate    *boxMandate   `json:"mandate,omitempty"`
	Moving     *moving       `json:"moving,omitempty"`
	Preferred  *boxPreferred `json:"preferred_leader,omitempty"`
	Forwards   *forwards     `json:"forwards,omitempty"`
	Nodes      []nodeLine    `json:"nodes,omitempty"`  // of which administrators said something
	Router     *router.Stats `json:"router,omitempty"` // the one in it
	Filter     *filterState  `json:"filter,omitempty"`
	Gives      []*copying    `json:"copies_given,omitempty"`
	QuorumSet  string        `json:"quorum_of_set,omitempty"`
	QuorumFile string        `json:"quorum_of_file,omitempty"` // where it is another one

	members []string // names of the registered ones
	open    bool     // refused: what anybody may ask is here
}

// undecided is the queue of transactions without a quorum.
type undecided struct {
	Owner string  `json:"owner"`
	Count uint64  `json:"count"`
	Age   float64 `json:"oldest_seconds"`
}

// memory is what tuples and indexes take of memtx.memory, in bytes.
type memory struct {
	Taken uint64 `json:"taken"`
	Limit uint64 `json:"limit"`
}

// stream is a replication stream of an instance.
type stream struct {
	Direction string  `json:"direction"` // upstream: rows come from the peer; downstream: they go there
	Peer      string  `json:"peer"`
	Status    string  `json:"status"`
	Lag       float64 `json:"lag_seconds"`
	Idle      float64 `json:"idle_seconds"`
	Message   string  `json:"message,omitempty"`
}

// healthy reports whether a stream does what it is for.
func (s stream) healthy() bool { return s.Status == "follow" || s.Status == "sync" }

// splitBrain reports whether a stream ended because both ends went on writing
// without each other. The text is that of error 244, in both kinds.
func (s stream) splitBrain() bool {
	return s.Direction == "upstream" && !s.healthy() && strings.Contains(s.Message, "Split-Brain discovered")
}

// parseInfo makes what we show of box.info.
func parseInfo(m *boxInfo) *instanceInfo {
	in := &instanceInfo{
		Name: m.Name, ID: uint64(m.ID), UUID: m.UUID, Kind: m.Package, Version: m.Version,
		Status: m.Status, Signature: uint64(m.Signature), VClock: vclockText(m.VClock),
		ReadOnly: m.RO, Reason: m.ROReason, Uptime: uint64(m.Uptime),
	}
	if in.Replicaset = m.Replicaset.Name; in.Replicaset == "" {
		in.Replicaset = m.Replicaset.UUID
	}
	names := memberNames(m)
	for _, name := range names {
		in.members = append(in.members, name)
	}
	if in.Name == "" && in.ID != 0 {
		in.Name = names.of(m.ID)
	}
	in.Term, in.Role = uint64(m.Election.Term), m.Election.State
	if leader := m.Election.Leader; leader != 0 {
		in.Leader = names.of(leader)
		if name := m.Election.LeaderName; name != "" {
			in.Leader = name
		}
	} else if !in.ReadOnly && in.Role != "leader" {
		in.Role = "rw" // elections are off: what may write is all there is to know
	}
	in.Quorum = uint64(m.Synchro.Quorum)
	if queue := m.Synchro.Queue; queue.Len > 0 {
		in.Undecided = &undecided{Owner: names.of(queue.Owner), Count: uint64(queue.Len), Age: queue.Age}
	}
	in.Streams = streams(m.Replication, names)
	for _, s := range in.Streams {
		if s.Direction == "upstream" && (in.Lag == nil || s.Lag > *in.Lag) {
			lag := s.Lag
			in.Lag = &lag
		}
		if s.Message != "" && !s.healthy() && in.LastError == "" {
			in.LastError = s.Peer + ": " + s.Message
		}
		if s.splitBrain() {
			in.SplitBrain = append(in.SplitBrain, s)
		}
	}
	in.parseOwn(&m.Own, names)
	return in
}

// parseOwn takes what only an instance of ours tells.
func (in *instanceInfo) parseOwn(m *tarragonInfo, names idNames) {
	if m.LastError != "" {
		in.LastError = m.LastError
	}
	in.Rules = m.Rules
	in.Feature = parseFeature(m.Feature, names)
	in.Pause, in.Mandate = parsePause(m.Pause), m.Mandate
	in.Moving, in.Preferred = parseMoving(m.Moving), m.Preferred
	in.Forwards = parseForwards(m.Forwards)
	in.Nodes, in.Router = m.Nodes, m.Router
	in.Filter = parseFilter(m.Filter)
	if m.Copies != nil {
		in.Gives = parseGives("", m.Copies.Given)
	}
	for id, kind := range m.Kinds {
		if kind != "Tarragon" {
			in.Tarantools = append(in.Tarantools, names.of(number(id)))
		}
	}
	slices.Sort(in.Tarantools)
	for _, id := range m.Learners {
		in.Learners = append(in.Learners, names.of(id))
	}
	if m.Memory != nil {
		in.Memory = &memory{uint64(m.Memory.Taken), uint64(m.Memory.Limit)}
	}
	in.QuorumSet = m.Quorum.Value
	if file := m.Quorum.File; in.QuorumSet != "" && strings.ReplaceAll(file, " ", "") != strings.ReplaceAll(in.QuorumSet, " ", "") {
		in.QuorumFile = file
	}
	for _, x := range m.SplitBrain {
		in.noteSplit(names.of(x.Peer), x.Message)
	}
	in.Carried = append(in.Carried, m.NotServed...)
}

// noteSplit adds a split brain that the streams do not show any more.
func (in *instanceInfo) noteSplit(peer, message string) {
	for _, s := range in.SplitBrain {
		if s.Peer == peer {
			return
		}
	}
	in.SplitBrain = append(in.SplitBrain, stream{Direction: "upstream", Peer: peer, Status: "stopped", Message: message})
}

// idNames are the names of members by their id.
type idNames map[uint64]string

func (n idNames) of(id number) string {
	if name := n[uint64(id)]; name != "" {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

func memberNames(info *boxInfo) idNames {
	names := idNames{}
	for id, m := range info.Replication {
		names[id] = m.Name
	}
	if info.Name != "" {
		names[uint64(info.ID)] = info.Name
	}
	return names
}

// streams are all upstreams and downstreams, by the id of the peer.
func streams(replication table[boxMember], names idNames) (out []stream) {
	for _, id := range slices.Sorted(maps.Keys(replication)) {
		m := replication[id]
		for _, s := range [...]struct {
			direction string
			of        *boxStream
		}{{"upstream", m.Upstream}, {"downstream", m.Downstream}} {
			if s.of == nil {
				continue
			}
			message := s.of.Message
			if s.of.System != "" {
				message += " (" + s.of.System + ")"
			}
			out = append(out, stream{
				Direction: s.direction, Peer: names.of(number(id)), Status: s.of.Status,
				Lag: s.of.Lag, Idle: s.of.Idle, Message: message,
			})
		}
	}
	return out
}

func vclockText(clock table[number]) string {
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(clock)) {
		parts = append(parts, fmt.Sprintf("%d: %d", id, clock[id]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
