package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/httpport"
	"tarragon.dev/tarragon/replication"
)

// Limits of the time that a Loop may take for the Step that it is on, which is some
// milliseconds: a machine may be busy. The longer one is where a process is killed behind
// it. They are less than the limit of an answer.
const (
	stepLimit = time.Second
	liveLimit = 3 * time.Second
)

// wellness is the body of an answer about the health of an instance.
type wellness struct {
	OK       bool     `json:"ok"`
	Name     string   `json:"name,omitempty"` // of the instance
	State    string   `json:"state"`          // starting, running, stopping
	Reads    bool     `json:"reads"`          // it answers them
	Writes   bool     `json:"writes"`         // it takes them from clients
	Reasons  []string `json:"reasons"`        // why it is not well, or not ready
	Warnings []string `json:"warnings"`       // what an operator should look at
}

func (w *wellness) bad(format string, args ...any) {
	w.Reasons = append(w.Reasons, fmt.Sprintf(format, args...))
}

func (w *wellness) warn(format string, args ...any) {
	w.Warnings = append(w.Warnings, fmt.Sprintf(format, args...))
}

// condition is what a judgment is about, at one moment. It is a value.
type condition struct {
	name     string
	stopping bool
	hangs    bool // there is a core, and its Loop does not step: nothing else is known of it
	ready    bool // a member of a replica set, with its data, and there is a core
	info     instance.Info
	peers    []replication.PeerStatus
	troubles []string
}

// condition looks. It waits for a Loop that hangs until stepLimit at most.
func (s *Server) condition(ctx context.Context) condition {
	c := condition{name: s.in.Name, stopping: s.stopping.Load(), troubles: s.troubles.all()}
	n := s.main()
	for _, n := range s.nodes() {
		c.troubles = append(c.troubles, n.troubles.all()...)
	}
	e := n.engine.Load()
	if e == nil {
		return c
	}
	if c.hangs = !e.steps(ctx, stepLimit); c.hangs {
		return c
	}
	c.ready = n.ready.Load() && !n.leaving.Load()
	now := e.loop.Now().Mono
	e.loop.Read(func(core *instance.Core) { c.info = core.Info(now) })
	if hub := n.hub.Load(); hub != nil {
		c.peers = hub.Status()
	}
	return c
}

// steps tells whether the Loop makes a Step within a limit. One that does not run has no Step to
// make.
func (e *engine) steps(ctx context.Context, limit time.Duration) bool {
	if !e.running.Load() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return e.pulse.wait(ctx, e.loop)
}

// base is what all answers have.
func (c *condition) base() wellness {
	w := wellness{Name: c.name, State: "running", Reasons: []string{}, Warnings: []string{}}
	switch {
	case c.stopping:
		w.State = "stopping"
	case !c.ready && !c.hangs:
		w.State = "starting"
	}
	return w
}

// judgeReady tells whether clients should come. writes: those that write.
func (c *condition) judgeReady(writes bool) wellness {
	w := c.base()
	switch {
	case c.stopping:
		w.bad("it is stopping")
	case c.hangs:
		w.bad("it has made no step for %v", stepLimit)
	case !c.ready:
		w.bad("it is starting: it has no data yet that it could show")
	case c.info.Expelled:
		w.bad("it was expelled from the replica set")
	case c.info.Node.Fence:
		w.bad("administrators keep clients away from it")
	}
	w.Reads = len(w.Reasons) == 0
	w.Writes = w.Reads && !c.info.RO
	if writes && w.Reads && c.info.RO {
		w.bad("it is read-only: %s", c.info.ROReason)
	}
	w.OK = len(w.Reasons) == 0
	return w
}

// judgeHealth tells all that an operator should know.
func (c *condition) judgeHealth() wellness {
	w := c.judgeReady(false)
	if c.ready {
		c.judgeCore(&w)
		c.judgeStreams(&w)
	}
	for _, text := range c.troubles {
		w.warn("%s", text)
	}
	w.OK = len(w.Reasons) == 0
	return w
}

func (c *condition) judgeCore(w *wellness) {
	i := &c.info
	if i.Failed != nil {
		w.bad("the disk: %v", i.Failed)
	}
	for _, split := range i.SplitBrains {
		w.bad("split brain with instance %d: %s", split.Peer, split.Text)
	}
	switch {
	case i.Mode != instance.ModeOff && i.LeaderInEffect() == 0:
		w.bad("it hears no leader")
	case i.Founding.Need > 0:
		w.warn("the replica set is being founded: it has %d of %d voters", i.Founding.Have, i.Founding.Need)
	}
	if i.Stalled {
		w.warn("the disk stalls")
	}
	if i.Doubted != "" {
		w.warn("%s", i.Doubted)
	}
	if i.Node.NoWrites {
		w.warn("administrators want it not to lead")
	}
	if i.Pause.Left > 0 {
		w.warn("automatic elections are paused for %v more: %s", i.Pause.Left.Round(time.Second), i.Pause.Reason)
	}
	if i.Share.Gone {
		w.warn("there is no filter %s any more: what it gave is kept", i.Share.Filter)
	}
}

// judgeStreams tells of streams from peers that do not run. One that begins is none.
func (c *condition) judgeStreams(w *wellness) {
	for _, p := range c.peers {
		u := p.Upstream
		if u == nil {
			continue
		}
		switch u.Status {
		case replication.StateDisconnected, replication.StateStopped, replication.StateLoading:
			w.warn("%s", strings.TrimSuffix(fmt.Sprintf("the stream from %s is %s: %s", u.Peer, u.Status, u.Message), ": "))
		}
	}
}

func answerWellness(w http.ResponseWriter, body *wellness) {
	status := http.StatusOK
	if !body.OK {
		status = http.StatusServiceUnavailable
	}
	httpport.Answer(w, status, body)
}

// answerLive tells whether the process does anything: nothing else is a reason to kill it.
func (s *Server) answerLive(w http.ResponseWriter, q *http.Request) {
	n := s.main()
	body := wellness{Name: s.in.Name, State: "starting", Reasons: []string{}, Warnings: []string{}}
	if e := n.engine.Load(); e != nil && !n.leaving.Load() && !s.stopping.Load() {
		body.State = "running"
		if !e.steps(q.Context(), liveLimit) {
			body.bad("it has made no step for %v", liveLimit)
		}
	}
	body.OK = len(body.Reasons) == 0
	answerWellness(w, &body)
}

// answerReady tells whether clients should come: with ?for=writes, those that write.
func (s *Server) answerReady(w http.ResponseWriter, q *http.Request) {
	writes := false
	switch q.FormValue("for") {
	case "", "reads":
	case "writes":
		writes = true
	default:
		httpport.Answer(w, http.StatusBadRequest, httpport.Why{Why: "for: reads or writes expected"})
		return
	}
	c := s.condition(q.Context())
	body := c.judgeReady(writes)
	answerWellness(w, &body)
}

// answerHealth tells all.
func (s *Server) answerHealth(w http.ResponseWriter, q *http.Request) {
	c := s.condition(q.Context())
	body := c.judgeHealth()
	answerWellness(w, &body)
}
