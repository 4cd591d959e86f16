package tarragon_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tarragon.dev/tarragon"
)

// The bank: money goes from account to account, and no cent comes or goes.
const (
	banked  = 8 // accounts
	deposit = 1000
)

func bank(t testing.TB, db *tarragon.DB) {
	t.Helper()
	s := space(t, db, "bank")
	for id := range banked {
		if _, err := s.Insert(t.Context(), []any{id, deposit, 0}); err != nil {
			t.Fatal(err)
		}
	}
}

// move reads two accounts and writes what it makes of them, so whatever changed one of them in
// between would be lost. The third field counts the changes of an account.
func move(ctx context.Context, db *tarragon.DB, from, to, amount int) error {
	return db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		s := tx.Space("bank")
		for id, by := range map[int]int{from: -amount, to: amount} {
			a, _, err := tarragon.Get[[]int](ctx, s, id)
			if err != nil {
				return err
			}
			if _, err := s.Replace(ctx, []int{id, a[1] + by, a[2] + 1}); err != nil {
				return err
			}
		}
		return nil
	})
}

// audit is the money and the changes of all accounts, as a transaction sees them.
func audit(ctx context.Context, db *tarragon.DB) (sum, changes int, err error) {
	err = db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		sum, changes = 0, 0
		for id := range banked { // one by one
			a, _, err := tarragon.Get[[]int](ctx, tx.Space("bank"), id)
			if err != nil {
				return err
			}
			sum += a[1]
			changes += a[2]
		}
		return nil
	})
	return sum, changes, err
}

