package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// Spaces of filtered readers, beside that of the loads.
const (
	staff   = "staff"   // all readers have it, and it is small
	archive = "archive" // no reader has it
	// sessions is what exactly-once sessions remember; answers have rows of any space.
	sessions = "_tarragon_session"
)

// many is how many rows a space has whose copy is to be seen on its way.
const many = 100_000

// Errors of a space that is not here, and of one that is on its way.
const (
	notReplicated = iproto.Error(20001)
	beingCopied   = iproto.Error(20002)
)

// startFiltered starts members and readers, each of which has a filter of its own name that
// begins with staff alone.
func startFiltered(t *testing.T, o options) *rig {
	t.Helper()
	r := start(t, o)
	for _, name := range []string{staff, archive} {
		r.makeNamed(name)
		r.fill(name, 1, 1000)
	}
	r.call("tarragon.feature_raise")
	for _, name := range o.filters {
		r.call("tarragon.filter.create", name, map[string]any{"empty": true})
		r.alter(name, "add", staff)
	}
	for _, n := range r.Readers {
		r.tracker.Add(n.Addr)
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range r.Readers {
		r.same(n, staff)
		r.fill(archive, 1001, 1000) // while it follows
	}
	return r
}

func (r *rig) makeNamed(name string) {
	r.t.Helper()
	r.call("box.schema.space.create", name, map[string]any{"is_sync": true, "if_not_exists": true})
	r.call("box.space."+name+":create_index", "primary", map[string]any{"parts": []any{[]any{1, "unsigned"}}, "if_not_exists": true})
}

// fill puts n rows into a space, from a key on.
func (r *rig) fill(name string, from, n uint64) {
	r.t.Helper()
	l := r.leader()
	var waits []*tarantool.Future
	for key := from; key < from+n; key++ {
		waits = append(waits, l.conn.Do(tarantool.NewReplaceRequest(name).Tuple([]any{key, fmt.Sprintf("%s %d %s", name, key, strings.Repeat("y", 100))})))
		if name == space {
			r.byHand[key] = true
		}
	}
	for _, w := range waits {
		if _, err := w.Get(); err != nil {
			r.t.Fatalf("fill %s: %v", name, err)
		}
	}
}

// firstByHand is behind all keys of loads.
const firstByHand = 2_000_001

func (r *rig) alter(filter, what, name string) {
	r.t.Helper()
	r.call("tarragon.filter.alter", filter, map[string]any{what: map[string]any{"space": []any{name}}})
}

// look reads a row of a space from a node.
func (r *rig) look(n *cluster.Node, name string) error {
	conn := r.tracker.Conn(n.Addr)
	if conn == nil {
		return errors.New("not connected")
	}
	_, err := conn.Do(tarantool.NewSelectRequest(name).Index(uint32(0)).Limit(1).Context(r.ctx)).Get()
	return err
}

// says waits until a node refuses to read a space.
func (r *rig) says(n *cluster.Node, name string, want iproto.Error) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s says %d of %s", n.Name, want, name), func() error {
		if err := r.look(n, name); code(err) != want {
			return fmt.Errorf("it says: %w", errors.Join(err, errors.New("no such error")))
		}
		return nil
	})
}

// has waits until a space can be read from a node.
func (r *rig) has(n *cluster.Node, name string) {
	r.t.Helper()
	r.until(n.Name+" has "+name, func() error { return r.look(n, name) })
}

// same waits until a node holds of a space what the leader does.
func (r *rig) same(n *cluster.Node, name string) {
	r.t.Helper()
	r.until(n.Name+" holds "+name+" as the leader does", func() error {
		conn := r.tracker.Conn(n.Addr)
		if conn == nil {
			return errors.New("not connected")
		}
		want, err := cluster.ReadAll(r.leader().conn, name)
		if err != nil {
			return err
		}
		have, err := cluster.ReadAll(conn, name)
		if err != nil {
			return err
		}
		return cluster.Same(want, have)
	})
}

// spaceID is that of a space, as the leader has it.
func (r *rig) spaceID(name string) string {
	r.t.Helper()
	data, err := r.leader().conn.Do(tarantool.NewSelectRequest("_vspace").Index("name").Key([]any{name})).Get()
	if err != nil || len(data) != 1 {
		r.t.Fatalf("space %s: %v, %v", name, data, err)
	}
	return strconv.FormatUint(cluster.Number(data[0].([]any)[0]), 10)
}

