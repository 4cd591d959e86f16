package tarragon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tarragon.dev/tarragon"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/rs/zerolog"
	"github.com/tarantool/go-tarantool/v2"
)

// openConfig opens an instance until the end of the test.
func openConfig(t testing.TB, c tarragon.Config) *tarragon.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	db, err := tarragon.Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

var errNoText = errors.New("a text is needed")

// lower makes texts small, refuses those that are empty, keeps what is marked "keep", and counts.
func lower(runs *atomic.Int64) func(old, new tarragon.Tuple, op tarragon.TriggerOp) (tarragon.Tuple, error) {
	return func(old, new tarragon.Tuple, _ tarragon.TriggerOp) (tarragon.Tuple, error) {
		runs.Add(1)
		var was, is row
		if old != nil && old.Decode(&was) == nil && was.Text == "keep" {
			return old, nil
		}
		if new == nil {
			return nil, nil
		}
		if err := new.Decode(&is); err != nil {
			return nil, err
		}
		switch is.Text {
		case "":
			return nil, errNoText
		case "panic":
			panic("as it was asked to")
		}
		is.Text = strings.ToLower(is.Text)
		return tarragon.TupleOf(is)
	}
}

func texts(t testing.TB, s tarragon.Space) string {
	t.Helper()
	rows, err := tarragon.Select[row](t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprint(r.ID, r.Text))
	}
	return strings.Join(out, " ")
}

