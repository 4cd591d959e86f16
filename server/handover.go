package server

import (
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/raft"
)

const (
	// stopHold is how long writes may wait for a member to have all, when this process
	// is told to stop.
	stopHold = time.Second
	// stopHandover bounds the wait for who leads next. Then the stop goes on: the others
	// elect somebody.
	stopHandover = 3 * time.Second
)

// handOver moves leadership of the replica set to another member before this process
// ends, so that no write fails for it. One that is under way is waited for, and where that
// comes to nothing another one begins. Where nobody can take over it resigns, as any leader.
func (s *Server) handOver() {
	e := s.main().engine.Load()
	if s.in.Replication.Failover == config.FailoverSupervised {
		return // an agent says who leads
	}
	if s.cfg.NoHandover || e == nil || !e.running.Load() {
		return
	}
	t := time.NewTimer(stopHandover)
	defer t.Stop()
	why := ""
	for range 2 {
		if !e.leadsOthers() {
			break
		}
		answer := make(chan instance.Reply, 1)
		conn := s.port.calls.add(func(r instance.Reply) { answer <- r })
		ev := instance.SwitchoverRequest{Conn: conn, Hold: stopHold, By: s.in.Name, Reason: "shutdown", Join: true}
		if err := e.loop.Submit(ev); err != nil {
			return // it has ended
		}
		select {
		case r := <-answer:
			if r.Err == nil {
				s.log.Info().Msg("another instance leads")
				return
			}
			why = r.Err.Message
		case <-t.C:
			s.log.Warn().Dur("waited", stopHandover).Msg("nobody has taken over before the stop: the others elect somebody")
			return
		}
	}
	if why != "" {
		s.log.Warn().Str("why", why).Msg("leadership does not move before the stop: the others elect somebody")
	}
}

// leadsOthers tells whether this instance leads, and others are there.
func (e *engine) leadsOthers() (leads bool) {
	e.loop.Read(func(c *instance.Core) {
		i := c.Info(e.loop.Now().Mono)
		leads = i.State == raft.StateLeader && i.LeaderInEffect() == i.ID && len(i.Members) > 1
	})
	return leads
}
