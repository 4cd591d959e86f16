package main

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	_ "github.com/tarantool/go-tarantool/v2/datetime" // alerts in box.info of a Tarantool have times
)

// instanceInfo is what status shows of an instance.
type instanceInfo struct {
	Name       string     `json:"name"`
	Replicaset string     `json:"replicaset,omitempty"` // name, or uuid where it has none
	Address    string     `json:"address"`
	Error      string     `json:"error,omitempty"`   // why it did not answer
	Refused    string     `json:"refused,omitempty"` // it answers, but not us: denied, wrong password
	ID         uint64     `json:"id,omitempty"`
	UUID       string     `json:"uuid,omitempty"`
	Kind       string     `json:"kind,omitempty"` // Tarragon or Tarantool
	Version    string     `json:"version,omitempty"`
	Status     string     `json:"status,omitempty"`
	Role       string     `json:"role,omitempty"` // leader, follower, candidate; with elections off: rw, ro
	Term       uint64     `json:"term"`
	Leader     string     `json:"leader,omitempty"` // name, or id where it has none
	VClock     string     `json:"vclock,omitempty"`
	Signature  uint64     `json:"signature"`
	Lag        *float64   `json:"lag_seconds,omitempty"` // the greatest of the upstreams
	Quorum     uint64     `json:"synchro_quorum,omitempty"`
	Undecided  *undecided `json:"undecided,omitempty"`
	ReadOnly   bool       `json:"read_only"`
	Reason     string     `json:"read_only_reason,omitempty"`
	Streams    []stream   `json:"streams,omitempty"`
	LastError  string     `json:"last_error,omitempty"`
	Uptime     uint64     `json:"uptime_seconds,omitempty"`
	Rules      string     `json:"rules,omitempty"`       // of failover, as a Tarragon sees them: strong, tarantool, off
	Tarantools []string   `json:"tarantools,omitempty"`  // members that are no Tarragon, as one sees them
	Carried    []string   `json:"not_served,omitempty"`  // what it keeps and replicates without serving it
	SplitBrain []stream   `json:"split_brain,omitempty"` // upstreams that were given up for that
	Learners   []string   `json:"learners,omitempty"`    // members that do not count yet, as one sees them
	Memory     *memory    `json:"memory,omitempty"`
	Feature    *feature   `json:"feature,omitempty"`
	Pause      *pause     `json:"pause,omitempty"` // of automatic elections
	QuorumSet  string     `json:"quorum_of_set,omitempty"`
	QuorumFile string     `json:"quorum_of_file,omitempty"` // where it is another one

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

// parseInfo reads the answer of box.info. Numbers come in any of msgpack's
// forms, and every key may be missing.
func parseInfo(answer []any) (*instanceInfo, error) {
	if len(answer) == 0 {
		return nil, fmt.Errorf("box.info answered nothing")
	}
	m := asMap(answer[0])
	if m == nil {
		return nil, fmt.Errorf("box.info answered %T, not a map", answer[0])
	}
	in := &instanceInfo{
		Name: str(m["name"]), ID: num(m["id"]), UUID: str(m["uuid"]), Kind: str(m["package"]), Version: str(m["version"]),
		Status: str(m["status"]), Signature: num(m["signature"]), VClock: vclockText(m["vclock"]),
		ReadOnly: truth(m["ro"]), Reason: str(m["ro_reason"]), Uptime: num(m["uptime"]),
	}
	set := asMap(m["replicaset"])
	if in.Replicaset = str(set["name"]); in.Replicaset == "" {
		in.Replicaset = str(set["uuid"])
	}
	names := memberNames(m)
	for _, name := range names {
		in.members = append(in.members, name)
	}
	if in.Name == "" && in.ID != 0 {
		in.Name = names.of(in.ID)
	}
	election := asMap(m["election"])
	in.Term, in.Role = num(election["term"]), str(election["state"])
	if leader := num(election["leader"]); leader != 0 {
		in.Leader = names.of(leader)
		if name := str(election["leader_name"]); name != "" {
			in.Leader = name
		}
	} else if !in.ReadOnly && in.Role != "leader" {
		in.Role = "rw" // elections are off: what may write is all there is to know
	}
	synchro := asMap(m["synchro"])
	in.Quorum = num(synchro["quorum"])
	if queue := asMap(synchro["queue"]); num(queue["len"]) > 0 {
		in.Undecided = &undecided{Owner: names.of(num(queue["owner"])), Count: num(queue["len"]), Age: float(queue["age"])}
	}
	in.Streams = streams(asMap(m["replication"]), names)
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
	in.parseOwn(asMap(m["tarragon"]), names)
	return in, nil
}

// parseOwn reads what only an instance of ours tells.
func (in *instanceInfo) parseOwn(m map[any]any, names idNames) {
	if e := str(m["last_error"]); e != "" {
		in.LastError = e
	}
	in.Rules = str(m["rules"])
	in.Feature = parseFeature(m["feature"], names)
	in.Pause = parsePause(m["pause"])
	var tarantools []uint64
	for id, kind := range asMap(m["kinds"]) {
		if str(kind) != "Tarragon" {
			tarantools = append(tarantools, num(id))
		}
	}
	for _, id := range tarantools {
		in.Tarantools = append(in.Tarantools, names.of(id))
	}
	slices.Sort(in.Tarantools)
	if list, ok := m["learners"].([]any); ok {
		for _, v := range list {
			in.Learners = append(in.Learners, names.of(num(v)))
		}
	}
	if mem := asMap(m["memory"]); mem != nil {
		in.Memory = &memory{num(mem["taken"]), num(mem["limit"])}
	}
	quorum := asMap(m["quorum"])
	in.QuorumSet = str(quorum["value"])
	if file := str(quorum["file"]); in.QuorumSet != "" && strings.ReplaceAll(file, " ", "") != strings.ReplaceAll(in.QuorumSet, " ", "") {
		in.QuorumFile = file
	}
	if list, ok := m["split_brain"].([]any); ok {
		for _, v := range list {
			in.noteSplit(names.of(num(asMap(v)["peer"])), str(asMap(v)["message"]))
		}
	}
	if list, ok := m["not_served"].([]any); ok {
		for _, v := range list {
			in.Carried = append(in.Carried, str(v))
		}
	}
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

func (n idNames) of(id uint64) string {
	if name := n[id]; name != "" {
		return name
	}
	return strconv.FormatUint(id, 10)
}

func memberNames(info map[any]any) idNames {
	names := idNames{}
	for id, v := range asMap(info["replication"]) {
		names[num(id)] = str(asMap(v)["name"])
	}
	if name := str(info["name"]); name != "" {
		names[num(info["id"])] = name
	}
	return names
}

// streams are all upstreams and downstreams, by the id of the peer.
func streams(replication map[any]any, names idNames) []stream {
	var ids []uint64
	byID := map[uint64]map[any]any{}
	for id, v := range replication {
		ids = append(ids, num(id))
		byID[num(id)] = asMap(v)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	var out []stream
	for _, id := range ids {
		for _, direction := range []string{"upstream", "downstream"} {
			m := asMap(byID[id][direction])
			if m == nil {
				continue
			}
			message := str(m["message"])
			if more := str(m["system_message"]); more != "" {
				message += " (" + more + ")"
			}
			out = append(out, stream{
				Direction: direction, Peer: names.of(id), Status: str(m["status"]),
				Lag: float(m["lag"]), Idle: float(m["idle"]), Message: message,
			})
		}
	}
	return out
}

func vclockText(v any) string {
	m := asMap(v)
	var ids []uint64
	lsn := map[uint64]uint64{}
	for id, n := range m {
		ids = append(ids, num(id))
		lsn[num(id)] = num(n)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	var parts []string
	for _, id := range ids {
		parts = append(parts, fmt.Sprintf("%d: %d", id, lsn[id]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// asMap is a decoded map, nil if it is none. A list with holes may come where
// a map with keys 1, 2, 3 was meant: Tarantool encodes such tables so.
func asMap(v any) map[any]any {
	switch v := v.(type) {
	case map[any]any:
		return v
	case map[string]any:
		m := make(map[any]any, len(v))
		for k, x := range v {
			m[k] = x
		}
		return m
	case []any:
		m := make(map[any]any, len(v))
		for i, x := range v {
			m[uint64(i+1)] = x
		}
		return m
	}
	return nil
}

func str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case fmt.Stringer: // a uuid
		return v.String()
	}
	return ""
}

func truth(v any) bool { b, _ := v.(bool); return b }

func float(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case float32:
		return float64(v)
	case int8, int16, int32, int64, int, uint8, uint16, uint32, uint64, uint:
		return float64(num(v))
	}
	return 0
}

// num is a number that cannot be negative; what is counts as 0.
func num(v any) uint64 {
	var n int64
	switch v := v.(type) {
	case int8:
		n = int64(v)
	case int16:
		n = int64(v)
	case int32:
		n = int64(v)
	case int64:
		n = v
	case int:
		n = int64(v)
	case uint8:
		return uint64(v)
	case uint16:
		return uint64(v)
	case uint32:
		return uint64(v)
	case uint64:
		return v
	case uint:
		return uint64(v)
	case float64:
		n = int64(v)
	case float32:
		n = int64(v)
	}
	return uint64(max(n, 0))
}
