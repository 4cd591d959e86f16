//go:build record

package replay

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/capture"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// replica is a script for Tarantool: it follows the master at arg[2], tells when
// it has joined, and then what it thinks of what it was sent.
const replica = `
local fiber = require('fiber')
box.cfg{replication = arg[2], replication_timeout = 0.5, replication_connect_timeout = 5, work_dir = arg[1], log = arg[1] .. '/log',
        read_only = true, instance_uuid = '22222222-0000-4000-8000-000000000002', checkpoint_interval = 0}
print('joined') io.flush()
local upstream
for _ = 1, 20 do
    upstream = box.info.replication[1].upstream
    if upstream.status == 'stopped' then break end
    fiber.sleep(0.02)
end
if upstream.status == 'sync' or upstream.status == 'follow' then
    print('accepted')
else
    print(upstream.status .. ': ' .. tostring(upstream.message))
end
io.flush() os.exit(0)
`

// TestRecordFilter makes testdata/filter-3.8.jsonl anew, with the Tarantool that
// the environment names:
//
//	TARANTOOL=/path/to/3.x go test -tags record -run RecordFilter ./test/replay
func TestRecordFilter(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/replica.lua", []byte(replica), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(dir + "/filter.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	model := readTalk(t, "anon-3.8")
	greeting := []byte(string(model.greeting()))
	copy(greeting[len("Tarantool 3.8.0 (Binary) "):], filterMaster)
	m := newMasterAs(t, model, greeting)
	m.setBallot([]byte{0x81, 0x29, 0x82, 0x06, 0xc3, 0x02, 0x81, 0x01, 0x0a})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, done := capture.NewWriter(file), make(chan error, 1)
	go func() {
		done <- capture.Record(ctx, l, func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", m.addr())
		}, out)
	}()
	say := func(text string) {
		if err := out.Write(capture.Line{From: capture.Observer, Kind: capture.Note, Note: text}); err != nil {
			t.Fatal(err)
		}
	}
	say("a master made by hand sends rows to a fresh replica, one case after the other; 'judged' is what box.info.replication said of the upstream")
	snap := filterSnapshot(t, model)
	for i, c := range filterCases() {
		say("case: " + c.name)
		verdict := c.record(t, m, l.Addr().String(), filepath.Join(dir, fmt.Sprint(i)), snap)
		say("judged: " + verdict)
		t.Logf("%-55s %s", c.name, verdict)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	cutSnapshots(t, dir+"/filter.jsonl", "testdata/filter-3.8.jsonl")
}

type filterCase struct {
	name string
	rows [][]byte
}

// record runs a replica in a directory of its own and returns its verdict.
func (c *filterCase) record(t *testing.T, m *master, addr, work string, snap []tuple) string {
	t.Helper()
	if err := os.MkdirAll(work, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Getenv("TARANTOOL"), filepath.Join(work, "../replica.lua"), work, addr)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	s, req := m.request()
	if req.Type != xrow.Join {
		t.Fatalf("%v", req.Type)
	}
	send := func(b []byte) {
		if _, err := s.link.Write(b); err != nil {
			t.Logf("%s: %v", c.name, err) // it may have had enough
		}
	}
	send(joinAnswer(snap))
	if req = s.next(); req.Type != xrow.Subscribe {
		t.Fatalf("%v", req.Type)
	}
	answer := xrow.SubscribeOK{ReplicasetUUID: filterSet, VClock: vclock.VClock{1: 10}}
	send(frameOf(xrow.Row{Type: xrow.OK, ReplicaID: 1, Body: answer.AppendBody(nil)}))
	send(raftRow(xrow.Raft{Term: 2, State: 1}))
	if !lines.Scan() {
		t.Fatalf("%s: the replica does not join", c.name)
	}
	for _, r := range c.rows {
		send(r)
		time.Sleep(20 * time.Millisecond) // so that each is read for itself
	}
	if !lines.Scan() {
		t.Fatalf("%s: no verdict", c.name)
	}
	verdict := lines.Text()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	s.ended()
	return verdict
}

