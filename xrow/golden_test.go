package xrow

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tarragon.dev/tarragon/vclock"
)

// frame is one recorded frame.
type frame struct {
	at     string // file:line
	server bool   // sent by the side that accepted the connection
	raw    bool   // malformed on purpose
	bytes  []byte
}

// frames reads all of testdata/frames.
func frames(t testing.TB) (all []frame) {
	t.Helper()
	names, err := filepath.Glob("testdata/frames/*.txt")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d files of frames, %v", len(names), err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			line, raw := strings.CutPrefix(lines.Text(), "raw ")
			from, digits, _ := strings.Cut(line, " ")
			b, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatalf("%s:%d: %v", name, n, err)
			}
			all = append(all, frame{fmt.Sprintf("%s:%d", filepath.Base(name), n), from == "server", raw, b})
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	return all
}

// refused are the frames that Tarantool refused too, by the end of the
// error's text.
var refused = map[string]int{
	"packet header": 3, // header keys or values of a wrong type
	"packet body":   6, // malformed extensions
}

// TestRecordedFramesReencode decodes every recorded frame and encodes it
// again. Where the layout is not that of rows, the reason is one of those
// below; a frame that fits none fails the test.
func TestRecordedFramesReencode(t *testing.T) {
	bad := map[string]int{}
	same, fixedWidth, events, clients := 0, 0, 0, 0
	for _, f := range frames(t) {
		if f.raw {
			continue
		}
		row, err := Decode(f.bytes[FrameHead:])
		if err != nil {
			bad[strings.TrimPrefix(err.Error(), "Invalid MsgPack - ")]++
			continue
		}
		switch {
		case bytes.Equal(row.Append(nil), f.bytes):
			same++
		case f.server && bytes.HasPrefix(f.bytes[FrameHead:], []byte{0x83, 0x00, 0xce}):
			fixedWidth++ // replies to clients; 2.6 has the schema version in 32 bits
			if f.old() {
				continue
			}
			reply := AppendReplyHead(nil, row.Type, row.Sync, row.SchemaVersion)
			reply = append(reply, row.Body...)
			EndFrame(reply, 0)
			if !bytes.Equal(reply, f.bytes) {
				t.Errorf("%s: as a reply\n got %x\nwant %x", f.at, reply, f.bytes)
			}
		case f.server && row.Type == Event && row.Sync == 0:
			events++ // have SYNC also when it is 0
		case !f.server && row.LSN == 0 && row.ReplicaID == 0:
			clients++ // SYNC first (net.box), of fixed width (go-tarantool), without a type (a raw client)
		default:
			t.Errorf("%s:\n got %x\nwant %x", f.at, row.Append(nil), f.bytes)
		}
	}
	if fmt.Sprint(bad) != fmt.Sprint(refused) {
		t.Errorf("refused %v, want %v", bad, refused)
	}
	t.Logf("%d the same, %d replies, %d events, %d of clients", same, fixedWidth, events, clients)
	if same < 2000 || fixedWidth < 800 || events < 30 {
		t.Error("frames are missing")
	}
}

// TestRecordedBodiesReencode decodes every body of a kind we know in a
// replication conversation and encodes it again.
func TestRecordedBodiesReencode(t *testing.T) {
	seen := map[string]int{}
	for _, f := range frames(t) {
		if f.raw || strings.HasPrefix(f.at, "client-dml") {
			continue // what the raw client sent there under these types is no replication
		}
		row, err := Decode(f.bytes[FrameHead:])
		if err != nil || row.Body == nil {
			continue
		}
		kind, b, err := decodeBody(&row, f.server)
		if kind == "" {
			continue
		}
		if err != nil && f.byHand() {
			seen[err.Error()]++ // the server's answer had the same text
			continue
		}
		if err != nil {
			t.Errorf("%s: %s: %v", f.at, kind, err)
			continue
		}
		if got := b.AppendBody(nil); !bytes.Equal(got, row.Body) && !f.otherLayout(kind, &row) {
			t.Errorf("%s: %s\n got %x\nwant %x", f.at, kind, got, row.Body)
		}
		seen[kind]++
	}
	t.Log(seen)
	for kind, n := range map[string]int{"CONFIRM": 32, "PROMOTE": 16, "DEMOTE": 1, "SYNC_ROLLBACK": 2, "RAFT": 33,
		"SUBSCRIBE OK": 20, "ack": 255, "ballot": 7, "heartbeat": 104,
		"Invalid MsgPack - instance UUID": 1, "Invalid MsgPack - invalid VCLOCK": 1} {
		if seen[kind] != n {
			t.Errorf("%d of %s, want %d", seen[kind], kind, n)
		}
	}
}

