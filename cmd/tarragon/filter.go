package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newFilter(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "filter",
		Short: "say which spaces filtered replicas hold",
		Long: `Filter is about replicas that hold some spaces only. A filter has a name, and says which spaces, which indexes of them and which sequences
such a replica has. It is kept by the replica set: the leader changes it, and all instances know it. It needs feature level 3.`,
		Example: "  tarragon filter create hr --empty --config cluster.yaml\n  tarragon filter alter hr --add space staff wages --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFilterCreate(p), newFilterAlter(p), newFilterDrop(p), newFilterList(p), newFilterShow(p))
	return cmd
}

func newFilterCreate(p process) *cobra.Command {
	var f connectFlags
	flags := map[string]*bool{}
	cmd := &cobra.Command{
		Use:   "create NAME --empty|--full",
		Short: "make a filter",
		Long: `Create makes a filter that begins with nothing (--empty) or with all spaces and sequences that there are (--full). Spaces that are made later are had
by a full one and left out by an empty one, unless --include-new or --exclude-new says otherwise. System spaces are always had.

` + connectHelp,
		Example: "  tarragon filter create hr --empty --config cluster.yaml",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			options := map[string]any{}
			for name, set := range flags {
				if *set {
					options[strings.ReplaceAll(name, "-", "_")] = true
				}
			}
			switch {
			case *flags["empty"] == *flags["full"]:
				return usagef("one of --empty and --full is needed: what the filter begins with")
			case *flags["include-new"] && *flags["exclude-new"]:
				return usagef("--include-new and --exclude-new exclude each other")
			}
			return f.changeFilter(cmd, p, "create", fmt.Sprintf("filter %s is made", a[0]), a[0], options)
		},
	}
	f.register(cmd)
	for _, flag := range [][2]string{{"empty", "it begins with nothing"}, {"full", "it begins with all that there is"},
		{"include-new", "it has spaces that are made later"}, {"exclude-new", "it leaves them out"}} {
		flags[flag[0]] = cmd.Flags().Bool(flag[0], false, flag[1])
	}
	return cmd
}

func newFilterAlter(p process) *cobra.Command {
	var f connectFlags
	var rename, add, remove string
	cmd := &cobra.Command{
		Use:   "alter NAME --rename NEW | --add|--remove space|index|sequence OBJECT...",
		Short: "change a filter",
		Long: `Alter gives a filter another name, or adds and removes what replicas with it have: whole spaces, secondary indexes of spaces that it has (SPACE.INDEX), and
sequences. Objects are given by name, or by ID where nothing has such a name. All of them are changed, or none.

` + connectHelp,
		Example: "  tarragon filter alter hr --add space staff wages --config cluster.yaml\n  tarragon filter alter hr --remove index staff.by_name --config cluster.yaml",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			name, objects := a[0], a[1:]
			options, done, err := alterOptions(rename, add, remove, objects)
			if err != nil {
				return err
			}
			return f.changeFilter(cmd, p, "alter", fmt.Sprintf("filter %s %s", name, done), name, options)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&rename, "rename", "", "its new name")
	cmd.Flags().StringVar(&add, "add", "", "what the objects are that it has from now on: space, index or sequence")
	cmd.Flags().StringVar(&remove, "remove", "", "what the objects are that it leaves out from now on: space, index or sequence")
	return cmd
}

// alterOptions are those of tarragon.filter.alter. done: what they do.
func alterOptions(rename, add, remove string, objects []string) (options map[string]any, done string, err error) {
	given := 0
	for _, flag := range []string{rename, add, remove} {
		if flag != "" {
			given++
		}
	}
	if given != 1 {
		return nil, "", usagef("one of --rename, --add and --remove is needed")
	}
	if rename != "" {
		if len(objects) > 0 {
			return nil, "", usagef("--rename takes no objects: %s", strings.Join(objects, " "))
		}
		return map[string]any{"rename": rename}, "is " + rename + " now", nil
	}
	verb, kind, done := "add", add, "has"
	if remove != "" {
		verb, kind, done = "remove", remove, "leaves out"
	}
	switch {
	case kind != "space" && kind != "index" && kind != "sequence":
		return nil, "", usagef("--%s takes space, index or sequence, not %s", verb, kind)
	case len(objects) == 0:
		return nil, "", usagef("--%s %s needs the name of one, behind that of the filter", verb, kind)
	}
	return map[string]any{verb: map[string]any{kind: objects}}, fmt.Sprintf("%s %s %s", done, kind, strings.Join(objects, ", ")), nil
}

func newFilterDrop(p process) *cobra.Command {
	var f connectFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "drop NAME",
		Short: "drop a filter",
		Long: `Drop takes a filter away. While replicas are registered with it, it is refused, and names them; with --force they are dropped, too.

` + connectHelp,
		Example: "  tarragon filter drop hr --config cluster.yaml",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			return f.changeFilter(cmd, p, "drop", fmt.Sprintf("filter %s is dropped", a[0]), a[0], map[string]any{"force": force})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "although replicas use it: they are dropped, too")
	return cmd
}

