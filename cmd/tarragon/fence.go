package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// nodeLine is what administrators said of an instance.
type nodeLine struct {
	Name     string `msgpack:"name" json:"name"`
	UUID     string `msgpack:"uuid" json:"uuid"`
	Fence    bool   `msgpack:"route_fence" json:"route_fence"`
	Writes   bool   `msgpack:"route_writes" json:"route_writes"`
	Priority int64  `msgpack:"route_priority" json:"route_priority"`
}

func newNode(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "node",
		Short:   "keep clients or leadership away from an instance",
		Long:    "Node says what an instance is for, and lists that: routers and elections go by it (docs/router.md).",
		Example: "  tarragon node set i-002 --route-fence --config cluster.yaml\n  tarragon node list --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newNodeSet(p), newNodeList(p))
	return cmd
}

func newNodeSet(p process) *cobra.Command {
	var f connectFlags
	var fence, writes bool
	var priority int
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "say what an instance is for",
		Long: `Set has the leader note for its replica set what an instance is for. Routers lead no clients to one that is fenced; it follows the log and votes as ever.
Who is fenced, or takes no writes (--route-writes=false), starts no election by itself, is handed nothing, and hands over when it leads, as soon as
another one can take over; 'tarragon promote' makes it a leader all the same, for so long. Of instances that hold as much, the one with the greater
priority is elected. NAME is the name, the uuid or the ID of a member, or a registered replica.

` + connectHelp,
		Example: "  tarragon node set i-002 --route-fence --config cluster.yaml\n  tarragon node set i-002 --route-fence=false --route-priority 10 --config cluster.yaml",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			options := map[string]any{}
			for name, v := range map[string]any{"route-fence": fence, "route-writes": writes, "route-priority": priority} {
				if cmd.Flags().Changed(name) {
					options[map[string]string{"route-fence": "route_fence", "route-writes": "route_writes", "route-priority": "route_priority"}[name]] = v
				}
			}
			if len(options) == 0 {
				return usagef("one of --route-fence, --route-writes and --route-priority is needed")
			}
			t, _, err := f.leader(cmd.Context(), p, "node set")
			if err != nil {
				return err
			}
			if err := t.call(cmd.Context(), f.timeout, nil, "tarragon.node.set", names[0], options); err != nil {
				return fmt.Errorf("node set: %s: %w", t.label(), err)
			}
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&fence, "route-fence", false, "routers lead no clients there, and it leads nobody")
	cmd.Flags().BoolVar(&writes, "route-writes", true, "it may lead")
	cmd.Flags().IntVar(&priority, "route-priority", 0, "-100 to 100")
	return cmd
}

func newNodeList(p process) *cobra.Command {
	var f connectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list the instances of which something is said",
		Long:    "List asks the leader for all that 'tarragon node set' has said.\n\n" + connectHelp,
		Example: "  tarragon node list --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, _, err := f.leader(cmd.Context(), p, "node list")
			if err != nil {
				return err
			}
			lines := []nodeLine{}
			if err := t.call(cmd.Context(), f.timeout, &lines, "tarragon.node.list"); err != nil {
				return fmt.Errorf("node list: %s: %w", t.label(), err)
			}
			if asJSON {
				return printIndented(p.out, map[string]any{"nodes": lines})
			}
			return printNodes(p.out, lines)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printNodes(w io.Writer, lines []nodeLine) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "nothing is said of any instance: all may have clients and lead")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tFENCED\tWRITES\tPRIORITY\tUUID")
	for _, n := range lines {
		fmt.Fprintf(tw, "%s\t%v\t%v\t%d\t%s\n", dash(n.Name), n.Fence, n.Writes, n.Priority, n.UUID)
	}
	return tw.Flush()
}
