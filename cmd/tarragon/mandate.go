package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// mandate is by whose word an instance is to lead, in a supervised replica set.
type mandate struct {
	token uint64
	lease time.Duration
	force bool
}

func (m *mandate) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.Uint64Var(&m.token, "token", 0, "where an agent says who leads: its token, greater than all before")
	fl.DurationVar(&m.lease, "lease", 0, "with --token: how long the instance leads unless that is renewed")
	fl.BoolVar(&m.force, "force", false, "by hand, where an agent should say who leads")
}

// options of box.ctl.promote and box.ctl.switchover; nil: there are none.
func (m *mandate) options() map[string]any {
	options := map[string]any{}
	if m.token != 0 {
		options["token"] = m.token
	}
	if m.lease != 0 {
		options["lease"] = m.lease.Seconds()
	}
	if m.force {
		options["force"] = true
	}
	return options
}

func (m *mandate) arguments() []any {
	if o := m.options(); len(o) > 0 {
		return []any{o}
	}
	return nil
}

// boxMandate is what an instance of a supervised set says of it.
type boxMandate struct {
	Newest number  `msgpack:"newest" json:"newest"` // token of all terms
	Token  number  `msgpack:"token" json:"token"`   // by which it leads; 0: it does not, or by hand
	Left   float64 `msgpack:"left" json:"left"`     // seconds of its lease
}

// printMandates tells by whose word who leads.
func printMandates(w io.Writer, all []*instanceInfo) {
	for _, in := range all {
		m := in.Mandate
		switch {
		case m == nil || in.Role != "leader":
		case m.Token == 0:
			fmt.Fprintf(w, "supervised: %s leads by hand; the newest token is %d\n", in.label(), m.Newest)
		default:
			fmt.Fprintf(w, "supervised: %s leads by token %d, its lease ends in %v\n", in.label(), m.Token, time.Duration(m.Left*float64(time.Second)).Round(time.Millisecond))
		}
	}
}
