package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
)

const verifyHelp = `Verify has all instances prove that they were on the same stream. Each makes digests of the rows of its log that are decided, by term and LSN,
and the digests are compared; where they differ the range is halved down to the first row that differs, which is shown as each side has it.
It may run while rows are written: what is compared is what all of the compared have decided.

With --spaces it also compares the tuples of each space, which each instance reads as they are at one vclock: so it needs a moment in which all stand at the same one. It
shows of a member that has joined anew, or has a filter, what its log cannot.

What was not compared is said by name: instances that do not answer, replicas with a filter, Tarantools, terms under
Tarantool's rules, and rows that no two instances have in their logs any more.

Exit codes: 0 all members were compared and are equal, 3 some differ, 1 none differ, but not all could be compared.

`

// errIncomplete: nothing differs, but a member was not compared.
var errIncomplete = errors.New("not all members could be compared, see above")

// verifyTimeout is for one slice of digests of a busy instance.
const verifyTimeout = 30 * time.Second

func newVerify(p process) *cobra.Command {
	var f connectFlags
	var asJSON, spaces bool
	cmd := &cobra.Command{
		Use:     "verify",
		Short:   "compare what the instances of a replica set hold",
		Long:    verifyHelp + connectHelp,
		Example: "  tarragon verify --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			targets, err := f.targets(p)
			if err != nil {
				return err
			}
			report, err := verify(cmd.Context(), targets, f.timeout, spaces)
			if err != nil {
				return err
			}
			if asJSON {
				err = printIndented(p.out, report)
			} else {
				err = report.print(p.out)
			}
			if err != nil {
				return err
			}
			return report.outcome()
		},
	}
	f.register(cmd)
	f.timeout = verifyTimeout
	cmd.Flags().Lookup("timeout").DefValue = verifyTimeout.String()
	cmd.Flags().BoolVar(&spaces, "spaces", false, "compare all tuples too, when no rows are written for a moment")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
