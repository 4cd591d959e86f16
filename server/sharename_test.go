package server

import (
	"errors"
	"os"
	"strings"
	"testing"

	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-tarantool/v2"
)

// rename has the configuration say another filter.
func (s *set) rename(from, to string) {
	s.t.Helper()
	file, err := os.ReadFile(s.file)
	if err == nil {
		err = os.WriteFile(s.file, []byte(strings.Replace(string(file), "filter: "+from, "filter: "+to, 1)), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// A filtered replica is started with the name of a filter that does not exist, or that it is not registered
// with. It says what to do; nothing takes the place of what it had, which is there when the name is right again.
// Once it is registered with the other filter it has what that gives, and takes checkpoints.
func TestFilteredReplicaOfAWrongName(t *testing.T) {
	s, lead, reader := filteredSet(t)
	lead.start()
	lead.readyInfo()
	conn := lead.dial()
	defer conn.Close()
	for _, name := range []string{"people", "orders"} {
		makeNamedSpace(t, conn, name)
		insertRange(t, conn, name, 0, 10)
	}
	s.until("the level is raised", func() bool { return s.raise(0) == nil })
	s.mustFilter(conn, "create", "hr", map[string]any{"empty": true})
	s.mustFilter(conn, "alter", "hr", map[string]any{"add": items("space", "people")})
	s.mustFilter(conn, "create", "sales", map[string]any{"empty": true})
	s.mustFilter(conn, "alter", "sales", map[string]any{"add": items("space", "orders")})
	reader.start()
	has := func(space string) func() bool {
		return func() bool { n, err := reader.count(space); return err == nil && n == 10 }
	}
	s.until("it has people", has("people"))
	snapshot := func() error {
		at := reader.dial()
		defer at.Close()
		_, err := at.Do(tarantool.NewCallRequest("box.snapshot").Args([]any{})).Get()
		return err
	}
	was := "hr"
	start := func(filter string) {
		t.Helper()
		if err := reader.halt(); err != nil {
			t.Fatal(err)
		}
		s.rename(was, filter)
		was = filter
		reader.start()
		reader.readyInfo()
	}
	says := func(what string) {
		t.Helper()
		s.until("it is told: "+what, func() bool { return strings.Contains(reader.log.String(), what) })
	}
	for filter, text := range map[string]string{
		"slaes": " is registered with filter 'hr' and asks with filter 'slaes', which does not exist: give its configuration tarragon.filter: hr",
		"sales": " is registered with filter 'hr' and asks with filter 'sales': give its configuration tarragon.filter: hr, or register it with what it asks for: 'tarragon replica alter i2 --filter sales'",
	} {
		start(filter)
		says(text)
		want := "Instance 'i2' is started with filter '" + filter + "', and its disk has what filter 'hr' gave: no checkpoint takes the place of that before a member has given something by the new filter. Where that is a mistake, start it with tarragon.filter: hr"
		var e tarantool.Error
		if err := snapshot(); !errors.As(err, &e) || e.Msg != want {
			t.Errorf("a checkpoint under %s: %v", filter, err)
		}
		if _, err := reader.count("people"); !errors.Is(codeOf(err), xrow.ErrNotReplicated) {
			t.Errorf("people under %s: %v", filter, err)
		}
	}
	given := strings.Count(lead.log.String(), "base copy started")
	start("hr")
	s.until("it has what it had", has("people"))
	if n := strings.Count(lead.log.String(), "base copy started"); n != given {
		t.Errorf("%d base copies were taken for what was on its disk", n-given)
	}

	start("sales")
	if _, err := conn.Do(tarantool.NewCallRequest("tarragon.replica.alter").Args([]any{"i2", map[string]any{"filter": "sales"}})).Get(); err != nil {
		t.Fatal(err)
	}
	s.until("it has orders", has("orders"))
	if err := snapshot(); err != nil {
		t.Errorf("a checkpoint once it is registered: %v", err)
	}
	start("sales")
	s.until("it has orders again", has("orders"))

	if _, err := conn.Do(tarantool.NewCallRequest("tarragon.filter.drop").Args([]any{"sales", map[string]any{"force": true}})).Get(); err != nil {
		t.Fatal(err)
	}
	says(" was dropped and gets nothing any more, and filter 'sales' does not exist: make it ('tarragon filter create'), then 'tarragon replica alter i2 --filter sales' registers it again")
}
