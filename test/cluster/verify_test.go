package cluster

import (
	"bytes"
	encoding "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"tarragon.dev/tarragon/internal/cluster"
)

// proved is what tarragon verify --json tells of the replica set.
type proved struct {
	Verdict    string         `json:"verdict"`
	Members    []provedMember `json:"members"`
	Difference *struct {
		Term, Origin, From, To uint64
		Sides                  []struct {
			Members []string
			Row     *struct {
				Space string
				Body  json.RawMessage
			}
		}
	} `json:"difference"`
	Problems []string `json:"problems"`
}

type provedMember struct {
	Name     string `json:"name"`
	Compared uint64 `json:"rows_compared"`
	Why      string `json:"not_compared"`
}

// ofAll are the words of a command that is about all nodes. Where they reach each other through
// proxies they have no file in common.
func (r *rig) ofAll(words ...string) []string {
	if r.mesh == nil {
		return append(words, "--config", r.Config)
	}
	for _, n := range r.Nodes {
		words = append(words, "--addr", cluster.User+":"+cluster.Password+"@"+n.Addr)
	}
	return words
}

// prove runs tarragon verify.
func (r *rig) prove() (p proved, exit int, err error) {
	out, exit := r.tool(r.ofAll("verify", "--json")...)
	var told struct {
		Sets       []proved `json:"replicasets"`
		Unanswered []string `json:"unanswered"`
	}
	// What is wrong is told behind the JSON.
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&told); err != nil || len(told.Sets) != 1 {
		return p, exit, fmt.Errorf("verify: exit %d, %s: %v", exit, out, err)
	}
	return told.Sets[0], exit, nil
}

// equal waits until verify has compared all members, and found them equal.
func (r *rig) equal() {
	r.t.Helper()
	r.until("all members are compared and equal", func() error {
		p, exit, err := r.prove()
		if err == nil && (p.Verdict == "different" || exit == 3) {
			r.t.Fatalf("verify: exit %d, %+v", exit, p)
		}
		if err == nil && (p.Verdict != "equal" || exit != 0) {
			err = fmt.Errorf("exit %d, %+v", exit, p)
		}
		for _, m := range p.Members {
			if err == nil && m.Compared == 0 {
				err = fmt.Errorf("no row of %s", m.Name)
			}
		}
		return err
	})
}

// flip changes a byte of a row in the log of a node that does not run, as if it had been
// so when it was written.
func (r *rig) flip(n *cluster.Node, was, is string) {
	r.t.Helper()
	dir := filepath.Join(n.DataDir(), "store")
	db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}, ErrorIfNotExists: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		err := db.Close()
		files, _ := os.ReadDir(dir)
		for _, f := range files { // Pebble by itself leaves them open to others
			if f.Type().IsRegular() {
				err = errors.Join(err, os.Chmod(filepath.Join(dir, f.Name()), 0o600))
			}
		}
		if err != nil {
			r.t.Error(err)
		}
	}()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'l'}, UpperBound: []byte{'l' + 1}})
	if err != nil {
		r.t.Fatal(err)
	}
	var key, value []byte
	for ok := it.First(); ok && key == nil; ok = it.Next() {
		if bytes.Contains(it.Value(), []byte(was)) {
			key, value = slices.Clone(it.Key()), bytes.Replace(it.Value(), []byte(was), []byte(is), 1)
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil || key == nil {
		r.t.Fatalf("%q is not in the log of %s: %v", was, n.Name, err)
	}
	end := len(value) - 4
	value = encoding.LittleEndian.AppendUint32(value[:end], crc32.Checksum(value[:end], crc32.MakeTable(crc32.Castagnoli)))
	if err := db.Set(key, value, pebble.Sync); err != nil {
		r.t.Fatal(err)
	}
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// Members prove that they hold the same rows, while rows are written and behind a failover.
// A member that is away is named. A byte of one row that differs in one log is found, by its
// term and LSN, and both rows are shown; who has it joins anew, and its tuples show that it
// holds what all hold.
func TestVerify(t *testing.T) {
	r := start(t, options{})
	l := r.startLoad(20)
	l.more(100)
	r.equal()
	first := r.leader()
	first.Kill()
	second := r.leaderAfter(first.term)
	l.more(100)
	if p, exit, err := r.prove(); err != nil || exit != 1 || p.Verdict != "incomplete" || !slices.ContainsFunc(p.Members, func(m provedMember) bool { return m.Name == first.Name && m.Why != "" }) {
		t.Errorf("with %s away: exit %d, %+v, %v", first.Name, exit, p, err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	l.more(50)
	r.caughtUp(first.Node, l.newest())
	r.equal()
	l.stop()

	var key uint64
	for k := range l.acked {
		key = max(key, k)
	}
	// Who began the set has no checkpoint yet; its first one may take the log away.
	bad := r.others(second.Node)[0]
	if !strings.Contains(r.log(bad), `"message":"joined"`) {
		bad = r.others(second.Node)[1]
	}
	r.caughtUp(bad, key)
	r.sameSpaces()
	bad.Kill()
	r.flip(bad, fmt.Sprintf("row %d x", key), fmt.Sprintf("row %d y", key))
	if err := bad.Start(); err != nil {
		t.Fatal(err)
	}
	r.until("the row is found", func() error {
		p, exit, err := r.prove()
		if err != nil {
			return err
		}
		d := p.Difference
		if exit != 3 || p.Verdict != "different" || d == nil || d.From != d.To || len(d.Sides) != 2 {
			return fmt.Errorf("exit %d, %+v", exit, p)
		}
		for _, side := range d.Sides {
			text := fmt.Sprintf("row %d x", key)
			if slices.Equal(side.Members, []string{bad.Name}) {
				text = fmt.Sprintf("row %d y", key)
			} else if len(side.Members) != 2 || slices.Contains(side.Members, bad.Name) {
				t.Errorf("a side %+v", side)
			}
			if side.Row == nil || side.Row.Space != space || !strings.Contains(string(side.Row.Body), text) {
				t.Errorf("a side %+v, want %q", side, text)
			}
		}
		return nil
	})
	if out, exit := r.tool("verify", "--config", r.Config, "--spaces"); exit != 3 || !strings.Contains(out, "different: space "+space) || !strings.Contains(out, "different from here on: term ") || !strings.Contains(out, "at "+bad.Name+": INSERT") {
		t.Errorf("verify: exit %d, %s", exit, out)
	}

	bad.Kill()
	if err := os.RemoveAll(bad.DataDir()); err != nil {
		t.Fatal(err)
	}
	if err := bad.Start(); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(bad, key)
	r.sameSpaces()
}

// sameSpaces waits until all tuples of all nodes are compared, and equal.
func (r *rig) sameSpaces() {
	r.t.Helper()
	r.until("all spaces are compared and equal", func() error {
		out, exit := r.tool(r.ofAll("verify", "--spaces")...)
		if exit != 0 || !strings.Contains(out, " equal at ") {
			return fmt.Errorf("exit %d, %s", exit, out)
		}
		return nil
	})
}
