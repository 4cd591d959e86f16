package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newPromote(p process) *cobra.Command {
	var m mandate
	cmd := newControl(p, control{
		verb: "promote", function: "box.ctl.promote", done: "is the leader",
		short: "make an instance the leader",
		long: `Promote makes the named instance run for leader, and waits for the outcome.

Where an agent says who leads (replication.failover 'supervised'), --token and --lease are the agent's: the instance leads for as long as the lease is renewed, by
the same command. --force is for who has no agent any more.`,
		arguments: m.arguments,
	})
	m.register(cmd)
	return cmd
}

func newDemote(p process) *cobra.Command {
	var token uint64
	cmd := newControl(p, control{
		verb: "demote", function: "box.ctl.demote", done: "gave leadership up",
		short: "make a leader step down",
		long:  "Demote makes the named instance give leadership up. Another instance is elected then. With --token only if it leads by that.",
		arguments: func() []any {
			if token == 0 {
				return nil
			}
			return []any{map[string]any{"token": token}}
		},
	})
	cmd.Flags().Uint64Var(&token, "token", 0, "the agent's token that it leads by, where an agent says who leads")
	return cmd
}

func newAcceptLoss(p process) *cobra.Command {
	return newControl(p, control{
		verb: "accept-loss", function: "tarragon.accept_loss", done: "goes on with what its disk has",
		short: "make an instance go on whose disk may have lost rows",
		long: `Accept-loss ends the doubt of an instance about its own disk. Such an instance takes no part in its replica
set: peers have seen more of it than its disk has, or its machine went down under wal.mode write. It joins anew by itself as soon as
there is a leader. Where all members are in doubt there is none: then call this on as many as make a quorum, those with the newest rows first.
What others have seen and this disk has not is lost if it goes on, unless a member still has it. Until the process ends it believes nobody
who says that there was more.`,
	})
}

func newAdoptTerm(p process) *cobra.Command {
	var term uint64
	cmd := newControl(p, control{
		verb: "adopt-term", function: "tarragon.adopt_term", done: "follows the term",
		short: "make an instance follow a term that is far beyond its own",
		long: `Adopt-term raises the term of an instance. An instance believes no peer whose term is more than a million beyond its own, for
no elections bring that about; this tells it that the term is right.`,
		arguments: func() []any { return []any{term} },
	})
	cmd.Flags().Uint64Var(&term, "term", 0, "the term; required")
	_ = cmd.MarkFlagRequired("term") // the flag is there
	return cmd
}

// control is a command that calls one function on one instance.
type control struct {
	verb, function, done string
	short, long          string
	arguments            func() []any // of the function; nil: it has none
}

func newControl(p process, c control) *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   c.verb + " [INSTANCE]",
		Short: c.short,
		Long:  c.long + " The name may be left out when there is one instance only.\n\n" + connectHelp,
		Example: fmt.Sprintf("  tarragon %[1]s i-002 --config cluster.yaml\n  tarragon %[1]s --addr admin:secret@10.0.0.2:3301",
			c.verb),
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			targets, err := f.targets(p)
			if err != nil {
				return err
			}
			t, err := pick(cmd.Context(), targets, f, strings.Join(a, ""))
			if err != nil {
				return err
			}
			var arguments []any
			if c.arguments != nil {
				arguments = c.arguments()
			}
			if err := t.call(cmd.Context(), f.timeout, nil, c.function, arguments...); err != nil {
				return fmt.Errorf("%s %s: %w", c.verb, t.label(), err)
			}
			_, err = fmt.Fprintf(p.out, "%s %s\n", t.label(), c.done)
			return err
		},
	}
	f.register(cmd)
	return cmd
}

// pick finds the instance of a name. Addresses have no names before the
// instances told theirs.
func pick(ctx context.Context, targets []target, f connectFlags, name string) (target, error) {
	if name == "" {
		if len(targets) == 1 {
			return targets[0], nil
		}
		return target{}, usagef("which instance? %s", names(targets))
	}
	var silent []string
	for _, t := range targets {
		if t.name == name {
			return t, nil
		}
	}
	for i, in := range askAll(ctx, targets, f.timeout) {
		if in.Error != "" {
			silent = append(silent, in.Address+": "+in.Error)
		} else if in.Name == name {
			targets[i].name = name
			return targets[i], nil
		}
	}
	if len(silent) > 0 {
		return target{}, fmt.Errorf("no instance that answers has the name %q; these do not answer: %s", name, strings.Join(silent, "; "))
	}
	return target{}, usagef("no instance has the name %q: %s", name, names(targets))
}

func names(targets []target) string {
	var out []string
	for _, t := range targets {
		out = append(out, t.label())
	}
	return "there are " + strings.Join(out, ", ")
}

func newExpel(p process) *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "expel INSTANCE",
		Short: "remove an instance from its replica set for good",
		Long: `Expel finds the leader and has it remove the named instance from the replica set.
The instance stops, read-only, and says so; the quorum is counted without it.
Take it out of the configuration too, or it comes back as a new member.

` + connectHelp,
		Example: "  tarragon expel i-003 --config cluster.yaml\n  tarragon expel i-003 --addr admin:secret@10.0.0.1:3301",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			targets, err := f.targets(p)
			if err != nil {
				return err
			}
			return expel(cmd.Context(), p, f, targets, a[0])
		},
	}
	f.register(cmd)
	return cmd
}

// expel asks the leader of the replica set that the instance is a member of.
// Instances that do not answer are no obstacle: the one to expel is often dead.
func expel(ctx context.Context, p process, f connectFlags, targets []target, name string) error {
	leader, writable := -1, 0
	all := askAll(ctx, targets, f.timeout)
	for i, in := range all {
		if in.Error != "" || in.ReadOnly {
			continue
		}
		writable++
		if contains(in.members, name) && (leader < 0 || in.Term > all[leader].Term) {
			leader = i
		}
	}
	switch {
	case writable == 0:
		return fmt.Errorf("expel %s: no leader among the instances that answer: %s", name, names(targets))
	case leader < 0:
		return fmt.Errorf("expel %s: no leader has a member of this name", name)
	}
	t := targets[leader]
	t.name = all[leader].Name
	if err := t.call(ctx, f.timeout, nil, "tarragon.expel", name); err != nil {
		return fmt.Errorf("expel %s: %s: %w", name, t.label(), err)
	}
	_, err := fmt.Fprintf(p.out, "%s is expelled, by %s\n", name, t.label())
	return err
}
