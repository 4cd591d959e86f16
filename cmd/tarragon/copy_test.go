package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// given is a base copy as tarragon.copy.list tells of it.
func given(id, replica, stage string) map[string]any {
	m := map[string]any{"id": id, "replica": replica, "uuid": "u-" + replica, "address": "10.0.0.9:3301", "spaces": []string{"orders", "people"}, "stage": stage,
		"percent": 61, "rows": 1_220_000, "total": 2_000_000, "rows_per_second": 310_400, "bytes": 99, "seconds": 4.0, "pinned": 3 << 20, "spooled": false}
	if stage == "refused" {
		m["reason"] = "as many base copies are under way here as tarragon.max_copies allows: 4"
	}
	return m
}

func ofOurs(id int, name string, own map[string]any) map[string]any {
	m := info(id, name, "follower", true)
	m["package"], m["tarragon"] = "Tarragon", own
	return m
}

// All instances of ours are asked; one that does not answer is named, and no Tarantool is asked.
func TestCopyCommands(t *testing.T) {
	first := serveFake(t, map[string]any{"box.info": ofOurs(1, "i1", nil), "tarragon.copy.list": []any{given("i1.7", "reader", "sending")}, "tarragon.copy.cancel": 1})
	second := serveFake(t, map[string]any{"box.info": ofOurs(2, "i2", nil), "tarragon.copy.list": []any{given("", "other", "refused")}, "tarragon.copy.cancel": 0})
	mute := serveFake(t, map[string]any{"box.info": ofOurs(3, "i3", nil), "tarragon.copy.list": errors.New("no"), "tarragon.copy.cancel": errors.New("no")})
	theirs := serveFake(t, map[string]any{"box.info": info(4, "i4", "follower", true)})
	all := []string{"--addr", first.address, "--addr", second.address, "--addr", mute.address, "--addr", theirs.address}

	out, errs, err := runWith(t, nil, append([]string{"copy", "list"}, all...)...)
	for _, want := range []string{"ID    AT  REPLICA  SPACES          STAGE ", "i1.7  i1  reader   orders, people  sending ", " 61 %  1220000 of 2000000  310 k ", " 3 MiB",
		"-     i2  other    orders, people  refused; as many base copies are under way here as tarragon.max_copies allows: 4"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if err != nil || errs != "copy list: i3: no (error 1)\n" {
		t.Errorf("%v, %q", err, errs)
	}
	out, _, err = runWith(t, nil, append([]string{"copy", "list", "--json"}, all...)...)
	var answer struct {
		Copies []copying `json:"copies"`
	}
	if e := json.Unmarshal([]byte(out), &answer); err != nil || e != nil || len(answer.Copies) != 2 || answer.Copies[0].ID != "i1.7" || answer.Copies[0].Rate != 310_400 {
		t.Errorf("%v, %v\n%s", err, e, out)
	}
	out, _, err = runWith(t, nil, append([]string{"copy", "cancel", "reader"}, all...)...)
	if err != nil || out != "1 base copies of reader are cancelled, at i1\n" || !strings.Contains(strings.Join(first.calls, " "), "tarragon.copy.cancel[reader]") {
		t.Errorf("%v, %q, %v", err, out, first.calls)
	}
	if _, _, err := runWith(t, nil, "copy", "cancel", "reader", "--addr", second.address); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "no instance that answers gives a base copy") {
		t.Errorf("%v", err)
	}
	if _, _, err := runWith(t, nil, "copy", "list", "--addr", mute.address); exitCode(err) != exitFailed || !strings.Contains(err.Error(), "copy list: i3: no (error 1)") {
		t.Errorf("%v", err)
	}
	none := serveFake(t, map[string]any{"box.info": ofOurs(1, "i1", nil), "tarragon.copy.list": []any{}})
	if out, _, err := runWith(t, nil, "copy", "list", "--addr", none.address); err != nil || out != "no base copies are given\n" {
		t.Errorf("%v, %q", err, out)
	}
	for _, words := range []string{"list x", "cancel", "cancel a b", "forget x"} {
		if _, _, err := runWith(t, nil, append([]string{"copy"}, strings.Fields(words)...)...); exitCode(err) != exitUsage {
			t.Errorf("copy %s: %v", words, err)
		}
	}
}

// status shows each base copy at both of its ends, and why one does not come.
func TestStatusOfCopies(t *testing.T) {
	sender := serveFake(t, map[string]any{"box.info": ofOurs(1, "i1", map[string]any{"copies": map[string]any{"limit": 4, "given": []any{given("i1.7", "reader", "sending"), given("", "other", "refused"),
		given("i1.8", "late", "deciding")}}})})
	for _, test := range []struct {
		copy map[string]any
		want string
	}{
		{map[string]any{"stage": "comes", "from": "i1", "by": "connection", "percent": 61, "rows": 1_220_000, "total": 2_000_000, "rows_per_second": 310_400, "seconds": 4.0},
			"reader takes orders, people: 61 %, 310 k rows/s, 1.2 M of about 2.0 M rows, for 4s from i1\n"},
		{map[string]any{"stage": "comes", "from": "i1", "by": "command", "percent": 1, "rows": 10, "total": 1000, "rows_per_second": 5, "seconds": 2.0, "failed": 2, "reason": "it was cut"},
			"reader takes orders, people: 1 %, 5 rows/s, 10 of about 1000 rows, for 2s from i1 by the transfer command; failed 2 times: it was cut\n"},
		{map[string]any{"stage": "waits", "failed": 5, "reason": "Failed to allocate\nmemory", "next_try": 15.7}, `reader takes orders, people: tried again in 16s; failed 5 times: "Failed to allocate\nmemory"`},
		{map[string]any{"stage": "asks", "seconds": 1.0, "reason": "i1: busy"}, "reader takes orders, people: asks for them, for 1s; i1: busy\n"},
		{map[string]any{"stage": "behind", "from": "i1", "total": 12_345, "seconds": 1.0}, "reader takes orders, people: 12 k rows from i1, which begin once all is here that was decided before them; for 1s\n"},
		{map[string]any{"stage": "complete", "from": "i1", "rows": 5}, "reader takes orders, people: all 5 rows from i1 are here\n"},
	} {
		reader := serveFake(t, map[string]any{"box.info": ofOurs(0, "reader", map[string]any{"filter": map[string]any{"name": "hr", "version": 3, "absent": []string{"wages"},
			"being_copied": []any{map[string]any{"space": "orders"}, map[string]any{"space": "people"}}, "copy": test.copy}})})
		out, _, err := runWith(t, nil, "status", "--addr", sender.address, "--addr", reader.address)
		for _, want := range []string{test.want, "i1 gives orders, people to reader: 61 %, 310 k rows/s, 1.2 M of about 2.0 M rows, for 4s (copy i1.7)\n",
			"i1 gives orders, people to other: refused 4s ago; as many base copies are under way here as tarragon.max_copies allows: 4\n",
			"i1 gives orders, people to late: not all that it holds is decided here, for 4s (copy i1.8)\n"} {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %q in\n%s", err, want, out)
			}
		}
		out, _, _ = runWith(t, nil, "status", "--json", "--addr", reader.address)
		var answer struct {
			Instances []struct {
				Filter *filterState `json:"filter"`
			} `json:"instances"`
		}
		if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Instances[0].Filter.Copy.Stage != test.copy["stage"] {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
