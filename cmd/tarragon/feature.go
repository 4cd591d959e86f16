package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// feature is the feature level of a replica set, as one instance sees it.
type feature struct {
	Level   uint64        `json:"level"`
	Reads   uint64        `json:"reads"` // the newest that the instance reads
	Members []memberReads `json:"members"`
}

// memberReads is what a member of ours said that it reads; 0: it has said nothing.
type memberReads struct {
	Name  string `json:"name"`
	Reads uint64 `json:"reads"`
}

// parseFeature makes what we show of it; nil where it is not told.
func parseFeature(m *boxFeature, names idNames) *feature {
	if m == nil {
		return nil
	}
	f := &feature{Level: uint64(m.Level), Reads: uint64(m.Reads)}
	for id, reads := range m.Members {
		f.Members = append(f.Members, memberReads{names.of(number(id)), uint64(reads)})
	}
	slices.SortFunc(f.Members, func(a, b memberReads) int { return strings.Compare(a.Name, b.Name) })
	return f
}

// possible is the level that all members read, as far as all have said; 0: not all have.
func (f *feature) possible() uint64 {
	most := f.Reads
	for _, m := range f.Members {
		most = min(most, m.Reads)
	}
	return most
}

func (f *feature) text() string {
	s := strconv.FormatUint(f.Level, 10)
	if n := f.possible(); n > f.Level {
		s += fmt.Sprintf(", all members read %d: tarragon feature raise", n)
	}
	return s
}

func newFeature(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "feature",
		Short: "show or raise the feature level of a replica set",
		Long: `Feature is about what a replica set may write that older versions of Tarragon cannot read. The level is a number of the
replica set; an instance whose version does not read it cannot take part.`,
		Example: "  tarragon feature show --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFeatureShow(p), newFeatureRaise(p))
	return cmd
}

func newFeatureShow(p process) *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "show the feature level, and what each member reads",
		Long:    "Show asks the leader, which hears what its members read.\n\n" + connectHelp,
		Example: "  tarragon feature show --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, in, err := f.leader(cmd.Context(), p, "feature show")
			if err != nil {
				return err
			}
			return printFeature(p.out, in)
		},
	}
	f.register(cmd)
	return cmd
}

func printFeature(w io.Writer, in *instanceInfo) error {
	if in.Feature == nil {
		return fmt.Errorf("feature show: %s tells no feature level", in.label())
	}
	if _, err := fmt.Fprintf(w, "feature level: %s\n\n", in.Feature.text()); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "INSTANCE\tREADS")
	for _, m := range in.Feature.Members {
		reads := "has not said"
		if m.Reads != 0 {
			reads = fmt.Sprintf("up to %d", m.Reads)
		}
		fmt.Fprintf(t, "%s\t%s\n", dash(m.Name), reads)
	}
	return t.Flush()
}

func newFeatureRaise(p process) *cobra.Command {
	var f connectFlags
	var level uint32
	cmd := &cobra.Command{
		Use:   "raise",
		Short: "raise the feature level, once all instances have the new version",
		Long: `Raise has the leader raise the feature level: by default to the newest that it reads. It is refused while a member reads less or is
not connected. There is no way back: what is written then cannot be read by an older version, which stops when it meets the level.

` + connectHelp,
		Example: "  tarragon feature raise --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, _, err := f.leader(cmd.Context(), p, "feature raise")
			if err != nil {
				return err
			}
			var args []any
			if level != 0 {
				args = append(args, level)
			}
			if err := t.call(cmd.Context(), f.timeout, nil, "tarragon.feature_raise", args...); err != nil {
				return fmt.Errorf("feature raise: %s: %w", t.label(), err)
			}
			in := ask(cmd.Context(), *t, f.timeout)
			if in.Feature == nil {
				return fmt.Errorf("feature raise: it is raised; the level is not known: %s", in.Error)
			}
			_, err = fmt.Fprintf(p.out, "the feature level is %d, by %s\n", in.Feature.Level, t.label())
			return err
		},
	}
	f.register(cmd)
	cmd.Flags().Uint32Var(&level, "level", 0, "the level (default the newest that the leader reads)")
	return cmd
}

// leader finds the instance that leads: of those that take writes, the one in the newest term.
func (f *connectFlags) leader(ctx context.Context, p process, verb string) (*target, *instanceInfo, error) {
	targets, err := f.targets(p)
	if err != nil {
		return nil, nil, err
	}
	lead := -1
	all := askAll(ctx, targets, f.timeout)
	for i, in := range all {
		if in.Error == "" && !in.ReadOnly && (lead < 0 || in.Term > all[lead].Term) {
			lead = i
		}
	}
	if lead < 0 {
		return nil, nil, fmt.Errorf("%s: no leader among the instances that answer: %s", verb, names(targets))
	}
	t := &targets[lead]
	t.name = all[lead].Name
	return t, all[lead], nil
}
