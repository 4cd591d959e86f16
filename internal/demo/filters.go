package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tarragon.dev/tarragon/internal/cluster"

	"github.com/tarantool/go-tarantool/v2"
)

// The spaces of the story of filters, besides that of the load, and how many rows the last one has.
const (
	staffName   = "staff"
	archiveName = "archive"
	archived    = 100_000
)

// The filters, each of which one reader has.
var filterNames = []string{"hr", "sales"}

// beingCopied is the error of a space whose tuples are on their way, notReplicated of one
// that the filter leaves out.
const (
	notReplicated = 20001
	beingCopied   = 20002
)

func (s *story) startFiltered(ctx context.Context) (err error) {
	if s.cluster, err = cluster.New(cluster.Options{Binary: s.o.Binary, Dir: s.o.Dir, Keep: s.o.Keep, Nodes: 1, Filters: filterNames}); err != nil {
		return err
	}
	s.say("a leader starts in %s", s.o.Dir)
	if err := s.cluster.Start(); err != nil {
		return err
	}
	s.tracker = cluster.Track(s.cluster.Addrs())
	if err := s.schema(ctx); err != nil {
		return err
	}
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{staffName, archiveName} {
		if err := call(l.conn, "box.schema.space.create", name); err != nil {
			return err
		}
		if err := call(l.conn, "box.space."+name+":create_index", "primary"); err != nil {
			return err
		}
	}
	return s.fillSpaces(l.conn)
}

func (s *story) fillSpaces(conn *tarantool.Connection) error {
	var futures []*tarantool.Future
	put := func(space string, key int) {
		futures = append(futures, conn.Do(tarantool.NewReplaceRequest(space).Tuple([]any{key, fmt.Sprintf("%s %d", space, key)})))
	}
	for key := range 1000 {
		put(staffName, key)
	}
	for key := range archived {
		put(archiveName, key)
	}
	for _, f := range futures {
		if _, err := f.Get(); err != nil {
			return err
		}
	}
	s.say("spaces %s, %s and %s, the last one with %d rows", spaceName, staffName, archiveName, archived)
	return nil
}

// filtered makes the filters and starts a reader for each.
func (s *story) filtered(ctx context.Context) error {
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	if err := call(l.conn, "tarragon.feature_raise"); err != nil {
		return err
	}
	for i, space := range []string{staffName, spaceName} {
		if err := call(l.conn, "tarragon.filter.create", filterNames[i], map[string]any{"empty": true}); err != nil {
			return err
		}
		if err := s.alter(l.conn, filterNames[i], "add", space); err != nil {
			return err
		}
	}
	for _, n := range s.cluster.Readers {
		if err := n.Start(); err != nil {
			return err
		}
	}
	s.load = startLoad(s.tracker, spaceName)
	return s.load.more(ctx, 1000)
}

func (s *story) alter(conn *tarantool.Connection, filter, what, space string) error {
	s.say("tarragon filter alter %s --%s space %s", filter, what, space)
	return call(conn, "tarragon.filter.alter", filter, map[string]any{what: map[string]any{"space": []any{space}}})
}

// reader is a connection to one of the replicas.
func (s *story) reader(ctx context.Context, i int) (*tarantool.Connection, error) {
	dialer := tarantool.NetDialer{Address: s.cluster.Readers[i].Addr, User: cluster.User, Password: cluster.Password}
	return tarantool.Connect(ctx, dialer, tarantool.Opts{})
}

