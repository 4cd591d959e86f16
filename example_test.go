package tarragon_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"tarragon.dev/tarragon"
)

// Account is a tuple of the space "accounts".
type Account struct {
	ID      uint64
	Owner   string
	Balance int64
}

var errPoor = errors.New("not enough money")

// transfer moves money, all of it or none, whoever else does so meanwhile.
func transfer(ctx context.Context, db *tarragon.DB, from, to uint64, amount int64) error {
	return db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		accounts := tx.Space("accounts")
		payer, ok, err := tarragon.Get[Account](ctx, accounts, from)
		if err != nil {
			return err
		}
		if !ok || payer.Balance < amount {
			return errPoor // it is rolled back
		}
		if _, err := accounts.Update(ctx, from, tarragon.Subtract("balance", amount)); err != nil {
			return err
		}
		_, err = accounts.Update(ctx, to, tarragon.Add("balance", amount))
		return err
	})
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tarragon")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := tarragon.Open(ctx, tarragon.Config{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}

	format := []map[string]string{{"name": "id", "type": "unsigned"}, {"name": "owner", "type": "string"}, {"name": "balance", "type": "integer"}}
	for _, step := range []struct {
		name string
		args []any
	}{
		{"box.schema.space.create", []any{"accounts", map[string]any{"is_sync": true, "format": format}}},
		{"box.space.accounts:create_index", []any{"pk", map[string]any{"parts": []string{"id"}}}},
		{"box.space.accounts:create_index", []any{"owner", map[string]any{"parts": []string{"owner"}, "unique": false}}},
	} {
		if _, err := db.Call(ctx, step.name, step.args...); err != nil {
			log.Fatal(err)
		}
	}

	accounts := db.Space("accounts")
	for _, a := range []Account{{ID: 1, Owner: "ann", Balance: 10}, {ID: 2, Owner: "bob"}, {ID: 3, Owner: "ann", Balance: 1}} {
		if _, err := accounts.Insert(ctx, a); err != nil {
			log.Fatal(err)
		}
	}
	_, err = accounts.Insert(ctx, Account{ID: 1, Owner: "eve"})
	fmt.Println("again:", errors.Is(err, tarragon.ErrTupleFound))

	fmt.Println("transfer:", transfer(ctx, db, 1, 2, 7))
	fmt.Println("transfer:", transfer(ctx, db, 1, 2, 7))
	anns, err := tarragon.Select[Account](ctx, accounts.Index("owner"), "ann")
	for _, a := range anns {
		fmt.Println(a.ID, a.Owner, a.Balance)
	}
	fmt.Println(err, db.Close())
	// Output:
	// again: true
	// transfer: <nil>
	// transfer: not enough money
	// 1 ann 3
	// 3 ann 1
	// <nil> <nil>
}
