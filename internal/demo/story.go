package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// Options say how the story is told.
type Options struct {
	Binary string    // the tarragon executable
	Dir    string    // empty: a temporary directory, removed at the end
	Keep   bool      // leave the cluster running
	Filter bool      // the story of replicas that have some spaces only
	Out    io.Writer // where the story goes
}

// pause is how long the second leader is stopped.
const pause = 8 * time.Second

// spaceName is the synchronous space of the story.
const spaceName = "orders"

// story is one telling.
type story struct {
	o       Options
	began   time.Time
	cluster *cluster.Cluster
	tracker *cluster.Tracker
	load    *load
}

// Run tells the story. An error means that something did not hold.
func Run(ctx context.Context, o Options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	s := &story{o: o, began: time.Now()}
	if o.Dir == "" {
		if s.o.Dir, err = os.MkdirTemp("", "tarragon-demo-"); err != nil {
			return err
		}
		if !o.Keep {
			defer os.RemoveAll(s.o.Dir)
		}
	}
	defer func() {
		if err != nil && s.cluster != nil {
			for _, n := range slices.Concat(s.cluster.Nodes, s.cluster.Readers) {
				s.say("the last words of %s:\n%s", n.Name, n.Tail(12))
			}
		}
	}()
	defer s.end()
	chapters := []func(context.Context) error{s.start, s.schema, s.writes, s.kill, s.restart, s.stall, s.moves, s.history, s.check}
	if o.Filter {
		chapters = []func(context.Context) error{s.startFiltered, s.filtered, s.share, s.addSpace, s.removeSpace, s.dieInCopy, s.compareShares}
	}
	for _, chapter := range chapters {
		if err := chapter(ctx); err != nil {
			s.say("FAILED: %v", err)
			return err
		}
	}
	s.say("all of it held")
	s.keep()
	return nil
}

func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.o.Out, "%7.3fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func (s *story) end() {
	if s.load != nil {
		s.load.stop()
	}
	if s.tracker != nil {
		s.tracker.Close()
	}
	if s.cluster != nil && !s.o.Keep {
		s.cluster.Stop()
	}
}

func (s *story) keep() {
	if !s.o.Keep {
		return
	}
	s.say("the cluster goes on: %v", s.cluster.Addrs())
	s.say("look at it:     tarragon status --config %s", s.cluster.Config)
	s.say("connect in Go:  tarantool.Connect(ctx, tarantool.NetDialer{Address: %q, User: %q, Password: %q}, tarantool.Opts{})",
		s.cluster.Nodes[0].Addr, cluster.User, cluster.Password)
	for _, n := range slices.Concat(s.cluster.Nodes, s.cluster.Readers) {
		s.say("%s is process %d, its log is %s", n.Name, n.PID(), n.Log)
	}
}

func (s *story) start(ctx context.Context) (err error) {
	if s.cluster, err = cluster.New(cluster.Options{Binary: s.o.Binary, Dir: s.o.Dir, Keep: s.o.Keep}); err != nil {
		return err
	}
	s.say("three processes start in %s", s.o.Dir)
	if err := s.cluster.Start(); err != nil {
		return err
	}
	s.tracker = cluster.Track(s.cluster.Addrs())
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	s.say("%s is elected, term %d", l.Name, l.term)
	return s.members(ctx, len(s.cluster.Nodes))
}

// members waits until all nodes are registered and follow.
func (s *story) members(ctx context.Context, n int) error {
	for _, node := range s.cluster.Nodes {
		if err := s.wait(ctx, 30*time.Second, func() error { return s.settled(node, n) }); err != nil {
			return fmt.Errorf("%s: %w", node.Name, err)
		}
	}
	s.say("%d members follow each other", n)
	return nil
}

func (s *story) settled(node *cluster.Node, n int) error {
	conn := s.tracker.Conn(node.Addr)
	if conn == nil {
		return errors.New("not connected")
	}
	members, err := rows(conn, "_cluster")
	if err != nil {
		return err
	}
	if len(members) != n {
		return fmt.Errorf("it knows %d members of %d", len(members), n)
	}
	for _, row := range members {
		if fields, _ := row.([]any); len(fields) > 4 {
			return fmt.Errorf("%v does not count yet", fields[2])
		}
	}
	return nil
}

func (s *story) wait(ctx context.Context, limit time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return cluster.Until(ctx, check)
}

type leading struct {
	*cluster.Node
	conn *tarantool.Connection
	term uint64
}

