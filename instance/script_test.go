package instance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/datadriven"
)

// TestScripts runs testdata: each line is an event of one core, mostly number
// 1 of three members. The output repeats it with what was decided (*) and with
// its effects.
//
// Rows are written origin:lsn/term and what they are, as in
//
//	1:5/2 insert sync 7        tuple [7] into the space sync
//	1:6/2 confirm 5            up to LSN 5
//	2:1/3 promote 2/1/6        follows LSN 6 of instance 1 in term 2
//	0:4 term 3 vote 2          the record of the election machine
//
// with ! for a synchronous one. Spaces: sync, async, local. The disk answers to
// the line "written"; after "disk auto" it does so by itself.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				s = newScript(t, d)
			case "step":
				s.t = t
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			for _, line := range strings.Split(d.Input, "\n") {
				if line != "" {
					fmt.Fprintln(&s.out, line)
					s.line(line)
				}
			}
			out := s.out.String()
			s.out.Reset()
			return out
		})
	})
}

// line runs one event.
func (s *script) line(line string) {
	w := parse(s.t, line)
	switch w.Verb {
	case "disk":
		s.auto = w.Word(0) == "auto"
	case "at":
		s.now.Mono = start + w.Duration(0)
		s.step()
	case "pause": // time passes, and nothing runs
		s.now.Mono = start + w.Duration(0)
	case "well": // DURATION PEER...: they show themselves and ack all, each half second; one that lags acks what it has
		for until := s.now.Mono + w.Duration(0); s.now.Mono < until; {
			s.now.Mono += min(500*time.Millisecond, until-s.now.Mono)
			var all []Event
			for _, id := range w.Plain[1:] {
				peer := uint32(id[0] - '0')
				i := s.core.Info(s.now.Mono)
				ack := &Ack{From: peer, VClock: i.VClock.Global(), Term: i.Term}
				if uint32(w.Num("lags")) == peer {
					ack.VClock = s.core.peers.acked[peer]
				}
				all = append(all, Heartbeat{From: peer}, ack)
			}
			s.step(all...)
		}
	case "tick":
		s.now.Mono = max(s.now.Mono, s.core.Deadline())
		s.say("  at %s", s.now.Mono-start)
		s.step()
	case "up": // and its first message, as a relay sends it
		first := xrow.Raft{Term: max(s.core.Info(s.now.Mono).Term, s.core.ShownBy(w.Peer()).Term), State: uint8(raft.StateFollower)}
		if !w.Has("older") {
			first.Unfit = new(string)
		}
		kind := xrow.Tarragon
		if s.tarantools[w.Peer()] {
			kind = xrow.Tarantool
		}
		s.step(Upstream{Peer: w.Peer(), State: UpstreamFollow, Kind: kind, Feature: uint32(w.Num("reads")), Procedures: w.procedures(), Back: w.Has("back")}, RaftMsg{From: w.Peer(), Msg: first})
	case "subscribe": // a peer, to us
		s.step(Downstream{Peer: w.Peer(), Up: true, Kind: xrow.Tarragon, Feature: uint32(w.Num("reads")), Procedures: w.procedures(), VClock: w.VClock(w.Word(1))})
	case "shown": // what a peer says that we have shown it
		s.step(ShownBefore{From: w.Peer(), Shown: Shown{Term: w.Num("term"), Vote: uint32(w.Num("vote")), Ack: w.VClock(w.Word(1))}})
	case "say": // on a new stream
		s.step(Upstream{Peer: w.Peer(), State: UpstreamFollow, Kind: [...]xrow.Kind{xrow.Tarantool, xrow.Tarragon}[w.Num("rules")]})
	case "lost":
		s.step(Upstream{Peer: w.Peer(), State: UpstreamLost})
	case "gone":
		s.step(Upstream{Peer: w.Peer(), State: UpstreamRefused})
	case "raft":
		s.step(RaftMsg{From: w.Peer(), Msg: w.raft()})
	case "beat":
		s.step(Heartbeat{From: w.Peer(), Sync: w.Num("sync")})
	case "ack": // more of them, behind a bar each, come in the same Step
		s.step(s.acks(line)...)
	case "written":
		s.written()
	case "fail":
		s.step(WriteFailed{Err: fmt.Errorf("%s", strings.Join(w.Plain, " "))})
	case "insert", "update", "delete", "upsert", "both", "query", "ddl", "index", "function":
		s.step(Write{Requests: s.requests(line)})
	case "audited":
		s.audited = true
	case "from":
		s.step(Rows{From: w.Peer(), Rows: s.rows(strings.TrimPrefix(line, "from "+w.Word(0)))})
	case "read":
		s.read(w.Word(0))
	case "kept":
		s.kept()
	case "indexes":
		s.indexes(w.Word(0))
	case "restart":
		if w.Named["reads"] != "" { // another version
			s.cfg.Feature = uint32(w.Num("reads"))
		}
		s.cfg.Procedures = w.procedures()
		s.restart()
	default:
		s.rare(w)
	}
}

