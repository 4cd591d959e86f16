package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
)

// filterThere is what a replica with a filter has, by its own word.
type filterThere struct {
	Instance  string        `json:"instance"`
	Version   number        `json:"version"`        // that it has taken up
	Gone      bool          `json:"gone,omitempty"` // it knows no such filter any more, and keeps what it gave
	Absent    []string      `json:"absent"`
	Copied    []thereObject `json:"being_copied"`
	Built     []thereObject `json:"indexes_being_built"`
	Indexes   []string      `json:"indexes_left_out"`
	Sequences []string      `json:"sequences_left_out"`
	Copy      *copying      `json:"copy,omitempty"`
}

// thereObject is a space or an index that comes to be there.
type thereObject struct {
	Name    string `json:"name"`
	Percent number `json:"percent"`
}

// showFilter asks all instances at once: one of them what the filter says, the leader
// where there is one, and each replica that has it what is there.
func (f *connectFlags) showFilter(ctx context.Context, p process, name string) (*filterNames, error) {
	targets, err := f.targets(p)
	if err != nil {
		return nil, err
	}
	infos, errs := make([]boxInfo, len(targets)), make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { errs[i] = t.call(ctx, f.timeout, &infos[i], "box.info") })
	}
	wg.Wait()
	best := -1 // a leader, in the newest term, or else who is of ours
	for i := range infos {
		in := &infos[i]
		if errs[i] != nil || in.Package == "Tarantool" {
			continue
		}
		if best < 0 || in.RO != infos[best].RO && !in.RO || in.RO == infos[best].RO && in.Election.Term > infos[best].Election.Term {
			best = i
		}
	}
	if best < 0 {
		for i := range errs {
			if errs[i] != nil {
				errs[i] = fmt.Errorf("filter show: %s: %w", targets[i].label(), errs[i])
			}
		}
		return nil, errors.Join(append(errs, errors.New("filter show: no instance of Tarragon answers"))...)
	}
	t := targets[best]
	t.name = infos[best].Name
	shown := &filterNames{By: t.label(), There: []filterThere{}}
	if err := t.call(ctx, f.timeout, shown, "tarragon.filter.show", name); err != nil {
		return nil, fmt.Errorf("filter show: %s: %w", t.label(), err)
	}
	for i := range infos {
		if own := infos[i].Own.Filter; errs[i] == nil && own != nil && own.Name == name {
			shown.There = append(shown.There, newFilterThere(&infos[i], own, targets[i].label()))
		}
	}
	return shown, nil
}

func newFilterThere(in *boxInfo, f *boxFilter, label string) filterThere {
	there := filterThere{Instance: in.Name, Version: f.Version, Gone: f.Gone, Absent: f.Absent, Indexes: f.Indexes, Sequences: f.Sequences, Copy: parseFilter(f).Copy}
	if there.Instance == "" {
		there.Instance = label
	}
	for _, c := range f.Copied {
		there.Copied = append(there.Copied, thereObject{c.Space, c.Percent})
	}
	for _, b := range f.Built {
		there.Built = append(there.Built, thereObject{b.Index, b.Percent})
	}
	return there
}

func (f *filterNames) print(w io.Writer) error {
	fmt.Fprintf(w, "filter %s, version %d; spaces that are made later: %s\n", plain(f.Name), f.Version, madeLater(f.New))
	if len(f.Replicas) > 0 {
		fmt.Fprintf(w, "replicas with it: %s\n", plain(strings.Join(f.Replicas, ", ")))
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tNAME\tID\tHAD")
	objects := func(kind, had string, list []filterObject) {
		for _, o := range list {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", kind, plain(o.Name), o.ID, had)
		}
	}
	objects("space", "yes", f.Spaces)
	objects("space", "no", f.Absent)
	for _, ix := range f.Indexes {
		fmt.Fprintf(t, "index\t%s.%s\t%d.%d\tno\n", plain(ix.Space), plain(ix.Name), ix.SpaceID, ix.ID)
	}
	objects("sequence", "no", f.Sequences)
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range f.There {
		fmt.Fprint(w, "\n", f.There[i].text(f))
	}
	return nil
}

// text tells what a replica has: all of the filter but for what is on its way.
func (r *filterThere) text(f *filterNames) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has version %d: ", plain(r.Instance), r.Version)
	switch {
	case r.Gone:
		b.WriteString("it knows no such filter any more, and keeps what that gave\n")
	case r.Version != f.Version:
		fmt.Fprintf(&b, "it has not taken up version %d\n", f.Version)
	case len(r.Copied)+len(r.Built) == 0:
		b.WriteString("all is there\n")
	default:
		b.WriteString("not all is there yet\n")
	}
	objects := func(what string, list []thereObject) {
		if len(list) == 0 {
			return
		}
		words := make([]string, len(list))
		for i, o := range list {
			words[i] = fmt.Sprintf("%s %d %%", plain(o.Name), o.Percent)
		}
		fmt.Fprintf(&b, "  %s: %s\n", what, strings.Join(words, ", "))
	}
	objects("being copied", r.Copied)
	objects("being built", r.Built)
	if r.Copy != nil {
		fmt.Fprintf(&b, "  the copy: %s\n", r.Copy.taken())
	}
	for _, l := range []struct {
		what  string
		names []string
	}{{"absent spaces", r.Absent}, {"indexes left out", r.Indexes}, {"sequences left out", r.Sequences}} {
		if len(l.names) > 0 {
			fmt.Fprintf(&b, "  %s: %s\n", l.what, list(l.names))
		}
	}
	return b.String()
}
