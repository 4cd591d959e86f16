package replication

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// idleJoiner asks for a state that is larger than what sockets hold, and reads
// nothing yet.
func idleJoiner(t *testing.T, change func(*Config)) (h *testHub, conn *peer, full *box.Box, rows int) {
	t.Helper()
	h = newTestHub(t, 1, change)
	const tuples = 300_000
	full = fullBox(t, tuples)
	conn = &peer{Client: dial(t, h.addr), t: t}
	req := xrow.JoinRequest{InstanceUUID: testUUID(2)}
	if err := conn.WriteRow(&xrow.Row{Type: xrow.Join, Body: req.AppendBody(nil)}); err != nil {
		t.Fatal(err)
	}
	ev := wait(t, h.node, func(instance.JoinRequest) bool { return true })
	view := full.OpenView()
	rows = view.Rows()
	h.Snapshot(instance.Snapshot{Tag: ev.Tag, ID: 2, View: view})
	return h, conn, full, rows
}

// A joiner that takes nothing keeps the view for the time that is allowed, and
// gets all the same all of the state, whenever it reads.
func TestSlowJoinerGetsAll(t *testing.T) {
	dir := t.TempDir()
	h, conn, _, rows := idleJoiner(t, func(c *Config) { c.ViewTime, c.SpoolDir = time.Nanosecond, dir })
	if ev := wait(t, h.node, func(instance.CloseView) bool { return true }); !ev.Goes {
		t.Error("the transfer has ended")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("in the directory: %v, %v", names, err)
	}
	conn.expectType(xrow.OK)
	for range rows {
		conn.expectType(xrow.Insert)
	}
	conn.expectType(xrow.OK)
	conn.expectType(xrow.OK)
	if ev := wait(t, h.node, func(instance.CloseView) bool { return true }); ev.Goes {
		t.Error("the transfer goes on")
	}
}

// The bound by bytes: of what is replaced while the view is open.
func TestViewPinsTooMuch(t *testing.T) {
	h := newTestHub(t, 1, func(c *Config) { c.ViewBytes, c.SpoolDir = 1000, t.TempDir() })
	full := fullBox(t, 1)
	view := full.OpenView()
	o := newOutlet(h.Hub, dial(t, h.addr).Link, view)
	defer o.close()
	seq := uint64(0)
	replace := func() {
		seq++
		tx := full.Begin(seq)
		d := xrow.DML{Type: xrow.Replace, SpaceID: 512, Tuple: msgp.AppendString([]byte{0x92, 0}, strings.Repeat("x", 64))}
		if err := tx.Apply(&d); err != nil {
			t.Fatal(err)
		}
		tx.Prepare()
		full.Confirm(seq)
	}
	replace()
	if err := o.lookAtView(); err != nil || o.spool != nil {
		t.Fatalf("given up for one tuple: %v", err)
	}
	for view.Pins() < 1000 {
		replace()
	}
	if err := o.lookAtView(); err != nil || o.spool == nil {
		t.Fatalf("not given up with %d bytes: %v", view.Pins(), err)
	}
}

// Where there is no room the view is given up all the same, and the joiner is told.
func TestSlowJoinerIsTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nowhere")
	h, conn, _, _ := idleJoiner(t, func(c *Config) { c.ViewTime, c.SpoolDir = time.Nanosecond, dir })
	wait(t, h.node, func(instance.CloseView) bool { return true })
	for n := 0; ; n++ {
		row, err := conn.ReadRow()
		if err != nil {
			t.Fatal(err)
		}
		if row.Type == xrow.Insert || row.Type == xrow.OK && n == 0 { // or the time is over before a first part was sent
			continue
		}
		e := row.AsError()
		if e == nil || e.Code != xrow.ErrSystem || !strings.Contains(e.Message, "taken too slowly") || !strings.Contains(e.Message, "nowhere") {
			t.Fatalf("%v: %v", row.Type, e)
		}
		if !Retry(e) {
			t.Error("the joiner gives up")
		}
		return
	}
}

// Whoever asks for many states slowly takes a few descriptors only.
func TestSpoolsAreFew(t *testing.T) {
	dir := t.TempDir()
	h := newTestHub(t, 1, func(c *Config) { c.SpoolDir = dir })
	var all []*outlet
	for range maxSpools {
		o := newOutlet(h.Hub, nil, nil)
		var err error
		if o.spool, err = h.newSpool(); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	for range 2 {
		if s, err := h.newSpool(); err == nil || s != nil {
			t.Fatal("one more")
		}
	}
	all[0].close()
	s, err := h.newSpool()
	if err != nil {
		t.Fatalf("behind one that ended: %v", err)
	}
	all[0].spool = s
	for _, o := range all {
		o.close()
	}
}
