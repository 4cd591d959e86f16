package attack

import (
	"context"
	"testing"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// spoken are the requests of peers, and what goes along their streams.
var spoken = [...]xrow.Type{xrow.Join, xrow.Subscribe, xrow.Register, xrow.FetchSnap, xrow.OK, xrow.Vote, xrow.RaftState, xrow.Insert,
	xrow.Promote, xrow.Demote, xrow.Confirm, xrow.Rollback, xrow.Nop, xrow.Type(200)}

// FuzzPeer speaks as a user of replication: whatever it says, the node goes on
// answering others. An input is a list of frames: which request, the fields of its
// header, the length of its body, the body; a request of no known number is sent as
// it stands, header and all.
func FuzzPeer(f *testing.F) {
	addr := runOurs(f, "tarragon: {members: ['*']}\n")
	awaitBoss(f, addr)
	ctx := context.Background()
	boss, err := iproto.Dial(ctx, addr)
	if err == nil {
		err = boss.Login(bossName, password)
	}
	if err != nil {
		f.Fatal(err)
	}
	join := xrow.JoinRequest{InstanceUUID: "00000002-0000-4000-8000-000000000002", ServerVersion: 3<<16 | 8<<8, Incarnation: 7}
	subscribe := xrow.SubscribeRequest{InstanceUUID: join.InstanceUUID, VClock: vclock.VClock{1: 1}, ServerVersion: join.ServerVersion, Kind: xrow.Tarragon, Incarnation: 7}
	anonymous := xrow.SubscribeRequest{InstanceUUID: join.InstanceUUID, ServerVersion: join.ServerVersion, Anon: true, Kind: xrow.Tarragon}
	ack := xrow.Ack{VClock: vclock.VClock{1: 1 << 40}, Term: 1 << 62}
	f.Add(frames(frame{0, join.AppendBody(nil)}))
	f.Add(frames(frame{1, subscribe.AppendBody(nil)}, frame{4, ack.AppendBody(nil)}))
	f.Add(frames(frame{1, anonymous.AppendBody(nil)}, frame{4, ack.AppendBody(nil)}))
	f.Add(frames(frame{2, join.AppendBody(nil)}))
	f.Add(frames(frame{3, join.AppendBody(nil)}))
	f.Add(frames(frame{5, nil}, frame{7, []byte{0x82, 0x10, 0xcd, 2, 0, 0x21, 0x91, 1}}))
	f.Fuzz(func(t *testing.T, input []byte) {
		c, err := iproto.Dial(ctx, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Login(peerName, password); err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		speak(c, input)
		if _, err := boss.Do(xrow.Ping, nil); err != nil {
			t.Fatalf("it answers nobody: %v", err)
		}
	})
}

type frame struct {
	request byte
	body    []byte
}

// frames is the input that sends these.
func frames(all ...frame) (input []byte) {
	for _, f := range all {
		input = append(input, f.request, 0, 0, 0, 0, byte(len(f.body)))
		input = append(input, f.body...)
	}
	return input
}

// speak sends what an input says, and reads one answer. What the node does with
// the connection is its own affair.
func speak(c *iproto.Client, input []byte) {
	for len(input) > 6 {
		n := min(int(input[5]), len(input)-6)
		head, body := input[:6], input[6:6+n]
		input = input[6+n:]
		var err error
		if head[0] < 250 {
			err = c.WriteRow(&xrow.Row{Type: spoken[int(head[0])%len(spoken)], Sync: 1, ReplicaID: uint32(head[1]), LSN: uint64(head[2]),
				TSN: uint64(head[2] - head[3]), Term: uint64(head[4]), Flags: xrow.FlagCommit, Body: body})
		} else {
			_, err = c.Write(append([]byte{0xce, 0, 0, 0, byte(n)}, body...))
		}
		if err != nil {
			return
		}
	}
	_, _ = c.ReadRow()
}
