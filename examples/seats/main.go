// Command seats is a program with a database in it: customers book the seats of a hall, all
// of them at once, and nobody gets a seat that somebody else has.
//
//	go run ./examples/seats -dir /tmp/seats
//
// Run it again, and it goes on with what is left.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"tarragon.dev/tarragon"
)

// Seat is a tuple of the space "seats".
type Seat struct {
	Number   uint64
	Customer string // empty: it is free
}

const (
	seats     = 60
	customers = 20
	wanted    = 2 // seats of each customer
)

var errFull = errors.New("the hall is full")

func main() {
	dir := flag.String("dir", "seats-data", "directory of the data")
	flag.Parse()
	if err := run(context.Background(), *dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "seats:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, out io.Writer) (err error) {
	db, err := tarragon.Open(ctx, tarragon.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := define(ctx, db); err != nil {
		return err
	}

	var tries atomic.Int64
	errs := make([]error, customers)
	var all sync.WaitGroup
	for c := range customers {
		all.Go(func() { errs[c] = book(ctx, db, fmt.Sprint("customer ", c+1), wanted, &tries) })
	}
	all.Wait()
	turnedAway := 0
	for _, err := range errs {
		switch {
		case errors.Is(err, errFull):
			turnedAway++
		case err != nil:
			return err
		}
	}

	taken, err := tarragon.Select[Seat](ctx, db.Space("seats").Index("customer"), "", tarragon.By(tarragon.GT))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d customers, %d turned away: %d of %d seats are taken\n", customers, turnedAway, len(taken), seats)
	fmt.Fprintf(os.Stderr, "(it took %d transactions)\n", tries.Load())
	return nil
}

// define makes the space and its free seats, unless they are there.
func define(ctx context.Context, db *tarragon.DB) error {
	format := []map[string]string{{"name": "number", "type": "unsigned"}, {"name": "customer", "type": "string"}}
	for _, step := range []struct {
		name string
		args []any
	}{
		{"box.schema.space.create", []any{"seats", map[string]any{"is_sync": true, "if_not_exists": true, "format": format}}},
		{"box.space.seats:create_index", []any{"number", map[string]any{"if_not_exists": true, "parts": []string{"number"}}}},
		{"box.space.seats:create_index", []any{"customer", map[string]any{"if_not_exists": true, "parts": []string{"customer", "number"}}}},
	} {
		if _, err := db.Call(ctx, step.name, step.args...); err != nil {
			return err
		}
	}
	return db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		all := tx.Space("seats")
		if _, there, err := tarragon.Get[Seat](ctx, all, nil); there || err != nil {
			return err
		}
		for n := range uint64(seats) {
			if _, err := all.Insert(ctx, Seat{Number: n + 1}); err != nil {
				return err
			}
		}
		return nil
	})
}

// book gives a customer the first seats that are free, or none.
func book(ctx context.Context, db *tarragon.DB, customer string, n uint32, tries *atomic.Int64) error {
	return db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		tries.Add(1)
		all := tx.Space("seats")
		free, err := tarragon.Select[Seat](ctx, all.Index("customer"), "", tarragon.Limit(n))
		if err != nil {
			return err
		}
		if uint32(len(free)) < n {
			return errFull
		}
		for _, s := range free {
			s.Customer = customer
			if _, err := all.Replace(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}
