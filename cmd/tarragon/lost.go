package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

const lostHelp = `Lost is about transactions that were written by a leader, but had no quorum when a newer term began, and are void since: no client was told that they are
committed. Whoever had them in its log keeps them, through restarts and when it joins anew, until its data is removed.

A transaction is named TERM:INSTANCE:LSN: the term and the replica ID of the leader that wrote it, and the LSN of its last row.`

func newLost(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lost",
		Short:   "show voided transactions, or write them again",
		Long:    lostHelp,
		Example: "  tarragon lost list --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLostList(p), newLostShow(p), newLostExport(p), newLostReplay(p))
	return cmd
}

// newLostVerb makes a verb that prints some of what the instances keep.
func newLostVerb(p process, c cobra.Command, print func(k *keptLost, w io.Writer) error) *cobra.Command {
	var f connectFlags
	cmd := &c
	cmd.Long += "\n\n" + connectHelp
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		k, err := f.lost(cmd.Context(), p, names)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(p.out)
		if err := errors.Join(print(k, out), out.Flush()); err != nil {
			return err
		}
		return k.complain(p.err)
	}
	f.register(cmd)
	return cmd
}

func newLostList(p process) *cobra.Command {
	return newLostVerb(p, cobra.Command{
		Use: "list", Short: "list voided transactions", Args: args(cobra.NoArgs), Example: "  tarragon lost list --config cluster.yaml",
		Long: `List asks all instances which voided transactions they keep, and says of each when it was written, what it would have changed, which newer term
voided it and when, and who keeps it. It ends with 3 where an instance does not answer: that may be the one that has more.`,
	}, (*keptLost).list)
}

func newLostShow(p process) *cobra.Command {
	return newLostVerb(p, cobra.Command{
		Use: "show [TERM:INSTANCE:LSN ...]", Short: "print the rows of voided transactions", Example: "  tarragon lost show --config cluster.yaml 5:1:4711",
		Long: "Show prints each row of the transactions that are named, of all without a name.",
	}, (*keptLost).show)
}

func newLostExport(p process) *cobra.Command {
	return newLostVerb(p, cobra.Command{
		Use: "export [TERM:INSTANCE:LSN ...]", Short: "print voided transactions as JSON lines", Example: "  tarragon lost export --config cluster.yaml > lost.jsonl",
		Long: "Export prints the transactions that are named, all without a name, as JSON: one a line, with all of their rows.",
	}, (*keptLost).export)
}

// lost asks for the transactions of some names, for all without one.
func (f *connectFlags) lost(ctx context.Context, p process, names []string) (*keptLost, error) {
	wanted, err := parseLostNames(names)
	if err != nil {
		return nil, err
	}
	targets, err := f.targets(p)
	if err != nil {
		return nil, err
	}
	k, err := askLost(ctx, targets, f.timeout)
	if err != nil {
		return nil, err
	}
	return k, k.choose(wanted)
}

// complain says who did not answer.
func (k *keptLost) complain(w io.Writer) error {
	for _, why := range k.failed {
		fmt.Fprintln(w, "no answer:", why)
	}
	if len(k.failed) > 0 {
		return errUnhealthy
	}
	return nil
}

func (k *keptLost) list(w io.Writer) error {
	if len(k.all) == 0 {
		_, err := fmt.Fprintln(w, "no instance keeps a voided transaction")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tWRITTEN\tROWS\tSPACES\tVOIDED BY\tWHEN\tKEPT AT")
	for _, l := range k.all {
		by, when := l.voided()
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", l.Name, wallTime(l.Written), len(l.Rows), dash(l.spaces()), by, when, plain(strings.Join(l.Kept, ", ")))
	}
	return t.Flush()
}

func (k *keptLost) show(w io.Writer) error {
	for _, l := range k.all {
		by, when := l.voided()
		fmt.Fprintf(w, "%s, voided by %s, %s, kept at %s\n", l.Name, by, when, plain(strings.Join(l.Kept, ", ")))
		for i := range l.Rows {
			fmt.Fprintf(w, "  %s\n", &l.Rows[i].toldRow)
		}
		if l.Damage != "" {
			fmt.Fprintf(w, "  what follows cannot be read: %s\n", l.Damage)
		}
	}
	return nil
}

func (k *keptLost) export(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, l := range k.all {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// voided says which term voided it, and when.
func (l *lostTxn) voided() (by, when string) {
	if l.By == nil {
		return "a ROLLBACK, or a term that the history does not have", "-"
	}
	return fmt.Sprintf("term %d of %s", l.By.Term, cmp.Or(plain(l.By.Leader), fmt.Sprintf("instance %d", l.By.LeaderID))), cmp.Or(l.By.When, "-")
}

// spaces are the names of those that it changes, each once.
func (l *lostTxn) spaces() string {
	var names []string
	seen := map[string]bool{}
	for i := range l.Rows {
		if name := l.Rows[i].spaceName(); name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// spaceName is the name that its space has now, or its ID; empty: it changes none.
func (r *toldRow) spaceName() string {
	switch {
	case r.SpaceID == 0:
		return ""
	case r.Space == "":
		return fmt.Sprintf("%d (gone)", r.SpaceID)
	}
	return plain(r.Space)
}
