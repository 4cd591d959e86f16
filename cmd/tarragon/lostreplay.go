package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const replayHelp = `Replay writes voided transactions again, as ordinary writes at the leader and with the rights of the user: each as one transaction, one after the other. It
shows each row first, what is there now under its key, and asks. Conflicts are told, and such a transaction is left out as a whole:
a key that is taken with another value (--overwrite writes over it), a key that an update does not find, a space that is gone, a tuple that does not fit the format any more, a change
of the schema. What is there already, byte for byte, is not written again.

An UPDATE or UPSERT changes what is there now, and does so each time that it is replayed. Look at what is shown before you say yes.`

// replaying is a run of lost replay.
type replaying struct {
	target    target
	timeout   time.Duration
	overwrite bool
	dry, yes  bool
	in        *bufio.Reader
	out       io.Writer

	done, already, left int // transactions
}

func newLostReplay(p process) *cobra.Command {
	var f connectFlags
	var r replaying
	var all bool
	cmd := &cobra.Command{
		Use:     "replay TERM:INSTANCE:LSN ... | --all",
		Short:   "write voided transactions again",
		Long:    replayHelp + "\n\n" + connectHelp,
		Example: "  tarragon lost replay --config cluster.yaml 5:1:4711 --dry-run",
		RunE: func(cmd *cobra.Command, names []string) error {
			switch {
			case all && len(names) > 0:
				return usagef("--all and names of transactions exclude each other")
			case !all && len(names) == 0:
				return usagef("which transactions? Name them as 'tarragon lost list' prints them, or say --all")
			case r.dry && r.yes:
				return usagef("--dry-run and --yes exclude each other")
			}
			k, err := f.lost(cmd.Context(), p, names)
			if err != nil {
				return err
			}
			_ = k.complain(p.err) // what is wanted was found
			leader, _, err := f.leader(cmd.Context(), p, "lost replay")
			if err != nil {
				return err
			}
			r.target, r.timeout, r.in, r.out = *leader, f.timeout, bufio.NewReader(p.in), p.out
			return r.run(cmd.Context(), k.all)
		},
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&all, "all", false, "all that the instances keep")
	fl.BoolVar(&r.dry, "dry-run", false, "show what would happen, and write nothing")
	fl.BoolVar(&r.yes, "yes", false, "do not ask")
	fl.BoolVar(&r.overwrite, "overwrite", false, "write over what has the key of an inserted or replaced tuple now")
	return cmd
}

// errLeftOut: some were not written.
var errLeftOut = errors.New("not all were written again, see above")

func (r *replaying) run(ctx context.Context, all []*lostTxn) error {
	for _, l := range all {
		if err := r.transaction(ctx, l); err != nil {
			return fmt.Errorf("%v: %w", l.Name, err)
		}
	}
	written := "written again"
	if r.dry {
		written = "could be written again"
	}
	fmt.Fprintf(r.out, "%d %s, %d there already, %d left out\n", r.done, written, r.already, r.left)
	if r.left > 0 {
		return errLeftOut
	}
	return nil
}

// transaction shows one and what would come of it, asks, and writes it. It is looked at again by
// the transaction that writes it.
func (r *replaying) transaction(ctx context.Context, l *lostTxn) error {
	v, err := r.attempt(ctx, l, false)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "%v\n", l.Name)
	for i := range l.Rows {
		fmt.Fprintf(r.out, "  %s\n", &l.Rows[i].toldRow)
		for _, word := range v.words[i] {
			fmt.Fprintf(r.out, "    %s\n", word)
		}
	}
	switch {
	case l.Damage != "":
		r.left++
		fmt.Fprintf(r.out, "  left out: what follows cannot be read: %s\n", l.Damage)
	case v.conflict:
		r.left++
		fmt.Fprintln(r.out, "  left out: it conflicts with what is there")
	case !v.changes:
		r.already++
		fmt.Fprintln(r.out, "  nothing to do")
	case r.dry:
		r.done++
		fmt.Fprintln(r.out, "  would be written")
	case !r.yes && !r.agreed(l.Name):
		r.left++
		fmt.Fprintln(r.out, "  left out")
	default:
		return r.write(ctx, l)
	}
	return nil
}

func (r *replaying) write(ctx context.Context, l *lostTxn) error {
	v, err := r.attempt(ctx, l, true)
	if err != nil {
		return fmt.Errorf("whether it was written is not known, look before you replay it again: %w", err)
	}
	if v.conflict || !v.changes {
		r.left++
		fmt.Fprintln(r.out, "  left out: what is there has changed meanwhile")
		return nil
	}
	r.done++
	fmt.Fprintln(r.out, "  written")
	return nil
}

// agreed asks for one transaction. The end of the input is a no.
func (r *replaying) agreed(n lostName) bool {
	fmt.Fprintf(r.out, "  write %v again? [y/N] ", n)
	line, _ := r.in.ReadString('\n')
	word := strings.ToLower(strings.TrimSpace(line))
	return word == "y" || word == "yes"
}
