package proc

import (
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
)

// Base copies are told of by the names that their spaces have, and cancelled by who may
// administer the instance.
func TestCopies(t *testing.T) {
	var cancelled []string
	copies := GivenCopies{Limit: 4}
	c := newCaller(t, instance.ModeOff, func(e *Env) {
		e.Copies = func() GivenCopies { return copies }
		e.CancelCopies = func(who string) int { cancelled = append(cancelled, who); return 2 }
	})
	c.expect("tarragon.copy.list", `[]`, "=> [[]]")
	if i := c.p.infoGiven(); i != nil {
		t.Errorf("nobody has asked for any: %+v", i)
	}
	c.admin("box.schema.space.create", `["orders", {"id": 512}]`)
	copies = GivenCopies{Limit: 4, Whole: 3, Broken: 2, Cancelled: 1, Refused: 7, List: []GivenCopy{
		{ID: "i1.7", UUID: "u9", Name: "reader", Address: "h:1", Spaces: []uint32{512, 999}, Stage: "sending", Rows: 61, Total: 100, Bytes: 610, Rate: 310, For: time.Second, Pins: 9, Spooled: true},
		{UUID: "u8", Address: "h:2", Spaces: []uint32{512}, Stage: "refused", Reason: "no place"}}}
	c.expect("tarragon.copy.list", `[]`, `=> [[{"id": "i1.7", "replica": "reader", "uuid": "u9", "address": "h:1", "spaces": ["orders"], "stage": "sending", "percent": 61, `+
		`"rows": 61, "total": 100, "rows_per_second": 310, "bytes": 610, "seconds": 1f, "pinned": 9, "spooled": true}, `+
		`{"replica": "u8", "uuid": "u8", "address": "h:2", "spaces": ["orders"], "stage": "refused", "percent": 0, "rows": 0, "total": 0, "rows_per_second": 0, "bytes": 0, "seconds": 0f, "pinned": 0, "spooled": false, "reason": "no place"}]]`)
	if i := c.p.infoGiven(); i.Open != 1 || i.Limit != 4 || i.Whole != 3 || i.Broken != 2 || i.Cancelled != 1 || i.Refused != 7 || len(i.Given) != 2 {
		t.Errorf("%+v", i)
	}
	c.expect("tarragon.copy.cancel", `["reader"]`, "=> [2]")
	if len(cancelled) != 1 || cancelled[0] != "reader" {
		t.Errorf("%q", cancelled)
	}
	for _, args := range []string{`[]`, `[7]`, `[""]`, `["a", "b"]`} {
		if a := c.admin("tarragon.copy.cancel", args); a.err == nil || !strings.HasPrefix(a.err.Message, "Usage: tarragon.copy.cancel(") {
			t.Errorf("%s: %+v", args, a.err)
		}
	}
	c.expect("tarragon.copy.list", `["x"]`, "! 1 IllegalParams: Usage: tarragon.copy.list()")
}

// A filtered replica tells how its copy stands.
func TestInfoOfCopy(t *testing.T) {
	i := &instance.Info{Share: instance.ShareInfo{Filter: "hr", Version: 3, Copied: []instance.CopiedInfo{{Space: "orders", Percent: 61, Rows: 6}},
		Copy: &instance.CopyInfo{Stage: instance.CopyComes, Source: instance.CopySource{From: "i1"}, Percent: 61, Rows: 6, Total: 10, Rate: 3, For: 2 * time.Second, Failed: 1, Why: "gone"}}}
	want := infoCopy{Stage: "comes", From: "i1", By: "connection", Percent: 61, Rows: 6, Total: 10, Rate: 3, For: 2, Failed: 1, Reason: "gone"}
	if f := filterOf(i); *f.Copy != want {
		t.Errorf("%+v", f.Copy)
	}
	i.Share.Copy = &instance.CopyInfo{Stage: instance.CopyPauses, Failed: 4, Why: "full", Next: 8 * time.Second}
	want = infoCopy{Stage: "waits", Failed: 4, Reason: "full", Next: 8}
	if f := filterOf(i); *f.Copy != want {
		t.Errorf("%+v", f.Copy)
	}
	i.Share.Copy.Source = instance.CopySource{From: "i1", Command: true}
	if f := filterOf(i); f.Copy.By != "command" {
		t.Errorf("%+v", f.Copy)
	}
}
