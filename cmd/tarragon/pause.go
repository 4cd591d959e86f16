package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// pause is a pause of automatic elections, as one instance counts it.
type pause struct {
	Left   float64 `json:"left_seconds"`
	By     string  `json:"by"`
	Reason string  `json:"reason,omitempty"`
}

// parsePause makes what we show of it; nil: there is none.
func parsePause(m *boxPause) *pause {
	if m == nil {
		return nil
	}
	return &pause{m.Left, m.By, m.Reason}
}

func (p *pause) text() string {
	left := time.Duration(p.Left * float64(time.Second)).Round(time.Second)
	s := fmt.Sprintf("no automatic elections for another %v, by %s", left, dash(p.By))
	if p.Reason != "" {
		s += fmt.Sprintf(": %q", p.Reason)
	}
	return s
}

// printPauses has a line for each pause, and who counts it: each by its own clock.
func printPauses(w io.Writer, all []*instanceInfo) {
	for _, in := range all {
		if in.Pause != nil {
			fmt.Fprintf(w, "PAUSED at %s: %s\n", in.label(), in.Pause.text())
		}
	}
}

func newPause(p process) *cobra.Command {
	var f connectFlags
	var span time.Duration
	var why string
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "let no instance elect a leader by itself, during maintenance",
		Long: `Pause has the leader tell its replica set that nobody starts an election by itself for a while: when the leader goes, nobody leads
until 'tarragon promote' or until the time is over. Each instance counts the time by its own clock, from the moment at which it has heard of the
pause, or from its start. A pause that is there already is replaced.

` + connectHelp,
		Example: "  tarragon pause --config cluster.yaml --for 30m --reason 'new switch'",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, _, err := f.leader(cmd.Context(), p, "pause")
			if err != nil {
				return err
			}
			options := map[string]any{"seconds": span.Seconds(), "reason": why}
			if err := t.call(cmd.Context(), f.timeout, nil, "tarragon.pause", options); err != nil {
				return fmt.Errorf("pause: %s: %w", t.label(), err)
			}
			if _, err := fmt.Fprintf(p.out, "paused: no automatic elections for %v, by %s\n", span, t.label()); err != nil {
				return err
			}
			targets, err := f.targets(p)
			if err != nil {
				return err
			}
			return printUnpaused(p.out, askAll(cmd.Context(), targets, f.timeout))
		},
	}
	f.register(cmd)
	cmd.Flags().DurationVar(&span, "for", 10*time.Minute, "how long, 1s to 24h")
	cmd.Flags().StringVar(&why, "reason", "", "what it is for; status shows it")
	return cmd
}

// printUnpaused warns of instances that may elect all the same.
func printUnpaused(w io.Writer, all []*instanceInfo) error {
	var unpaused []string
	for _, in := range all {
		switch {
		case in.Error != "":
			unpaused = append(unpaused, in.label()+" (does not answer)")
		case in.Kind == "Tarantool":
			unpaused = append(unpaused, in.label()+" (a Tarantool knows no pause)")
		case in.Pause == nil:
			unpaused = append(unpaused, in.label()+" (has not heard of it yet)")
		}
	}
	if len(unpaused) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "not known to be paused: %s\n", strings.Join(unpaused, ", "))
	return err
}

func newResume(p process) *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "end a pause",
		Long: `Resume has the leader end the pause of automatic elections. Without a leader make one first: 'tarragon promote INSTANCE'.

` + connectHelp,
		Example: "  tarragon resume --config cluster.yaml",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, _, err := f.leader(cmd.Context(), p, "resume")
			if err != nil {
				return err
			}
			var was bool
			if err := t.call(cmd.Context(), f.timeout, &was, "tarragon.resume"); err != nil && !errors.Is(err, errNothing) {
				return fmt.Errorf("resume: %s: %w", t.label(), err)
			}
			text := "it was not paused"
			if was {
				text = "resumed: instances elect a leader by themselves again"
			}
			_, err = fmt.Fprintf(p.out, "%s, by %s\n", text, t.label())
			return err
		},
	}
	f.register(cmd)
	return cmd
}
