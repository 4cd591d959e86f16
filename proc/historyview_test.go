package proc

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"
)

// Methods of _vtarragon_history are those of a view: it is read, and nothing else.
func TestHistoryView(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	told := func(a *answer) string { return strings.TrimPrefix(a.String(), "=> ") }
	row := told(c.admin("box.space._vtarragon_history:get", `[2]`))
	if !strings.Contains(row, `[2, 1, "`+testUUID+`", "i1", "bootstrap", "", "", `) || !strings.HasSuffix(row, `, false, nil, "strong"]]`) {
		t.Fatalf("get: %s", row)
	}
	for call, want := range map[string]string{
		"box.space._vtarragon_history:select":                 `[[` + row[1:len(row)-1] + `]]`,
		"box.space._vtarragon_history.index.primary:select":   `[[` + row[1:len(row)-1] + `]]`,
		"box.space[2147483649]:select":                        `[[` + row[1:len(row)-1] + `]]`,
		"box.space._vtarragon_history.index.primary:max":      row,
		"box.space._vtarragon_history:count":                  `[1]`,
		"box.space._vtarragon_history:replace":                "View '_vtarragon_history' is read-only",
		"box.space._vtarragon_history:delete":                 "View '_vtarragon_history' is read-only",
		"box.space._vtarragon_history:auto_increment":         "View '_vtarragon_history' is read-only",
		"box.space._vtarragon_history:truncate":               "View '_vtarragon_history' is read-only",
		"box.space._vtarragon_history:drop":                   "View '_vtarragon_history' is read-only",
		"box.space._vtarragon_history:rename":                 "View '_vtarragon_history' is read-only",
		"box.space._vtarragon_history:create_index":           "View '_vtarragon_history' is read-only",
		"box.space._vtarragon_history.index.primary:drop":     "View '_vtarragon_history' is read-only",
		"box.space._vtarragon_history.index.secondary:select": "is not defined",
	} {
		args := map[string]string{"replace": `[[1]]`, "delete": `[2]`, "auto_increment": `[[1]]`, "create_index": `["x"]`, "rename": `["x"]`}[call[strings.LastIndexByte(call, ':')+1:]]
		if args == "" {
			args = `[]`
		}
		a := c.admin(call, args)
		if got := told(a); !strings.Contains(got, want) {
			t.Errorf("%s: %s", call, got)
		}
	}
	if a := c.admin("box.space._vtarragon_history:format", `[]`); !strings.Contains(a.String(), `"name": "previous"`) {
		t.Errorf("format: %s", a)
	}
	if a := c.admin("box.space._vtarragon_history:format", `[[]]`); a.err == nil || a.err.Code != xrow.ErrViewIsRO {
		t.Errorf("another format: %s", a)
	}
}
