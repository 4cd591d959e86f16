package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tarragon.dev/tarragon/server"
	"tarragon.dev/tarragon/xlog"
)

const storeHelp = `DIRECTORY is wal.dir of the instance, or the data directory of a plain serve;
left out it is ./` + defaultDataDir + `.`

func newXlog(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "xlog",
		Short:   "look into a store, check it, repair it, upgrade it",
		Long:    "Xlog works on the files of a store, also when it does not open.\n\n" + storeHelp,
		Example: "  tarragon xlog verify\n  tarragon xlog cat var/lib/i-001 --space 512",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newXlogCat(p), newXlogVerify(p), newXlogRepair(p), newXlogUpgrade(p), newXlogFormer(p))
	return cmd
}

// storeOf finds the store that the arguments mean.
func storeOf(a []string) (string, error) {
	dir := defaultDataDir
	if len(a) > 0 {
		dir = a[0]
	}
	inner := filepath.Join(dir, storeDir)
	if info, err := os.Stat(inner); err == nil && info.IsDir() {
		return inner, nil
	}
	if file := server.ForeignFile(dir); file != "" {
		return "", fmt.Errorf("%s is a file of Tarantool, which is not read here (tt cat reads it)", file)
	}
	return dir, nil
}

// catFlags choose rows and how they are printed.
type catFlags struct {
	cores              []uint
	slot               uint
	spaces, replicas   []uint
	types              []string
	fromLSN, toLSN     uint64
	fromGroup, toGroup uint64
	limit              uint64
	lost, json         bool
}

func newXlogCat(p process) *cobra.Command {
	var f catFlags
	cmd := &cobra.Command{
		Use:   "cat [DIRECTORY]",
		Short: "print the rows of the log",
		Long: `Cat prints the rows of the log, one line each: group.position replica:LSN type,
then what the row holds. The store may be in use.

With --lost it prints the rows that this instance wrote or took over as a
minority and that a newer leader voided, instead of the log. No write among them
was acknowledged as committed, but for asynchronous ones.

With --slot it prints those of a former slot, which an instance has left for a new
copy: tarragon xlog former list.

` + storeHelp + `

It exits with 3 if something could not be read; all the rest is printed.`,
		Example: `  tarragon xlog cat
  tarragon xlog cat var/lib/i-001 --space 512 --replica 1 --from-lsn 100 --to-lsn 200
  tarragon xlog cat var/lib/i-001 --type promote --type confirm --json
  tarragon xlog cat var/lib/i-001 --lost`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			dir, err := storeOf(a)
			if err != nil {
				return err
			}
			return f.cat(p, dir)
		},
	}
	fl := cmd.Flags()
	fl.UintSliceVar(&f.cores, "core", nil, "rows of this Core only, 0 is the replica set, may be repeated")
	fl.UintVar(&f.slot, "slot", 0, "rows of this slot only, which may be a former one")
	fl.UintSliceVar(&f.spaces, "space", nil, "rows of this space id only, may be repeated")
	fl.UintSliceVar(&f.replicas, "replica", nil, "rows that this replica id wrote only, may be repeated")
	fl.StringSliceVar(&f.types, "type", nil, "rows of this type only, as insert or confirm, may be repeated")
	fl.Uint64Var(&f.fromLSN, "from-lsn", 0, "rows from this LSN on")
	fl.Uint64Var(&f.toLSN, "to-lsn", 0, "rows up to this LSN, itself included")
	fl.Uint64Var(&f.fromGroup, "from-group", 0, "groups from this number on")
	fl.Uint64Var(&f.toGroup, "to-group", 0, "groups up to this number, itself included")
	fl.Uint64Var(&f.limit, "limit", 0, "print at most so many rows")
	fl.BoolVar(&f.lost, "lost", false, "print what newer leaders voided, not the log")
	fl.BoolVar(&f.json, "json", false, "print one JSON object a row")
	return cmd
}

// filter is what the flags choose.
func (f *catFlags) filter() (xlog.Filter, error) {
	out := xlog.Filter{FromLSN: f.fromLSN, ToLSN: f.toLSN, FromGroup: f.fromGroup, ToGroup: f.toGroup}
	for _, id := range f.cores {
		if uint(uint32(id)) != id {
			return out, usagef("--core %d: too large", id)
		}
		out.Cores = append(out.Cores, uint32(id))
	}
	if uint(uint32(f.slot)) != f.slot {
		return out, usagef("--slot %d: too large", f.slot)
	}
	out.Slot = uint32(f.slot)
	for _, id := range f.spaces {
		if uint(uint32(id)) != id {
			return out, usagef("--space %d: too large", id)
		}
		out.Spaces = append(out.Spaces, uint32(id))
	}
	for _, id := range f.replicas {
		if uint(uint32(id)) != id {
			return out, usagef("--replica %d: too large", id)
		}
		out.Replicas = append(out.Replicas, uint32(id))
	}
	for _, name := range f.types {
		t, ok := xlog.ParseType(name)
		if !ok {
			return out, usagef("--type %s: no such type; try INSERT, REPLACE, UPDATE, UPSERT, DELETE, NOP, CONFIRM, ROLLBACK, PROMOTE, DEMOTE or RAFT", name)
		}
		out.Types = append(out.Types, t)
	}
	return out, nil
}