// changeFilter has the leader change a filter, and prints what was done.
func (f *connectFlags) changeFilter(cmd *cobra.Command, p process, verb, done, name string, options map[string]any) error {
	t, _, err := f.leader(cmd.Context(), p, "filter "+verb)
	if err != nil {
		return err
	}
	var version number
	var stopped []string
	answer := any(&version)
	if verb == "drop" {
		answer = &stopped
	}
	if err := t.call(cmd.Context(), f.timeout, answer, "tarragon.filter."+verb, name, options); err != nil {
		return fmt.Errorf("filter %s: %s: %w", verb, t.label(), err)
	}
	if version != 0 {
		done += fmt.Sprintf(" (version %d)", version)
	}
	if len(stopped) > 0 {
		done += ", with the replicas " + plain(strings.Join(stopped, ", "))
	}
	_, err = fmt.Fprintf(p.out, "%s, by %s\n", done, t.label())
	return err
}

// filterLine is a filter as list shows it.
type filterLine struct {
	Name      string `msgpack:"name" json:"name"`
	Version   number `msgpack:"version" json:"version"`
	New       bool   `msgpack:"include_new" json:"include_new"`
	Spaces    number `msgpack:"spaces" json:"spaces"`
	Absent    number `msgpack:"absent" json:"absent"`
	Indexes   number `msgpack:"indexes" json:"indexes_left_out"`
	Sequences number `msgpack:"sequences" json:"sequences_left_out"`

	Replicas []string `msgpack:"replicas" json:"replicas"` // that are registered with it
}

func newFilterList(p process) *cobra.Command {
	var f connectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list the filters",
		Long:    "List asks the leader.\n\n" + connectHelp,
		Example: "  tarragon filter list --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			lines := []filterLine{}
			if err := f.askFilters(cmd, p, &lines, "list"); err != nil {
				return err
			}
			if asJSON {
				return printIndented(p.out, map[string]any{"filters": lines})
			}
			return printFilters(p.out, lines)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// askFilters asks the leader what filters there are.
func (f *connectFlags) askFilters(cmd *cobra.Command, p process, answer any, verb string, words ...any) error {
	t, _, err := f.leader(cmd.Context(), p, "filter "+verb)
	if err != nil {
		return err
	}
	if err := t.call(cmd.Context(), f.timeout, answer, "tarragon.filter."+verb, words...); err != nil {
		return fmt.Errorf("filter %s: %s: %w", verb, t.label(), err)
	}
	return nil
}

func printFilters(w io.Writer, lines []filterLine) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "there are no filters")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FILTER\tVERSION\tSPACES\tLEFT OUT\tMADE LATER\tINDEXES LEFT OUT\tSEQUENCES LEFT OUT\tREPLICAS")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%d\t%d\t%s\n", plain(l.Name), l.Version, l.Spaces, l.Absent, madeLater(l.New), l.Indexes, l.Sequences,
			dash(plain(strings.Join(l.Replicas, ", "))))
	}
	return t.Flush()
}

func madeLater(had bool) string {
	if had {
		return "had"
	}
	return "left out"
}

// filterNames is a filter as show shows it.
type filterNames struct {
	Name      string         `msgpack:"name" json:"name"`
	Version   number         `msgpack:"version" json:"version"`
	New       bool           `msgpack:"include_new" json:"include_new"`
	Spaces    []filterObject `msgpack:"spaces" json:"spaces"`
	Absent    []filterObject `msgpack:"absent" json:"absent"`
	Indexes   []filterIndex  `msgpack:"indexes" json:"indexes_left_out"`
	Sequences []filterObject `msgpack:"sequences" json:"sequences_left_out"`
	Former    []number       `msgpack:"former" json:"former_versions"`
	Replicas  []string       `msgpack:"replicas" json:"replicas"` // that are registered with it

	By    string        `msgpack:"-" json:"by"` // who says so
	There []filterThere `msgpack:"-" json:"there"`
}

type filterObject struct {
	ID   number `msgpack:"id" json:"id"`
	Name string `msgpack:"name" json:"name"`
}

type filterIndex struct {
	Space   string `msgpack:"space" json:"space"`
	SpaceID number `msgpack:"space_id" json:"space_id"`
	Name    string `msgpack:"name" json:"name"`
	ID      number `msgpack:"id" json:"id"`
}

func newFilterShow(p process) *cobra.Command {
	var f connectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "show what a filter has and what it leaves out",
		Long: `Show asks the leader what the filter says, or where none of the instances leads, another one. Indexes and sequences that are not shown are had. Of each
replica with the filter that is among the instances it tells what is there: what is absent, being copied and being built.

` + connectHelp,
		Example: "  tarragon filter show hr --config cluster.yaml",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			shown, err := f.showFilter(cmd.Context(), p, a[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printIndented(p.out, shown)
			}
			return shown.print(p.out)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
