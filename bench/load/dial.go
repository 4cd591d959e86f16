package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// dial connects, reads the greeting and logs in. The socket is left without
// deadlines.
func dial(ctx context.Context, p *Plan) (net.Conn, error) {
	network, address := iproto.SplitAddr(p.Addr)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if p.TLS != nil {
		nc = tls.Client(nc, p.TLS)
	}
	limit, _ := ctx.Deadline()
	if err := open(nc, p, limit); err != nil {
		nc.Close()
		return nil, fmt.Errorf("%s: %w", p.Addr, err)
	}
	return nc, nil
}

func open(nc net.Conn, p *Plan, limit time.Time) error {
	if err := nc.SetDeadline(limit); err != nil {
		return err
	}
	if t, ok := nc.(*net.TCPConn); ok {
		// What maxInFlightBytes relies on; the system may give less than asked.
		_ = t.SetWriteBuffer(2 * maxInFlightBytes)
		_ = t.SetReadBuffer(2 * maxInFlightBytes)
	}
	var raw [iproto.GreetingSize]byte
	if _, err := io.ReadFull(nc, raw[:]); err != nil {
		return fmt.Errorf("read the greeting: %w", err)
	}
	g, err := iproto.ParseGreeting(raw[:])
	if err != nil {
		return err
	}
	if p.User != "" {
		if err := login(nc, &g, p.User, p.Password); err != nil {
			return fmt.Errorf("log in as %s: %w", p.User, err)
		}
	}
	return nc.SetDeadline(time.Time{})
}

func login(nc net.Conn, g *iproto.Greeting, user, password string) error {
	scramble := iproto.Scramble(password, &g.Salt)
	body := []byte{0x82, byte(xrow.KeyUserName)}
	body = msgp.AppendString(body, user)
	body = append(body, byte(xrow.KeyTuple), 0x92)
	body = msgp.AppendString(body, iproto.MethodChapSHA1)
	body = msgp.AppendStringFromBytes(body, scramble[:])
	row := xrow.Row{Type: xrow.Auth, Sync: 1, Body: body}
	if _, err := nc.Write(row.Append(nil)); err != nil {
		return err
	}
	var buf []byte
	chunk := make([]byte, 4<<10)
	for {
		n, err := nc.Read(chunk)
		if err != nil {
			return err
		}
		buf = append(buf, chunk[:n]...)
		a, n, err := cut(buf)
		if err != nil {
			return err
		}
		if n > 0 && a.code != 0 {
			return fmt.Errorf("error %d, %s", a.code, a.message())
		}
		if n > 0 {
			return nil
		}
	}
}
