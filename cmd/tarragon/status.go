package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const statusHelp = `Status asks every instance for its box.info and prints a table: role, term,
leader, vclock, lag, undecided transactions (how many, whose, the age of the
oldest), why it is read-only; then the streams that do not run, and errors.

` + connectHelp + `

It exits with 3 if an instance does not answer, if no instance of a replica set
may write, or if two claim to lead the same term.`

func newStatus(p process) *cobra.Command {
	var f connectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show how the instances are",
		Long:  statusHelp,
		Example: `  tarragon status
  tarragon status --config cluster.yaml
  tarragon status --addr admin:secret@10.0.0.1:3301 --addr admin:secret@10.0.0.2:3301 --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			targets, err := f.targets(p)
			if err != nil {
				return err
			}
			all := askAll(cmd.Context(), targets, f.timeout)
			if asJSON {
				err = printJSON(p.out, all)
			} else {
				err = printTable(p.out, all)
			}
			if err == nil && len(problems(all)) > 0 {
				return errUnhealthy
			}
			return err
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// askAll asks all targets at once; the answers are in their order.
func askAll(ctx context.Context, targets []target, timeout time.Duration) []*instanceInfo {
	all := make([]*instanceInfo, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { all[i] = ask(ctx, t, timeout) })
	}
	wg.Wait()
	return all
}

// ask is what an instance says of itself, or why it does not.
func ask(ctx context.Context, t target, timeout time.Duration) *instanceInfo {
	answer, err := t.call(ctx, timeout, "box.info")
	var in *instanceInfo
	if err == nil {
		in, err = parseInfo(answer)
	}
	if err != nil {
		in = &instanceInfo{Error: err.Error()}
	}
	if in.Name == "" || err != nil {
		in.Name = t.name
	}
	if t.replicaset != "" {
		in.Replicaset = t.replicaset
	}
	if !t.uri.IsZero() {
		in.Address = t.uri.Address()
	}
	return in
}

// problems are the reasons why the cluster is not well, in one line each.
func problems(all []*instanceInfo) []string {
	var out, sets []string
	members := map[string][]*instanceInfo{}
	for _, in := range all {
		if in.Error != "" {
			out = append(out, fmt.Sprintf("%s does not answer", in.label()))
		}
		if in.Error != "" && in.Replicaset == "" {
			continue // nobody knows where it belongs
		}
		if members[in.Replicaset] == nil {
			sets = append(sets, in.Replicaset)
		}
		members[in.Replicaset] = append(members[in.Replicaset], in)
	}
	for _, set := range sets {
		out = append(out, leadership(set, members[set])...)
	}
	if len(sets) == 0 {
		out = append(out, "no leader: nobody answers")
	}
	return out
}

// leadership is what is wrong with the leaders of one replica set.
func leadership(set string, members []*instanceInfo) []string {
	var out []string
	leaders := map[uint64]string{}
	writable := false
	for _, in := range members {
		if in.Error != "" {
			continue
		}
		writable = writable || !in.ReadOnly
		if in.Role != "leader" {
			continue
		}
		if other, twice := leaders[in.Term]; twice {
			out = append(out, fmt.Sprintf("%s and %s both lead term %d", other, in.label(), in.Term))
		}
		leaders[in.Term] = in.label()
	}
	if !writable {
		out = append(out, strings.TrimSuffix("no leader: no instance that answers may write in replica set "+set, " in replica set "))
	}
	return out
}

func (in *instanceInfo) label() string {
	if in.Name != "" {
		return in.Name
	}
	return in.Address
}

func printJSON(w io.Writer, all []*instanceInfo) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]any{
		"instances": all,
		"problems":  append([]string{}, problems(all)...),
		"healthy":   len(problems(all)) == 0,
	})
}

// printTable prints a line for each instance, then what is not well.
func printTable(w io.Writer, all []*instanceInfo) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "INSTANCE\tADDRESS\tROLE\tTERM\tLEADER\tVCLOCK\tLAG\tUNDECIDED\tREAD-ONLY\tUPSTREAMS\tDOWNSTREAMS")
	for _, in := range all {
		if in.Error != "" {
			fmt.Fprintf(t, "%s\t%s\tunreachable\n", dash(in.Name), dash(in.Address))
			continue
		}
		role := in.Role
		if in.Status != "running" {
			role += " (" + in.Status + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", dash(in.Name), dash(in.Address), dash(role), in.Term, dash(in.Leader),
			in.VClock, in.lagText(), in.undecidedText(), in.readOnlyText(), in.streamsText("upstream"), in.streamsText("downstream"))
	}
	t.Flush()
	for _, p := range problems(all) {
		fmt.Fprintln(&b, "problem:", p)
	}
	for _, in := range all {
		switch {
		case in.Error != "":
			fmt.Fprintf(&b, "%s: %s\n", in.label(), in.Error)
		case in.LastError != "":
			fmt.Fprintf(&b, "%s: last error: %s\n", in.label(), in.LastError)
		}
		for _, s := range in.Streams {
			if !s.healthy() {
				fmt.Fprintf(&b, "%s: %s %s is %s%s\n", in.label(), s.Direction, s.Peer, dash(s.Status), reason(s.Message))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func reason(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (in *instanceInfo) lagText() string {
	if in.Lag == nil {
		return "-"
	}
	return seconds(*in.Lag)
}

func (in *instanceInfo) undecidedText() string {
	if in.Undecided == nil {
		return "0"
	}
	u := in.Undecided
	return fmt.Sprintf("%d of %s, oldest %s", u.Count, u.Owner, seconds(u.Age))
}

func (in *instanceInfo) readOnlyText() string {
	switch {
	case !in.ReadOnly:
		return "no"
	case in.Reason != "":
		return in.Reason
	}
	return "yes"
}

// streamsText counts the streams that run.
func (in *instanceInfo) streamsText(direction string) string {
	all, well := 0, 0
	for _, s := range in.Streams {
		if s.Direction != direction {
			continue
		}
		all++
		if s.healthy() {
			well++
		}
	}
	if all == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", well, all)
}

// seconds is a time for people: three digits are enough.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 0:
		d = 0
	case d < time.Millisecond:
		d = d.Round(time.Microsecond)
	case d < time.Second:
		d = d.Round(100 * time.Microsecond)
	default:
		d = d.Round(10 * time.Millisecond)
	}
	return d.String()
}
