package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/server"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// lostFrames are the frames of a transaction of instance 1 in term 2 that ends with an LSN.
func lostFrames(last uint64, rows ...xrow.Row) (frames []byte) {
	first := last + 1 - uint64(len(rows))
	for i, r := range rows {
		r.ReplicaID, r.LSN, r.TSN, r.Term, r.Timestamp = 1, first+uint64(i), first, 2, 1.5e9
		if r.LSN == last {
			r.Flags = xrow.FlagCommit
		}
		frames = r.Append(frames)
	}
	return frames
}

func lostDML(d xrow.DML) xrow.Row { return xrow.Row{Type: d.Type, Body: d.AppendBody(nil)} }

func lostInsert(space uint32, tuple ...any) xrow.Row {
	return lostDML(xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: mp.Tuple(tuple...)})
}

// lostServer is an instance that keeps voided transactions, frames by names; page is how many an answer has.
func lostServer(t *testing.T, name string, page int, names []lostName, frames ...[]byte) string {
	set := map[string]any{"uuid": "a-set"}
	return serveFake(t, map[string]any{
		"tarragon.history": map[string]any{"name": name, "replicaset": set, "term": 5, "confirmed": 9, "terms": []any{
			map[string]any{"term": 2, "owner": 1, "name": "i1", "kind": "bootstrap", "first": 1, "last": 400},
			map[string]any{"term": 5, "owner": 2, "name": "i2", "kind": "election", "first": 1, "last": 9, "at": 1.6e9}}},
		"tarragon.lost.list": func(arguments any) any {
			from := numbersOf(arguments)
			list, more := []any{}, false
			for i, n := range names {
				if n.compare(lostName{from["term"], from["origin"], from["lsn"]}) < 0 {
					continue
				}
				if len(list) == page {
					more = true
					break
				}
				list = append(list, map[string]any{"term": n.term, "origin": n.origin, "lsn": n.lsn, "rows": frames[i]})
			}
			return map[string]any{"list": list, "more": more, "spaces": map[uint32]string{512: "orders"}}
		},
	}).address
}

