package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"tarragon.dev/tarragon/server"
)

// Systemd is told when the port is open, when the instance serves, and that it stops.
func TestNotifySystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	ctx, stop := context.WithCancel(t.Context())
	var run server.Config
	notifySystemd(ctx, &run, zerolog.Nop())
	for _, c := range []struct {
		does func()
		want string
	}{
		{run.Listening, "READY=1\nSTATUS=waits"},
		{run.Ready, "STATUS=serves"},
		{stop, "STOPPING=1\n"},
	} {
		c.does()
		buf := make([]byte, 256)
		n, err := socket.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), c.want) {
			t.Errorf("%q, not %q: %v", buf[:n], c.want, err)
		}
	}
}
