package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newCopy(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "look at base copies for filtered replicas, and end them",
		Long: `Copy is about the base copies that instances give to filtered replicas: of the tuples of spaces that these lack. Any instance that has all may
give one. All instances are asked.`,
		Example: "  tarragon copy list --config cluster.yaml\n  tarragon copy cancel reader --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCopyList(p), newCopyCancel(p))
	return cmd
}

// eachInstance asks all instances, and tells which did not answer. The error is of them, if no
// one did.
func (f *connectFlags) eachInstance(ctx context.Context, p process, verb string, ask func(t target, name string) error) error {
	targets, err := f.targets(p)
	if err != nil {
		return err
	}
	answered := false
	var silent []error
	for i, in := range askAll(ctx, targets, f.timeout) {
		err := errors.New(in.Error)
		switch {
		case in.Error != "":
		case in.Kind != "Tarragon":
			continue // gives none
		default:
			if err = ask(targets[i], in.label()); err == nil {
				answered = true
				continue
			}
		}
		silent = append(silent, fmt.Errorf("%s: %s: %w", verb, in.label(), err))
	}
	if !answered && len(silent) > 0 {
		return errors.Join(silent...)
	}
	for _, err := range silent {
		fmt.Fprintln(p.err, err)
	}
	return nil
}

func newCopyList(p process) *cobra.Command {
	var f connectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the base copies that instances give",
		Long: `List shows which base copies are under way at their senders, and which were refused a moment ago because there were too many.

` + connectHelp,
		Example: "  tarragon copy list --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			copies := []*copying{}
			err := f.eachInstance(cmd.Context(), p, "copy list", func(t target, name string) error {
				var answer []boxGives
				err := t.call(cmd.Context(), f.timeout, &answer, "tarragon.copy.list")
				copies = append(copies, parseGives(name, answer)...)
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printIndented(p.out, map[string]any{"copies": copies})
			}
			return printGiven(p.out, copies)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printGiven(w io.Writer, copies []*copying) error {
	if len(copies) == 0 {
		_, err := fmt.Fprintln(w, "no base copies are given")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tAT\tREPLICA\tSPACES\tSTAGE\tDONE\tROWS\tROWS/S\tFOR\tKEPT FOR IT")
	for _, c := range copies {
		kept := fmt.Sprintf("%d MiB", c.Pinned>>20)
		if c.Spooled {
			kept = "a file"
		}
		stage := c.Stage + c.trouble()
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d %%\t%d of %d\t%s\t%s\t%s\n", dash(plain(c.ID)), plain(c.At), plain(c.Replica), list(c.Spaces), stage, c.Percent, c.Rows, c.Total,
			thousands(c.Rate), seconds(c.For), kept)
	}
	return t.Flush()
}

func newCopyCancel(p process) *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "cancel REPLICA|ID",
		Short: "end base copies of a replica, or one by its ID",
		Long: `Cancel ends the base copies that instances give to a replica, by its name or uuid, or the one of an ID that list shows. What is kept for it is freed
at once. A replica that lives asks again, after a pause; one whose filter gives it the spaces no longer does not.

` + connectHelp,
		Example: "  tarragon copy cancel reader --config cluster.yaml\n  tarragon copy cancel i-001.7 --config cluster.yaml",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			if a[0] == "" {
				return usagef("which replica, or which copy?")
			}
			ended := uint64(0)
			err := f.eachInstance(cmd.Context(), p, "copy cancel", func(t target, name string) error {
				var n number
				err := t.call(cmd.Context(), f.timeout, &n, "tarragon.copy.cancel", a[0])
				if ended += uint64(n); n > 0 {
					fmt.Fprintf(p.out, "%d base copies of %s are cancelled, at %s\n", n, plain(a[0]), name)
				}
				return err
			})
			if err == nil && ended == 0 {
				return fmt.Errorf("copy cancel: no instance that answers gives a base copy to a replica of this name or uuid, or with this ID: %s", plain(a[0]))
			}
			return err
		},
	}
	f.register(cmd)
	return cmd
}
