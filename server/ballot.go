package server

import (
	"context"
	"time"

	"tarragon.dev/tarragon/iproto"
)

// bootBallots is how often the ballot is looked at before there is a core: whom
// it names changes with each round of ballots.
const bootBallots = 100 * time.Millisecond

// publishBallots keeps the event internal.ballot true until the run ends.
// Changes of status publish it at once; the clock does for the vclock in it.
func (s *Server) publishBallots(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		s.publishBallot()
		if s.main().ready.Load() {
			t.Reset(s.tuning.death())
		} else {
			t.Reset(bootBallots)
		}
	}
}

// publishBallot tells watchers of the ballot if it has changed.
func (s *Server) publishBallot() {
	if ballot, err := s.main().appendBallot(nil); err == nil {
		s.port.events.Update(iproto.EventBallot, ballot)
	}
}