// Triggers change and refuse statements of everybody, in transactions and outside of them, and
// not what the log has when it is read again.
func TestTriggers(t *testing.T) {
	addr, err := cluster.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	var runs, told atomic.Int64
	c := tarragon.Config{Dir: t.TempDir(), Options: map[string]string{"iproto.listen": addr, "credentials.users.u.password": "u", "credentials.users.u.roles": "super"}}
	c.BeforeReplace("s", lower(&runs))
	c.OnReplace("s", func(old, new tarragon.Tuple, op tarragon.TriggerOp) error {
		told.Add(1)
		if op == tarragon.OpDelete && new != nil {
			return errors.New("a DELETE leaves a tuple")
		}
		return nil
	})
	db, ctx := openConfig(t, c), t.Context()
	s := space(t, db, "s")
	if out, err := s.Insert(ctx, row{ID: 1, Text: "ONE"}); err != nil || string(out[2:]) != "\xa3one" {
		t.Errorf("% x, %v", out, err)
	}
	_, err = s.Insert(ctx, row{ID: 2})
	if !errors.Is(err, errNoText) || err.Error() != errNoText.Error() {
		t.Errorf("%v", err)
	}
	if _, err = s.Insert(ctx, row{ID: 2, Text: "panic"}); err == nil || !strings.Contains(err.Error(), "before_replace of space 's' panicked: as it was asked to") {
		t.Errorf("%v", err)
	}
	err = db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		insert(t, tx.Space("s"), 2)
		if _, err := tx.Space("s").Update(ctx, 1, tarragon.Assign(1, "")); !errors.Is(err, errNoText) {
			t.Errorf("%v", err)
		}
		_, err := tx.Space("s").Update(ctx, 1, tarragon.Assign(1, "KEEP"))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if gone, err := s.Delete(ctx, 1); gone != nil || err != nil { // it is ignored
		t.Errorf("%v, %v", gone, err)
	}
	conn, err := tarantool.Connect(ctx, tarantool.NetDialer{Address: addr, User: "u", Password: "u"}, tarantool.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var refused tarantool.Error
	if _, err := conn.Do(tarantool.NewInsertRequest("s").Tuple([]any{3, ""})).Get(); !errors.As(err, &refused) || refused.Code != 32 || refused.Msg != errNoText.Error() {
		t.Errorf("a client: %v", err)
	}
	if _, err := conn.Do(tarantool.NewCallRequest("box.space.s:replace").Args([]any{[]any{3, "CLIENT"}})).Get(); err != nil {
		t.Error(err)
	}
	const want = "1keep 2row 2 3client"
	if got := texts(t, s); got != want {
		t.Errorf("%s", got)
	}
	if n := told.Load(); n != 4 {
		t.Errorf("told of %d changes", n)
	}
	before := runs.Load()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := openConfig(t, c)
	if got := texts(t, again.Space("s")); got != want || runs.Load() != before {
		t.Errorf("%s, %d runs", got, runs.Load()-before)
	}
	insert(t, again.Space("s"), 4)
	if runs.Load() != before+1 {
		t.Errorf("%d runs", runs.Load()-before)
	}

	for _, space := range []string{"", "_space", "_vuser"} {
		c := tarragon.Config{Dir: t.TempDir()}
		c.OnReplace(space, func(_, _ tarragon.Tuple, _ tarragon.TriggerOp) error { return nil })
		if _, err := tarragon.Open(ctx, c); err == nil || !strings.Contains(err.Error(), "system spaces have none") {
			t.Errorf("%q: %v", space, err)
		}
	}
}

// until waits for a condition.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

// Members of a replica set in one process: triggers run at the leader alone, others have what
// came of it, and Close moves leadership.
func TestReplicaSet(t *testing.T) {
	dir := t.TempDir()
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "credentials: {users: {r: {password: r, roles: [replication]}}}\niproto: {advertise: {peer: {login: r}}}\n"+
		"replication: {failover: election}\nprocess: {work_dir: %s}\ngroups: {g: {replicasets: {r: {instances: {", dir)
	names := []string{"a", "b", "c"}
	for _, name := range names {
		addr, err := cluster.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&yaml, "%s: {iproto: {listen: [{uri: '%s'}]}}, ", name, addr)
	}
	yaml.WriteString("}}}}}\n")
	file := filepath.Join(dir, "cluster.yaml")
	if err := os.WriteFile(file, []byte(yaml.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	dbs := make([]*tarragon.DB, len(names))
	runs := make([]atomic.Int64, len(names))
	out := make([]logs, len(names))
	opened := make(chan error, len(names))
	ctx := t.Context()
	opening, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, name := range names {
		go func() {
			c := tarragon.Config{File: file, Instance: name, Log: zerolog.New(&out[i])}
			c.BeforeReplace("s", lower(&runs[i]))
			var err error
			dbs[i], err = tarragon.Open(opening, c)
			opened <- err
		}()
	}
	t.Cleanup(func() {
		for i, db := range dbs {
			if db != nil {
				_ = db.Close() // or it was
			}
			if t.Failed() {
				t.Logf("log of %s:\n%s", names[i], out[i].b.String())
			}
		}
	})
	for range names {
		if err := <-opened; err != nil {
			t.Fatal(err)
		}
	}
	for i, db := range dbs { // or the others may be no quorum once one is closed
		until(t, names[i]+" knows three voters", func() bool {
			members, err := tarragon.Select[[]any](ctx, db.Space("_cluster"), nil)
			return err == nil && len(members) == len(names) && !slices.ContainsFunc(members, func(m []any) bool { return len(m) > 4 && m[4] == true })
		})
	}
	leads := func() (leader int) {
		until(t, "a leader", func() bool {
			for i, db := range dbs {
				ro, err := db.Call(ctx, "box.ctl.wait_rw", 0)
				if err == nil && ro != nil {
					leader = i
					return true
				}
			}
			return false
		})
		return leader
	}
	first := leads()
	space(t, dbs[first], "s")
	insert(t, dbs[first].Space("s"), 1, 2)
	if err := dbs[first].Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		_, err := tx.Space("s").Replace(ctx, row{ID: 2, Text: "TWO"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for i, db := range dbs {
		until(t, "all have it", func() bool {
			rows, err := tarragon.Select[row](ctx, db.Space("s"), 2)
			return err == nil && len(rows) == 1 && rows[0].Text == "two"
		})
		if n := runs[i].Load(); (n == 3) != (i == first) || i != first && n != 0 {
			t.Errorf("%s: %d runs", names[i], n)
		}
	}
	other := dbs[(first+1)%3]
	tried := 0
	err := other.Transaction(ctx, tarragon.TxOptions{Hold: patience}, func(tx *tarragon.Tx) error {
		tried++
		_, err := tx.Space("s").Insert(ctx, row{ID: 3, Text: "x"})
		return err
	})
	if wantErr(t, err, tarragon.ErrReadonly); tried != 1 {
		t.Errorf("%d runs at one that follows", tried)
	}
	if rows, err := tarragon.Select[row](ctx, other.Space("s"), nil, tarragon.Linearizable()); len(rows) != 2 || err != nil {
		t.Errorf("%v, %v", rows, err)
	}
	if err := dbs[first].Close(); err != nil {
		t.Fatal(err)
	}
	var next int
	until(t, "another one takes writes", func() bool { // it may move once more on a busy machine
		next = leads()
		_, err := dbs[next].Space("s").Replace(ctx, row{ID: 3, Text: "THREE"})
		return err == nil
	})
	if got := texts(t, dbs[next].Space("s")); got != "1row 1 2two 3three" || next == first {
		t.Errorf("%s: %s", names[next], got)
	}
}
