package server

import (
	"slices"
	"sync"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/instance"
)

// admission keeps who may become a member as the configuration says it now. A set
// that grows has its file changed on one machine after the other, and a leader that
// had to be restarted for it would first have to be another one.
type admission struct {
	mu      sync.Mutex
	read    time.Time // when the configuration was read last
	members []string  // as the core has them; nil: all
	most    int
}

// readAgain is how often at most the configuration is read anew: peers that are
// refused come again and again.
const readAgain = time.Second

// reset takes what the instance was started with.
func (a *admission) reset(in *config.Instance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.members, a.most = in.Tarragon.Members, in.Tarragon.MaxMembers
}

// reloadMembers reads tarragon.members and max_members anew before somebody is
// registered. A configuration that has mistakes by now changes nothing.
func (s *Server) reloadMembers() {
	a := &s.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.cfg.Reload == nil || time.Since(a.read) < readAgain {
		return
	}
	a.read = time.Now()
	in, err := s.cfg.Reload()
	if err != nil {
		if s.troubles.set(areaMembers, "the configuration could not be read anew", err) {
			s.log.Warn().Err(err).Msg("the configuration could not be read anew: who may become a member stays as it was")
		}
		return
	}
	s.troubles.set(areaMembers, "", nil)
	members, most := in.Tarragon.Members, in.Tarragon.MaxMembers
	if slices.Equal(a.members, members) && (a.members == nil) == (members == nil) && a.most == most {
		return
	}
	a.members, a.most = members, most
	s.log.Info().Strs("members", members).Int("max_members", most).Msg("the configuration has changed who may become a member")
	for _, n := range s.nodes() {
		if e := n.engine.Load(); e != nil {
			_ = e.loop.Submit(instance.Configure{Apply: func(c *instance.Config) { c.Members, c.MaxMembers = members, most }}) // else its run ends
		}
	}
}
