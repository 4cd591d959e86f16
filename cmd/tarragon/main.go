package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], process{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(),
	})
	stop()
	complain(os.Stderr, err)
	os.Exit(exitCode(err))
}

// process is what a command sees of the world around it.
type process struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string
}

// run is the program but for its exit.
func run(ctx context.Context, args []string, p process) error {
	root := newRoot(p)
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	return root.ExecuteContext(ctx)
}

const rootHelp = `Tarragon is a replicated tuple database that speaks Tarantool's protocol.

Start one node and look at it:
  tarragon serve
  tarragon status

Start a node of a cluster:
  tarragon serve --config cluster.yaml --instance i-001

Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration, 3 unhealthy
(status), damaged (xlog) or different (verify), 130 interrupted.`

func newRoot(p process) *cobra.Command {
	root := &cobra.Command{
		Use:           "tarragon",
		Short:         "a replicated tuple database that speaks Tarantool's protocol",
		Long:          rootHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q; see tarragon --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(
		newServe(p), newStatus(p), newPromote(p), newDemote(p), newSwitchover(p), newHistory(p), newVerify(p), newLost(p), newExpel(p), newFeature(p), newUpgrade(p), newFilter(p), newReplica(p), newCopy(p), newNode(p), newPause(p), newResume(p), newAcceptLoss(p), newAdoptTerm(p),
		newXlog(p), newRouter(p), newDebug(p), newDemo(p), newVersion(p),
	)
	return root
}

// args wraps cobra's checks so that their errors count as usage errors.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return usagef("%w; see %s --help", err, cmd.CommandPath())
		}
		return nil
	}
}
