package proc

import (
	"fmt"
	"math"
	"slices"
)

// option is an option of box.cfg (Tarantool, src/box/lua/load_cfg.lua).
type option struct {
	name    string
	types   string // in Lua's words
	def     any    // nil: not set
	dynamic bool
	quorum  bool                 // a number or a formula
	check   func(v value) string // what is wrong with it; empty: nothing
	grows   bool                 // it takes no memory back
}

// optionList is what Tarantool's clients may find in box.cfg of a server
// that keeps its tuples in memory. Options that mean nothing here are not in
// it: setting them would promise what is not done.
var optionList = []option{
	{name: "listen", types: "string, number, table"},
	{name: "replication", types: "string, number, table"},
	{name: "read_only", types: "boolean, string", def: false, dynamic: true, check: plainBool},
	{name: "instance_uuid", types: "string"},
	{name: "replicaset_uuid", types: "string"},
	{name: "instance_name", types: "string"},
	{name: "replicaset_name", types: "string"},
	{name: "cluster_name", types: "string"},
	{name: "work_dir", types: "string"},
	{name: "memtx_dir", types: "string"},
	{name: "wal_dir", types: "string"},
	{name: "wal_mode", types: "string"},
	{name: "memtx_memory", types: "number", def: 256 << 20, dynamic: true, check: memory, grows: true},
	{name: "memtx_max_tuple_size", types: "number", def: 1 << 20},
	{name: "net_msg_max", types: "number", def: 768, dynamic: true, check: atLeast(2, "minimal value is 2")},
	{name: "readahead", types: "number", def: 16320, check: readahead},
	{name: "checkpoint_interval", types: "number", def: 3600, dynamic: true, check: atLeast(0, "the value must be greater/equal to 0")},
	{name: "checkpoint_count", types: "number", def: 2, dynamic: true, check: atLeast(1, "the value must not be less than one")},
	{name: "checkpoint_wal_threshold", types: "number", def: 1e18, dynamic: true, check: atLeast(0, "the value must be greater/equal to 0")},
	{name: "too_long_threshold", types: "number", def: 0.5},
	{name: "log", types: "string"},
	{name: "log_level", types: "number, string", def: 5, dynamic: true, check: logLevel},
	{name: "log_format", types: "string", def: "plain"},
	{name: "replication_timeout", types: "number", def: 1, dynamic: true, check: above(0, "the value must be greather than 0")},
	{name: "replication_connect_timeout", types: "number", def: 30, check: above(0, "the value must be greather than 0")},
	{name: "replication_reconnect_timeout", types: "number", dynamic: true,
		check: atLeast(0, "the value must be box.NULL or greater/equal to 0")},
	{name: "replication_skip_conflict", types: "boolean", def: false, dynamic: true},
	{name: "replication_anon", types: "boolean", def: false},
	{name: "bootstrap_strategy", types: "string", def: "auto"},
	{name: "election_mode", types: "string", def: "off", dynamic: true,
		check: oneOf("the value must be one of the following strings: 'off', 'voter', 'candidate', 'manual'",
			"off", "voter", "candidate", "manual")},
	{name: "election_timeout", types: "number", def: 5, dynamic: true, check: above(0, "the value must be a positive number")},
	{name: "election_fencing_mode", types: "string", def: "soft", dynamic: true,
		check: oneOf("the value must be one of the following strings: 'off', 'soft', 'strict'", "off", "soft", "strict")},
	{name: "replication_synchro_quorum", types: "string, number", def: "N / 2 + 1", dynamic: true, quorum: true},
	{name: "replication_linearizable_quorum", types: "string, number", def: "N - Q + 1", dynamic: true, quorum: true},
	{name: "replication_synchro_timeout", types: "number", def: 5, dynamic: true, check: above(0, "the value must be greater than zero")},
	{name: "replication_synchro_queue_max_size", types: "number", def: 16 << 20, dynamic: true,
		check: atLeast(0, "replication_synchro_queue_max_size must be >= 0")},
	{name: "txn_synchro_timeout", types: "number", def: 5, dynamic: true, check: above(0, "the value must be greater than 0")},
	{name: "auth_type", types: "string", def: "chap-sha1"},
}

var optionIndex = func() map[string]int {
	m := map[string]int{}
	for i, o := range optionList {
		m[o.name] = i
	}
	return m
}()

func above(limit float64, why string) func(value) string {
	return func(v value) string {
		if f, _ := v.number(); f > limit {
			return ""
		}
		return why
	}
}

func atLeast(limit float64, why string) func(value) string {
	return func(v value) string {
		if f, _ := v.number(); f >= limit {
			return ""
		}
		return why
	}
}

func oneOf(why string, words ...string) func(value) string {
	return func(v value) string {
		s, _ := v.str()
		for _, w := range words {
			if s == w {
				return ""
			}
		}
		return why
	}
}

// maxMemory is the greatest memtx_memory.
const maxMemory = 1024 * math.MaxUint32

func memory(v value) string {
	if f, _ := v.number(); f < 0 || f > maxMemory {
		return fmt.Sprintf("must be >= 0 and <= %d, but it is %.0f", int64(maxMemory), f)
	}
	return ""
}

func readahead(v value) string {
	if f, _ := v.number(); f < 128 || f >= 1<<31 {
		return "specified value is out of bounds"
	}
	return ""
}

// logLevels are the names of the numbers 0 to 7.
var logLevels = []string{"fatal", "syserror", "error", "crit", "warn", "info", "verbose", "debug"}

func logLevel(v value) string {
	if _, ok := levelOf(v); !ok {
		return "expected a number from 0 to 7 or one of fatal, syserror, error, crit, warn, info, verbose, debug"
	}
	return ""
}

// levelOf is the number of a log level.
func levelOf(v value) (n int, ok bool) {
	if s, isText := v.str(); isText {
		n = slices.Index(logLevels, s)
		return n, n >= 0
	}
	f, _ := v.number()
	return int(f), f >= 0 && f < float64(len(logLevels))
}

func plainBool(v value) string {
	if v.kind() != kindBool {
		return "should be of type boolean"
	}
	return ""
}
