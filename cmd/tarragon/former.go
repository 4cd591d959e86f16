package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"tarragon.dev/tarragon/server"
	"tarragon.dev/tarragon/xlog"
)

func newXlogFormer(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "former",
		Short: "list, extract and drop what an instance has left for a new copy",
		Long: `An instance whose disk has lost rows joins its replica set anew, as somebody else, and
one that alone has founded a replica set may give way to another one. What it had
before stays in the store as a former slot, for it may have rows that nobody else
has. Nothing removes it but drop. Cat prints its log, and verify checks it:
tarragon xlog cat --slot N.`,
		Example: "  tarragon xlog former list\n  tarragon xlog former extract --slot 1 --to /tmp/former\n  tarragon xlog former drop --slot 1",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFormerList(p), newFormerExtract(p), newFormerDrop(p))
	return cmd
}

// formerLine is a former slot as list shows it.
type formerLine struct {
	xlog.Former
	Instance    string `json:"instance,omitempty"` // uuid
	Incarnation uint64 `json:"incarnation,omitempty"`
}

// String is the former slot as text.
func (f formerLine) String() string {
	text := f.Former.String() + "\n"
	if f.Instance != "" {
		text += fmt.Sprintf("  instance %s, incarnation %d\n", f.Instance, f.Incarnation)
	}
	return text
}

func newFormerList(p process) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [DIRECTORY]",
		Short: "list the former slots of a store",
		Long: `List prints each former slot: its number, whose it was, when and why it was left, and as
whom the instance was known then. The store may be in use.

` + storeHelp,
		Example: "  tarragon xlog former list\n  tarragon xlog former list var/lib/i-001 --json",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			dir, err := storeOf(a)
			if err != nil {
				return err
			}
			all, err := xlog.ListFormers(nil, dir)
			for _, f := range all {
				line := formerLine{Former: f.Former}
				line.Instance, line.Incarnation = server.StoredIdentity(f.Values)
				if err := printFormer(p, asJSON, line); err != nil {
					return err
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a slot")
	return cmd
}

func printFormer(p process, asJSON bool, f formerLine) error {
	if asJSON {
		return json.NewEncoder(p.out).Encode(f)
	}
	_, err := fmt.Fprint(p.out, f)
	return err
}

func newFormerExtract(p process) *cobra.Command {
	var slot uint
	var to string
	cmd := &cobra.Command{
		Use:   "extract --slot N --to NEW [DIRECTORY]",
		Short: "make a store of its own of a former slot",
		Long: `Extract copies what is whole in a former slot to a new store, in the directory NEW. All that
reads a store reads that one, and an instance of its own, with a configuration that has
no other one, serves it. The store that has the slot may be in use, and stays as it is.

` + storeHelp,
		Example: "  tarragon xlog former extract --slot 1 --to /tmp/former/store var/lib/i-001",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			number, err := formerSlot(slot)
			if err != nil {
				return err
			}
			if to == "" {
				return usagef("--to is missing: a directory for the new store")
			}
			dir, err := storeOf(a)
			if err != nil {
				return err
			}
			r, err := xlog.ExtractFormer(nil, dir, number, to)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "%s has what was in slot %d: groups %d to %d, %d checkpoints, %d voided rows\n", to, number, r.First, r.Last, len(r.Checkpoints), r.Lost)
			return err
		},
	}
	cmd.Flags().UintVar(&slot, "slot", 0, "number of the former slot, as list shows it")
	cmd.Flags().StringVar(&to, "to", "", "directory of the new store")
	return cmd
}

func newFormerDrop(p process) *cobra.Command {
	var slot uint
	cmd := &cobra.Command{
		Use:   "drop --slot N [DIRECTORY]",
		Short: "remove a former slot for good",
		Long: `Drop removes a former slot with all that is in it, and gives its room back. The store must
not be in use: stop the instance first. There is no way back.

` + storeHelp,
		Example: "  tarragon xlog former drop --slot 1 var/lib/i-001",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			number, err := formerSlot(slot)
			if err != nil {
				return err
			}
			dir, err := storeOf(a)
			if err != nil {
				return err
			}
			if err := xlog.DropFormer(nil, dir, number); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "former slot %d is dropped\n", number)
			return err
		},
	}
	cmd.Flags().UintVar(&slot, "slot", 0, "number of the former slot, as list shows it")
	return cmd
}

func formerSlot(n uint) (uint32, error) {
	if n == 0 || uint(uint32(n)) != n {
		return 0, usagef("--slot is missing, or no number of a slot: tarragon xlog former list has them")
	}
	return uint32(n), nil
}
