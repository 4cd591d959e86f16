package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/metrics"
	"tarragon.dev/tarragon/xrow"
)

// decides is what a core knows of the queue.
type decides struct {
	self, owner uint32
	lsn         uint64
}

func (d *decides) Self() uint32                          { return d.self }
func (d *decides) Confirmed() (owner uint32, lsn uint64) { return d.owner, d.lsn }

// text is what a scrape has of them.
func (m *meters) text(t *testing.T) string {
	t.Helper()
	h, err := metrics.New(metrics.Config{Sets: []*metrics.Set{&Metrics}, Collect: m.collect}).Handler()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Body.String()
}

func TestGroupMeter(t *testing.T) {
	const second = int64(1e9)
	now, c := int64(0), &decides{self: 1, owner: 1}
	m := newGroupMeter(newMeters())
	m.clock = func() int64 { return now }
	group := func(from, to uint64, id uint32) *xrow.Group {
		g := &xrow.Group{Rows: make([]byte, 100), Table: make([]xrow.Ref, to-from)}
		g.Before[id], g.After[id] = from, to
		return g
	}
	expect := func(what string, quorums, quorumSum, writes, writeSum string) {
		t.Helper()
		text := m.to.text(t)
		for name, want := range map[string]string{"quorum_wait_seconds_count": quorums, "quorum_wait_seconds_sum": quorumSum, "group_write_seconds_count": writes, "group_write_seconds_sum": writeSum} {
			if !strings.Contains(text, "\ntarragon_"+name+" "+want+"\n") {
				t.Errorf("%s: %s is not %s in\n%s", what, name, want, text)
			}
		}
	}
	m.appended(c, group(0, 3, 1))
	now = second
	m.written()
	m.stepped(c)
	expect("on the own disk", "0", "0", "1", "1")
	m.appended(c, group(3, 5, 1))
	c.lsn, now = 3, 3*second
	m.stepped(c)
	expect("the first is decided", "1", "3", "1", "1")
	c.lsn, now = 9, 4*second
	m.stepped(c)
	m.stepped(c)
	expect("both are", "2", "6", "1", "1")

	m.appended(c, group(5, 5, 1)) // rows of nobody, or of others: nothing waits for a quorum
	m.appended(c, group(0, 7, 2))
	c.lsn = 100
	m.stepped(c)
	expect("nothing of its own", "2", "6", "1", "1")

	m.appended(c, group(100, 101, 1))
	c.owner = 2
	m.stepped(c) // another one leads
	c.owner, c.lsn = 1, 200
	m.stepped(c)
	expect("another has led", "2", "6", "1", "1")
	for i := range uint64(2 * maxOpenGroups) { // no quorum is there
		m.appended(c, group(200+i, 201+i, 1))
	}
	if len(m.open) != maxOpenGroups {
		t.Errorf("%d groups are kept", len(m.open))
	}
}
