package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// replicaLine is a registered replica as all members that answer see it.
type replicaLine struct {
	Name       string          `json:"name"`
	UUID       string          `json:"uuid"`
	Kind       string          `json:"kind"`             // filtered, full, dropped
	Filter     string          `json:"filter,omitempty"` // empty: it has all
	Version    number          `json:"filter_version,omitempty"`
	Acked      number          `json:"acked_version,omitempty"` // the newest by which a member sends to it
	Streams    []replicaStream `json:"streams"`
	Copied     []string        `json:"being_copied,omitempty"` // spaces, as it says
	Percent    number          `json:"copied_percent,omitempty"`
	Memory     *memory         `json:"memory,omitempty"` // as it says
	Error      string          `json:"error,omitempty"`  // why it does not answer, where it is among those that were asked
	unanswered bool            // it is not among them
}

// replicaStream is a stream from a member to a replica.
type replicaStream struct {
	From    string  `json:"from"`
	Status  string  `json:"status"`
	Address string  `json:"address,omitempty"` // where the replica connects from
	Version number  `json:"acked_version,omitempty"`
	Lag     float64 `json:"lag_seconds"`
	Idle    float64 `json:"idle_seconds"`
	Message string  `json:"message,omitempty"`
	Memory  *memory `json:"memory,omitempty"` // as the replica told last
}

// boxReplica is a line of tarragon.replica.list.
type boxReplica struct {
	Name   string            `msgpack:"name"`
	UUID   string            `msgpack:"uuid"`
	Filter string            `msgpack:"filter"`
	State  string            `msgpack:"state"`
	Stream *boxReplicaStream `msgpack:"stream"`
}

type boxReplicaStream struct {
	Status  string     `msgpack:"status"`
	Address string     `msgpack:"address"`
	Version number     `msgpack:"acked_version"`
	Lag     float64    `msgpack:"lag"`
	Idle    float64    `msgpack:"idle"`
	Message string     `msgpack:"message"`
	Memory  *boxMemory `msgpack:"memory"`
}

