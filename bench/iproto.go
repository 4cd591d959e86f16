package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/bench/peer"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// iprotoTarget is a replica set that speaks IPROTO: ours, Tarantool's, or one
// that somebody else has started.
type iprotoTarget struct {
	addrs          []string
	user, password string
	set            processSet // none for one that somebody else has started
	groups         bool       // its nodes tell the number of their newest group
	dev            string     // block device below the data

	have  table  // what the space holds
	space uint32 // 0: there is none
}

// processSet is how processes are ended and started.
type processSet struct {
	all     []*cluster.Process
	restart func() error // starts the first one, which has ended
	blame   func(error) error
	stop    func()
}

func newTarragonTarget(rs *replicaset) *iprotoTarget {
	t := &iprotoTarget{addrs: rs.Addrs(), user: cluster.User, password: cluster.Password, groups: true, dev: device(rs.dir)}
	t.set = processSet{restart: rs.Nodes[0].Start, blame: rs.blame, stop: rs.stop}
	for _, n := range rs.Nodes {
		t.set.all = append(t.set.all, &n.Process)
	}
	return t
}

func newTarantoolTarget(p *peer.Tarantool, dir string) *iprotoTarget {
	return &iprotoTarget{
		addrs: p.Addrs(), dev: device(dir),
		set: processSet{all: p.Processes(), restart: p.Restart, blame: p.Blame, stop: func() {
			p.Stop()
			os.RemoveAll(dir)
		}},
	}
}

func (t *iprotoTarget) processes() []*cluster.Process { return t.set.all }

func (t *iprotoTarget) blame(err error) error {
	if err == nil || t.set.blame == nil {
		return err
	}
	return t.set.blame(err)
}

func (t *iprotoTarget) stop() { t.set.stop() }

// leader connects to the node that takes writes.
func (t *iprotoTarget) leader(ctx context.Context) (conn *tarantool.Connection, addr string, err error) {
	limit, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("no leader in 20s"))
	defer cancel()
	err = cluster.Until(limit, func() error {
		conn, addr, err = findLeader(limit, t.addrs, t.user, t.password)
		return err
	})
	return conn, addr, err
}

func (t *iprotoTarget) fill(ctx context.Context, want table) error {
	if t.space != 0 && t.have == want {
		return nil
	}
	conn, addr, err := t.leader(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := t.drop(ctx, conn); err != nil {
		return err
	}
	space, err := makeSpace(ctx, conn, spaceOf(want), want.sync, want.fields)
	if err != nil {
		return err
	}
	if want.keys > 0 {
		w := load.Workload{Space: space, Keys: want.keys, ValueSize: want.value, Fields: want.fields}
		if err := load.Fill(ctx, w, load.Plan{Addr: addr, User: t.user, Password: t.password}); err != nil {
			return err
		}
	}
	t.have, t.space = want, space
	return nil
}

func spaceOf(t table) string {
	if t.sync {
		return syncSpace
	}
	return asyncSpace
}

// drop drops the space that is there.
func (t *iprotoTarget) drop(ctx context.Context, conn *tarantool.Connection) error {
	if t.space == 0 {
		return nil
	}
	t.space = 0
	return dropSpace(ctx, conn, spaceOf(t.have))
}

func (t *iprotoTarget) drive(ctx context.Context, w load.Workload, p load.Plan) (*load.Result, *meter, error) {
	conn, addr, err := t.leader(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	m := &meter{nodes: t.set.all, dev: t.dev, also: p.Mark}
	if t.groups {
		if m.infos, err = t.connect(ctx); err != nil {
			return nil, nil, err
		}
		defer m.close()
	}
	w.Space, p.Addr, p.User, p.Password, p.Mark = t.space, addr, t.user, t.password, m.mark
	r, err := load.Run(ctx, w, p)
	if w.Op == load.Insert || w.Op == load.Replace && w.Fields > 0 {
		t.have.keys = noKeys // it holds something else now
	}
	return r, m, err
}

// noKeys is a number of keys that no line asks for.
const noKeys = 1<<64 - 1

func (t *iprotoTarget) connect(ctx context.Context) (all []*tarantool.Connection, err error) {
	for _, addr := range t.addrs {
		conn, err := load.Admin(ctx, addr, t.user, t.password)
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("%s: %w", addr, err)
		}
		all = append(all, conn)
	}
	return all, nil
}

// checkpoints takes one checkpoint after the other, until stop says how many
// were written.
func (t *iprotoTarget) checkpoints(ctx context.Context) (stop func() (int, error), err error) {
	conn, _, err := t.leader(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	type outcome struct {
		n   int
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		defer conn.Close()
		var o outcome
		for ctx.Err() == nil && o.err == nil {
			if _, o.err = conn.Do(tarantool.NewCallRequest("box.snapshot").Args([]any{})).Get(); o.err == nil {
				o.n++
			}
		}
		done <- o
	}()
	return func() (int, error) {
		cancel() // the one that is under way is waited for
		o := <-done
		return o.n, o.err
	}, nil
}