// logged are the keys of a space that the log of a node has.
func (r *rig) logged(n *cluster.Node, name string) (keys []uint64) {
	r.t.Helper()
	out, exit := r.tool("xlog", "cat", "--json", "--space", r.spaceID(name), n.DataDir())
	if exit != 0 {
		r.t.Fatalf("xlog cat of %s: exit %d, %s", n.Name, exit, out)
	}
	for line := range strings.Lines(out) {
		var e struct {
			Body struct {
				Tuple []any `json:"tuple"`
			} `json:"body"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || len(e.Body.Tuple) == 0 {
			r.t.Fatalf("xlog cat of %s: %q, %v", n.Name, line, err)
		}
		key, _ := e.Body.Tuple[0].(float64)
		keys = append(keys, uint64(key))
	}
	return keys
}

// neverLogged: no row of a space ever came to a node. Members have some: else the question
// would be wrong.
func (r *rig) neverLogged(n *cluster.Node, name string) {
	r.t.Helper()
	if keys := r.logged(n, name); len(keys) > 0 {
		r.t.Errorf("the log of %s has %d rows of %s, which is not replicated there", n.Name, len(keys), name)
	}
	r.fill(name, 1, 1) // a checkpoint may have taken the place of those before
	if out, exit := r.tool("xlog", "cat", "--limit", "1", "--space", r.spaceID(name), r.leader().DataDir()); exit != 0 || out == "" {
		r.t.Errorf("the leader's log of %s: exit %d, %q", name, exit, out)
	}
}

// started is how many base copies each node has begun to send.
func (r *rig) started() (all []int) {
	for _, n := range r.Nodes {
		all = append(all, strings.Count(r.log(n), "base copy started"))
	}
	return all
}

// midCopy adds a space to a reader's filter, and stops the reader with SIGSTOP in the middle
// of the copy: some rows have come, and not all. It tells who sends.
func (r *rig) midCopy(n *cluster.Node, filter, name string) (sender *cluster.Node) {
	r.t.Helper()
	r.until("a copy of "+name+" is on its way", func() error {
		before := r.started()
		r.alter(filter, "add", name)
		for {
			err := r.look(n, name)
			if err == nil { // it was too fast to be seen
				r.alter(filter, "remove", name)
				r.says(n, name, notReplicated)
				return errors.New("it is there")
			}
			if code(err) != beingCopied || strings.Contains(err.Error(), "(0 %)") {
				continue
			}
			n.Pause()
			for i, now := range r.started() {
				if now > before[i] {
					sender = r.Nodes[i]
				}
			}
			return nil
		}
	})
	if sender == nil {
		r.t.Fatal("nobody says that it sends a copy")
	}
	return sender
}

// Two readers with different filters. A space is added to one of them while it is written,
// removed, and added again; each holds its share and nothing else, in its log neither.
func TestFilteredReaders(t *testing.T) {
	r := startFiltered(t, options{filters: []string{"hr", "sales"}})
	hr, sales := r.Readers[0], r.Readers[1]
	r.fill(space, firstByHand, 20_000)
	l := r.startLoad(20)
	r.alter("sales", "add", space)
	l.more(200)
	r.has(sales, space)
	r.says(hr, space, notReplicated)
	r.alter("hr", "add", space)
	l.more(200)
	r.has(hr, space)
	r.caughtUp(hr, l.newest())
	r.alter("hr", "remove", space)
	r.says(hr, space, notReplicated)
	mark := r.nextKey.Load() // what was asked for until now may still be in a stream with the space
	l.more(200)
	r.caughtUp(sales, l.newest())
	r.fill(staff, 1001, 10)
	r.same(hr, staff) // it has what was written before that
	for _, key := range r.logged(hr, space) {
		if key > mark && key < firstByHand {
			t.Errorf("the log of %s has row %d, which was written when the space was gone there", hr.Name, key)
		}
	}
	r.alter("hr", "add", space)
	l.more(200)
	r.has(hr, space)
	r.call("tarragon.session.open", 4)
	r.fill(staff, 1001, 10) // what follows that row is with the readers
	r.verify(append(r.Nodes, hr, sales)...)
	for _, n := range r.Readers {
		r.same(n, staff)
		r.says(n, archive, notReplicated)
		r.neverLogged(n, archive)
		r.says(n, sessions, notReplicated)
		if keys := r.logged(n, sessions); len(keys) > 0 {
			t.Errorf("the log of %s has %d rows of sessions", n.Name, len(keys))
		}
	}
}

// A reader dies in the middle of a copy. It is back, and has what it had before at once; the
// copy begins anew.
func TestFilteredReaderKilledInACopy(t *testing.T) {
	r := startFiltered(t, options{filters: []string{"hr"}})
	hr := r.Readers[0]
	r.fill(space, firstByHand, many)
	l := r.startLoad(20)
	l.more(100)
	sender := r.midCopy(hr, "hr", space)
	hr.Kill()
	r.until(sender.Name+" notices", func() error {
		if log := r.log(sender); !strings.Contains(log, "base copy broken off") {
			return errors.New("it sends, or has sent all")
		}
		return nil
	})
	if err := hr.Start(); err != nil {
		t.Fatal(err)
	}
	r.same(hr, staff)
	l.more(100)
	r.has(hr, space)
	r.verify(append(r.Nodes, hr)...)
	r.neverLogged(hr, archive)
}

// The leader dies while it sends a copy. Another member sends one from the beginning, and
// nobody joins anew for it.
func TestFilterSenderKilled(t *testing.T) {
	r := startFiltered(t, options{filters: []string{"hr"}})
	hr := r.Readers[0]
	r.fill(space, firstByHand, many)
	l := r.startLoad(20)
	l.more(100)
	var lead leading
	r.until("the leader sends", func() error {
		lead = r.leader()
		from := r.midCopy(hr, "hr", space)
		if from == lead.Node {
			return nil
		}
		hr.Resume()
		r.has(hr, space)
		r.alter("hr", "remove", space)
		r.says(hr, space, notReplicated)
		return fmt.Errorf("%s does", from.Name)
	})
	before := r.started()
	lead.Kill()
	r.leaderAfter(lead.term)
	hr.Resume()
	l.more(100)
	r.has(hr, space)
	again := 0
	for i, n := range r.started() {
		again += n - before[i]
	}
	if again == 0 {
		t.Error("nobody has sent the copy again")
	}
	if strings.Contains(r.log(hr), "joining the replica set anew") {
		t.Error("the reader has joined anew")
	}
	if err := lead.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(lead.Node, l.newest())
	r.verify(append(r.Nodes, hr)...)
	r.same(hr, staff)
	r.neverLogged(hr, archive)
}

// The leader changes when the filter has changed, and the reader has not heard of it: it gets the
// change, the PROMOTE and the copy from who leads then, with all that was written at both.
func TestFailoverBeforeTheCopy(t *testing.T) {
	r := startFiltered(t, options{filters: []string{"hr"}})
	hr := r.Readers[0]
	r.fill(space, firstByHand, 1000)
	l := r.startLoad(20)
	l.more(100)
	old := r.leader()
	hr.Pause()
	r.alter("hr", "add", space)
	l.more(50)
	r.until("a promotion that nobody interferes with", func() error {
		if out, exit := r.tool("promote", r.others(old.Node)[0].Name, "--config", r.Config); exit != 0 {
			return fmt.Errorf("promote: exit %d, %s", exit, out)
		}
		return nil
	})
	r.leaderAfter(old.term)
	l.more(50)
	hr.Resume()
	r.has(hr, space)
	l.more(50)
	r.verify(append(r.Nodes, hr)...)
	r.same(hr, staff)
	r.neverLogged(hr, archive)
}

// A reader is away while its filter changes, until the log that it needs is gone, or until the filter
// has changed more often than former versions are kept. It joins anew, and takes no more than its share.
func TestFilteredReaderJoinsAnew(t *testing.T) {
	for name, test := range map[string]struct {
		yaml    string
		changes int
		away    func(r *rig, l *load)
	}{
		"no log":      {retention, 2, func(r *rig, l *load) { r.dropLog(l, r.Nodes) }},
		"no versions": {"", 10, func(_ *rig, l *load) { l.more(50) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := startFiltered(t, options{filters: []string{"hr"}, yaml: test.yaml})
			hr := r.Readers[0]
			l := r.startLoad(20)
			l.more(100)
			hr.Kill()
			for range test.changes {
				r.alter("hr", "add", space)
				r.alter("hr", "remove", space)
			}
			r.alter("hr", "add", space)
			r.alter("hr", "remove", staff)
			test.away(r, l)
			if err := hr.Start(); err != nil {
				t.Fatal(err)
			}
			r.has(hr, space)
			r.says(hr, staff, notReplicated)
			r.says(hr, archive, notReplicated)
			if log := r.log(hr); !strings.Contains(log, "joining the replica set anew") {
				t.Error("it did not join anew")
			}
			l.more(50)
			r.verify(append(r.Nodes, hr)...)
			for _, name := range []string{staff, archive} {
				if keys := r.logged(hr, name); len(keys) > 0 {
					t.Errorf("its log has %d rows of %s", len(keys), name)
				}
			}
		})
	}
}

// Whatever the master does with a space while it is copied, the reader comes to hold what the
// master does.
func TestDefinitionsChangeInACopy(t *testing.T) {
	r := startFiltered(t, options{nodes: 1, filters: []string{"hr"}})
	hr := r.Readers[0]
	for _, test := range []struct {
		name string
		do   func(name string)
		then func(name string)
	}{
		{"dropped", func(name string) { r.call("box.space." + name + ":drop") }, func(name string) {
			r.says(hr, name, iproto.ER_NO_SUCH_SPACE)
		}},
		{"truncated", func(name string) {
			r.call("box.space." + name + ":truncate")
			r.fill(name, 7, 10)
		}, func(name string) { r.same(hr, name) }},
		{"altered", func(name string) {
			r.call("box.space."+name+":format", []any{map[string]any{"name": "id", "type": "unsigned"}, map[string]any{"name": "what", "type": "string"}})
			r.call("box.space."+name+":create_index", "what", map[string]any{"parts": []any{[]any{2, "string"}}})
			r.fill(name, many+1, 10)
		}, func(name string) {
			r.same(hr, name)
			data, err := r.tracker.Conn(hr.Addr).Do(tarantool.NewSelectRequest(name).Index("what").Iterator(tarantool.IterGe).Key([]any{name + " 100"}).Limit(1)).Get()
			if err != nil || len(data) != 1 || cluster.Number(data[0].([]any)[0]) != 100 {
				t.Errorf("by the new index: %v, %v", data, err)
			}
		}},
		{"created anew", func(name string) {
			r.call("box.space." + name + ":drop")
			r.makeNamed(name)
			r.fill(name, 5, 20)
		}, func(name string) {
			r.says(hr, name, notReplicated) // it is another space
			r.alter("hr", "add", name)
			r.same(hr, name)
		}},
	} {
		name := strings.ReplaceAll(test.name, " ", "_")
		r.makeNamed(name)
		r.fill(name, 1, many)
		r.midCopy(hr, "hr", name)
		test.do(name)
		hr.Resume()
		test.then(name)
		r.same(hr, staff)
		r.until("nothing is on its way", func() error {
			info, err := r.info(hr)
			if copied, _ := mapAt(info, "tarragon", "filter")["being_copied"].([]any); err == nil && len(copied) > 0 {
				err = fmt.Errorf("%v", copied)
			}
			return err
		})
	}
	r.neverLogged(hr, archive)
}

// used is what a node says of its memory: bytes of tuples and indexes.
func (r *rig) used(n *cluster.Node) (bytes uint64) {
	r.t.Helper()
	r.until("box.slab.info of "+n.Name, func() error {
		conn := r.tracker.Conn(n.Addr)
		if conn == nil {
			return errors.New("not connected")
		}
		data, err := conn.Do(tarantool.NewCallRequest("box.slab.info").Args([]any{}).Context(r.ctx)).Get()
		if err == nil {
			bytes = cluster.Number(data[0].(map[any]any)["arena_used"])
		}
		return err
	})
	return bytes
}

// onDisk is the size of a node's directory.
func (r *rig) onDisk(n *cluster.Node) (bytes int64) {
	r.t.Helper()
	err := filepath.WalkDir(n.DataDir(), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // it is gone
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return bytes
}

// laidOut is about what a store takes of the disk before anything is in it: its journal is laid out ahead.
const laidOut = 37 << 20

// A reader joins beside a million rows of other spaces, and follows while more are written: its
// memory and its disk are those of its share.
func TestFilteredReaderIsSmall(t *testing.T) {
	r := start(t, options{nodes: 1, filters: []string{"hr"}, yaml: "memtx:\n  memory: 1073741824\n"})
	r.makeNamed(staff)
	r.makeNamed(archive)
	r.fill(staff, 1, 1000)
	for i := range uint64(10) {
		r.fill(archive, 1+i*many, many)
	}
	lead, hr := r.leader(), r.Readers[0]
	r.call("tarragon.feature_raise")
	r.call("tarragon.filter.create", "hr", map[string]any{"empty": true})
	r.alter("hr", "add", staff)
	r.tracker.Add(hr.Addr)
	if err := hr.Start(); err != nil {
		t.Fatal(err)
	}
	r.same(hr, staff)
	r.fill(archive, 1, many)
	r.fill(staff, 1001, 1000)
	r.same(hr, staff)
	all, share := r.used(lead.Node), r.used(hr)
	disk, shareOfDisk := r.onDisk(lead.Node), r.onDisk(hr)
	out, exit := r.tool("xlog", "cat", hr.DataDir())
	rows := strings.Count(out, "\n")
	t.Logf("memory %d of %d bytes, disk %d of %d, %d rows in the log", share, all, shareOfDisk, disk, rows)
	if share > all/100 {
		t.Errorf("two thousand rows of a million take %d bytes of memory, all of them %d", share, all)
	}
	if shareOfDisk > laidOut+1<<20 || disk < 100*1<<20 {
		t.Errorf("two thousand rows of a million take %d bytes of disk, all of them %d", shareOfDisk, disk)
	}
	if exit != 0 || rows > many/10 {
		t.Errorf("xlog cat: exit %d; a thousand rows, and a hundred thousand of another space, are %d rows in the log", exit, rows)
	}
	r.neverLogged(hr, archive)
}
