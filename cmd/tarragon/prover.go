package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tarantool/go-tarantool/v2"

	"tarragon.dev/tarragon/internal/proof"
	"tarragon.dev/tarragon/xrow"
)

// prover is an instance that is asked to prove what it holds.
type prover struct {
	target
	conn    *tarantool.Connection
	timeout time.Duration
	told    toldStanding
	history *toldHistory
}

// toldStanding is the answer of tarragon.verify.standing.
type toldStanding struct {
	ID         number       `msgpack:"id"`
	UUID       string       `msgpack:"uuid"`
	Name       string       `msgpack:"name"`
	Replicaset boxSet       `msgpack:"replicaset"`
	Filter     string       `msgpack:"filter"`
	Begins     []number     `msgpack:"begins"` // vclock in front of its log
	Synced     []number     `msgpack:"synced"`
	Members    []toldMember `msgpack:"members"`
}

// toldMember is a row of _cluster.
type toldMember struct {
	ID   number `msgpack:"id"`
	UUID string `msgpack:"uuid"`
	Name string `msgpack:"name"`
}

func (m *toldMember) label() string { return cmp.Or(m.Name, fmt.Sprintf("instance %d", m.ID)) }

// errNoProof is an instance that knows nothing of digests.
var errNoProof = errors.New("it is a Tarantool, or an earlier version of Tarragon: it makes no digests")

// newProver connects to an instance and asks where it stands. The history first: what it says is
// decided must be on the disk by then.
func newProver(ctx context.Context, t target, timeout time.Duration) (p *prover, err error) {
	p = &prover{target: t, timeout: timeout}
	dialing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if p.conn = t.dialControl(dialing, timeout); p.conn == nil {
		if p.conn, err = t.dial(dialing, timeout, t.login, t.password); err != nil {
			return nil, answered(err)
		}
	}
	if p.history, err = tellHistory(func(answer any, arguments ...any) error { return p.ask(ctx, answer, "tarragon.history", arguments...) }); err == nil {
		err = p.ask(ctx, &p.told, "tarragon.verify.standing")
	}
	if said := new(answerError); errors.As(err, &said) && said.code == xrow.ErrNoSuchProc {
		err = errNoProof
	}
	if err != nil {
		p.conn.Close()
		return nil, err
	}
	p.history.Name = p.label()
	return p, nil
}

// ask calls a function of the instance.
func (p *prover) ask(ctx context.Context, answer any, function string, arguments ...any) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return invoke(ctx, p.conn, answer, function, arguments...)
}

// label names it in what is printed.
func (p *prover) label() string { return cmp.Or(p.told.Name, p.name, p.uri.Address()) }

// component is that of a vclock.
func component(clock []number, id number) uint64 {
	if uint64(id) >= uint64(len(clock)) {
		return 0
	}
	return uint64(clock[id])
}

// decided is the last LSN of a term that the instance knows to be decided and has on its
// disk; 0: it knows none.
func (p *prover) decided(term *toldTerm) uint64 {
	i := slices.IndexFunc(p.history.Terms, func(t toldTerm) bool { return t.Term == term.Term })
	if i < 0 {
		return 0
	}
	t := &p.history.Terms[i]
	last := t.Last
	if i == len(p.history.Terms)-1 { // it goes on
		last = min(last, max(p.history.Confirmed, t.First))
	}
	return min(uint64(last), component(p.told.Synced, term.Owner))
}

// digestPage is the answer of tarragon.verify.digests.
type digestPage struct {
	Begins  number `msgpack:"begins"`
	Next    number `msgpack:"next"`
	Windows []struct {
		First number `msgpack:"first"`
		Rows  number `msgpack:"rows"`
		Sum   []byte `msgpack:"sum"`
	} `msgpack:"windows"`
}

// errCut: what is to be compared went from the log meanwhile.
var errCut = errors.New("the log was cut meanwhile")

// windows are digests of an author's rows from..to, one for each step of LSNs.
func (p *prover) windows(ctx context.Context, origin number, from, to, step uint64) (out []proof.Window, err error) {
	for from <= to {
		var page digestPage
		if err := p.ask(ctx, &page, "tarragon.verify.digests", map[string]any{"origin": uint64(origin), "from": from, "to": to, "step": step}); err != nil {
			return nil, fmt.Errorf("%s: %w", p.label(), err)
		}
		if uint64(page.Begins) > from {
			return nil, fmt.Errorf("%s: %w: it begins with LSN %d of instance %d", p.label(), errCut, page.Begins, origin)
		}
		if uint64(page.Next) <= from {
			return nil, fmt.Errorf("%s: its digests do not go on behind LSN %d", p.label(), from)
		}
		for _, w := range page.Windows {
			sum, ok := proof.Parse(w.Sum)
			if !ok {
				return nil, fmt.Errorf("%s: a digest of %d bytes", p.label(), len(w.Sum))
			}
			if n := len(out); n > 0 && out[n-1].First == uint64(w.First) {
				out[n-1].Rows += uint64(w.Rows)
				out[n-1].Sum.Add(sum)
				continue
			}
			out = append(out, proof.Window{First: uint64(w.First), Rows: uint64(w.Rows), Sum: sum})
		}
		from = uint64(page.Next)
	}
	return out, nil
}

// toldRow is a row of a log, for people.
type toldRow struct {
	Origin    number  `msgpack:"origin" json:"origin"`
	LSN       number  `msgpack:"lsn" json:"lsn"`
	Term      number  `msgpack:"term" json:"term"`
	Type      string  `msgpack:"type" json:"type"`
	SpaceID   number  `msgpack:"space_id" json:"space_id,omitempty"`
	Space     string  `msgpack:"space" json:"space,omitempty"`
	Timestamp float64 `msgpack:"timestamp" json:"timestamp"`
	Body      rawJSON `msgpack:"body" json:"body,omitempty"`
}

// row is one of an author, as the instance has it; nil: it has none.
func (p *prover) row(ctx context.Context, origin number, lsn uint64) (*toldRow, error) {
	var rows []toldRow
	if err := p.ask(ctx, &rows, "tarragon.verify.rows", map[string]any{"origin": uint64(origin), "from": lsn, "to": lsn}); err != nil {
		return nil, fmt.Errorf("%s: %w", p.label(), err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// each runs f for all provers at once and gives the first error.
func each(all []*prover, f func(i int, p *prover) error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { errs[i] = f(i, p) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
