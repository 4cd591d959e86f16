package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"tarragon.dev/tarragon/internal/demo"
)

const demoHelp = `Demo runs three nodes as processes in a temporary directory and tells line by
line, with times: the election, a schema made by go-tarantool, a stream of
writes, SIGKILL of the leader, the time to the next commit, the killed node's
return; then a leader that is paused (SIGSTOP) for eight seconds and goes on; then
leadership that moves on purpose, without a failed write, and the history of
leaders. At the end every acknowledged row is looked up on all nodes.

With --filter it tells of a leader and two replicas with filters: a space that is added to
one of them under load, and removed again, a replica that is killed in the middle of a copy.
At the end what they have is compared with the leader.

It exits with 0 only when all held.`

// demoFlags are the flags of demo.
type demoFlags struct {
	keep   bool
	filter bool
}

func newDemo(p process) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "watch three nodes survive the loss of their leader",
		Long:    demoHelp,
		Example: "  tarragon demo\n  tarragon demo --keep\n  tarragon demo --filter",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), p, f) },
	}
	cmd.Flags().BoolVar(&f.filter, "filter", false, "watch replicas that have some spaces only")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "leave the cluster running and print how to connect")
	return cmd
}

// runDemo runs this very executable as three nodes.
func runDemo(ctx context.Context, p process, f demoFlags) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return demo.Run(ctx, demo.Options{Binary: exe, Keep: f.keep, Filter: f.filter, Out: p.out})
}
