package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newReplica(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replica",
		Short: "register replicas that hold some spaces only",
		Long: `Replica is about anonymous replicas, those with a filter before all: they are registered by the uuid of the instance, and get what the filter gives that
they are registered with. One that comes with a filter for the first time is registered by the leader. It needs feature level 3.`,
		Example: "  tarragon replica create reader --from 10.0.0.1:3301 --user admin --password-file admin.pw --filter hr\n  tarragon replica list --config cluster.yaml\n  tarragon replica drop reader --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newReplicaCreate(p), newReplicaAlter(p), newReplicaDrop(p), newReplicaList(p))
	return cmd
}

func newReplicaAlter(p process) *cobra.Command {
	var f connectFlags
	var filter string
	cmd := &cobra.Command{
		Use:   "alter NAME --filter FILTER",
		Short: "register a replica with another filter",
		Long: `Alter registers a replica with another filter, or with none: --filter ''. It is refused what it had, and goes on once its configuration names the
filter too (tarragon.filter) and it is started anew: it takes copies of all that this one gives. One that was dropped is registered again.

` + connectHelp,
		Example: "  tarragon replica alter reader --filter sales --config cluster.yaml",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if !cmd.Flags().Changed("filter") {
				return usagef("--filter is needed: '' for none")
			}
			return f.changeReplica(cmd, p, "alter", fmt.Sprintf("replica %s is registered with %s", a[0], filterWords(filter)), a[0], map[string]any{"filter": filter})
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&filter, "filter", "", "name of its filter; empty: none")
	return cmd
}

func newReplicaDrop(p process) *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "drop NAME",
		Short: "drop a replica: it gets nothing any more",
		Long: `Drop ends the streams of a replica. It keeps what it has, and does not register itself again: alter does that. Its name is free.

` + connectHelp,
		Example: "  tarragon replica drop reader --config cluster.yaml",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			return f.changeReplica(cmd, p, "drop", fmt.Sprintf("replica %s is dropped", a[0]), a[0])
		},
	}
	f.register(cmd)
	return cmd
}

// changeReplica has the leader change a registration, and prints what was done.
func (f *connectFlags) changeReplica(cmd *cobra.Command, p process, verb, done string, words ...any) error {
	t, _, err := f.leader(cmd.Context(), p, "replica "+verb)
	if err != nil {
		return err
	}
	if err := t.call(cmd.Context(), f.timeout, nil, "tarragon.replica."+verb, words...); err != nil {
		return fmt.Errorf("replica %s: %s: %w", verb, t.label(), err)
	}
	_, err = fmt.Fprintf(p.out, "%s, by %s\n", done, t.label())
	return err
}
