package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarantool/go-tarantool/v2"

	"tarragon.dev/tarragon/internal/cluster"
)

// lostTxn is a voided transaction as tarragon lost export prints it.
type lostTxn struct {
	Name string `json:"name"`
	By   *struct {
		Term   uint64 `json:"term"`
		Leader string `json:"leader"`
		When   string `json:"when"`
	} `json:"voided_by"`
	Kept []string `json:"kept_at"`
	Rows []struct {
		Type  string `json:"type"`
		Space string `json:"space"`
		Body  struct {
			Tuple []any `json:"tuple"`
		} `json:"body"`
	} `json:"rows"`
}

// lost is what all nodes keep, by the key of the row that each transaction has written.
func (r *rig) lost() (map[uint64]lostTxn, error) {
	out, exit := r.tool(r.ofAll("lost", "export")...)
	if exit != 0 {
		return nil, fmt.Errorf("exit %d, %s", exit, out)
	}
	all := map[uint64]lostTxn{}
	for line := range strings.Lines(out) {
		var l lostTxn
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if len(l.Rows) == 1 && len(l.Rows[0].Body.Tuple) == 2 {
			key, _ := l.Rows[0].Body.Tuple[0].(float64)
			all[uint64(key)] = l
		}
	}
	return all, nil
}

// A leader dies with rows that it alone had. When it is back they can be listed, with the term
// that voided them, and be written again by hand; one whose key is taken by then is not.
func TestLost(t *testing.T) {
	const first, taken, last = 1_000_001, 1_000_002, 1_000_003
	r := start(t, options{proxied: true})
	l := r.startLoad(20)
	l.more(50)
	l.stop()
	r.verify()
	old := r.leader()
	r.mesh.Isolate(r.index(old.Node))
	before := r.synced(old)
	for key := first; key <= last; key++ {
		old.conn.Do(tarantool.NewInsertRequest(space).Tuple([]any{key, "nobody knows"}))
	}
	r.until("they are on its disk", func() error {
		if now := r.synced(old); now < before+last-first+1 {
			return fmt.Errorf("LSN %d, and was %d", now, before)
		}
		return nil
	})
	old.Kill()
	now := r.leaderAfter(old.term)
	r.mesh.Heal() // behind the election: what is on its way is let through
	r.byHand[first], r.byHand[taken] = true, true
	r.call("box.space."+space+":insert", []any{taken, "another"})
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	var all map[uint64]lostTxn
	r.until("the voided rows are listed", func() (err error) {
		if all, err = r.lost(); err == nil && (all[first].Name == "" || all[taken].Name == "" || all[last].Name == "") {
			err = fmt.Errorf("%+v", all)
		}
		return err
	})
	one := all[first]
	if one.By == nil || one.By.Term != now.term || one.By.Leader != now.Name || one.By.When == "" || len(one.Kept) != 1 || one.Kept[0] != old.Name ||
		one.Rows[0].Type != "INSERT" || one.Rows[0].Space != space || one.Rows[0].Body.Tuple[1] != "nobody knows" {
		t.Errorf("%+v, by %+v", one, one.By)
	}
	if out, exit := r.tool(r.ofAll("lost", "list")...); exit != 0 || !strings.Contains(out, one.Name) {
		t.Errorf("list: exit %d, %s", exit, out)
	}
	r.oneLeader()
	if out, exit := r.tool(r.ofAll("lost", "replay", "--dry-run", one.Name)...); exit != 0 || !strings.Contains(out, "1 could be written again") {
		t.Errorf("dry run: exit %d, %s", exit, out)
	}
	r.shows(first, "")
	if out, exit := r.tool(r.ofAll("lost", "replay", "--yes", one.Name, all[taken].Name)...); exit != 1 ||
		!strings.Contains(out, "1 written again, 0 there already, 1 left out") || !strings.Contains(out, `CONFLICT: its key is taken with another value: {"tuple": [1000002, "another"]}`) {
		t.Errorf("replay: exit %d, %s", exit, out)
	}
	r.shows(first, "nobody knows")
	r.shows(taken, "another")
	r.shows(last, "")
	if out, exit := r.tool(r.ofAll("lost", "replay", "--yes", one.Name)...); exit != 0 || !strings.Contains(out, "0 written again, 1 there already, 0 left out") {
		t.Errorf("again: exit %d, %s", exit, out)
	}
	r.equal()
}

// synced is the LSN of a leader's own rows up to which they are on its disk.
func (r *rig) synced(l leading) uint64 {
	r.t.Helper()
	data, err := l.conn.Do(tarantool.NewCallRequest("tarragon.verify.standing").Args([]any{}).Context(r.ctx)).Get()
	if err != nil {
		r.t.Fatal(err)
	}
	told, _ := data[0].(map[any]any)
	clock, _ := told["synced"].([]any)
	return cluster.Number(clock[cluster.Number(told["id"])])
}

// shows waits until all nodes show a value under a key; empty: none.
func (r *rig) shows(key uint64, value string) {
	r.t.Helper()
	for _, n := range r.Nodes {
		r.until(fmt.Sprintf("%s shows %q", n.Name, value), func() error {
			data, err := r.sel(n, space, key)
			if err != nil {
				return err
			}
			got := ""
			if len(data) > 0 {
				got, _ = data[0].([]any)[1].(string)
			}
			if got != value {
				return errors.New("it shows " + got)
			}
			return nil
		})
	}
}
