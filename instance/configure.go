package instance

import (
	"tarragon.dev/tarragon/xrow"
)

func (c *Core) configure(ev Configure) {
	old := c.cfg
	ev.Apply(&c.cfg)
	if cfg, err := c.cfg.withDefaults(); err != nil {
		c.cfg = old
		c.eff.reply(ev.Conn, ev.Sync, nil, &xrow.Error{Code: xrow.ErrCfg, Message: err.Error()})
		return
	} else {
		c.cfg = cfg
	}
	if c.cfg.Memory != 0 {
		c.box.SetMemory(c.cfg.Memory)
	}
	c.beats.at = min(c.beats.at, c.now.Mono+c.cfg.Heartbeat) // peers that are told the same wait no longer for it
	c.gate.splits = nil                                      // the operator has acted
	c.raft.Configure(c.raftConfig(), c.now.Mono)
	if c.started {
		c.refreshMembers()
	}
	c.eff.reply(ev.Conn, ev.Sync, noValues, nil)
}
