package server

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// The history of leaders is a view for go-tarantool, by name and by ID, on every instance:
// the same rows as tarragon.history tells. Who may not read _cluster sees none, and nobody
// writes it.
func TestHistoryView(t *testing.T) {
	s := newSet(t, 3, "")
	s.startAll()
	s.makeSpace()
	s.level()
	s.makeUser("bob", []any{"read", "space", "_cluster"})
	s.makeUser("eve")
	was := s.leader().readyInfo()
	s.until("leadership moves", func() bool { // it is refused while nobody else gives a word
		conn := s.leader().dial()
		defer conn.Close()
		_, err := conn.Do(tarantool.NewCallRequest("box.ctl.switchover").Args([]any{map[string]any{"reason": "a test"}})).Get()
		return err == nil
	})
	now := s.leader().readyInfo()
	terms := []any{was.Term, now.Term}
	for _, n := range s.nodes {
		s.until(n.name+" knows the term", func() bool { i, _ := n.info(); return i.QueueTerm == now.Term })
		conn := n.dial()
		told := n.call("tarragon.history")[0].(map[any]any)["terms"].([]any)
		for _, space := range []any{"_vtarragon_history", uint32(xrow.ViewHistory)} {
			rows, err := conn.Do(tarantool.NewSelectRequest(space).Index("primary").Iterator(tarantool.IterAll)).Get()
			if err != nil || len(rows) != len(told) {
				t.Fatalf("%s: %v: %v, %d are told", n.name, err, rows, len(told))
			}
			for i := range rows {
				row, term := rows[i].([]any), told[i].(map[any]any)
				if got := fmt.Sprint(row[0], row[1], row[2], row[3], row[4], row[7]); got != fmt.Sprint(term["term"], term["owner"], term["uuid"], term["name"], term["kind"], term["first"]) {
					t.Errorf("%s: %s of %v", n.name, got, term)
				}
			}
			one, err := conn.Do(tarantool.NewSelectRequest(space).Key([]any{now.Term})).Get()
			if err != nil || len(one) != 1 || fmt.Sprint(one[0].([]any)[4:7], one[0].([]any)[12:]) != fmt.Sprintf("[switchover admin1 a test] [%d strong]", was.Term) {
				t.Errorf("%s, term %d: %v, %v", n.name, now.Term, one, err)
			}
			last, err := conn.Do(tarantool.NewSelectRequest(space).Iterator(tarantool.IterLe).Limit(1)).Get()
			if err != nil || len(last) != 1 || !reflect.DeepEqual(last[0], one[0]) {
				t.Errorf("%s: the newest is %v, %v", n.name, last, err)
			}
			_, err = conn.Do(tarantool.NewReplaceRequest(space).Tuple([]any{1})).Get()
			if refused := new(tarantool.Error); !errors.As(err, refused) || refused.Code != iproto.ER_VIEW_IS_RO {
				t.Errorf("%s: a REPLACE: %v", n.name, err)
			}
		}
		conn.Close()
		for user, want := range map[string]int{"bob": len(terms), "eve": 0} {
			conn, err := tarantool.Connect(context.Background(), tarantool.NetDialer{Address: n.addr, User: user, Password: user}, tarantool.Opts{Timeout: patience})
			if err != nil {
				t.Fatal(err)
			}
			rows, err := conn.Do(tarantool.NewSelectRequest("_vtarragon_history").Iterator(tarantool.IterAll)).Get()
			if err != nil || len(rows) != want {
				t.Errorf("%s at %s: %v, %v", user, n.name, rows, err)
			}
			conn.Close()
		}
	}
}
