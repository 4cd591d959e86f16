package proc

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// cfg calls box.cfg with options in JSON.
func (c *caller) cfg(options string) *answer {
	c.t.Helper()
	raw, err := fromJSON("[" + options + "]")
	if err != nil {
		c.t.Fatal(err)
	}
	return c.call(box.UserAdmin, xrow.Call, "box.cfg", raw)
}

func (c *caller) showsOption(t *testing.T, want string) {
	t.Helper()
	a := c.call(box.UserAdmin, xrow.Eval, "return box.cfg", []byte{0x90})
	if got := text(a.data); !strings.Contains(got, want) {
		t.Errorf("box.cfg lacks %s: %s", want, got)
	}
}

func TestCfgErrors(t *testing.T) {
	const bad = "! 59: Incorrect value for option "
	tests := []struct{ options, want string }{
		{`{"nosuch": 1}`, bad + "'nosuch': unexpected option"},
		{`{"on_role_change": ["sh"]}`, bad + "'on_role_change': unexpected option"}, // what is run here stands in the file here
		{`[1]`, bad + "'1': unexpected option"},
		{`5`, "! 32 LuajitError: Error: cfg should be a table"},
		{`{"read_only": "yes"}`, bad + "'read_only': should be of type boolean"},
		{`{"election_timeout": "5"}`, bad + "'election_timeout': should be of type number"},
		{`{"election_timeout": 0}`, bad + "'election_timeout': the value must be a positive number"},
		{`{"replication_synchro_quorum": true}`, bad + "'replication_synchro_quorum': should be one of types string, number"},
		{`{"replication_synchro_quorum": 0}`,
			bad + "'replication_synchro_quorum': the value must be greater than zero and less than maximal number of replicas"},
		{`{"replication_synchro_quorum": 32}`,
			bad + "'replication_synchro_quorum': the value must be greater than zero and less than maximal number of replicas"},
		{`{"replication_synchro_quorum": "N +"}`, bad + "'replication_synchro_quorum': the formula is bad"},
		{`{"election_mode": "x"}`,
			bad + "'election_mode': the value must be one of the following strings: 'off', 'voter', 'candidate', 'manual'"},
		{`{"election_fencing_mode": "x"}`,
			bad + "'election_fencing_mode': the value must be one of the following strings: 'off', 'soft', 'strict'"},
		{`{"log_level": 8}`,
			bad + "'log_level': expected a number from 0 to 7 or one of fatal, syserror, error, crit, warn, info, verbose, debug"},
		{`{"log_level": "loud"}`,
			bad + "'log_level': expected a number from 0 to 7 or one of fatal, syserror, error, crit, warn, info, verbose, debug"},
		{`{"net_msg_max": 1}`, bad + "'net_msg_max': minimal value is 2"},
		{`{"readahead": 1}`, bad + "'readahead': specified value is out of bounds"},
		{`{"memtx_memory": -1}`, bad + "'memtx_memory': must be >= 0 and <= 4398046510080, but it is -1"},
		{`{"memtx_memory": 268435455}`, bad + "'memtx_memory': cannot decrease memory size at runtime"},
		{`{"memtx_memory": "1"}`, bad + "'memtx_memory': should be of type number"},
		{`{"checkpoint_count": 0}`, bad + "'checkpoint_count': the value must not be less than one"},
		{`{"replication_timeout": 0}`, bad + "'replication_timeout': the value must be greather than 0"},
		{`{"replication_synchro_timeout": -1}`, bad + "'replication_synchro_timeout': the value must be greater than zero"},
		{`{"txn_synchro_timeout": 0}`, bad + "'txn_synchro_timeout': the value must be greater than 0"},
		{`{"replication_reconnect_timeout": -1}`,
			bad + "'replication_reconnect_timeout': the value must be box.NULL or greater/equal to 0"},
		{`{"wal_mode": "none"}`, "! 58: Can't set option 'wal_mode' dynamically"},
		{`{"read_only": true, "wal_mode": "none"}`, "! 58: Can't set option 'wal_mode' dynamically"},
	}
	c := newCaller(t, instance.ModeCandidate, nil)
	if err := c.p.env.Settings.Put("wal_mode", "fsync"); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		if got := c.cfg(test.options).String(); got != test.want {
			t.Errorf("box.cfg(%s)\n got %s\nwant %s", test.options, got, test.want)
		}
	}
	c.showsOption(t, `"read_only": false`) // a call with a mistake changes nothing

	inf := append(msgp.AppendString([]byte{0x91, 0x81}, "election_timeout"), 0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0)
	if got, want := c.call(box.UserAdmin, xrow.Call, "box.cfg", inf).String(),
		bad+"'election_timeout': should be a finite number"; got != want {
		t.Errorf("infinity: %s", got)
	}
}