// rare are the events that few scripts need.
func (s *script) rare(w words) {
	switch w.Verb {
	case "stream": // NUMBER begin|commit|rollback|read|a statement
		s.stream(w)
	case "streams-gone":
		s.step(StreamsGone{Conn: 1})
	case "linear":
		s.sync++
		s.say("  #%d", s.sync)
		s.step(LinearRead{Conn: 1, Sync: s.sync})
	case "trust":
		s.sync++
		s.step(Trust{Conn: 1, Sync: s.sync})
	case "promote":
		s.sync++
		s.say("  #%d", s.sync)
		s.step(PromoteRequest{Conn: 1, Sync: s.sync, By: w.Named["by"], Mandate: w.mandate()})
	case "demote":
		s.sync++
		s.step(DemoteRequest{Conn: 1, Sync: s.sync, Token: w.Num("token")})
	case "switchover":
		s.sync++
		s.say("  #%d", s.sync)
		ev := SwitchoverRequest{Conn: 1, Sync: s.sync, To: w.Named["to"], Fast: w.Has("fast"), MaxLag: int(w.Num("lag")), By: "admin", Reason: w.Named["reason"], Join: w.Has("join"), Mandate: w.mandate()}
		if w.Named["hold"] != "" {
			d, err := time.ParseDuration(w.Named["hold"])
			if err != nil {
				s.t.Fatal(err)
			}
			ev.Hold = d
		}
		s.step(ev)
	case "forwarded": // what has become of one: NUMBER FATE origin= lsn=
		fate := ForwardFate(slices.Index([]string{"done", "refused", "unsent", "never", "lost"}, w.Word(1)))
		ev := ForwardAnswer{No: w.Number(w.Word(0)), Fate: fate, Data: noValues, Origin: uint32(w.Num("origin")), LSN: w.Num("lsn")}
		if why := w.Named["error"]; why != "" {
			ev.Data, ev.Err = nil, &xrow.Error{Code: xrow.ErrTupleFound, Message: why}
		}
		s.step(ev)
	case "checkpoint":
		s.tag++
		s.step(StartCheckpoint{Tag: s.tag})
	case "join":
		s.tag++
		j := JoinRequest{Tag: s.tag, UUID: uuidOf(w.Peer()), Name: w.Named["name"], Incarnation: uint64(w.Peer()), Feature: uint32(w.Num("reads")), Filter: w.Named["filter"]}
		switch {
		case w.Has("tarantool"):
			j.Incarnation = 0
		case w.Named["incarnation"] != "":
			j.Incarnation = w.Num("incarnation")
		}
		switch {
		case w.Has("anon"):
			j.Kind = JoinAnon
		case w.Has("register"):
			j.Kind = JoinID
		case w.Has("stream"):
			j.Kind = JoinReplica
		}
		s.step(j)
	case "expel":
		s.sync++
		s.say("  #%d", s.sync)
		key := append([]byte{0x91}, byte(w.Peer()))
		s.step(Write{Requests: []Request{{Conn: 1, Sync: s.sync, Barrier: true, Internal: true, Do: func(tx *box.Txn) ([]byte, error) {
			return nil, tx.ExecuteInternal(&xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceCluster, Key: key})
		}}}})
	case "forge": // admin writes what is the replica set's own as if it were data
		s.sync++
		s.say("  #%d", s.sync)
		s.step(Write{Requests: []Request{{Conn: 1, Sync: s.sync, User: box.UserAdmin, DML: w.forged()}}})
	case "let": // the configuration is read anew
		names := w.Plain
		s.step(Configure{Apply: func(c *Config) { c.Members, c.MaxMembers = names, int(w.Num("most")) }})
	case "quorum": // box.cfg
		s.sync++
		s.say("  #%d", s.sync)
		rule, err := parseQuorum(w.Word(0))
		if err != nil {
			s.t.Fatal(err)
		}
		s.step(SetQuorum{Conn: 1, Sync: s.sync, Text: w.Word(0), Rule: rule})
	case "feature":
		s.sync++
		s.say("  #%d", s.sync)
		s.step(RaiseFeature{Conn: 1, Sync: s.sync, Level: uint32(w.Number(w.Word(0)))})
	case "pause-elections":
		s.sync++
		s.say("  #%d", s.sync)
		s.step(PauseElections{Conn: 1, Sync: s.sync, For: w.Duration(0), By: "admin", Reason: w.Named["reason"]})
	case "node": // NAME [fence=BOOL] [writes=BOOL] [priority=N]: what is said of an instance
		s.sync++
		s.say("  #%d", s.sync)
		ev := SetNode{Conn: 1, Sync: s.sync, Who: w.Word(0), Fence: w.boolean("fence"), Writes: w.boolean("writes")}
		if text := w.Named["priority"]; text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			ev.Priority = &n
		}
		s.step(ev)
	case "resume-elections":
		s.sync++
		s.say("  #%d", s.sync)
		s.step(ResumeElections{Conn: 1, Sync: s.sync})
	case "acked": // a peer has all that we have, and heard our newest heartbeat
		i := s.core.Info(s.now.Mono)
		s.step(&Ack{From: w.Peer(), VClock: i.Synced, Term: i.Term, Sync: s.core.beats.sync})
	case "filter", "define":
		s.filterLine(w)
	case "replica":
		s.replicaLine(w)
	case "wish": // the files of a peer ask for a quorum
		i := s.core.Info(s.now.Mono)
		s.step(RaftMsg{From: w.Peer(), Msg: xrow.Raft{Term: i.Term, State: uint8(raft.StateFollower), LeaderID: i.Leader,
			IsLeaderSeen: i.Leader != 0, Quorum: w.Word(1)}})
	case "taken": // whoever takes the state has it
		s.step(CloseView{View: s.view, Goes: w.Has("goes")})
	case "removed":
		s.step(Removed{})
	case "shutdown":
		s.step(Shutdown{})
	case "giveway":
		s.step(GiveWay{})
	case "internal":
		r := s.requests("ddl " + w.Word(0))
		r[0].Internal = true
		s.step(Write{Requests: r})
	case "readonly":
		s.sync++
		s.step(Configure{Conn: 1, Sync: s.sync, Apply: func(c *Config) { c.ReadOnly = true }})
	case "info":
		s.info()
	case "history":
		s.began()
	default:
		s.t.Fatalf("unknown event %s", w.Verb)
	}
}