// What several instances keep is one list, with who voided it and who keeps it.
func TestLostList(t *testing.T) {
	names := []lostName{{2, 1, 399}, {2, 1, 401}, {2, 1, 403}, {3, 3, 7}, {6, 1, 1}}
	frames := [][]byte{
		lostFrames(399, lostInsert(512, 1, "rolled back")), lostFrames(401, lostInsert(512, 1, "a\x1b[2J")), lostFrames(403, lostInsert(512, 2, "b"), lostInsert(600, 3)),
		lostFrames(7, xrow.Row{Type: xrow.Nop}), append(lostFrames(1, lostInsert(512, 4)), 0xce, 0, 0),
	}
	one, two := lostServer(t, "i1", 2, names, frames...), lostServer(t, "i3", 1000, names[1:2], frames[1])
	out, _, err := runWith(t, nil, "lost", "list", "--addr", one, "--addr", two)
	want := `NAME     WRITTEN                   ROWS  SPACES              VOIDED BY                                          WHEN                      KEPT AT
2:1:399  2017-07-14 02:40:00.000Z  1     orders              a ROLLBACK, or a term that the history does not have  -                         i1
2:1:401  2017-07-14 02:40:00.000Z  1     orders              term 5 of i2                                       2020-09-13 12:26:40.000Z  i1, i3
2:1:403  2017-07-14 02:40:00.000Z  2     orders, 600 (gone)  term 5 of i2                                       2020-09-13 12:26:40.000Z  i1
3:3:7    2017-07-14 02:40:00.000Z  1     -                   term 5 of i2                                       2020-09-13 12:26:40.000Z  i1
6:1:1    2017-07-14 02:40:00.000Z  1     orders              a ROLLBACK, or a term that the history does not have  -                         i1
`
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if err != nil || squeeze(out) != squeeze(want) {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
	out, _, err = runWith(t, nil, "lost", "show", "--addr", one, "2:1:403", "6:1:1")
	if err != nil || strings.Contains(out, "2:1:401") || !strings.Contains(out, `INSERT term 2, written 2017-07-14 02:40:00.000Z, space orders {"space_id": 512, "tuple": [2, "b"]}`) ||
		!strings.Contains(out, "space 600 (gone)") || !strings.Contains(out, "what follows cannot be read: ") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = runWith(t, nil, "lost", "export", "--addr", one, "--addr", two)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var l struct {
		Name string   `json:"name"`
		Kept []string `json:"kept_at"`
		Rows []struct {
			Body struct{ Tuple []any }
		} `json:"rows"`
	}
	if jerr := json.Unmarshal([]byte(lines[1]), &l); err != nil || jerr != nil || len(lines) != len(names) || l.Name != "2:1:401" || len(l.Kept) != 2 || l.Rows[0].Body.Tuple[1] != "a\x1b[2J" {
		t.Errorf("%v, %v\n%s", err, jerr, out)
	}
}

// Each wrong word has its error, and an instance that does not answer is named.
func TestLostRefusals(t *testing.T) {
	one := lostServer(t, "i1", 1000, []lostName{{2, 1, 401}}, lostFrames(401, lostInsert(512, 1, "a")))
	other := serveFake(t, map[string]any{"tarragon.history": map[string]any{"replicaset": map[string]any{"uuid": "b-set"}}, "tarragon.lost.list": map[string]any{"list": []any{}}}).address
	none := lostServer(t, "i1", 1000, nil)
	for _, c := range []struct {
		words []string
		exit  int
		want  string
	}{
		{[]string{"list", "--addr", none}, exitOK, "no instance keeps a voided transaction"},
		{[]string{"list", "--addr", one, "--addr", "127.0.0.1:1"}, exitUnhealthy, "no answer: 127.0.0.1:1"},
		{[]string{"list", "--addr", "127.0.0.1:1"}, exitFailed, "no instance answers"},
		{[]string{"list", "--addr", one, "--addr", other}, exitUsage, "is of another replica set"},
		{[]string{"show", "--addr", one, "5"}, exitUsage, `"5" is no name of a transaction: it has to be TERM:INSTANCE:LSN`},
		{[]string{"show", "--addr", one, "2:1:401:1"}, exitUsage, "is no name of a transaction"},
		{[]string{"show", "--addr", one, "2:99:401"}, exitUsage, "is no name of a transaction"},
		{[]string{"show", "--addr", one, "2:1:400"}, exitFailed, "no instance keeps a voided transaction 2:1:400: 'tarragon lost list' prints"},
		{[]string{"replay", "--addr", one}, exitUsage, "which transactions?"},
		{[]string{"replay", "--addr", one, "--all", "2:1:401"}, exitUsage, "exclude each other"},
		{[]string{"replay", "--addr", one, "--all", "--yes", "--dry-run"}, exitUsage, "exclude each other"},
		{[]string{"replay", "--addr", one, "--all", "--yes"}, exitFailed, "no leader"},
	} {
		out, complaints, err := runWith(t, nil, append([]string{"lost"}, c.words...)...)
		if all := fmt.Sprint(out, complaints, err); exitCode(err) != c.exit || !strings.Contains(all, c.want) {
			t.Errorf("%v: exit %d, want %d, %s", c.words, exitCode(err), c.exit, all)
		}
	}
}

// lone runs an instance with two spaces and gives how to reach it.
func lone(t *testing.T) target {
	t.Helper()
	addr, err := cluster.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	text := fmt.Sprintf(`credentials: {users: {boss: {password: secret, roles: [super]}}}
replication: {failover: election}
groups: {g: {replicasets: {r: {instances: {i1: {iproto: {listen: [{uri: '%s'}]}}}}}}}
`, addr)
	if err := os.WriteFile("c.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := config.Load(config.Source{File: "c.yaml", Instance: "i1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, server.Config{Instance: in, Log: zerolog.Nop()}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	waitFor(t, "it leads, and has its user", func(out string, code int) bool { return code == exitOK && strings.Contains(out, "leader") }, "status", "--addr", "boss:secret@"+addr)
	targets, err := addressTargets([]string{"boss:secret@" + addr})
	if err != nil {
		t.Fatal(err)
	}
	return targets[0]
}

func (r *replaying) must(t *testing.T, function string, arguments ...any) {
	t.Helper()
	if err := r.target.call(t.Context(), r.timeout, nil, function, arguments...); err != nil {
		t.Fatal(err)
	}
}

// What replay makes of each row, by what is there now; what conflicts leaves nothing behind.
func TestLostReplay(t *testing.T) {
	r := &replaying{target: lone(t), timeout: time.Minute}
	format := []any{map[string]any{"name": "id", "type": "unsigned"}, map[string]any{"name": "text", "type": "string"}}
	r.must(t, "box.schema.space.create", "orders", map[string]any{"id": 512, "format": format})
	r.must(t, "box.space.orders:create_index", "pk", map[string]any{"parts": []any{[]any{1, "unsigned"}}})
	r.must(t, "box.space.orders:create_index", "text", map[string]any{"parts": []any{[]any{2, "string"}}})
	for id, text := range []string{"zero", "one", "two"} {
		r.must(t, "box.space.orders:insert", []any{id, text})
	}
	key := func(id any) []byte { return mp.Tuple(id) }
	ops := mp.Tuple([]any{"=", 1, "changed"})
	replace := func(tuple ...any) xrow.Row {
		return lostDML(xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: mp.Tuple(tuple...)})
	}
	update := func(id any) xrow.Row {
		return lostDML(xrow.DML{Type: xrow.Update, SpaceID: 512, Key: key(id), Tuple: ops})
	}
	upsert := func(id int, text string) xrow.Row {
		return lostDML(xrow.DML{Type: xrow.Upsert, SpaceID: 512, Tuple: mp.Tuple(id, text), Ops: ops})
	}
	del := func(id any) xrow.Row { return lostDML(xrow.DML{Type: xrow.Delete, SpaceID: 512, Key: key(id)}) }
	for _, c := range []struct {
		name      string
		rows      []xrow.Row
		overwrite bool
		input     string // an answer instead of --yes
		dry       bool
		want      string
		changed   string // what is in the space behind it, if not what was
	}{
		{name: "a free key", rows: []xrow.Row{lostInsert(512, 7, "x")}, want: "written\n1 written again, 0 there already, 0 left out", changed: "0zero 1one 2two 7x"},
		{name: "two rows", rows: []xrow.Row{replace(7, "x"), lostInsert(512, 8, "y")}, want: "1 written again", changed: "0zero 1one 2two 7x 8y"},
		{name: "dry", rows: []xrow.Row{lostInsert(512, 7, "x")}, dry: true, want: "would be written\n1 could be written again"},
		{name: "yes", rows: []xrow.Row{lostInsert(512, 7, "x")}, input: "y\n", want: "write 2:1:100 again? [y/N]   written", changed: "0zero 1one 2two 7x"},
		{name: "no", rows: []xrow.Row{lostInsert(512, 7, "x")}, input: "no\n", want: "1 left out"},
		{name: "nobody answers", rows: []xrow.Row{lostInsert(512, 7, "x")}, input: " ", want: "1 left out"},
		{name: "there already", rows: []xrow.Row{replace(1, "one")}, want: "is there already\n  nothing to do\n0 written again, 1 there already, 0 left out"},
		{name: "taken", rows: []xrow.Row{replace(1, "other")}, want: `CONFLICT: its key is taken with another value: {"tuple": [1, "one"]}`},
		{name: "taken, overwrite", rows: []xrow.Row{replace(1, "other")}, overwrite: true, want: `writes over what is there now: {"tuple": [1, "one"]}`, changed: "0zero 1other 2two"},
		{name: "another key is taken", rows: []xrow.Row{lostInsert(512, 7, "one")}, overwrite: true, want: `CONFLICT: Duplicate key exists in unique index "text"`},
		{name: "one of two conflicts", rows: []xrow.Row{lostInsert(512, 7, "x"), replace(1, "other")}, want: "1 left out"},
		{name: "update", rows: []xrow.Row{update(1)}, want: `changes what is there now: {"tuple": [1, "one"]}`, changed: "0zero 1changed 2two"},
		{name: "update of nothing", rows: []xrow.Row{update(9)}, want: "CONFLICT: there is no tuple with this key to update"},
		{name: "upsert", rows: []xrow.Row{upsert(9, "nine")}, want: "1 written again", changed: "0zero 1one 2two 9nine"},
		{name: "upsert of what is there", rows: []xrow.Row{upsert(1, "nine")}, want: `changes what is there now: {"tuple": [1, "one"]}`, changed: "0zero 1changed 2two"},
		{name: "delete", rows: []xrow.Row{del(1)}, want: `changes what is there now: {"tuple": [1, "one"]}`, changed: "0zero 2two"},
		{name: "delete of nothing", rows: []xrow.Row{del(9)}, want: "is deleted already\n  nothing to do"},
		{name: "a NOP", rows: []xrow.Row{{Type: xrow.Nop}}, want: "nothing to do"},
		{name: "no space", rows: []xrow.Row{lostInsert(600, 1)}, want: "CONFLICT: its space is gone: Space '600' does not exist"},
		{name: "another format", rows: []xrow.Row{lostInsert(512, 7, 7)}, want: "CONFLICT: Tuple field 2 (text) type does not match one required by operation: expected string, got unsigned"},
		{name: "another key type", rows: []xrow.Row{update("a")}, want: "CONFLICT: Supplied key type of part 0 does not match index part type"},
		{name: "the schema", rows: []xrow.Row{lostInsert(xrow.SpaceSchema, "a", 1)}, want: "CONFLICT: it changes the schema, users or members: do that by hand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			run := *r
			run.in, run.out, run.overwrite, run.dry, run.yes = bufio.NewReader(strings.NewReader(c.input)), &out, c.overwrite, c.dry, c.input == "" && !c.dry
			err := run.run(t.Context(), []*lostTxn{newLostTxn(&xrow.LostRow{Term: 2, Origin: 1, LSN: 100, Frame: lostFrames(100, c.rows...)}, map[uint32]string{512: "orders"})})
			if left := strings.Contains(c.want, "CONFLICT") || strings.Contains(c.want, "1 left out"); left != (err != nil) || err != nil && err != errLeftOut || !strings.Contains(out.String(), c.want) {
				t.Errorf("%v\n%s\nwant %q", err, out.String(), c.want)
			}
			if c.changed == "" {
				c.changed = "0zero 1one 2two"
			}
			if got := r.content(t); got != c.changed {
				t.Errorf("the space has %s, want %s", got, c.changed)
			}
			for _, id := range []int{7, 8, 9} {
				r.must(t, "box.space.orders:delete", id)
			}
			for id, text := range []string{"zero", "one", "two"} {
				r.must(t, "box.space.orders:replace", []any{id, text})
			}
		})
	}
}

// content is what is in the space.
func (r *replaying) content(t *testing.T) string {
	t.Helper()
	var tuples []struct {
		_msgpack struct{} `msgpack:",as_array"` //nolint:unused // the driver looks for it
		ID       uint64
		Text     string
	}
	if err := r.target.call(t.Context(), r.timeout, &tuples, "box.space.orders:select"); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, row := range tuples {
		all = append(all, fmt.Sprint(row.ID, row.Text))
	}
	return strings.Join(all, " ")
}