func TestCfgSets(t *testing.T) {
	var told []Change
	refuse := false
	c := newCaller(t, instance.ModeCandidate, func(e *Env) {
		e.Apply = func(changes []Change) error {
			if refuse {
				return errors.New("no")
			}
			told = append(told, changes...)
			return nil
		}
	})
	for _, options := range []string{"", "null", "{}", `{"read_only": false}`, `{"net_msg_max": 768}`, `{"wal_mode": null}`} {
		if got := c.cfg(options).String(); got != "=> []" || len(told) > 0 {
			t.Errorf("box.cfg(%s) changed %v: %s", options, told, got)
		}
	}

	a := c.cfg(`{"net_msg_max": 100, "log_level": "debug", "replication_timeout": 0.5, "replication_synchro_quorum": 1,
		"replication_linearizable_quorum": "N - Q + 1", "election_timeout": 2, "replication_synchro_timeout": 7,
		"txn_synchro_timeout": 8, "replication_synchro_queue_max_size": 0, "election_fencing_mode": "strict"}`)
	if a.String() != "=> []" {
		t.Fatal(a)
	}
	var names []string
	for _, ch := range told {
		names = append(names, ch.Name)
	}
	if got, want := strings.Join(names, " "), "net_msg_max log_level replication_timeout replication_synchro_quorum election_timeout"+
		" replication_synchro_timeout txn_synchro_timeout replication_synchro_queue_max_size election_fencing_mode"; got != want {
		t.Errorf("told of %s", got)
	}
	if told[0].Number() != 100 || told[1].Text() != "debug" || told[1].Level() != 7 || told[2].Duration() != 500*time.Millisecond || told[3].Quorum(5, 0) != 1 {
		t.Errorf("wrong values: %v", told)
	}
	for _, want := range []string{`"net_msg_max": 100`, `"log_level": "debug"`, `"replication_timeout": 0.5f`,
		`"replication_synchro_quorum": 1`, `"election_fencing_mode": "strict"`} {
		c.showsOption(t, want)
	}

	// nil and the empty string bring the default back.
	if a := c.cfg(`{"election_fencing_mode": "", "replication_timeout": null}`); a.String() != "=> []" {
		t.Fatal(a)
	}
	c.showsOption(t, `"election_fencing_mode": "soft"`)
	c.showsOption(t, `"replication_timeout": 1,`)

	// What cannot be carried out is not shown either.
	refuse = true
	if a := c.cfg(`{"net_msg_max": 5}`); a.String() != "! 0: no" {
		t.Error(a)
	}
	c.showsOption(t, `"net_msg_max": 100`)
}

// The core takes over what concerns it.
func TestCfgReachesCore(t *testing.T) {
	c := newCaller(t, instance.ModeCandidate, nil)
	if a := c.cfg(`{"read_only": true}`); a.String() != "=> []" {
		t.Fatal(a)
	}
	if i := c.node.core.Info(c.node.now.Mono); !i.RO || i.ROReason != "config" {
		t.Errorf("read only: %v, %s", i.RO, i.ROReason)
	}
	got := c.cfg(`{"read_only": false, "election_mode": "voter"}`).String()
	if i := c.node.core.Info(c.node.now.Mono); i.Mode != instance.ModeVoter || got != "=> []" {
		t.Errorf("mode %v: %s", i.Mode, got)
	}
}

func TestCoreChange(t *testing.T) {
	var cfg instance.Config
	for _, change := range []struct {
		name  string
		value value
	}{
		{"read_only", rawOf(true)}, {"replication_timeout", rawOf(2)}, {"election_timeout", rawOf(3)},
		{"election_mode", rawOf("manual")}, {"election_fencing_mode", rawOf("off")}, {"replication_synchro_timeout", rawOf(4)},
		{"txn_synchro_timeout", rawOf(0.25)}, {"replication_synchro_queue_max_size", rawOf(1000)},
	} {
		coreChange(Change{Name: change.name, value: change.value})(&cfg)
	}
	formula := func(n, q int) int { return n*10 + q }
	coreChange(Change{Name: "replication_synchro_quorum", Quorum: formula, value: rawOf("N * 10")})(&cfg)
	coreChange(Change{Name: "replication_linearizable_quorum", Quorum: formula})(&cfg)
	want := instance.Config{ReadOnly: true, DeathTimeout: 2 * time.Second, Heartbeat: time.Second / 2, TarantoolDeathTimeout: 8 * time.Second, ElectionTimeout: 3 * time.Second,
		Mode: instance.ModeManual, Fencing: instance.FencingOff, PromoteTimeout: 4 * time.Second, WaitLimit: time.Second / 4, QueueMaxSize: 1000}
	if cfg.SynchroQuorum(3) != 30 || cfg.LinearizableQuorum(3, 2) != 32 {
		t.Error("quorums were not taken over")
	}
	if cfg.Quorum != "N * 10" {
		t.Errorf("the formula is %q", cfg.Quorum)
	}
	cfg.SynchroQuorum, cfg.Quorum, cfg.LinearizableQuorum = nil, "", nil
	if got, want := show(cfg), show(want); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if coreChange(Change{Name: "net_msg_max"}) != nil {
		t.Error("the core is told of what does not concern it")
	}
}

// What may be set while the instance runs is carried out by somebody: by the core,
// or by server.applySettings.
func TestEveryDynamicOptionIsTaken(t *testing.T) {
	process := []string{"log_level", "net_msg_max", "checkpoint_interval", "checkpoint_count", "checkpoint_wal_threshold", "replication_reconnect_timeout", "tarragon_copy_timeout", "tarragon_max_copies"}
	for _, o := range optionList {
		if taken := coreChange(Change{Name: o.Name}) != nil || slices.Contains(process, o.Name); taken != o.Dynamic {
			t.Errorf("%s: dynamic %t, but carried out %t", o.Name, o.Dynamic, taken)
		}
	}
}

func TestPut(t *testing.T) {
	s := NewSettings(testFormula)
	for name, v := range map[string]any{"listen": []string{"127.0.0.1:3301"}, "election_timeout": 1500 * time.Millisecond, "read_only": true} {
		if err := s.Put(name, v); err != nil {
			t.Error(err)
		}
	}
	if got := text(s.get()); !strings.Contains(got, `"listen": ["127.0.0.1:3301"]`) || !strings.Contains(got, `"election_timeout": 1.5f`) {
		t.Error(got)
	}
	if s.Put("nosuch", 1) == nil || s.Put("listen", []int{1}) == nil {
		t.Error("an unknown option or type was taken")
	}
}
