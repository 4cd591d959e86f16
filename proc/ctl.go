package proc

import (
	"math"
	"strings"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// promote is box.ctl.promote([{token =, lease =, force =}]), lease in seconds: the core answers
// once it is settled. By the token that it leads by a leader has its lease renewed.
func promote(c *call) error {
	opts, err := readOptions(c.arg(0), template{"token": "number", "lease": "number", "force": "boolean"})
	if err != nil {
		return err
	}
	m, err := mandateOf(opts)
	if err != nil {
		return err
	}
	return c.submit(instance.PromoteRequest{Conn: c.Conn, Sync: c.Sync, By: c.userName(), Mandate: m})
}

// demote is box.ctl.demote([{token =}]).
func demote(c *call) error {
	opts, err := readOptions(c.arg(0), template{"token": "number"})
	if err != nil {
		return err
	}
	m, err := mandateOf(opts)
	if err != nil {
		return err
	}
	return c.submit(instance.DemoteRequest{Conn: c.Conn, Sync: c.Sync, Token: m.Token})
}

// mandateOf is what an agent says, in the options of a call.
func mandateOf(opts options) (m instance.Mandate, err error) {
	if v, ok := opts["token"]; ok {
		if m.Token, ok = v.integer(); !ok || m.Token == 0 {
			return m, illegal("options parameter 'token' should be a whole number, 1 at least")
		}
	}
	if v, ok := opts["lease"]; ok {
		if m.Lease, err = seconds(v); err != nil || m.Lease == 0 {
			return m, illegal("options parameter 'lease' should be a number of seconds, more than 0")
		}
	}
	m.Force = opts.isTrue("force")
	return m, nil
}

// recoveryFinished is box.ctl.is_recovery_finished(): no call is served before.
func recoveryFinished(c *call) error {
	c.reply(one(mp.Encode(true)))
	return nil
}

// shutdownTimeout is box.ctl.set_on_shutdown_timeout(seconds).
func shutdownTimeout(c *call) error {
	d, err := seconds(c.arg(0))
	if err != nil {
		return err
	}
	c.p.env.ShutdownTimeout(d)
	c.reply(nil)
	return nil
}

// seconds reads a number of seconds.
func seconds(v value) (time.Duration, error) {
	f, ok := v.number()
	if !ok || math.IsNaN(f) || f < 0 {
		return 0, illegal("timeout should be a number")
	}
	return toDuration(f), nil
}

// toDuration saturates: nobody waits for a hundred years.
func toDuration(seconds float64) time.Duration {
	const most = 100 * 365 * 24 * time.Hour
	if seconds >= most.Seconds() {
		return most
	}
	return time.Duration(seconds * float64(time.Second))
}

// broadcast is box.broadcast(key, value).
func broadcast(c *call) error {
	key, ok := c.arg(0).str()
	switch {
	case len(c.args) != 1 && len(c.args) != 2 || !ok:
		return luaError("Usage: box.broadcast(key[, value])")
	case reserved(key):
		return luaError("System event can't be override")
	}
	v := c.arg(1)
	if v.isNil() {
		v = nil
	}
	c.p.env.Broadcast(key, v)
	c.reply(nil)
	return nil
}

// reserved: these keys are the node's own. Others act on them, as peers do on the
// ballot, so no client sets one, whatever rights it has.
func reserved(key string) bool {
	for _, prefix := range [...]string{"box.", "internal.", "tarragon."} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// snapshot is box.snapshot(): it is answered when the checkpoint is written.
func snapshot(c *call) error {
	c.p.env.Snapshot(func(err error) {
		if err != nil {
			c.fail(err)
			return
		}
		c.reply(one(mp.Encode("ok")))
	})
	return nil
}

// expel is tarragon.expel(instance): the row of _cluster goes, and with it the
// instance. Its argument is a name, a uuid or an ID. It is administrative, and only
// by it a client deletes such a row: see box.Txn.Seal.
func expel(c *call) error {
	who := c.arg(0)
	if who.kind() != kindString && who.kind() != kindNumber {
		return illegal("Usage: tarragon.expel(name, uuid or id)")
	}
	var filtered *xrow.Error
	if name, ok := who.str(); ok {
		c.p.env.Loop.Read(func(core *instance.Core) { filtered = core.RefuseExpel(name) })
	}
	s := c.p.state(c.User)
	return c.writeFounding(true, func(t *txn) (values, error) {
		rows, err := t.list(xrow.SpaceCluster, 0, noParts, maxRows)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if !names(r, who) {
				continue
			}
			if r.str(1) == s.info.UUID {
				return nil, xrow.Errorf(xrow.ErrLocalInstanceIDIsReadOnly, r.uint(0))
			}
			return nil, t.tx.ExecuteInternal(&xrow.DML{Type: xrow.Delete, SpaceID: xrow.SpaceCluster, Key: keyOf(r.uint(0))})
		}
		if filtered != nil {
			return nil, filtered
		}
		return nil, xrow.Errorf(xrow.ErrUnknownReplica, valueText(who), s.replicaset)
	})
}

// acceptLoss is tarragon.accept_loss(): an instance in doubt about its disk goes on
// with what is there.
func acceptLoss(c *call) error {
	if c.p.state(c.User).info.Doubted != "" {
		return c.submit(instance.Trust{Conn: c.Conn, Sync: c.Sync})
	}
	return c.p.env.AcceptLoss(func() { c.reply(nil) })
}

// adoptTerm is tarragon.adopt_term(term): this instance follows a term that no
// elections have brought about, and that it would not believe a peer.
func adoptTerm(c *call) error {
	term, ok := c.arg(0).integer()
	if !ok || term == 0 || term > maxAdopted {
		return illegal("Usage: tarragon.adopt_term(term)")
	}
	return c.submit(instance.AdoptTerm{Conn: c.Conn, Sync: c.Sync, Term: term})
}

// featureRaise is tarragon.feature_raise([level]): the replica set takes the newest
// level that this instance reads, or one below it.
func featureRaise(c *call) error {
	level := uint64(0)
	if len(c.args) > 0 {
		n, ok := c.arg(0).integer()
		if !ok || n == 0 || n > math.MaxUint32 {
			return illegal("Usage: tarragon.feature_raise([level])")
		}
		level = n
	}
	return c.submit(instance.RaiseFeature{Conn: c.Conn, Sync: c.Sync, Level: uint32(level)})
}

// maxAdopted leaves room for as many terms again.
const maxAdopted = 1 << 62

// names tells whether a row of _cluster is the instance that is meant.
func names(row tuple, who value) bool {
	if s, ok := who.str(); ok {
		return s != "" && (s == row.str(2) || strings.EqualFold(s, row.str(1)))
	}
	id, ok := who.integer()
	return ok && id == row.uint(0)
}