// otherLayout tells whether the body of a row may differ from ours, and why.
func (f *frame) otherLayout(kind string, row *Row) bool {
	switch {
	case kind == "INSERT" && row.LSN == 0:
		return row.Body[2] == 0xce // rows of a snapshot have SPACE_ID in 32 bits
	case kind == "VCLOCK" && row.Body[3] == 0x00:
		return true // component 0, which JOIN's first OK has in 3.8
	case kind == "ballot" || kind == "VCLOCK" || kind == "SUBSCRIBE":
		return f.old() || f.byHand() // fewer keys, another order
	case kind == "JOIN" || kind == "REGISTER" || kind == "FETCH_SNAPSHOT":
		return f.byHand()
	}
	return false
}

// byHand tells whether the frame is of the raw client that plays a replica:
// it leaves out keys, and tries nil UUIDs and keys of the enterprise edition.
func (f *frame) byHand() bool { return !f.server && strings.HasPrefix(f.at, "fake-peer") }

// old tells whether the frame is of a conversation of 2.6.
func (f *frame) old() bool { return strings.Contains(f.at, "-2.6.") }

func decodeBody(row *Row, server bool) (kind string, b body, err error) {
	switch {
	case row.Type.IsDML() && server:
		d, err := DecodeDML(row.Type, row.Body)
		return row.Type.String(), &d, err
	case row.Type.IsSynchro() && server:
		s, err := DecodeSynchro(row.Body)
		return row.Type.String(), &s, err
	case row.Type == RaftState && server:
		r, err := DecodeRaft(row.Body)
		return "RAFT", &r, err
	case row.Type == Join || row.Type == FetchSnap:
		j, err := DecodeJoin(row.Body)
		return row.Type.String(), &j, err
	case row.Type == Register:
		r, err := DecodeRegister(row.Body)
		return "REGISTER", &r, err
	case row.Type == Subscribe:
		s, err := DecodeSubscribe(row.Body)
		return "SUBSCRIBE", &s, err
	case row.Type == OK && server && len(row.Body) > 1 && row.Body[1] == byte(KeyBallot):
		v, err := DecodeBallot(row.Body)
		return "ballot", &v, err
	case row.Type == OK && server && len(row.Body) > 1 && row.Body[1] == byte(KeyReplicasetUUID):
		s, err := DecodeSubscribeOK(row.Body)
		return "SUBSCRIBE OK", &s, err
	case row.Type == OK && server && len(row.Body) > 1 && row.Body[1] == byte(KeyVClock):
		v, _, err := DecodeVClockBody(row.Body)
		return "VCLOCK", vclockBody(v), err
	case row.Type == OK && server && len(row.Body) > 1 && row.Body[1] == byte(KeyVClockSync):
		sync, err := DecodeHeartbeat(row.Body)
		return "heartbeat", heartbeatBody(sync), err
	case row.Type == OK && !server && len(row.Body) > 1:
		var a Ack
		err := a.Decode(row.Body)
		return "ack", &a, err
	}
	return "", nil, nil
}

// vclockBody and heartbeatBody are bodies without a type of their own.
type (
	vclockBody    vclock.VClock
	heartbeatBody uint64
)

func (v vclockBody) AppendBody(dst []byte) []byte {
	return AppendVClockBody(dst, (*vclock.VClock)(&v))
}
func (sync heartbeatBody) AppendBody(dst []byte) []byte {
	return AppendHeartbeatBody(dst, uint64(sync))
}