// ask calls look with a connection to a reader until it says nil.
func (s *story) ask(ctx context.Context, i int, look func(conn *tarantool.Connection) error) error {
	err := s.wait(ctx, 30*time.Second, func() error {
		try, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		conn, err := s.reader(try, i)
		if err != nil {
			return err
		}
		defer conn.Close()
		return look(conn)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", s.cluster.Readers[i].Name, err)
	}
	return nil
}

// read tells whether a space can be read.
func read(conn *tarantool.Connection, space string) error {
	_, err := conn.Do(tarantool.NewSelectRequest(space).Index(uint32(0)).Limit(1)).Get()
	return err
}

// says waits for an error of a reader, by its code.
func (s *story) says(ctx context.Context, i int, space string, code int) error {
	return s.ask(ctx, i, func(conn *tarantool.Connection) error {
		var e tarantool.Error
		if err := read(conn, space); !errors.As(err, &e) || int(e.Code) != code {
			return fmt.Errorf("%s: %v", space, err)
		}
		s.say("%s: %s", s.cluster.Readers[i].Name, e.Msg)
		return nil
	})
}

// waitsFor waits until a reader has a space.
func (s *story) waitsFor(ctx context.Context, i int, space string) error {
	return s.ask(ctx, i, func(conn *tarantool.Connection) error { return read(conn, space) })
}

// share shows what each reader has.
func (s *story) share(ctx context.Context) error {
	for i, space := range []string{staffName, spaceName} {
		if err := s.waitsFor(ctx, i, space); err != nil {
			return err
		}
		s.say("%s has %s", s.cluster.Readers[i].Name, space)
	}
	return s.says(ctx, 0, spaceName, notReplicated)
}

func (s *story) addSpace(ctx context.Context) error {
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	began, rows := time.Now(), s.load.count()
	if err := s.alter(l.conn, filterNames[0], "add", spaceName); err != nil {
		return err
	}
	if err := s.waitsFor(ctx, 0, spaceName); err != nil {
		return err
	}
	s.say("%s has %s, of more than %d rows, after %.0f ms, while they are written", s.cluster.Readers[0].Name, spaceName, rows, ms(time.Since(began)))
	return s.load.more(ctx, 1000)
}

func (s *story) removeSpace(ctx context.Context) error {
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	if err := s.alter(l.conn, filterNames[0], "remove", spaceName); err != nil {
		return err
	}
	return s.says(ctx, 0, spaceName, notReplicated)
}

// dieInCopy kills a reader while a space is copied to it.
func (s *story) dieInCopy(ctx context.Context) error {
	n := s.cluster.Readers[0]
	said, err := s.killInCopy(ctx, 0, filterNames[0], archiveName)
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	s.say("%s: %s", n.Name, said)
	s.say("SIGKILL for %s in the middle of the copy", n.Name)
	if err := n.Start(); err != nil {
		return err
	}
	if err := s.waitsFor(ctx, 0, archiveName); err != nil {
		return err
	}
	s.say("%s is back, and has %s", n.Name, archiveName)
	return nil
}

// killInCopy adds a space to a reader's filter, and kills the reader once a part of the copy has come. A copy that
// was too fast to be seen is made again.
func (s *story) killInCopy(ctx context.Context, reader int, filter, space string) (said string, err error) {
	l, err := s.leader(ctx)
	if err != nil {
		return "", err
	}
	conn, err := s.reader(ctx, reader)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := s.alter(l.conn, filter, "add", space); err != nil {
		return "", err
	}
	for ctx.Err() == nil {
		err := read(conn, space)
		var e tarantool.Error
		switch {
		case err == nil:
			s.say("the copy was there before it was seen: once more")
			if err := s.alter(l.conn, filter, "remove", space); err != nil {
				return "", err
			}
			if err := s.says(ctx, reader, space, notReplicated); err != nil {
				return "", err
			}
			if err := s.alter(l.conn, filter, "add", space); err != nil {
				return "", err
			}
		case !errors.As(err, &e):
			return "", err
		case e.Code == beingCopied && !strings.Contains(e.Msg, "(0 %)"):
			s.cluster.Readers[reader].Kill()
			return e.Msg, nil
		}
	}
	return "", context.Cause(ctx)
}

// compareShares holds what the readers have against the leader.
func (s *story) compareShares(ctx context.Context) error {
	s.load.stop()
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	for i, spaces := range [][]string{{staffName, archiveName}, {spaceName}} {
		for _, space := range spaces {
			want, err := cluster.ReadAll(l.conn, space)
			if err != nil {
				return err
			}
			err = s.ask(ctx, i, func(conn *tarantool.Connection) error {
				have, err := cluster.ReadAll(conn, space)
				if err != nil {
					return err
				}
				return cluster.Same(want, have)
			})
			if err != nil {
				return err
			}
			s.say("%s has all %d rows of %s", s.cluster.Readers[i].Name, len(want), space)
		}
	}
	return nil
}
