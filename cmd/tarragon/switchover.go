package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// switchoverGrace is how long the outcome may take once writes are let go: an election
// timeout, and some more.
const switchoverGrace = 10 * time.Second

// defaultMoveTimeout is the longest time for which writes wait for a move.
const defaultMoveTimeout = 5 * time.Second

// moved is the answer of box.ctl.switchover.
type moved struct {
	Name string  `msgpack:"name"`
	Term uint64  `msgpack:"term"`
	LSN  uint64  `msgpack:"lsn"`
	Held float64 `msgpack:"held"`
}

func newSwitchover(p process) *cobra.Command {
	var f connectFlags
	var to, from, why string
	var strict, fast bool
	var lag int
	var m mandate
	cmd := &cobra.Command{
		Use:   "switchover",
		Short: "move leadership to another instance, without a failed write",
		Long: `Switchover has the leader hand its role to another instance: a row of the log says who leads next. Writes wait for the few
milliseconds that it takes. Without --to the instance that holds most takes over. With --strict, the default, writes wait until it has all that the leader
has; with --fast the role moves at once, and what the next leader lacks it gets while it is elected. If writes would wait for longer than --timeout, nothing moves.

In a set with a Tarantool there is no such row: writes wait until the other instance has all, then that one is told to ask for the votes. --fast is refused there, and a
Tarantool neither hands over nor is handed anything: call box.ctl.promote() on the one that is to lead.

It ends with 0 when the other instance leads. Any error says who leads, or that nothing has moved.

` + connectHelp,
		Example: "  tarragon switchover --config cluster.yaml --to i2 --reason 'new kernel on i1'",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strict && fast {
				return usagef("--strict and --fast exclude each other")
			}
			if from == "self" {
				if from = lookupEnv(p.environ, "TT_INSTANCE_NAME"); from == "" {
					return usagef("--from self: TT_INSTANCE_NAME says who that is, and is not set")
				}
			}
			t, was, err := f.leader(cmd.Context(), p, "switchover")
			if err != nil {
				return err
			}
			if from != "" && from != was.Name {
				_, err := fmt.Fprintf(p.out, "%s leads and not %s: nothing has to move\n", was.label(), from)
				return err
			}
			if was.Kind == "Tarantool" {
				return fmt.Errorf("switchover: %s leads and is a Tarantool, which hands nothing over: call box.ctl.promote() on the instance that is to lead", was.label())
			}
			options := m.options()
			options["timeout"], options["mode"] = f.timeout.Seconds(), "strict"
			if fast {
				options["mode"] = "fast"
			}
			if to != "" {
				options["to"] = to
			}
			if why != "" {
				options["reason"] = why
			}
			if lag != 0 {
				options["max_lag"] = lag
			}
			var now moved
			if err := t.call(cmd.Context(), f.timeout+switchoverGrace, &now, "box.ctl.switchover", options); err != nil {
				return fmt.Errorf("switchover: %s: %w", t.label(), err)
			}
			held := time.Duration(now.Held * float64(time.Second)).Round(100 * time.Microsecond)
			_, err = fmt.Fprintf(p.out, "%s leads in term %d; it took over from %s at LSN %d, writes waited for %v\n", now.Name, now.Term, was.label(), now.LSN, held)
			return err
		},
	}
	f.register(cmd)
	m.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&to, "to", "", "the instance that is to lead, by its name or uuid; without it the one that holds most")
	fl.StringVar(&from, "from", "", "the name of the instance that is to lead no longer: where another one leads nothing is done, and that is well. self: that of TT_INSTANCE_NAME")
	fl.BoolVar(&strict, "strict", false, "write the row when the next leader has all that is there (the default)")
	fl.BoolVar(&fast, "fast", false, "write the row at once")
	fl.IntVar(&lag, "max-lag", 0, "bytes that the next leader may lack when it begins (16 MiB)")
	fl.StringVar(&why, "reason", "", "what it is for; the history keeps it, 200 bytes at most")
	timeout := fl.Lookup("timeout")
	timeout.Usage = "longest time for which writes wait, 1m at most"
	timeout.DefValue, f.timeout = defaultMoveTimeout.String(), defaultMoveTimeout
	return cmd
}

// moving is a move of leadership that an instance makes.
type moving struct {
	To      string  `json:"to"`
	For     float64 `json:"seconds"` // since it began
	Written bool    `json:"written"` // it cannot be given up any more
	Lacks   uint64  `json:"lacks"`   // rows that the target has not on its disk
	By      string  `json:"by"`
	Reason  string  `json:"reason,omitempty"`
}

// parseMoving makes what we show of it; nil: there is none.
func parseMoving(m *boxMoving) *moving {
	if m == nil {
		return nil
	}
	return &moving{m.Name, m.For, m.Written, uint64(m.Lacks), m.By, m.Reason}
}

// printMoves has a line for each move that is under way.
func printMoves(w io.Writer, all []*instanceInfo) {
	for _, in := range all {
		m := in.Moving
		if m == nil {
			continue
		}
		state := fmt.Sprintf("which lacks %d rows", m.Lacks)
		if m.Written {
			state = "which is to be elected"
		}
		fmt.Fprintf(w, "MOVING at %s: leadership to %s, %s, for %v, by %s: %q; writes wait\n", in.label(), m.To, state,
			time.Duration(m.For*float64(time.Second)).Round(time.Millisecond), dash(m.By), m.Reason)
	}
}
