package proc

import (
	"math"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/raft"
)

// boxCfg is box.cfg(options). Without options it changes nothing and returns
// nothing; EVAL of "return box.cfg" reads them.
func boxCfg(c *call) error {
	if c.arg(0).isNil() {
		c.reply(nil)
		return nil
	}
	given, err := optionPairs(c.arg(0))
	if err != nil {
		return luaError("Error: cfg should be a table")
	}
	if err := c.mayAdminister(); err != nil {
		return err
	}
	if err := c.outside(); err != nil {
		return err
	}
	s := c.p.env.Settings
	changes, err := s.check(given)
	if err != nil {
		return err
	}
	if err := c.p.env.Identity.refuseMembership(changes); err != nil {
		return err
	}
	if c.p.env.Apply != nil && len(changes) > 0 {
		if err := c.p.env.Apply(changes); err != nil {
			return err
		}
	}
	quorum := slices.IndexFunc(changes, func(ch Change) bool { return ch.Name == synchroQuorum })
	if quorum >= 0 && c.sharesQuorum() {
		set := instance.SetQuorum{Conn: c.Conn, Sync: c.Sync, Text: changes[quorum].formula(), Rule: changes[quorum].rule()}
		changes = slices.Delete(changes, quorum, quorum+1) // Settings follows the replica set
		s.store(changes)
		if apply := coreChanges(changes); apply != nil {
			if err := c.submit(instance.Configure{Apply: apply}); err != nil {
				return err
			}
		}
		return c.submit(set)
	}
	s.store(changes)
	if apply := coreChanges(changes); apply != nil {
		return c.submit(instance.Configure{Apply: apply, Conn: c.Conn, Sync: c.Sync})
	}
	c.reply(nil)
	return nil
}

// refuseMembership keeps a replica with a filter from what a member may be.
func (i *Identity) refuseMembership(changes []Change) error {
	for _, c := range changes {
		does := ""
		switch c.Name {
		case "election_mode":
			if c.Text() != "off" {
				does = "take part in elections (election_mode)"
			}
		case "read_only":
			if !c.Bool() {
				does = "take writes (read_only)"
			}
		}
		if does != "" && i.Filter != "" {
			return instance.FilteredReplica(i.Name, i.Filter, does, "an instance that is to be a member begins with an empty directory, and without tarragon.filter")
		}
	}
	return nil
}

// sharesQuorum tells whether the synchronous quorum is that of the replica set.
func (c *call) sharesQuorum() (shared bool) {
	c.p.env.Loop.Read(func(core *instance.Core) { shared = core.SharesQuorum() })
	return shared
}

// coreChanges is what a core has to take over; nil: nothing.
func coreChanges(changes []Change) func(*instance.Config) {
	var all []func(*instance.Config)
	for _, c := range changes {
		if f := coreChange(c); f != nil {
			all = append(all, f)
		}
	}
	if all == nil {
		return nil
	}
	return func(cfg *instance.Config) {
		for _, f := range all {
			f(cfg)
		}
	}
}

// coreChange translates one option.
func coreChange(c Change) func(*instance.Config) {
	switch d := c.Duration(); c.Name {
	case "memtx_memory":
		return func(cfg *instance.Config) { cfg.Memory = memoryOf(c.value) }
	case "read_only":
		return func(cfg *instance.Config) { cfg.ReadOnly = c.Bool() }
	case "replication_skip_conflict":
		return func(cfg *instance.Config) { cfg.SkipConflict = c.Bool() }
	case "replication_timeout":
		return func(cfg *instance.Config) { cfg.SetTimings(instance.TimingsOf(d)) }
	case "election_timeout":
		return func(cfg *instance.Config) { cfg.ElectionTimeout = d }
	case "election_mode":
		return func(cfg *instance.Config) { cfg.Mode, _ = raft.ParseMode(c.Text()) }
	case "election_fencing_mode":
		return func(cfg *instance.Config) { cfg.Fencing, _ = raft.ParseFencing(c.Text()) }
	case synchroQuorum:
		return func(cfg *instance.Config) { cfg.SynchroQuorum, cfg.Quorum = c.rule(), c.formula() }
	case "replication_linearizable_quorum":
		return func(cfg *instance.Config) { cfg.LinearizableQuorum = c.Quorum }
	case "replication_synchro_timeout":
		return func(cfg *instance.Config) { cfg.PromoteTimeout = d }
	case "tarragon_forward_writes":
		return func(cfg *instance.Config) { cfg.ForwardWrites = c.Bool() }
	case "tarragon_handover_grace":
		return func(cfg *instance.Config) { cfg.HandoverGrace = instance.GraceOf(d) }
	case "txn_timeout":
		return func(cfg *instance.Config) { cfg.TxnTimeout = d }
	case "txn_isolation":
		return func(cfg *instance.Config) { cfg.TxnIsolation = box.ParseIsolation(c.Text()) }
	case "txn_synchro_timeout":
		return func(cfg *instance.Config) { cfg.WaitLimit = d }
	case "replication_synchro_queue_max_size":
		return func(cfg *instance.Config) { cfg.QueueMaxSize = queueSize(c.Number()) }
	}
	return nil
}

// queueSize: 0 is no limit.
func queueSize(f float64) int {
	if f == 0 || f > math.MaxInt32<<16 {
		return math.MaxInt
	}
	return int(f)
}
