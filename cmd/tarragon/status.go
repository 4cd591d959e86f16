package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

const statusHelp = `Status asks every instance, of either kind, for its box.info and prints tables:
kind, role, term, leader, why it is read-only, lag, undecided transactions (how
many, whose, the age of the oldest); address, streams that run of those that
should, vclock. Then the rules under which leaders change, what they do not
keep, and the feature level; what 'tarragon node set' has said, and how routers in instances stand; then streams
that do not run, split brain and what to do about it, errors, and what an instance keeps without serving it.

` + connectHelp + `

Of an instance that refuses the user it shows what anybody may ask: role, term,
leader, whether it is read-only, and the vclock.

It exits with 3 if an instance does not answer, or not this user, if no instance
of a replica set may write, if two claim to lead the same term, or at a split brain.`

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
	var answer boxInfo
	var in *instanceInfo
	err := t.call(ctx, timeout, &answer, "box.info")
	if err == nil {
		in = parseInfo(&answer)
	} else {
		in = &instanceInfo{Error: err.Error(), Refused: refusal(err)}
		if in.Refused != "" {
			in.askOpenly(ctx, t, timeout)
		}
	}
	if t.name != "" && (in.Name == "" || err != nil) {
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
		switch {
		case in.Refused != "":
			out = append(out, fmt.Sprintf("%s: %s: no more of it is known than anybody may ask", in.label(), in.Refused))
		case in.Error != "":
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
	writable, unknown := false, false
	for _, in := range members {
		if !in.known() {
			unknown = unknown || in.Refused != "" // it may well lead
			continue
		}
		if len(in.SplitBrain) > 0 {
			var peers []string
			for _, s := range in.SplitBrain {
				peers = append(peers, s.Peer)
			}
			out = append(out, fmt.Sprintf("SPLIT BRAIN: %s does not follow %s any more", in.label(), strings.Join(peers, ", ")))
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
	if !writable && !unknown {
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
	return printIndented(w, map[string]any{
		"instances": all,
		"problems":  append([]string{}, problems(all)...),
		"healthy":   len(problems(all)) == 0,
	})
}

// printIndented prints a value as JSON that people can read.
func printIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
