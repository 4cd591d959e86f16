package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tarragon.dev/tarragon/instance"
)

const upgradeHelp = `Upgrade restarts the instances that run another build than this program, one after the other: readers first, then followers, the leader last, when it has
handed leadership over by a switchover. Each must be back, run this build and have all that the leader has before the next is touched. A step is taken only
if a quorum goes on without the instance, with all others there and caught up.

So: put the new binary where the instances start it from, and run upgrade from the new binary. It restarts nothing by itself but by --restart, a command for sh -c in
which %s is the name of the instance and %% a percent sign. The command has to stop the instance (SIGTERM) and to start it, or to have that done.

What is to be done follows from what the instances say of themselves, so a run that was broken off goes on when the same is run again. With --started-before
instances that run this build already are restarted too if their process is older: after a change of an option that needs a restart, say.

--plan prints the steps and does nothing. Exit codes: 0 all run this build, 1 it stopped, and says at what and what to do; no other instance was touched.

`

// upgradeWish is what is asked for.
type upgradeWish struct {
	program boxProgram // that all are to run
	reads   uint64     // the newest feature level that it reads
	started time.Time  // no process that is older counts; zero: any does
	restart restartCommand
	without []string // instances that are left as they are, and may be down
	outage  bool
	older   bool
	mandate mandate
	maxLag  uint64
}

// upgradeFlags are the flags as they were given.
type upgradeFlags struct {
	connectFlags
	wish      upgradeWish
	plan, run bool
	asJSON    bool
	restart   string
	started   string
	wait      time.Duration
}

func newUpgrade(p process) *cobra.Command {
	var f upgradeFlags
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "restart all instances with this build, one after the other",
		Long:  upgradeHelp + connectHelp,
		Example: `  tarragon upgrade --config cluster.yaml --plan --restart 'systemctl restart tarragon@%s'
  tarragon upgrade --config cluster.yaml --run --restart 'ssh %s systemctl restart tarragon@%s'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.upgrade(cmd.Context(), p) },
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.plan, "plan", false, "print the steps, and do nothing")
	fl.BoolVar(&f.run, "run", false, "take the steps")
	fl.StringVar(&f.restart, "restart", "", "command that restarts an instance: %s is its name, %% a percent sign")
	fl.BoolVar(&f.asJSON, "json", false, "with --plan: print JSON")
	fl.DurationVar(&f.wait, "wait", 5*time.Minute, "longest time for an instance to restart, and to catch up then")
	fl.Uint64Var(&f.wish.maxLag, "max-lag", 0, "rows that an instance may lack of what the leader had when it came back")
	fl.StringVar(&f.started, "started-before", "", "restart processes that are older than this too, as 2026-12-01T09:00:00Z")
	fl.StringArrayVar(&f.wish.without, "without", nil, "leave this instance as it is, may be repeated: it may be down where the others have a quorum")
	fl.BoolVar(&f.wish.outage, "allow-outage", false, "go on where no quorum is left while an instance restarts: writes stand still then")
	fl.BoolVar(&f.wish.older, "allow-older", false, "go on where instances run a newer build than this one")
	f.wish.mandate.register(cmd)
	return cmd
}

// check resolves the flags.
func (f *upgradeFlags) check() (err error) {
	switch {
	case f.plan == f.run:
		return usagef("one of --plan and --run is needed")
	case f.run && f.restart == "":
		return usagef("--run needs --restart, the command that restarts an instance, as in --restart 'systemctl restart tarragon@%%s'")
	case f.run && f.asJSON:
		return usagef("--json goes with --plan")
	case f.wait <= 0:
		return usagef("--wait must be more than 0")
	}
	if f.started != "" {
		if f.wish.started, err = time.Parse(time.RFC3339, f.started); err != nil {
			return usagef("--started-before %s: a time as 2026-12-01T09:00:00Z is expected", f.started)
		}
		if f.wish.started.After(time.Now()) {
			return usagef("--started-before %s is in the future: no process would ever be new enough", f.started)
		}
	}
	if f.restart != "" {
		if f.wish.restart, err = parseRestart(f.restart); err != nil {
			return usagef("--restart: %w", err)
		}
	}
	p := program()
	f.wish.program, f.wish.reads = boxProgram{Version: p.Version, Commit: p.Commit, Changed: p.Changed}, instance.FeatureLevel
	if !p.Built.IsZero() {
		f.wish.program.Time = number(p.Built.Unix())
	}
	return nil
}

func (f *upgradeFlags) upgrade(ctx context.Context, p process) error {
	if err := f.check(); err != nil {
		return err
	}
	targets, err := f.targets(p)
	if err != nil {
		return err
	}
	for _, name := range f.wish.without {
		if !slices.ContainsFunc(targets, func(t target) bool { return t.name == name }) {
			return usagef("--without %s: there is no such instance; they are %s", name, names(targets))
		}
	}
	var plans []*upgradePlan
	var bad []error
	sets := setsOf(targets)
	for _, set := range sets {
		plan, err := f.wish.plan(askForUpgrade(ctx, set, f.timeout))
		plans, bad = append(plans, plan), append(bad, err)
	}
	if err := errors.Join(bad...); err != nil {
		return refusedUpgrade{err}
	}
	if f.asJSON {
		return printIndented(p.out, map[string]any{"build": f.wish.program.text(), "replicasets": plans})
	}
	for _, plan := range plans {
		if err := plan.print(p.out, &f.wish); err != nil {
			return err
		}
	}
	if f.plan {
		return nil
	}
	for _, set := range sets {
		r := upgradeRun{wish: &f.wish, targets: set, timeout: f.timeout, wait: f.wait, out: p.out, err: p.err}
		lead, err := r.run(ctx)
		if err == nil {
			err = printRaise(p.out, lead, f.file)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refusedUpgrade is why nothing is begun, a line for each reason.
type refusedUpgrade struct{ err error }

func (e refusedUpgrade) Error() string {
	return "upgrade: nothing was touched:\n  " + strings.ReplaceAll(e.err.Error(), "\n", "\n  ")
}

func (e refusedUpgrade) Unwrap() error { return e.err }

// setsOf are the instances of each replica set, in the order of the file.
func setsOf(targets []target) (sets [][]target) {
next:
	for _, t := range targets {
		for i := range sets {
			if sets[i][0].replicaset == t.replicaset {
				sets[i] = append(sets[i], t)
				continue next
			}
		}
		sets = append(sets, []target{t})
	}
	return sets
}

// printRaise says that the feature level may be raised, where it may.
func printRaise(w io.Writer, lead *upgradee, file string) error {
	f := parseFeature(lead.info.Own.Feature, memberNames(&lead.info))
	if f == nil || f.possible() <= f.Level {
		return nil
	}
	how := "tarragon feature raise"
	if file != "" {
		how += " --config " + file
	}
	_, err := fmt.Fprintf(w, "the feature level is %d, and all members read %d. Once you will not go back to the version before: %s\n", f.Level, f.possible(), how)
	return err
}
