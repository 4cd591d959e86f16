package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tarragon.dev/tarragon/internal/proof"
)

// provedSpaces is what was compared of the tuples of a replica set.
type provedSpaces struct {
	VClock  map[number]uint64 `json:"vclock"` // at which
	Members []string          `json:"members"`
	Spaces  int               `json:"spaces"` // that have tuples
	Tuples  uint64            `json:"tuples"`
}

// spaceDifference is a space that is not the same everywhere.
type spaceDifference struct {
	ID    number      `json:"id"`
	Name  string      `json:"name,omitempty"`
	Sides []spaceSide `json:"sides"`
}

// spaceSide are instances whose space is the same.
type spaceSide struct {
	Members []string `json:"members"`
	Tuples  uint64   `json:"tuples"`
	Digest  string   `json:"digest"`
}

// toldSpaces is the answer of tarragon.verify.spaces.
type toldSpaces struct {
	VClock []number `msgpack:"vclock"`
	Open   number   `msgpack:"open"`
	Spaces []struct {
		ID   number `msgpack:"id"`
		Name string `msgpack:"name"`
		Rows number `msgpack:"rows"`
		Sum  []byte `msgpack:"sum"`
	} `msgpack:"spaces"`
}

// spaceTries is how often the instances are looked for at one vclock, with spacePause between.
const (
	spaceTries = 20
	spacePause = 100 * time.Millisecond
)

// compareSpaces compares all tuples, once all stand at one vclock with nothing undecided.
func (s *provedSet) compareSpaces(ctx context.Context, all []*prover) error {
	if len(all) < 2 {
		return nil
	}
	var told []toldSpaces
	for try := 0; ; try++ {
		clock, err := commonClock(ctx, all)
		if err == nil && clock != nil {
			told, err = askSpaces(ctx, all, clock)
		}
		if told != nil {
			break
		}
		if err == nil && try == spaceTries {
			err = errors.New("the instances do not come to stand at one vclock; again when no rows are written")
		}
		if err != nil {
			s.unproved = true
			s.Notes = append(s.Notes, fmt.Sprintf("the spaces were not compared: %v", err))
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(spacePause):
		}
	}
	s.joinSpaces(all, told)
	return nil
}

// commonClock is the vclock that is on the disks of all, without local rows; nil: they have not the same.
func commonClock(ctx context.Context, all []*prover) (clock []uint64, err error) {
	clocks := make([][]uint64, len(all))
	err = each(all, func(i int, p *prover) error {
		var now toldStanding
		if err := p.ask(ctx, &now, "tarragon.verify.standing"); err != nil {
			return fmt.Errorf("%s: %w", p.label(), err)
		}
		for id, lsn := range now.Synced {
			if id == 0 {
				lsn = 0
			}
			clocks[i] = append(clocks[i], uint64(lsn))
		}
		return nil
	})
	if err != nil || slices.ContainsFunc(clocks, func(c []uint64) bool { return !slices.Equal(c, clocks[0]) }) {
		return nil, err
	}
	return clocks[0], nil
}

// askSpaces asks for digests at a vclock; nil: one of the instances has gone on, or does not know yet what
// is decided.
func askSpaces(ctx context.Context, all []*prover, clock []uint64) ([]toldSpaces, error) {
	told := make([]toldSpaces, len(all))
	err := each(all, func(i int, p *prover) error {
		if err := p.ask(ctx, &told[i], "tarragon.verify.spaces", clock); err != nil {
			return fmt.Errorf("%s: %w", p.label(), err)
		}
		return nil
	})
	if err != nil || slices.ContainsFunc(told, func(t toldSpaces) bool { return len(t.Spaces) == 0 }) {
		return nil, err // each has system spaces
	}
	return told, nil
}

// joinSpaces takes down what is the same, and what is not.
func (s *provedSet) joinSpaces(all []*prover, told []toldSpaces) {
	s.Spaces = &provedSpaces{VClock: map[number]uint64{}, Members: labels(all)}
	for id, lsn := range told[0].VClock {
		if lsn != 0 {
			s.Spaces.VClock[number(id)] = uint64(lsn)
		}
	}
	have := make([]map[number]proof.Window, len(all)) // First has no meaning here
	names := map[number]string{}
	var ids []number
	for i, t := range told {
		have[i] = map[number]proof.Window{}
		for _, sp := range t.Spaces {
			sum, _ := proof.Parse(sp.Sum)
			have[i][sp.ID] = proof.Window{Rows: uint64(sp.Rows), Sum: sum}
			if _, known := names[sp.ID]; !known {
				ids = append(ids, sp.ID)
			}
			names[sp.ID] = cmp.Or(names[sp.ID], sp.Name)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		d := spaceDifference{ID: id, Name: names[id]}
		for i, p := range all {
			w, here := have[i][id]
			if !here && p.told.Filter != "" {
				continue // its filter leaves the space out
			}
			d.add(p.label(), &w)
		}
		if len(d.Sides) > 1 {
			s.SpaceDifferences = append(s.SpaceDifferences, d)
		}
		s.Spaces.Spaces++
		s.Spaces.Tuples += d.Sides[0].Tuples
	}
	for i := range s.Members {
		m := &s.Members[i]
		if slices.ContainsFunc(all, func(p *prover) bool { return p.told.ID == m.ID && p.label() == m.Name }) {
			m.Spaces, m.Why = true, ""
		}
	}
}

func (d *spaceDifference) add(member string, w *proof.Window) {
	digest := w.Sum.String()
	for i := range d.Sides {
		if s := &d.Sides[i]; s.Tuples == w.Rows && s.Digest == digest {
			s.Members = append(s.Members, member)
			return
		}
	}
	d.Sides = append(d.Sides, spaceSide{Members: []string{member}, Tuples: w.Rows, Digest: digest})
}

func (d *spaceDifference) print(b *strings.Builder) {
	fmt.Fprintf(b, "different: space %s\n", cmp.Or(plain(d.Name), fmt.Sprint(d.ID)))
	for _, s := range d.Sides {
		fmt.Fprintf(b, "  at %s: %d tuples, digest %s\n", plain(strings.Join(s.Members, ", ")), s.Tuples, s.Digest[:16])
	}
}