// Transactions that conflict run again, and none is lost, done twice, or seen in half.
func TestBank(t *testing.T) {
	dir := t.TempDir()
	db, ctx := open(t, dir), t.Context()
	bank(t, db)
	const movers, moves = 6, 60
	var moving, looking sync.WaitGroup
	var runs atomic.Int64
	for range movers {
		moving.Go(func() {
			for range moves {
				from := rand.N(banked)
				to := (from + 1 + rand.N(banked-1)) % banked
				if err := move(ctx, db, from, to, 1+rand.N(50)); err != nil {
					t.Errorf("move: %v", err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	looking.Go(func() {
		for {
			sum, changes, err := audit(ctx, db)
			if err != nil || sum != banked*deposit || changes%2 != 0 {
				t.Errorf("in between: %d, %d changes, %v", sum, changes, err)
				return
			}
			runs.Add(1)
			select {
			case <-done:
				return
			default:
			}
		}
	})
	moving.Wait()
	close(done)
	looking.Wait()
	for _, db := range []*tarragon.DB{db, reopened(t, db, dir)} {
		sum, changes, err := audit(ctx, db)
		if err == nil && (sum != banked*deposit || changes != 2*movers*moves) {
			t.Errorf("%d, %d changes of %d", sum, changes, 2*movers*moves)
		}
		if err != nil && !errors.Is(err, tarragon.ErrShutdown) {
			t.Error(err)
		}
	}
}

// reopened closes an instance and opens it again.
func reopened(t testing.TB, db *tarragon.DB, dir string) *tarragon.DB {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

// A conflict runs the function again, as often as it may.
func TestConflictRunsAgain(t *testing.T) {
	db, ctx := open(t, t.TempDir()), t.Context()
	s := space(t, db, "s")
	insert(t, s, 1)
	runs := 0
	losing := func(conflicts int) func(*tarragon.Tx) error {
		runs = 0
		return func(tx *tarragon.Tx) error {
			if runs++; runs <= conflicts { // somebody else comes first
				defer func() {
					if _, err := s.Update(ctx, 1, tarragon.Assign(1, fmt.Sprint("other ", runs))); err != nil {
						t.Error(err)
					}
				}()
			}
			if _, _, err := tarragon.Get[row](ctx, tx.Space("s"), 1); err != nil {
				return err
			}
			_, err := tx.Space("s").Update(ctx, 1, tarragon.Assign(1, fmt.Sprint("run ", runs)))
			return err
		}
	}
	if err := db.Transaction(ctx, tarragon.TxOptions{}, losing(3)); err != nil || runs != 4 {
		t.Errorf("%d runs: %v", runs, err)
	}
	if r, _, err := tarragon.Get[row](ctx, s, 1); r.Text != "run 4" || err != nil {
		t.Errorf("%v, %v", r, err)
	}
	err := db.Transaction(ctx, tarragon.TxOptions{Attempts: 2}, losing(3))
	if wantErr(t, err, tarragon.ErrTransactionConflict); runs != 2 {
		t.Errorf("%d runs", runs)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	runs = 0
	err = db.Transaction(ctx, tarragon.TxOptions{}, func(*tarragon.Tx) error {
		if runs++; runs == 2 {
			cancel()
		}
		return fmt.Errorf("mine: %w", tarragon.ErrTransactionConflict)
	})
	if wantErr(t, err, tarragon.ErrTransactionConflict); runs != 2 {
		t.Errorf("%d runs behind the end of the context", runs)
	}
}

// Nothing is left of a function that fails or panics, and it does not run again; nor where
// nobody knows what became of what it did.
func TestFunctionFails(t *testing.T) {
	db, ctx := open(t, t.TempDir()), t.Context()
	s := space(t, db, "s")
	mine := errors.New("mine")
	for _, want := range []error{mine, tarragon.ErrOutcomeUnknown, fmt.Errorf("%w: %w", tarragon.ErrOutcomeUnknown, tarragon.ErrTransactionConflict), tarragon.ErrTupleFound} {
		runs := 0
		err := db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
			runs++
			insert(t, tx.Space("s"), 1)
			return want
		})
		if wantErr(t, err, want); runs != 1 {
			t.Errorf("%v: %d runs", want, runs)
		}
	}
	func() {
		defer func() {
			if r := recover(); r != "oops" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
			insert(t, tx.Space("s"), 1)
			panic("oops")
		})
		t.Error("the panic was swallowed")
	}()
	var left *tarragon.Tx
	err := db.Transaction(ctx, tarragon.TxOptions{}, func(tx *tarragon.Tx) error {
		left = tx
		insert(t, tx.Space("s"), 2)
		if tx.Commit(ctx) == nil || tx.Rollback() == nil {
			t.Error("the function ends its transaction")
		}
		_, err := tx.Space("s").Insert(ctx, row{ID: 2})
		wantErr(t, err, tarragon.ErrTupleFound) // one that fails is undone alone
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	wantErr(t, second(left.Space("s").Insert(ctx, row{ID: 3})), tarragon.ErrTxEnded)
	if n := count(t, s); n != 1 {
		t.Errorf("%d rows", n)
	}
	if open := openTxns(t, db); open != 0 {
		t.Errorf("%d are open", open)
	}
}

// openTxns is how many transactions are open.
func openTxns(t testing.TB, db *tarragon.DB) int {
	t.Helper()
	var out []struct {
		Tarragon struct {
			Transactions struct {
				Open int `msgpack:"open"`
			} `msgpack:"transactions"`
		} `msgpack:"tarragon"`
	}
	if err := call(t, db.Session, "box.info").Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out[0].Tarragon.Transactions.Open
}

// Begin, Commit and Rollback by hand, with their options.
func TestBegin(t *testing.T) {
	db, ctx := open(t, t.TempDir()), t.Context()
	s := space(t, db, "s")
	insert(t, s, 1)
	a, err := db.Begin(ctx, tarragon.TxOptions{Isolation: tarragon.LevelLinearizable, Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := db.Begin(ctx, tarragon.TxOptions{Timeout: 1})
	if err != nil {
		t.Fatal(err)
	}
	insert(t, a.Space("s"), 2)
	if out, err := a.Call(ctx, "box.space.s:len"); err != nil || string(out) != "\xdd\x00\x00\x00\x01\x02" {
		t.Errorf("% x, %v", out, err)
	}
	wantErr(t, second(b.Space("s").Insert(ctx, row{ID: 2})), tarragon.ErrTransactionTimeout)
	if err := b.Rollback(); err != nil {
		t.Error(err)
	}
	if err := a.Commit(ctx); err != nil {
		t.Error(err)
	}
	if err := a.Rollback(); err != nil {
		t.Error(err)
	}
	wantErr(t, a.Commit(ctx), tarragon.ErrTxEnded)
	c, err := db.Begin(ctx, tarragon.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	insert(t, c.Space("s"), 3)
	db.Session.Close()
	wantErr(t, c.Commit(ctx), errNoTransaction)
	if n := count(t, s); n != 2 {
		t.Errorf("%d rows", n)
	}
}

const errNoTransaction = tarragon.Code(114)

// An instance that stops to take writes in the middle of a transaction runs it again when it
// takes some; one that took none before does not.
func TestReadOnly(t *testing.T) {
	db, ctx := open(t, t.TempDir()), t.Context()
	s := space(t, db, "s")
	readOnly := func(is bool) { call(t, db.Session, "box.cfg", map[string]any{"read_only": is}) }
	runs := 0
	inserting := func(in func()) func(tx *tarragon.Tx) error {
		runs = 0
		return func(tx *tarragon.Tx) error {
			insert(t, tx.Space("s"), runs)
			if runs++; runs == 1 {
				in()
			}
			return nil
		}
	}
	err := db.Transaction(ctx, tarragon.TxOptions{}, inserting(func() { readOnly(true) }))
	if wantErr(t, err, tarragon.ErrReadonly); runs != 1 {
		t.Errorf("%d runs, and nobody waits", runs)
	}
	if reason := tarragon.Fields(err)["reason"]; reason != "config" {
		t.Errorf("%v", tarragon.Fields(err))
	}
	runs = 0
	err = db.Transaction(ctx, tarragon.TxOptions{Hold: patience}, func(tx *tarragon.Tx) error {
		runs++
		_, err := tx.Space("s").Insert(ctx, row{ID: 1})
		readOnly(false)
		return err
	})
	if wantErr(t, err, tarragon.ErrReadonly); runs != 1 {
		t.Errorf("%d runs where it was so before", runs)
	}

	begun, seen := make(chan struct{}), make(chan error, 1)
	go func() {
		seen <- db.Transaction(ctx, tarragon.TxOptions{Hold: patience}, inserting(func() {
			readOnly(true)
			close(begun)
		}))
	}()
	<-begun
	readOnly(false) // before or behind its COMMIT
	if err := <-seen; err != nil {
		t.Error(err)
	}
	if n := count(t, s); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// crashDir has the child of TestCrash find its directory.
const crashDir = "TARRAGON_TEST_CRASH_DIR"

// TestMain is also the process that TestCrash kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		moveForEver(dir)
	}
	os.Exit(m.Run())
}

// moveForEver moves money by several goroutines, and prints the number of each move that is
// committed.
func moveForEver(dir string) {
	ctx := context.Background()
	db, err := tarragon.Open(ctx, tarragon.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				from := rand.N(banked)
				if err := move(ctx, db, from, (from+1)%banked, 1); err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
				fmt.Println(n.Add(1))
			}
		})
	}
	wg.Wait()
}

// A process that is killed has lost nothing of what was committed, and left nothing in half.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	bank(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := 0
	for range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		acked := 0
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			n, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
			if err != nil {
				t.Fatalf("the child: %s", lines.Text())
			}
			if acked = max(acked, n); n >= 50 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = child.Wait() // it was killed
		db := open(t, dir)
		sum, changes, err := audit(t.Context(), db)
		if err != nil || sum != banked*deposit || changes < before+2*acked {
			t.Fatalf("%d, %d changes of %d and %d before: %v", sum, changes, 2*acked, before, err)
		}
		before = changes
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
