package server

import (
	"errors"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
)

// What only a member does a filtered replica refuses, whoever asks: each error has its code, and names the
// instance, its filter and what to do.
func TestFilteredReplicaRefuses(t *testing.T) {
	s, lead, reader := filteredSet(t)
	lead.start()
	lead.readyInfo()
	conn := lead.dial()
	defer conn.Close()
	makeNamedSpace(t, conn, "people")
	s.until("the level is raised", func() bool { return s.raise(0) == nil })
	s.mustFilter(conn, "create", "hr", map[string]any{"full": true})
	reader.start()
	reader.readyInfo()
	const (
		stranger = "11111111-2222-4333-8444-555555555555"
		by       = "Instance 'i2' is a replica with a filter ('hr') and does not "
		sends    = by + "send states, base copies or rows to others: it does not have all; ask a member"
		joins    = by + "register members: it does not have all; ask a member"
		leads    = by + "lead: ask the leader, 'i1'"
		empty    = ": an instance that is to be a member begins with an empty directory, and without tarragon.filter"
	)
	for _, user := range []struct {
		name, password string
		may            bool
	}{{"admin1", "a", true}, {"guest", "", false}} {
		join := xrow.JoinRequest{InstanceUUID: stranger, InstanceName: "r9", Incarnation: 7, Feature: 3, ServerVersion: 3<<16 | 8<<8}
		filtered := join
		filtered.Share = &xrow.Share{Filter: "hr", Version: 1, New: true}
		copied := filtered
		copied.Copy = &xrow.Copy{Spaces: []uint32{512}}
		register := xrow.RegisterRequest{InstanceUUID: stranger, InstanceName: "r9", Incarnation: 7}
		stream := xrow.SubscribeRequest{InstanceUUID: stranger, ReplicasetUUID: lead.setUUID(), Kind: xrow.Tarragon, Feature: 3, Anon: true}
		share := stream
		share.Share = filtered.Share
		member := stream
		member.Anon = false
		for _, test := range []struct {
			what string
			kind xrow.Type
			body []byte
			text string
		}{
			{"JOIN", xrow.Join, join.AppendBody(nil), joins},
			{"REGISTER", xrow.Register, register.AppendBody(nil), joins},
			{"FETCH_SNAPSHOT", xrow.FetchSnap, join.AppendBody(nil), sends},
			{"FETCH_SNAPSHOT of a share", xrow.FetchSnap, filtered.AppendBody(nil), sends},
			{"COPY", xrow.FetchSnap, copied.AppendBody(nil), sends},
			{"SUBSCRIBE of an anonymous one", xrow.Subscribe, stream.AppendBody(nil), sends},
			{"SUBSCRIBE with a share", xrow.Subscribe, share.AppendBody(nil), sends},
			{"SUBSCRIBE of a member", xrow.Subscribe, member.AppendBody(nil), sends},
			{"RAFT", 30, []byte{0x80}, "Unknown request type 30"}, // as at any instance: it comes by streams alone
			{"PROMOTE", xrow.Promote, []byte{0x80}, "Unknown request type 31"},
		} {
			code, text := xrow.ErrFilteredReplica, test.text
			switch {
			case test.kind == xrow.Promote || test.kind == 30:
				code = xrow.ErrUnknownRequestType
			case !user.may: // who may not replicate hears nothing of a filter
				code, text = xrow.ErrAccessDenied, "is denied for user 'guest'"
			}
			wantError(t, test.what+" as "+user.name, reader.request(user.name, user.password, test.kind, test.body), code, text)
		}
	}

	at := reader.dial()
	defer at.Close()
	to := func(name string) map[string]any { return map[string]any{"to": name} }
	cfg := func(name string, value any) map[string]any { return map[string]any{name: value} }
	for _, test := range []struct {
		conn *tarantool.Connection
		name string
		args []any
		text string
	}{
		{at, "box.ctl.promote", []any{}, leads},
		{at, "box.ctl.demote", []any{}, leads},
		{at, "box.ctl.switchover", []any{}, leads},
		{at, "box.ctl.switchover", []any{to("i1")}, leads},
		{at, "box.ctl.switchover", []any{to("i2")}, leads},
		{conn, "box.ctl.switchover", []any{to("i2")}, by + "lead: members are i1"},
		{conn, "box.ctl.switchover", []any{to(reader.server().main().life.UUID)}, by + "lead: members are i1"},
		{conn, "tarragon.expel", []any{"i2"}, by + "count among the members: 'tarragon replica drop' takes it away"},
		{at, "box.cfg", []any{cfg("election_mode", "candidate")}, by + "take part in elections (election_mode)" + empty},
		{at, "box.cfg", []any{cfg("election_mode", "manual")}, by + "take part in elections (election_mode)" + empty},
		{at, "box.cfg", []any{cfg("election_mode", "voter")}, by + "take part in elections (election_mode)" + empty},
		{at, "box.cfg", []any{cfg("read_only", false)}, by + "take writes (read_only)" + empty},
	} {
		_, err := test.conn.Do(tarantool.NewCallRequest(test.name).Args(test.args)).Get()
		var e tarantool.Error
		if !errors.As(err, &e) || xrow.Code(e.Code) != xrow.ErrFilteredReplica || e.Msg != test.text {
			t.Errorf("%s%v: %v", test.name, test.args, err)
		}
	}
	set, err := at.Do(tarantool.NewEvalRequest("return box.cfg.election_mode, box.cfg.read_only").Args([]any{})).Get()
	if err != nil || len(set) != 2 || set[0] != "off" || set[1] != true {
		t.Errorf("its settings are %v, %v", set, err)
	}
	var ballot xrow.Ballot
	row, err := reader.rogue("admin1", "a").Do(xrow.Vote, nil)
	if err == nil {
		ballot, err = xrow.DecodeBallot(row.Body)
	}
	if err != nil || !ballot.IsAnon || ballot.CanLead || !ballot.IsRO {
		t.Errorf("its ballot is %+v, %v", ballot, err)
	}
}
