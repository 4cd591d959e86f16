package main

import (
	"context"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"tarragon.dev/tarragon/server"
)

// notifySystemd tells systemd what becomes of the instance, where a unit of Type=notify
// asks for it: it has started when its port is open. To be a member of its replica set it may
// have to wait for machines that start later, so that is its status.
func notifySystemd(ctx context.Context, run *server.Config, log zerolog.Logger) {
	say := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn().Err(err).Msg("systemd is not told")
		}
	}
	run.Listening = func() { say(daemon.SdNotifyReady + "\nSTATUS=waits to be a member of its replica set") }
	run.Ready = func() { say("STATUS=serves") }
	context.AfterFunc(ctx, func() { say(daemon.SdNotifyStopping + "\nSTATUS=moves leadership and lets clients leave") })
}