func (s *story) leader(ctx context.Context) (leading, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	l, err := s.tracker.Leader(ctx)
	if err != nil {
		return leading{}, err
	}
	return leading{s.cluster.ByAddr(l.Addr), l.Conn, l.Term}, nil
}

func (s *story) schema(ctx context.Context) error {
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	if err := s.wait(ctx, 30*time.Second, func() error { return cluster.Writable(l.conn) }); err != nil {
		return fmt.Errorf("%s: %w", l.Name, err)
	}
	if err := call(l.conn, "box.schema.space.create", spaceName, map[string]any{"is_sync": true, "if_not_exists": true,
		"format": []any{map[string]any{"name": "id", "type": "unsigned"}, map[string]any{"name": "what", "type": "string"}}}); err != nil {
		return fmt.Errorf("create the space: %w", err)
	}
	if err := call(l.conn, "box.space."+spaceName+":create_index", "primary", map[string]any{"parts": []any{"id"}, "if_not_exists": true}); err != nil {
		return fmt.Errorf("create the index: %w", err)
	}
	s.say("go-tarantool made the synchronous space %q", spaceName)
	return nil
}

func call(conn *tarantool.Connection, name string, args ...any) error {
	_, err := conn.Do(tarantool.NewCallRequest(name).Args(append([]any{}, args...))).Get()
	return err
}

func (s *story) writes(ctx context.Context) error {
	s.load = startLoad(s.tracker, spaceName)
	if err := s.load.more(ctx, 1); err != nil {
		return err
	}
	begin, from := time.Now(), s.load.count()
	if err := s.load.more(ctx, 5000); err != nil {
		return err
	}
	n := s.load.count() - from
	s.say("%d writers: %d rows acknowledged by a quorum of disks, %.0f a second", writers, n, float64(n)/time.Since(begin).Seconds())
	return nil
}

func (s *story) kill(ctx context.Context) error {
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	before := s.load.count()
	s.load.gap()
	s.say("SIGKILL for the leader %s, with %d rows acknowledged", l.Name, before)
	l.Kill()
	if err := s.load.more(ctx, 1000); err != nil {
		return err
	}
	now, err := s.leader(ctx)
	if err != nil {
		return err
	}
	s.say("%s leads in term %d; the longest wait for an acknowledgement was %.0f ms", now.Name, now.term, ms(s.load.longestGap()))
	return nil
}

// restart starts what was killed and waits until it has caught up.
func (s *story) restart(ctx context.Context) error {
	for _, n := range s.cluster.Nodes {
		if n.PID() != 0 {
			continue
		}
		begin := time.Now()
		if err := n.Start(); err != nil {
			return err
		}
		key := s.anAckedKey()
		if err := s.wait(ctx, 30*time.Second, func() error { return s.has(n, key) }); err != nil {
			return fmt.Errorf("%s does not catch up: %w", n.Name, err)
		}
		s.say("%s is back and has caught up after %.0f ms", n.Name, ms(time.Since(begin)))
	}
	return nil
}

// anAckedKey is the greatest key that is acknowledged.
func (s *story) anAckedKey() (key uint64) {
	s.load.mu.Lock()
	defer s.load.mu.Unlock()
	for k := range s.load.acked {
		key = max(key, k)
	}
	return key
}

func (s *story) has(n *cluster.Node, key uint64) error {
	conn := s.tracker.Conn(n.Addr)
	if conn == nil {
		return errors.New("not connected")
	}
	data, err := conn.Do(tarantool.NewSelectRequest(spaceName).Index(uint32(0)).Key([]any{key}).Limit(1)).Get()
	if err == nil && len(data) == 0 {
		err = fmt.Errorf("row %d is not there", key)
	}
	return err
}

// stall pauses the leader: its sockets stay open, and nothing answers.
func (s *story) stall(ctx context.Context) error {
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	s.load.gap()
	s.say("SIGSTOP for the leader %s, for %v", l.Name, pause)
	paused := time.Now()
	l.Pause()
	defer l.Resume()
	if err := s.load.more(ctx, 1000); err != nil {
		return err
	}
	now, err := s.leader(ctx)
	if err != nil {
		return err
	}
	s.say("%s leads in term %d; the longest wait for an acknowledgement was %.0f ms", now.Name, now.term, ms(s.load.longestGap()))
	select {
	case <-time.After(time.Until(paused.Add(pause))):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	l.Resume()
	key := s.anAckedKey()
	if err := s.wait(ctx, 30*time.Second, func() error { return s.has(l.Node, key) }); err != nil {
		return fmt.Errorf("%s does not go on: %w", l.Name, err)
	}
	s.say("%s wakes up, follows, and has caught up", l.Name)
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