// filterSnapshot is the recorded snapshot under other UUIDs, with a third member.
func filterSnapshot(t *testing.T, model *talk) []tuple {
	return withMember(filterModel(t, model), 3, filterThird)
}

// joinAnswer has instance 1 as the owner of the queue since term 2, with all
// confirmed up to LSN 8, and registers the replica by LSN 10.
func joinAnswer(snap []tuple) (b []byte) {
	ok := func(lsn uint64) {
		v := vclock.VClock{1: lsn}
		b = append(b, frameOf(xrow.Row{Type: xrow.OK, Body: xrow.AppendVClockBody(nil, &v)})...)
	}
	ok(9)
	b = append(b, frameOf(xrow.Row{Type: xrow.JoinMeta})...)
	b = append(b, raftRow(xrow.Raft{Term: 2, Vote: 1, LeaderID: 1})...)
	promote := xrow.Synchro{ReplicaID: 1, LSN: 8, Term: 2, VClock: &vclock.VClock{1: 8}}
	b = append(b, frameOf(xrow.Row{Type: xrow.Promote, ReplicaID: 1, Body: promote.AppendBody(nil)})...)
	b = append(b, frameOf(xrow.Row{Type: xrow.JoinSnapshot})...)
	for _, t := range snap {
		body := binary.BigEndian.AppendUint32([]byte{0x82, byte(xrow.KeySpaceID), 0xce}, t.space)
		b = append(b, frameOf(xrow.Row{Type: xrow.Insert, Body: append(append(body, byte(xrow.KeyTuple)), t.data...)})...)
	}
	ok(10)
	body := append([]byte{0x82, byte(xrow.KeySpaceID), 0xcd, 1, 0x40, byte(xrow.KeyTuple)}, clusterTuple(2, filterReplica)...)
	b = append(b, logged(xrow.Insert, 1, 10, 0, body)...)
	ok(10)
	return b
}

// Rows of the cases. All have the same time.
const filterTime = 1795300000

func frameOf(r xrow.Row) []byte { return r.Append(nil) }

func logged(t xrow.Type, origin uint32, lsn uint64, flags xrow.Flags, body []byte) []byte {
	return frameOf(xrow.Row{Type: t, ReplicaID: origin, LSN: lsn, TSN: lsn, Flags: flags | xrow.FlagCommit, Timestamp: filterTime, Body: body})
}

func replaceBody(space, key byte) []byte {
	return []byte{0x82, byte(xrow.KeySpaceID), 0xcd, 2, space, byte(xrow.KeyTuple), 0x92, key, 0xa1, 'x'}
}

// dml is a REPLACE into space 512 + space.
func dml(origin uint32, lsn uint64, flags xrow.Flags, space, key byte) []byte {
	return logged(xrow.Replace, origin, lsn, flags, replaceBody(space, key))
}

func synchro(t xrow.Type, origin uint32, lsn uint64, owner uint32, at, term uint64) []byte {
	s := xrow.Synchro{ReplicaID: owner, LSN: at, Term: term}
	return logged(t, origin, lsn, 0, s.AppendBody(nil))
}

func raftRow(m xrow.Raft) []byte {
	return frameOf(xrow.Row{Type: xrow.RaftState, Body: m.AppendBody(nil)})
}

func heartbeatRow(n uint64) []byte {
	return frameOf(xrow.Row{Type: xrow.OK, ReplicaID: 1, Timestamp: filterTime, Body: xrow.AppendHeartbeatBody(nil, n)})
}

// part is a row of a transaction of several.
func part(lsn, tsn uint64, last bool) []byte {
	r := xrow.Row{Type: xrow.Replace, ReplicaID: 1, LSN: lsn, TSN: tsn, Timestamp: filterTime, Body: replaceBody(0, byte(lsn))}
	if last {
		r.Flags = xrow.FlagCommit
	}
	return r.Append(nil)
}

