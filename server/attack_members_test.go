package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tarragon/instance"
	"tarragon/iproto"
	"tarragon/xrow"

	"github.com/google/uuid"
	"github.com/tarantool/go-tarantool/v2"
	"github.com/tinylib/msgp/msgp"
)

// rogue is a peer that says what the test wants, as a user.
func (n *node1) rogue(user, password string) *iproto.Client {
	n.set.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var c *iproto.Client
	n.set.until("a login at "+n.name+" as "+user, func() bool {
		var err error
		if c, err = iproto.Dial(ctx, n.addr); err != nil {
			return false
		}
		if err = c.Login(user, password); err != nil {
			c.Close()
		}
		return err == nil
	})
	n.set.t.Cleanup(func() { c.Close() })
	return c
}

// notData are the statements of a client on what is the replica set's own.
func notData(self string) (all []xrow.DML) {
	ops := msgp.AppendInt(msgp.AppendInt(msgp.AppendString([]byte{0x91, 0x93}, "="), 3), 7)
	row := func(space uint32, key, tuple []byte) {
		all = append(all, xrow.DML{Type: xrow.Replace, SpaceID: space, Tuple: tuple}, xrow.DML{Type: xrow.Update, SpaceID: space, Key: key, Tuple: ops},
			xrow.DML{Type: xrow.Upsert, SpaceID: space, Tuple: tuple, Ops: ops}, xrow.DML{Type: xrow.Delete, SpaceID: space, Key: key})
	}
	stranger := uuid.NewString()
	for id := 1; id <= 9; id += 2 {
		row(spaceCluster, []byte{0x91, byte(id)}, instance.MemberTuple(uint32(id), stranger, "", 0))
	}
	all = append(all, xrow.DML{Type: xrow.Insert, SpaceID: spaceCluster, Tuple: instance.MemberTuple(9, stranger, "zz", 7)})
	for _, key := range []string{"tarragon.quorum", "version", "replicaset_uuid", "replicaset_name"} {
		row(spaceSchema, msgp.AppendString([]byte{0x91}, key), msgp.AppendString(msgp.AppendString([]byte{0x92}, key), "1"))
	}
	all = append(all, xrow.DML{Type: xrow.Insert, SpaceID: 388, Tuple: append(msgp.AppendString([]byte{0x93}, self), 0x80, 0x80)})
	return all
}

// Who counts is no data: neither a replication user, whose role may write
// _cluster, nor a super user, nor admin changes it by a statement, on a lone node
// and on a set of three. The verb of the operator does.
func TestAttackMembersAreNoData(t *testing.T) {
	for _, size := range []int{1, 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newSet(t, size, "")
			s.startAll()
			s.makeSpace()
			lead := s.leader()
			before := mustInfo(t, lead)
			for _, who := range []struct{ user, password string }{{"replicator", "r"}, {"admin1", "a"}} {
				c := lead.rogue(who.user, who.password)
				for _, d := range notData(before.Members[0].UUID) {
					body := d.AppendBody(nil)
					_, err := c.Do(d.Type, body)
					var e *xrow.Error
					switch {
					case !errors.As(err, &e):
						t.Errorf("%s: %v of space %d: %v", who.user, d.Type, d.SpaceID, err)
					case e.Code == xrow.ErrUnsupported, e.Code == xrow.ErrAccessDenied && who.user == "replicator" && d.SpaceID != spaceCluster:
					default: // what it would find never matters for _cluster
						t.Errorf("%s: %v of space %d: %v", who.user, d.Type, d.SpaceID, err)
					}
				}
			}
			for _, name := range []string{"box.space._cluster:delete", "box.space._cluster:insert"} {
				conn := lead.dial()
				_, err := conn.Do(tarantool.NewCallRequest(name).Args([]any{[]any{9, uuid.NewString()}})).Get()
				conn.Close()
				var te tarantool.Error
				if !errors.As(err, &te) || !strings.Contains(te.Msg, "tarragon expel") {
					t.Errorf("%s: %v", name, err)
				}
			}
			s.fill(0, 10)
			after := mustInfo(t, lead)
			if after.Voters != before.Voters || len(after.Members) != size || after.Original || after.Originals != 0 {
				t.Errorf("members %v, original rules %v", after.Members, after.Original)
			}
			if size == 1 {
				return
			}
			out := s.nodes[0]
			if out == lead {
				out = s.nodes[1]
			}
			lead.call("tarragon.expel", out.name)
			s.until("it is expelled by the verb", func() bool { i, ok := lead.info(); return ok && len(i.Members) == size-1 })
		})
	}
}
