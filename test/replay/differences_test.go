package replay

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"tarragon.dev/tarragon/xrow"
)

// difference says why a field of a kind of message need not be the recorded
// one: other may be there or not, and have any value.
type difference struct {
	kind  string // "JOIN", "ack" ...; empty: all
	field string
	why   string
}

// differences are all that is let pass. A field of the body has its name, one
// of the header has "header." before it.
var differences = []difference{
	{"", "header.sync", "chosen by who asks, and echoed"},
	{"", "header.schema_version", "counts other changes here"},
	{"", "header.timestamp", "wall time; whether it is there is compared for acks"},
	{"", "prev_term", "a key of ours"},
	{"", "rules", "a key of ours"},
	{"", "set", "a key of ours"},
	{"", "history", "a key of ours"},
	{"", "incarnation", "a key of ours"},
	{"", "feature", "a key of ours"},
	{"", "process", "a key of ours"},
	{"", "committed", "a key of ours"},
	{"SUBSCRIBE", "id_filter", "ours takes rows of its own back from anybody at any time"},
	{"SUBSCRIBE of 2.6", "id_filter", "ours takes rows of its own back from anybody at any time"},
	{"ID", "version", "ours serves fewer features to clients"},
	{"ID", "features", "ours serves fewer features to clients"},
	{"ballot", "gc_vclock", "the log begins where the test begins"},
	{"ballot", "bootstrap_leader_uuid", "forgotten by a restart, as in Tarantool (gap-3.8)"},
	{"RAFT", "state", "after a restart ours is a follower, as Tarantool"},
	{"RAFT", "leader_id", "after a restart ours is a follower, as Tarantool"},
	{"META RAFT", "vote", "told by a leader only: a joiner must not take another one's vote for its own"},
	{"META RAFT", "leader_id", "told by a leader only"},
	{"FETCH_SNAPSHOT OK", "vclock.0", "component 0 counts local rows; ours are not told"},
	{"JOIN OK", "vclock.0", "component 0 counts local rows; ours are not told"},
	{"JOIN OK", "vclock", "the joiner is registered before the view is taken: there is no final stage"},
	{"ballot of 2.6", "gc_vclock", "the log begins where the test begins"},
	{"ballot of 2.6", "bootstrap_leader_uuid", "newer than 2.6, which skips it"},
	{"ballot of 2.6", "can_lead", "newer than 2.6, which skips it"},
	{"ballot of 2.6", "is_anon", "newer than 2.6, which skips it"},
	{"ballot of 2.6", "is_booted", "newer than 2.6, which skips it"},
	{"ballot of 2.6", "registered_replica_uuids", "newer than 2.6, which skips it"},
	{"JOIN OK of 2.6", "vclock", "the joiner is registered before the view is taken: there is no final stage"},
	{"JOIN of 2.6", "server_version", "2.6 does not tell it, and skips it"},
	{"SUBSCRIBE of 2.6", "server_version", "ours is that of 3.8"},
	{"FETCH_SNAPSHOT of 2.6", "server_version", "2.6 does not tell it, and skips it"},
	{"FETCH_SNAPSHOT of 2.6", "instance_uuid", "2.6 does not tell it, and skips it"},
	{"ack of 2.6", "term", "2.6 does not tell it, and skips it"},
}

func mayDiffer(kind, field string) bool {
	return slices.ContainsFunc(differences, func(d difference) bool {
		return d.field == field && (d.kind == "" || d.kind == kind)
	})
}

// compare names the fields in which got is not want.
func compare(kind string, got, want map[string]any) []string {
	var out []string
	for name, w := range want {
		if g, ok := got[name]; !mayDiffer(kind, name) && (!ok || !reflect.DeepEqual(g, w)) {
			out = append(out, fmt.Sprintf("%s: got %v, want %v", name, shown(g, ok), w))
		}
	}
	for name, g := range got {
		if _, ok := want[name]; !ok && !mayDiffer(kind, name) {
			out = append(out, fmt.Sprintf("%s: got %v, want nothing", name, g))
		}
	}
	slices.Sort(out)
	return out
}

func shown(v any, ok bool) any {
	if !ok {
		return "nothing"
	}
	return v
}

// compareRows compares two messages field by field: type, header, body.
func (s *script) compareRows(kind string, got, want *xrow.Row) {
	s.t.Helper()
	g, w := message(got), message(want)
	if g.Type != w.Type {
		s.t.Fatalf("%s: got %s, want %s", s.where(), g.String(), w.String())
	}
	gf, wf := s.all(&g), s.all(&w)
	if bad := compare(kind, gf, wf); len(bad) > 0 {
		s.t.Errorf("%s: %s\n got %s\nwant %s\n%s", s.where(), kind, g.String(), w.String(), strings.Join(bad, "\n"))
	}
}
