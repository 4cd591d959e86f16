package proc

import (
	"fmt"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// A replica from its registration to its end, by hand, and what list, the filter and
// box.info tell of it. Each mistake is an error that names what is the matter.
func TestReplica(t *testing.T) {
	c := filterCaller(t)
	var peers []PeerStatus
	c.p.env.Peers = func() []PeerStatus { return peers }
	uuid := func(n int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", n) }
	c.expect("tarragon.replica.list", `[]`, "=> [[]]")
	c.expect("tarragon.filter.create", `["hr", {"empty": true}]`, "=> [1]")
	c.expect("tarragon.filter.create", `["all", {"full": true}]`, "=> [2]")
	c.expect("tarragon.replica.create", `["r7", {"uuid": "`+uuid(7)+`", "filter": "hr"}]`, "=> []")
	c.expect("tarragon.replica.create", `["r8", {"uuid": "`+uuid(8)+`"}]`, "=> []")
	c.expect("tarragon.replica.list", `[]`, `=> [[{"name": "r7", "uuid": "`+uuid(7)+`", "filter": "hr", "state": "registered"}, {"name": "r8", "uuid": "`+uuid(8)+`", "filter": "", "state": "registered"}]]`)
	peers = []PeerStatus{{UUID: uuid(7), Downstream: &Downstream{Status: "follow", Address: "10.0.0.7:40000", FilterVersion: 1, Memory: xrow.MemoryUse{Taken: 5, Limit: 300}}}, {UUID: uuid(8), Upstream: &Upstream{Status: "follow"}}}
	c.expect("tarragon.replica.list", `[]`, `=> [[{"name": "r7", "uuid": "`+uuid(7)+`", "filter": "hr", "state": "registered", "stream": {"status": "follow", "address": "10.0.0.7:40000", "acked_version": 1, "lag": 0f, "idle": 0f, "memory": {"taken": 5, "limit": 300}}}, {"name": "r8", "uuid": "`+uuid(8)+`", "filter": "", "state": "registered"}]]`)
	peers = nil
	c.expect("tarragon.filter.drop", `["hr"]`, "! 1 IllegalParams: Filter 'hr' is in use by 'r7': 'tarragon replica alter' gives them another one, 'tarragon replica drop' takes them away, and --force does so with the filter")
	c.expect("tarragon.replica.alter", `["r8", {"filter": "hr"}]`, "=> []")
	c.expect("tarragon.replica.alter", `["r7", {"filter": ""}]`, "=> []")
	c.expect("tarragon.filter.drop", `["hr", {"force": true}]`, `=> [["r8"]]`)
	c.expect("tarragon.replica.drop", `["r7"]`, "=> []")
	c.expect("tarragon.replica.list", `[]`, `=> [[{"name": "r7", "uuid": "`+uuid(7)+`", "filter": "", "state": "dropped"}, {"name": "r8", "uuid": "`+uuid(8)+`", "filter": "hr", "state": "dropped"}]]`)
	c.expect("tarragon.replica.alter", `["r8", {"filter": "all"}]`, "=> []")
	for _, m := range [][3]string{
		{"create", `[]`, "! 1 IllegalParams: Usage: tarragon.replica.create(name, {uuid = ...[, filter = ...]})"},
		{"create", `["r9"]`, "! 1 IllegalParams: options parameter 'uuid' should be that of the replica"},
		{"create", `["r9", {"uuid": 5}]`, "! 1 IllegalParams: options parameter 'uuid' should be of type string"},
		{"create", `["r9", {"uuid": "x"}]`, "! 1 IllegalParams: Replica 'r9' is refused: 'x' is no uuid"},
		{"create", `["r9", {"uuid": "00000000-0000-0000-0000-000000000000"}]`, "! 1 IllegalParams: Replica 'r9' is refused: '00000000-0000-0000-0000-000000000000' is no uuid"},
		{"create", `["r9", {"uuid": "` + uuid(8) + `"}]`, "! 1 IllegalParams: Replica 'r9' is refused: " + uuid(8) + " is registered as 'r8'"},
		{"create", `["r8", {"uuid": "` + uuid(9) + `"}]`, "! 269: Duplicate replica name r8, already occupied by " + uuid(8) + ", a registered replica: 'tarragon replica drop r8' takes it away"},
		{"create", `["R", {"uuid": "` + uuid(9) + `"}]`, "! 1 IllegalParams: 'R' cannot name a replica: a name begins with a lower case letter, behind which are such letters, digits, - and _, 63 at most of all"},
		{"create", `["r9", {"uuid": "` + uuid(9) + `", "filter": "none"}]`, "! 1 IllegalParams: Filter 'none' does not exist"},
		{"create", `["r9", {"uuid": "` + uuid(9) + `", "kind": "x"}]`, "! 1 IllegalParams: unexpected option 'kind'"},
		{"alter", `["r8"]`, "! 1 IllegalParams: nothing is changed: the option is 'filter', '' for none"},
		{"alter", `["none", {"filter": "all"}]`, "! 1 IllegalParams: Replica 'none' does not exist"},
		{"alter", `["r8", {"filter": "none"}]`, "! 1 IllegalParams: Filter 'none' does not exist"},
		{"drop", `["none"]`, "! 1 IllegalParams: Replica 'none' does not exist"},
		{"drop", `[8]`, "! 1 IllegalParams: name should be a string"},
		{"list", `[1]`, "! 1 IllegalParams: Usage: tarragon.replica.list()"},
	} {
		c.expect("tarragon.replica."+m[0], m[1], m[2])
	}
	if got := instance.FindReplica(c.node.core.Replicas(), uuid(9)); got != nil {
		t.Errorf("behind all mistakes: %+v", got)
	}
}