func newReplicaList(p process) *cobra.Command {
	var f connectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the registered replicas",
		Long: `List asks all instances: the leader which replicas are registered and which were dropped, each member what it sends to them, and a replica that is among the
instances what it copies and how much memory it takes.

` + connectHelp,
		Example: "  tarragon replica list --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			lines, err := f.listReplicas(cmd.Context(), p)
			if err != nil {
				return err
			}
			if asJSON {
				return printIndented(p.out, map[string]any{"replicas": lines})
			}
			return printReplicas(p.out, lines)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// replicaAnswer is what one instance says.
type replicaAnswer struct {
	target target
	info   boxInfo
	err    error
	lines  []boxReplica
}

func (f *connectFlags) listReplicas(ctx context.Context, p process) ([]*replicaLine, error) {
	lead, _, err := f.leader(ctx, p, "replica list")
	if err != nil {
		return nil, err
	}
	var rows []boxReplica
	if err := lead.call(ctx, f.timeout, &rows, "tarragon.replica.list"); err != nil {
		return nil, fmt.Errorf("replica list: %s: %w", lead.label(), err)
	}
	var filters []filterLine
	if err := lead.call(ctx, f.timeout, &filters, "tarragon.filter.list"); err != nil {
		return nil, fmt.Errorf("replica list: %s: %w", lead.label(), err)
	}
	targets, err := f.targets(p)
	if err != nil {
		return nil, err
	}
	answers := make([]replicaAnswer, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() {
			a := &answers[i]
			a.target = t
			if a.err = t.call(ctx, f.timeout, &a.info, "box.info"); a.err == nil {
				a.err = t.call(ctx, f.timeout, &a.lines, "tarragon.replica.list")
			}
		})
	}
	wg.Wait()
	lines := []*replicaLine{}
	for i := range rows {
		lines = append(lines, newReplicaLine(&rows[i], filters, answers))
	}
	slices.SortStableFunc(lines, func(a, b *replicaLine) int {
		return cmp.Or(cmp.Compare(b2i(a.Kind == "dropped"), b2i(b.Kind == "dropped")), strings.Compare(a.Name, b.Name))
	})
	return lines, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func newReplicaLine(row *boxReplica, filters []filterLine, answers []replicaAnswer) *replicaLine {
	l := &replicaLine{Name: row.Name, UUID: row.UUID, Filter: row.Filter, Kind: "full", Streams: []replicaStream{}, unanswered: true}
	switch {
	case row.State != "registered":
		l.Kind = row.State
	case row.Filter != "":
		l.Kind = "filtered"
	}
	for i := range filters {
		if l.Kind == "filtered" && filters[i].Name == row.Filter {
			l.Version = filters[i].Version
		}
	}
	for i := range answers {
		a := &answers[i]
		if a.info.UUID == row.UUID || a.err != nil && a.target.name == row.Name {
			l.ownAnswer(a)
			continue
		}
		for k := range a.lines {
			if s := a.lines[k].Stream; s != nil && a.lines[k].UUID == row.UUID {
				l.stream(cmp.Or(a.info.Name, a.target.label()), s)
			}
		}
	}
	return l
}

// stream takes what a member says of its stream.
func (l *replicaLine) stream(from string, s *boxReplicaStream) {
	told := replicaStream{From: from, Status: s.Status, Address: s.Address, Version: s.Version, Lag: s.Lag, Idle: s.Idle, Message: s.Message}
	if m := s.Memory; m != nil {
		told.Memory = &memory{uint64(m.Taken), uint64(m.Limit)}
	}
	l.Streams = append(l.Streams, told)
	l.Acked = max(l.Acked, s.Version)
}

// told is the memory that the replica told a member last; nil: none.
func (l *replicaLine) told() (last *memory) {
	idle := math.Inf(1)
	for _, s := range l.Streams {
		if s.Memory != nil && s.Idle < idle {
			last, idle = s.Memory, s.Idle
		}
	}
	return last
}

// ownAnswer takes what the replica says of itself.
func (l *replicaLine) ownAnswer(a *replicaAnswer) {
	l.unanswered = false
	if a.err != nil {
		l.Error = a.err.Error()
		return
	}
	if m := a.info.Own.Memory; m != nil {
		l.Memory = &memory{uint64(m.Taken), uint64(m.Limit)}
	}
	if s := a.info.Own.Filter; s != nil {
		for _, c := range s.Copied {
			l.Copied = append(l.Copied, c.Space)
		}
		if s.Copy != nil {
			l.Percent = s.Copy.Percent
		}
	}
}

func printReplicas(w io.Writer, lines []*replicaLine) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "no replicas are registered")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REPLICA\tKIND\tFILTER\tVERSION\tACKED\tLAG\tCOPYING\tMEMORY\tCONNECTED TO")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", plain(l.Name), plain(l.Kind), dash(plain(l.Filter)), versionOf(l.Version), versionOf(l.Acked), l.lag(), l.copying(), l.memory(), l.connected())
	}
	return t.Flush()
}

func versionOf(v number) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprint(v)
}

// lag is the least of all streams.
func (l *replicaLine) lag() string {
	if len(l.Streams) == 0 {
		return "-"
	}
	least := slices.MinFunc(l.Streams, func(a, b replicaStream) int { return cmp.Compare(a.Lag, b.Lag) })
	return fmt.Sprintf("%.1f s", least.Lag)
}

func (l *replicaLine) copying() string {
	if len(l.Copied) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s %d %%", plain(strings.Join(l.Copied, ", ")), l.Percent)
}

func (l *replicaLine) memory() string {
	switch m := cmp.Or(l.Memory, l.told()); {
	case m != nil:
		return fmt.Sprintf("%d MiB", m.Taken>>20)
	case l.unanswered:
		return "not asked"
	}
	return "no answer"
}

func (l *replicaLine) connected() string {
	var all []string
	for _, s := range l.Streams {
		all = append(all, plain(s.From))
	}
	return dash(strings.Join(all, ", "))
}
