package replication

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// cannedConn gives bytes in pieces and swallows what is written.
type cannedConn struct {
	net.Conn
	data  []byte
	piece int
}

func (c *cannedConn) Read(b []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.data[:min(len(c.data), c.piece)])
	c.data = c.data[n:]
	return n, nil
}

func (c *cannedConn) Write(b []byte) (int, error)     { return len(b), nil }
func (c *cannedConn) SetReadDeadline(time.Time) error { return nil }

// newStream reads canned bytes; every event is released at once.
func newStream(data []byte, piece int) (*stream, *[]instance.Event) {
	var events []instance.Event
	s := &stream{link: iproto.NewLink(&cannedConn{data: data, piece: piece}, 1<<20), from: 2, home: newBatches()}
	s.onRows = func(ev instance.Rows) error {
		for _, r := range ev.Rows {
			_ = r.Append(nil) // touch every byte
		}
		events = append(events, instance.Rows{From: ev.From, Rows: append([]xrow.Row(nil), ev.Rows...)})
		ev.Release()
		return nil
	}
	s.onRaft = func(m xrow.Raft) error { events = append(events, instance.RaftMsg{Msg: m}); return nil }
	s.onHeartbeat = func(sync uint64) error { events = append(events, instance.Heartbeat{Sync: sync}); return nil }
	s.onTime = func(float64) {}
	return s, &events
}

// FuzzStream: whatever a relay sends, the core sees whole transactions only,
// and all batches come back.
func FuzzStream(f *testing.F) {
	golden := append(append(append(frame(f, goldenRaft), frame(f, goldenHeartbeat)...), frame(f, goldenBeatNoTime)...), frame(f, goldenInsert)...)
	f.Add(golden, 7)
	var rows []byte
	for _, r := range []xrow.Row{testRow(1, 1, 1, true, 2, 5), testRow(1, 2, 2, false, 2, 5), testRow(1, 3, 2, true, 2, 5)} {
		rows = r.Append(rows)
	}
	f.Add(rows, 1000)
	f.Add(append(rows, frame(f, goldenHeartbeat)...), 30)
	f.Add(rows[:len(rows)-3], 11)
	e := gapError(ErrGap).Row(0, 0)
	f.Add(e.Append(nil), 64)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		s, events := newStream(data, max(piece, 1))
		var err error
		for err == nil {
			err = s.read()
		}
		s.drop()
		for _, ev := range *events {
			if rows, ok := ev.(instance.Rows); ok {
				if len(rows.Rows) == 0 || rows.Rows[len(rows.Rows)-1].Flags&xrow.FlagCommit == 0 {
					t.Errorf("rows that are not whole: %d", len(rows.Rows))
				}
				for _, r := range rows.Rows {
					if r.LSN == 0 {
						t.Error("a row without an LSN")
					}
				}
			}
		}
		if len(s.home) != batches {
			t.Errorf("%d of %d batches came back", len(s.home), batches)
		}
	})
}

// A transaction that spans many reads arrives whole, others before it in time.
func TestStreamCarry(t *testing.T) {
	var data []byte
	for lsn := uint64(1); lsn <= 4; lsn++ {
		r := testRow(1, lsn, lsn, true, 2, 100)
		data = r.Append(data)
	}
	for lsn := uint64(5); lsn <= 3000; lsn++ {
		r := testRow(1, lsn, 5, lsn == 3000, 2, 100)
		data = r.Append(data)
	}
	s, events := newStream(data, 10_000)
	for {
		if err := s.read(); err != nil {
			break
		}
	}
	s.drop()
	n, next := 0, uint64(1)
	for _, ev := range *events {
		n++
		for _, r := range ev.(instance.Rows).Rows {
			if r.LSN != next {
				t.Fatalf("LSN %d, want %d", r.LSN, next)
			}
			next++
		}
	}
	if n != 2 || next != 3001 {
		t.Errorf("%d events up to LSN %d", n, next-1)
	}
}