func filterCases() []filterCase {
	term3 := raftRow(xrow.Raft{Term: 3, State: 1})
	by3 := func(rows ...[]byte) [][]byte {
		return append([][]byte{term3, synchro(xrow.Promote, 3, 1, 1, 8, 3)}, rows...)
	}
	candidate := vclock.VClock{1: 10}
	return []filterCase{
		{"row of the owner", [][]byte{dml(1, 11, 0, 0, 50)}},
		{"synchronous row and CONFIRM of the owner", [][]byte{dml(1, 11, 6, 1, 50), synchro(xrow.Confirm, 1, 12, 1, 11, 0)}},
		{"synchronous row and ROLLBACK of the owner", [][]byte{dml(1, 11, 6, 1, 50), dml(1, 12, 2, 0, 50), synchro(xrow.Rollback, 1, 13, 1, 11, 0)}},
		{"asynchronous row of an old term", by3(dml(1, 11, 0, 0, 50))},
		{"synchronous row of an old term", by3(dml(1, 11, 6, 1, 50))},
		{"NOP of an old term", by3(frameOf(xrow.Row{Type: xrow.Nop, ReplicaID: 1, LSN: 11, Timestamp: filterTime}))},
		{"asynchronous row of one that never promoted", [][]byte{dml(3, 1, 0, 0, 50)}},
		{"synchronous row of one that never promoted", [][]byte{dml(3, 1, 6, 1, 50)}},
		{"CONFIRM with owner 0", [][]byte{synchro(xrow.Confirm, 1, 11, 0, 8, 0)}},
		{"CONFIRM with LSN 0", [][]byte{synchro(xrow.Confirm, 1, 11, 1, 0, 0)}},
		{"ROLLBACK with owner 0", [][]byte{synchro(xrow.Rollback, 1, 11, 0, 8, 0)}},
		{"ROLLBACK with LSN 0", [][]byte{synchro(xrow.Rollback, 1, 11, 1, 0, 0)}},
		{"DEMOTE with owner 0", [][]byte{term3, synchro(xrow.Demote, 1, 11, 0, 8, 3)}},
		{"late CONFIRM of a former owner", by3(synchro(xrow.Confirm, 1, 11, 1, 8, 0))},
		{"CONFIRM of a former owner beyond what was confirmed", by3(synchro(xrow.Confirm, 1, 11, 1, 9, 0))},
		{"CONFIRM of the past by the owner", [][]byte{synchro(xrow.Confirm, 1, 11, 1, 7, 0)}},
		{"ROLLBACK of the past by the owner", [][]byte{synchro(xrow.Rollback, 1, 11, 1, 7, 0)}},
		{"late ROLLBACK of a former owner", by3(synchro(xrow.Rollback, 1, 11, 1, 9, 0))},
		{"ROLLBACK of what a former owner had confirmed", by3(synchro(xrow.Rollback, 1, 11, 1, 8, 0))},
		{"ROLLBACK of a foreign owner by the present one", by3(synchro(xrow.Rollback, 3, 2, 1, 9, 0))},
		{"PROMOTE with term 0", [][]byte{synchro(xrow.Promote, 3, 1, 1, 8, 0)}},
		{"PROMOTE of the present term", [][]byte{synchro(xrow.Promote, 3, 1, 1, 8, 2)}},
		{"PROMOTE of an older term", by3(synchro(xrow.Promote, 1, 11, 1, 8, 2))},
		{"PROMOTE at what is confirmed", by3()},
		{"PROMOTE below what is confirmed", [][]byte{term3, synchro(xrow.Promote, 3, 1, 1, 7, 3)}},
		{"PROMOTE beyond an empty queue", [][]byte{term3, synchro(xrow.Promote, 3, 1, 1, 9, 3)}},
		{"PROMOTE beyond the queue", [][]byte{dml(1, 11, 6, 1, 50), dml(1, 12, 6, 1, 51), term3, synchro(xrow.Promote, 3, 1, 1, 20, 3)}},
		{"PROMOTE in the middle of the queue", [][]byte{dml(1, 11, 6, 1, 50), dml(1, 12, 6, 1, 51), term3, synchro(xrow.Promote, 3, 1, 1, 11, 3)}},
		{"PROMOTE of all of the queue", [][]byte{dml(1, 11, 6, 1, 50), dml(1, 12, 6, 1, 51), term3, synchro(xrow.Promote, 3, 1, 1, 12, 3)}},
		{"PROMOTE that names another owner", [][]byte{term3, synchro(xrow.Promote, 3, 1, 3, 8, 3)}},
		{"PROMOTE ahead of its RAFT row", [][]byte{synchro(xrow.Promote, 3, 1, 1, 8, 3)}},
		{"rows of two authors after a DEMOTE", [][]byte{term3, synchro(xrow.Demote, 1, 11, 1, 8, 3), dml(1, 12, 0, 0, 50), dml(3, 1, 0, 0, 51)}},
		{"synchronous row after a DEMOTE", [][]byte{term3, synchro(xrow.Demote, 1, 11, 1, 8, 3), dml(1, 12, 6, 1, 50)}},
		{"gap between LSNs", [][]byte{dml(1, 99, 0, 0, 50)}},
		{"row that is there already", [][]byte{dml(1, 10, 0, 0, 50), dml(1, 11, 0, 0, 51)}},
		{"heartbeat within a transaction", [][]byte{part(11, 11, false), heartbeatRow(1), part(12, 11, true)}},
		{"transaction that does not begin at its first row", [][]byte{part(12, 11, false), part(13, 11, true)}},
		{"two transactions mixed", [][]byte{part(11, 11, false), part(12, 12, true)}},
		{"VCLOCK_SYNC that goes back", [][]byte{heartbeatRow(5), heartbeatRow(4)}},
		{"unknown type of row", [][]byte{frameOf(xrow.Row{Type: 29, ReplicaID: 1, LSN: 11, Timestamp: filterTime, Body: []byte{0x80}})}},
		{"row without an LSN", [][]byte{frameOf(xrow.Row{Type: xrow.Replace, Timestamp: filterTime, Body: replaceBody(0, 50)})}},
		{"row of replica ID 32", [][]byte{frameOf(xrow.Row{Type: xrow.Nop, ReplicaID: 32, LSN: 11, Timestamp: filterTime})}},
		{"row of an unknown member", [][]byte{term3, synchro(xrow.Demote, 1, 11, 1, 8, 3), dml(9, 1, 0, 0, 50)}},
		{"RAFT with term 0", [][]byte{raftRow(xrow.Raft{State: 1})}},
		{"RAFT without a state", [][]byte{raftRow(xrow.Raft{Term: 3})}},
		{"RAFT with state 4", [][]byte{raftRow(xrow.Raft{Term: 3, State: 4})}},
		{"candidate that votes for another", [][]byte{raftRow(xrow.Raft{Term: 3, State: 2, Vote: 3, VClock: &candidate})}},
		{"candidate without a vclock", [][]byte{raftRow(xrow.Raft{Term: 3, State: 2, Vote: 1})}},
		{"row of a space that is not there", [][]byte{dml(1, 11, 0, 99, 50)}},
	}
}

// cutSnapshots leaves out the rows of snapshots and the connections on which
// only the ballot was watched.
func cutSnapshots(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := capture.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	joins, cut := map[string]bool{}, map[string]int{}
	for i := range lines {
		l := &lines[i]
		if l.Kind != capture.Frame {
			continue
		}
		r, err := xrow.Decode(l.Data[xrow.FrameHead:])
		joins[l.Conn] = joins[l.Conn] || err == nil && (r.Type == xrow.Join || r.Type == xrow.Subscribe)
		if err == nil && l.From == capture.Server && isSnapshot(&r) {
			cut[l.Conn]++
		}
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for i := range lines {
		l := &lines[i]
		if l.Conn != "" && !joins[l.Conn] {
			continue
		}
		if l.Kind == capture.Frame && l.From == capture.Server {
			if r, err := xrow.Decode(l.Data[xrow.FrameHead:]); err == nil && isSnapshot(&r) {
				n := cut[l.Conn]
				if cut[l.Conn] = 0; n == 0 {
					continue
				}
				l.Kind, l.Data, l.Note = capture.Cut, nil, fmt.Sprintf("cut %d snapshot INSERT rows", n)
			}
		}
		if err := enc.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
