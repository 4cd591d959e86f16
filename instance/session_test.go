package instance

import (
	"fmt"
	"testing"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// sessionWorld is a leader with so many sessions of two slots of a user, of which it has read none: its process
// has slept.
func sessionWorld(t *testing.T, n int, user uint32) (w *world, h *host) {
	t.Helper()
	w = newWorld(t)
	h = w.set(1, "1")[0]
	w.do(h, func(tx *box.Txn) error {
		return tx.ExecuteInternal(&xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSchema, Tuple: featureTuple(box.OwnSession.Level)})
	})
	w.do(h, func(tx *box.Txn) error {
		return tx.ExecuteInternal(&xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceUser, Tuple: append(msgp.AppendString(msgp.AppendString([]byte{0x97, 40, 1}, "bob"), "user"), 0x80, 0x90, 0)})
	})
	w.do(h, func(tx *box.Txn) error {
		for i := range n {
			key := fmt.Sprintf("1/%04d", i)
			row := append(msgp.AppendString([]byte{0x95}, key), 0, 2)
			if err := tx.PutOwn(&box.OwnSession, append(msgp.AppendUint32(row, user), 0xc0)); err != nil {
				return err
			}
			row = append(msgp.AppendString([]byte{0x95}, key), 2, 1)
			if err := tx.PutOwn(&box.OwnSession, append(msgp.AppendBytes(row, make([]byte, 16)), 0xc0)); err != nil {
				return err
			}
		}
		return nil
	})
	h.core.sessions.term = 0
	return w, h
}

// do has a transaction committed.
func (w *world) do(h *host, f func(tx *box.Txn) error) {
	w.t.Helper()
	w.sync++
	h.step(Write{Requests: []Request{{Conn: 1, Sync: w.sync, User: box.UserAdmin, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) { return noValues, f(tx) }}}})
	w.answered(h, w.sync)
}

func (w *world) answered(h *host, sync uint64) {
	w.t.Helper()
	if err, ok := h.answers[sync]; !ok || err != nil {
		w.t.Fatalf("answered %v: %v", ok, err)
	}
}

// A new leader reads sessions in slices. What has a number goes on meanwhile; who wants a session waits until
// it is known how many there are.
func TestSessionsAreReadInSlices(t *testing.T) {
	const n = 3*sliceSessions + 1
	w, h := sessionWorld(t, n, 1)
	c := h.core
	number := &xrow.Number{Session: fmt.Sprintf("%s/1/%04d", c.box.ReplicasetUUID(), n-1), Slot: 1, No: 1}
	w.sync++
	h.step(Write{Requests: []Request{{Conn: 1, Sync: w.sync, User: box.UserAdmin, Number: number, DML: xrow.DML{Type: xrow.Insert, SpaceID: 512, Tuple: []byte{0x91, 77}}}}})
	w.answered(h, w.sync)
	if c.sessions.reading.whole || c.sessionCount().Known {
		t.Fatal("all sessions are read in one Step")
	}
	w.sync++
	opens := w.sync
	h.step(OpenSession{Conn: 1, Sync: opens, User: box.UserAdmin, Slots: 1})
	steps := 0
	for ; steps < 100; steps++ {
		if _, ok := h.answers[opens]; ok {
			break
		}
		before := len(c.sessions.all)
		w.now.Mono = c.Deadline()
		h.step()
		if got := len(c.sessions.all); got > before+sliceSessions+1 {
			t.Fatalf("%d sessions in one Step", got-before)
		}
	}
	w.answered(h, opens)
	if got := c.sessionCount(); steps < 2 || !got.Known || got.Open != n+1 || got.Slots != 2*n+1 {
		t.Errorf("after %d Steps: %+v", steps, got)
	}
}

// What waits for the rest is answered by who leads no more.
func TestOpeningWaitsForNobody(t *testing.T) {
	w, h := sessionWorld(t, 3*sliceSessions, 1)
	w.sync++
	h.step(OpenSession{Conn: 1, Sync: w.sync, User: box.UserAdmin, Slots: 1})
	if _, ok := h.answers[w.sync]; ok {
		t.Fatal("it does not wait")
	}
	h.core.raft.Resign(w.now.Mono, "a test")
	h.core.afterRaft()
	h.step()
	if err := h.answers[w.sync]; err == nil || err.Code != xrow.ErrReadonly {
		t.Errorf("%v", err)
	}
}

// A user who is dropped before all is read takes all his sessions along.
func TestUserIsDroppedWhileSessionsAreRead(t *testing.T) {
	w, h := sessionWorld(t, 2*sliceSessions, 40)
	w.do(h, func(tx *box.Txn) error {
		return tx.ExecuteInternal(&xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceUser, Key: []byte{0x91, 40}})
	})
	if tuple := h.core.box.NewestOwnBehind(&box.OwnSession, nil); tuple != nil {
		t.Errorf("%x is left", tuple)
	}
}