// errEnough ends a cat with a limit.
var errEnough = errors.New("enough")

func (f *catFlags) cat(p process, dir string) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(p.out)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var n uint64
	cat := xlog.Cat
	if f.lost {
		cat = xlog.CatLost
	}
	err = cat(nil, dir, filter, func(e xlog.Entry) error {
		if f.limit != 0 && n == f.limit {
			return errEnough
		}
		n++
		if f.json {
			return enc.Encode(e)
		}
		_, err := fmt.Fprintln(out, e)
		return err
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(err, out.Flush())
}

func newXlogVerify(p process) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify [DIRECTORY]",
		Short: "check every byte of a store",
		Long: `Verify goes over the log, the checkpoints and former slots, compares all checksums, and
names the position of all damage. The store may be in use; nothing is changed.

` + storeHelp + `

It exits with 3 if it found damage.`,
		Example: "  tarragon xlog verify\n  tarragon xlog verify var/lib/i-001 --json",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			dir, err := storeOf(a)
			if err != nil {
				return err
			}
			report, err := xlog.Verify(nil, dir)
			if err != nil {
				return err
			}
			if err := printReport(p, asJSON, report); err != nil {
				return err
			}
			if !report.OK() {
				return errUnhealthy
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printReport(p process, asJSON bool, report fmt.Stringer) error {
	if !asJSON {
		_, err := fmt.Fprint(p.out, report)
		return err
	}
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "  ")
	return enc.Encode(report)
}

func newXlogRepair(p process) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "repair [DIRECTORY]",
		Short: "make a new store of what is whole in a damaged one",
		Long: `Repair writes a new store with the valid checkpoints and the longest stretch of
the log that goes on from them, and puts it in the place of the damaged one,
which stays beside it under another name, with its former slots. A store without
damage is left alone. The store must not be in use.

Rows that only this instance had may be gone. In a replica set the better cure
is often to move the directory away: the instance joins anew by itself.

` + storeHelp,
		Example: "  tarragon xlog repair var/lib/i-001",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			dir, err := storeOf(a)
			if err != nil {
				return err
			}
			report, err := xlog.Repair(nil, dir)
			if err != nil {
				return err
			}
			return printReport(p, asJSON, repairText{report})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newXlogUpgrade(p process) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "upgrade [DIRECTORY]",
		Short: "bring a store of an older format to the present one",
		Long: `Upgrade writes what is in a store of format 1 in the present format, beside what
is there, and then drops the old. The store must not be in use, and the disk must
have as much room again as the store has. What it was broken off at does not
matter: the store is what it was, or upgraded, and it can be run again. There is no
way back. A store that has the present format is left alone, and so is one that is
damaged: repair makes one of the present format of what is whole.

Cat, verify and repair read both formats; serve reads the present one.

` + storeHelp,
		Example: "  tarragon xlog upgrade var/lib/i-001",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			dir, err := storeOf(a)
			if err != nil {
				return err
			}
			report, err := xlog.Upgrade(nil, dir)
			if err != nil {
				return err
			}
			return printReport(p, asJSON, upgradeText{report})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// upgradeText is an upgrade's report for people; as JSON it is the report.
type upgradeText struct{ *xlog.UpgradeReport }

// String is the report as text.
func (r upgradeText) String() string {
	if r.From == r.To {
		return fmt.Sprintf("%s has format %d already\n", r.Dir, r.To)
	}
	return fmt.Sprintf("%s has format %d now: %d groups, %d checkpoints\n", r.Dir, r.To, r.Groups, r.Checkpoints)
}

// repairText is a repair's report for people; as JSON it is the report.
type repairText struct{ *xlog.RepairReport }

// String is the report as text.
func (r repairText) String() string {
	var b strings.Builder
	b.WriteString(r.Before.String())
	if !r.Done {
		b.WriteString("nothing to repair\n")
		return b.String()
	}
	for _, c := range r.Cores {
		of := ""
		if c.ID != 0 {
			of = fmt.Sprintf("Core %d: ", c.ID)
		}
		fmt.Fprintf(&b, "repaired: %sgroups %d to %d, %d checkpoints\n", of, c.First, c.Last, c.Checkpoints)
	}
	for _, d := range r.Dropped {
		fmt.Fprintf(&b, "left out: %s\n", d)
	}
	fmt.Fprintf(&b, "the damaged store is kept in %s\n", r.Backup)
	return b.String()
}
