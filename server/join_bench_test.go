package server

import (
	"context"
	"net"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/replication"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xlog"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// BenchmarkJoin takes b.N rows of 75 bytes from a master that sends as fast as
// they are read, into a store.
func BenchmarkJoin(b *testing.B) {
	const own = "aaaaaaaa-0000-4000-8000-000000000002"
	store, err := xlog.Open(xlog.Options{Dir: b.TempDir(), Mode: xlog.Fsync, Log: func(xlog.Event) {}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	sink, err := newSink(store.Core(0), &life{conf: &config.Instance{}})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		var salt [32]byte
		_, _ = nc.Write(iproto.AppendGreeting(nil, "2.6.0", "aaaaaaaa-0000-4000-8000-000000000001", &salt))
		if _, err := iproto.NewLink(nc, xrow.MaxFrame).ReadRow(); err != nil {
			return
		}
		sendState(nc, own, b.N)
		_, _ = nc.Read(make([]byte, 1))
	}()
	b.SetBytes(75)
	b.ReportAllocs()
	b.ResetTimer()
	id := replication.Identity{UUID: own, Version: 1}
	if err := replication.Join(context.Background(), replication.Peer{Addr: l.Addr().String()}, id, time.Minute, sink, new(replication.Progress)); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func sendState(nc net.Conn, joiner string, rows int) {
	v := vclock.VClock{1: 10}
	buf := okRow(&v).Append(nil)
	add := func(space uint32, tuple []byte) {
		d := xrow.DML{Type: xrow.Insert, SpaceID: space, Tuple: tuple}
		buf = (&xrow.Row{Type: xrow.Insert, Body: d.AppendBody(nil)}).Append(buf)
	}
	for _, r := range box.BootstrapRows(box.Profile2_10_4, joiner, joiner, "", "") {
		if r.SpaceID != xrow.SpaceCluster || joiner != "" {
			add(r.SpaceID, r.Tuple)
		}
	}
	row := xrow.Row{Type: xrow.Insert}
	var text [64]byte
	for i := range rows {
		start := len(buf)
		buf = append(buf, 0xce, 0, 0, 0, 0)
		buf = row.AppendHeader(buf)
		buf = append(buf, 0x82, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyTuple), 0x92)
		buf = append(buf, 0xce, byte(i>>24), byte(i>>16), byte(i>>8), byte(i))
		buf = msgp.AppendStringFromBytes(buf, text[:])
		xrow.EndFrame(buf, start)
		if len(buf) > 256<<10 {
			if _, err := nc.Write(buf); err != nil {
				return
			}
			buf = buf[:0]
		}
	}
	buf = okRow(&v).Append(okRow(&v).Append(buf))
	_, _ = nc.Write(buf)
}

// BenchmarkCatchUp follows a master that has b.N transactions of one row ready:
// through the core, the log and its syncs, until all is acked.
func BenchmarkCatchUp(b *testing.B) {
	o := newScripted(b)
	up := make(chan struct{})
	done := make(chan bool, 1)
	o.follow(func(c *iproto.Link, req *xrow.SubscribeRequest) {
		o.send(c, o.registration(req.InstanceUUID))
		o.ack(c, 101)
		close(up)
		go o.sendRows(c, b.N)
		done <- o.ack(c, 101+uint64(b.N))
		keep(c)
	})
	n := o.replica()
	b.SetBytes(75)
	n.start()
	<-up
	b.ResetTimer()
	if !<-done {
		b.Fatal("the stream ended")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// sendRows sends REPLACEs of single rows from LSN 102 on.
func (o *scripted) sendRows(c *iproto.Link, rows int) {
	var buf, body []byte
	var text [64]byte
	for i := range rows {
		body = append(body[:0], 0x82, byte(xrow.KeySpaceID), 0xcd, 2, 0, byte(xrow.KeyTuple), 0x92)
		body = append(body, 0xce, byte(i>>24), byte(i>>16), byte(i>>8), byte(i))
		body = msgp.AppendStringFromBytes(body, text[:])
		lsn := 102 + uint64(i)
		row := xrow.Row{Type: xrow.Replace, ReplicaID: 1, LSN: lsn, TSN: lsn, Timestamp: 1e9, Flags: xrow.FlagCommit, Body: body}
		if buf = row.Append(buf); len(buf) > 256<<10 || i == rows-1 {
			if _, err := c.Write(buf); err != nil {
				return
			}
			buf = buf[:0]
		}
	}
}
