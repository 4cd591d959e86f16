package instance

// releaseWelcome gives joiners that count at once the state when a quorum of the
// members before the change has the CONFIRM of it. Else a majority that counts the joiner
// could be left in which nobody else knows that it is a member: the joiner
// knows, and the others count its vote for nothing.
func (c *Core) releaseWelcome() {
	for len(c.gate.welcome) > 0 {
		w := c.gate.welcome[0]
		switch {
		case c.author().term == 0 && c.writable(): // nobody owns the queue: its own write decided it
			c.registered(w.join)
		case !c.writable():
			c.eff.failJoin(w.join, c.readonly())
		case !c.limbo.Have(w.lsn, w.of):
			return
		default:
			c.registered(w.join)
		}
		c.gate.welcome = c.gate.welcome[1:]
	}
}

// releaseChores runs registrations and other changes of our own that waited for
// a barrier. They go before requests of clients: each is short.
func (c *Core) releaseChores() {
	g := &c.gate
	if g.moving {
		return
	}
	if g.choresWait() && !c.writable() {
		g.failChores(&c.eff, c.readonly())
		c.members.listenToLearners(c.now.Mono) // what was to make voters of them is among those
	}
	for len(g.joins) > 0 && c.limbo.Len() == 0 && g.build == nil {
		c.joinRequest(g.takeJoin())
	}
	for len(g.chores) > 0 && c.limbo.Len() == 0 && g.build == nil {
		r := g.takeChore()
		c.execute(&r, nil)
	}
}

// releaseHeld runs what waited for a barrier, up to the next one. Writes that a
// deposed leader cannot do any more are answered; those of local spaces stay.
func (c *Core) releaseHeld() {
	g := &c.gate
	if g.moving {
		return
	}
	if len(g.held) > 0 && !c.writable() {
		c.forwardHeld()
		g.failHeld(&c.eff, c.refuse)
	}
	for len(g.held) > 0 && g.build == nil {
		if c.writable() && c.limbo.Len() > 0 && (g.barrier || g.choresWait() || g.held[0].Barrier) {
			return
		}
		r := g.takeHeld()
		c.execute(&r, nil)
	}
	if c.limbo.Len() == 0 && g.build == nil {
		g.barrier = false
	}
}

// releaseRows takes what waited, a part in each Step: all at once could be
// more than a Step has time for.
func (c *Core) releaseRows() {
	for released := 0; len(c.gate.backlog.events) > 0 && c.gate.build == nil && released < releaseSize && !c.out.crowded(c.cfg.GatherMaxSize); {
		if c.gate.ddlWaits && c.limbo.Unwritten() {
			return
		}
		if c.out.failed != nil || c.members.expelled {
			c.gate.backlog = backlog{}
			return
		}
		h := c.gate.backlog.head()
		from, size := h.from, h.size
		if h.gen != c.share.gen { // of another share, see takeEach
			c.gate.ddlWaits = false
			c.gate.backlog.setHead(nil)
			continue
		}
		rest, err := c.takeEach(from, h.rows)
		if err != nil {
			c.cutStream(from, clientError(err))
			continue
		}
		c.gate.backlog.setHead(rest)
		released += size
		c.raft.VClockGrew()
	}
}

const releaseSize = 256 << 10
