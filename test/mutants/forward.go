package mutants

var forward = []Mutant{
	{
		Name: "what was forwarded is forwarded again", Area: "forwarding", File: "instance/forward.go", By: "instance TestScripts/forward",
		Old: `	return r.Forwarded == 0 && r.Conn`,
		New: `	return r.Conn`,
	},
	{
		Name: "what is for this instance goes behind what is forwarded", Area: "forwarding", File: "instance/forward.go", By: "instance TestScripts/forward",
		Old: `c.members.expelled || !w.req.travels():`,
		New: `c.members.expelled:`,
	},
	{
		Name: "a request goes in the name of who was dropped", Area: "forwarding", File: "instance/forward.go", By: "instance TestForwardOfDroppedUser",
		Old: `Schema().CheckUser(w.req.User); err != nil {`,
		New: `Schema().CheckUser(box.UserAdmin); err != nil {`,
	},
	{
		Name: "a request that fills a frame is forwarded", Area: "forwarding", File: "instance/forward.go", By: "instance TestForwardTooLarge",
		Old: `if r.heldSize() > maxForward {`,
		New: `if r.heldSize() > 1<<40 {`,
	},
	{
		Name: "the answer comes before the row", Area: "forwarding", File: "instance/forward.go", By: "test/sim TestHandovers",
		Old: `	case late || c.out.failed != nil || c.decidedUpTo(a.Origin, a.LSN):`,
		New: `	case a.No != 0:`,
	},
	{
		Name: "the answer comes before the row is decided", Area: "forwarding", File: "instance/forward.go", By: "test/sim TestHandovers",
		Old: `	return e == nil || e.LSN > lsn
}

// forgetForward`,
		New: `	return e == nil || e.LSN > 0
}

// forgetForward`,
	},
	{
		Name: "a leader that has refused is asked again", Area: "forwarding", File: "instance/forward.go", By: "instance TestScripts/forward",
		Old: `!c.raft.SeesLeader() || w.term == term ||`,
		New: `!c.raft.SeesLeader() ||`,
	},
	{
		Name: "what was sent is READONLY at the limit", Area: "forwarding", File: "instance/forward.go", By: "test/sim TestHandovers",
		Old: `			c.forgetForward(w, c.raft.Leader())
		}
		return late`,
		New: `			c.refuseForward(w)
		}
		return late`,
	},
	{
		Name: "a leader takes what was meant for another term", Area: "forwarding", File: "instance/write.go", By: "instance TestScripts/forward",
		Old: ` || r.Forwarded != 0 && r.Forwarded != c.raft.Term() {`,
		New: ` {`,
	},
	{
		Name: "what comes behind overtakes", Area: "forwarding", File: "instance/forward.go", By: "instance TestScripts/forward",
		Old: `	case !late && w.lane.blocking(c.raft.Term()) != w:`,
		New: `	case !late && w.no == 0:`,
	},
	{
		Name: "what is sent again lets those behind it pass", Area: "forwarding", File: "instance/forwards.go", By: "instance TestScripts/forward",
		Old: `	if l.clear != nil && l.clear.no >= w.no {`,
		New: `	if l.clear != nil && l.clear.no > w.no {`,
	},
	{
		Name: "the next one on a connection is forgotten", Area: "forwarding", File: "instance/forwards.go", By: "instance TestScripts/forward",
		Old: `	f.look(l.blocking(term))
}`,
		New: `}`,
	},
	{
		Name: "local spaces are forwarded", Area: "forwarding", File: "instance/forward.go", By: "instance TestScripts/forward",
		Old: `	case !c.isGlobal(r) || c.out.failed != nil:`,
		New: `	case c.out.failed != nil:`,
	},
	{
		Name: "READONLY of the leader is the answer", Area: "forwarding", File: "instance/forward.go", By: "test/sim TestHandoversCalm",
		Old: `	case err.Code == xrow.ErrReadonly || err.Code == xrow.ErrLoading:`,
		New: `	case err.Code == xrow.ErrLoading:`,
	},
	{
		Name: "what is lost is sent again", Area: "forwarding", File: "instance/forwards.go", By: "test/sim TestHandovers",
		Old: `	case ForwardRefused:
		w.stage = forwardWaits`,
		New: `	case ForwardRefused, ForwardLost:
		w.stage = forwardWaits`,
	},
	{
		Name: "whoever may call acts for others", Area: "forwarding", File: "proc/forward.go", By: "proc TestForward",
		Old: `err = s.CheckActsFor(c.User, name)`,
		New: `err = s.CheckCall(c.User, xrow.ForwardCall, true)`,
	},
}
