package iproto

import (
	"errors"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/xrow"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
)

// connector connects go-tarantool to the fixture.
func (f *fixture) connector(user, password string) *tarantool.Connection {
	f.Helper()
	if err := f.srv.Listen("127.0.0.1:0"); err != nil {
		f.Fatal(err)
	}
	dialer := tarantool.NetDialer{
		Address: f.srv.Addrs()[0].String(), User: user, Password: password,
		RequiredProtocolInfo: tarantool.ProtocolInfo{Features: []iproto.Feature{2, 3, 4, 5, 6}},
	}
	conn, err := tarantool.Connect(f.Context(), dialer, tarantool.Opts{Timeout: time.Minute})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { conn.Close() })
	return conn
}

func TestGoTarantool(t *testing.T) {
	f := newFixture(t, nil)
	f.node.tuples = [][]byte{{0x92, 7, 0xa1, 'x'}}
	conn := f.connector("test", "test")
	if _, err := conn.Do(tarantool.NewPingRequest()).Get(); err != nil {
		t.Fatal(err)
	}
	got, err := conn.Do(tarantool.NewSelectRequest("test").Index("name").Limit(1).
		Key([]any{uint(7)})).Get()
	if err != nil || len(got) != 1 || got[0].([]any)[1] != "x" {
		t.Fatalf("select: %v, %v", got, err)
	}
	got, err = conn.Do(tarantool.NewReplaceRequest(512).Tuple([]any{uint(8)})).Get()
	if err != nil || len(got) != 1 || got[0].([]any)[0] != int8(8) {
		t.Fatalf("replace: %v, %v", got, err)
	}
	got, err = conn.Do(tarantool.NewCallRequest("echo").Args([]any{1, "a"})).Get()
	if err != nil || len(got) != 2 {
		t.Fatalf("call: %v, %v", got, err)
	}
	_, err = conn.Do(tarantool.NewSelectRequest(900)).Get()
	var te tarantool.Error
	if !errors.As(err, &te) || uint32(te.Code) != uint32(xrow.ErrNoSuchSpace) || te.ExtendedInfo == nil {
		t.Fatalf("select of no space: %#v", err)
	}
}

func TestGoTarantoolWatcher(t *testing.T) {
	f := newFixture(t, nil)
	conn := f.connector("", "")
	values := make(chan any, 8)
	w, err := conn.NewWatcher("k", func(e tarantool.WatchEvent) { values <- e.Value })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Unregister()
	if v := <-values; v != nil {
		t.Fatalf("first event %v", v)
	}
	f.hub.Set("k", []byte{0xa1, 'v'})
	if v := <-values; v != "v" {
		t.Fatalf("event %v", v)
	}
	once, err := conn.Do(tarantool.NewWatchOnceRequest("k")).Get()
	if err != nil || len(once) != 1 || once[0] != "v" {
		t.Fatalf("watch once: %v, %v", once, err)
	}
}

// go-tarantool leaves by itself when it is told of a shutdown.
func TestGoTarantoolShutdown(t *testing.T) {
	f := newFixture(t, nil)
	conn := f.connector("test", "test")
	if _, err := conn.Do(tarantool.NewPingRequest()).Get(); err != nil {
		t.Fatal(err)
	}
	f.srv.Shutdown(t.Context()) // returns only because the client has left
}

func TestGoTarantoolPipelines(t *testing.T) {
	f := newFixture(t, nil)
	conn := f.connector("test", "test")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var futures []*tarantool.Future
			for i := range 500 {
				futures = append(futures, conn.Do(tarantool.NewInsertRequest(512).Tuple([]any{uint(g*1000 + i)})))
			}
			for i, fut := range futures {
				var rows [][]uint
				if err := fut.GetTyped(&rows); err != nil || len(rows) != 1 || rows[0][0] != uint(g*1000+i) {
					t.Errorf("answer %d: %v, %v", i, rows, err)
				}
			}
		})
	}
	wg.Wait()
}