// The way of a row through the applier allocates nothing.
func TestStreamAllocates(t *testing.T) {
	var data []byte
	for lsn := uint64(1); lsn <= 20_000; lsn++ {
		r := testRow(1, lsn, lsn, true, 2, 100)
		data = r.Append(data)
	}
	conn := &cannedConn{piece: 1 << 20}
	s := &stream{link: iproto.NewLink(conn, 1<<20), from: 2, home: newBatches()}
	s.onRows = func(ev instance.Rows) error { ev.Release(); return nil }
	s.onTime = func(float64) {}
	run := func() {
		conn.data = data
		for len(conn.data) > 0 {
			if err := s.read(); err != nil {
				t.Fatal(err)
			}
		}
	}
	run() // grows the buffers
	if per := testing.AllocsPerRun(5, run) / 20_000; per > 0.001 {
		t.Errorf("%v allocations for a row", per)
	}
}

func BenchmarkApplier(b *testing.B) {
	var data []byte
	const rows = 20_000
	for lsn := uint64(1); lsn <= rows; lsn++ {
		r := testRow(1, lsn, lsn, true, 2, 60)
		data = r.Append(data)
	}
	conn := &cannedConn{piece: 1 << 20}
	s := &stream{link: iproto.NewLink(conn, 1<<20), from: 2, home: newBatches()}
	s.onRows = func(ev instance.Rows) error { ev.Release(); return nil }
	s.onTime = func(float64) {}
	b.ReportAllocs()
	for b.Loop() {
		conn.data = data
		for len(conn.data) > 0 {
			if err := s.read(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkRelay pushes rows of about 100 bytes over loopback to a peer that
// cuts them as an applier does.
func BenchmarkRelay(b *testing.B) {
	h := newTestHub(b, 1, nil)
	h.show(2)
	p := subscribe(b, h.addr, 2, vclock.VClock{})
	p.expectType(xrow.RaftState)
	const rows = 256
	s := &stream{link: p.Link, from: 1, home: newBatches()}
	var got uint64
	s.onRows = func(ev instance.Rows) error {
		got = ev.Rows[len(ev.Rows)-1].LSN
		ev.Release()
		return nil
	}
	s.onTime = func(float64) {}
	groups := make([]*xrow.Group, b.N)
	for i := range groups {
		groups[i] = h.gm.sized(1, rows, 60)
	}
	b.SetBytes(int64(len(groups[0].Rows)))
	b.ResetTimer()
	go func() {
		for i, g := range groups {
			h.Handle(&instance.Effects{Group: g, GroupNo: uint64(i + 1), Relay: uint64(i + 1)})
			h.log.append(g)
		}
	}()
	for got < uint64(b.N)*rows {
		if err := s.read(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// FuzzJoin: whatever answers a JOIN, the joiner ends with an error or with a
// state that has its own row.
func FuzzJoin(f *testing.F) {
	s := goodState()
	var j joinStream
	j.ok(&s.VClock)
	j.meta(&s)
	head := len(j.buf)
	j.insert(xrow.SpaceCluster, append([]byte{0x92, 0x02, 0xd9, 0x24}, testUUID(2)...))
	j.insert(512, []byte{0x91, 0x01})
	j.ok(&s.VClock)
	j.ok(&s.VClock)
	f.Add(j.buf)
	f.Add(j.buf[:head])
	f.Add(frame(f, goldenJoinEnd+goldenSnapshot+goldenInsert))
	f.Fuzz(func(t *testing.T, data []byte) {
		var sink memSink
		r := reader{link: iproto.NewLink(&cannedConn{data: data, piece: 1 << 20}, 1<<20), ctx: context.Background(), silence: time.Minute}
		j := joiner{reader: r, id: Identity{UUID: testUUID(2)}, sink: &sink}
		err := j.run()
		if whole := err == nil || errors.Is(err, ErrFinalStage); whole != (sink.state != nil) || err == nil && !j.self {
			t.Errorf("%v, state %+v", err, sink.state)
		}
	})
}

// What comes at once is handed out in events that a Step can take.
func TestStreamCutsEvents(t *testing.T) {
	var data []byte
	for lsn := uint64(1); lsn <= 1300; lsn++ {
		r := testRow(1, lsn, lsn, true, 2, 5)
		data = r.Append(data)
	}
	s, events := newStream(data, len(data))
	for s.read() == nil {
	}
	s.drop()
	rows := 0
	for _, ev := range *events {
		n := len(ev.(instance.Rows).Rows)
		if rows += n; n > eventRows {
			t.Errorf("an event of %d rows", n)
		}
	}
	if rows != 1300 || len(s.home) != batches {
		t.Errorf("%d rows; %d of %d batches came back", rows, len(s.home), batches)
	}
}
