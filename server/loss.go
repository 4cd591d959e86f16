package server

import (
	"errors"
	"fmt"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// metaLost marks a store whose loss is certain: peers hold rows of ours that it
// does not. The mark outlives a crash in the middle of the rejoin.
const metaLost = "lost_data"

// checkEmptyLoss: a log that may have lost rows and has none left may have had
// any. Who bootstraps or joins from it is a new life.
func (l *life) checkEmptyLoss() error {
	if !l.store.MayHaveLost() || len(l.store.Checkpoints()) > 0 || l.store.Last() > 0 {
		return nil
	}
	l.Incarnation = freshIncarnation()
	if err := l.save(l.store); err != nil {
		return err
	}
	l.log.Warn().Msg("the log is empty after a stop that may have lost rows: this instance begins as a new one")
	return l.store.ForgetLoss()
}

// checkLife asks, before anything runs on the recovered state, whether it is
// all of what this instance has shown to others (docs/architecture.md#the-life-of-a-lost-log).
func (l *life) checkLife(b *box.Box) error {
	outside, err := l.membership()
	if err != nil {
		return err
	}
	members := append(b.Members(), b.NewestMembers()...)
	alone := !slices.ContainsFunc(members, func(m box.Member) bool { return m.UUID != l.UUID })
	mine := l.rowsOfOurs(b, outside)
	// Who was registered by an instance of Tarantool's kind has no mark there.
	ours := func(m box.Member) bool { return m.Kind() != xrow.Tarragon || m.Incarnation == l.Incarnation }
	switch {
	case len(mine) == 0 || slices.ContainsFunc(mine, ours):
	case outside != registered:
		return &rejoin{cause: errFormerLife, newLife: true, former: true}
	default:
		if err := l.adoptIncarnation(mine[len(mine)-1].Incarnation); err != nil {
			return err
		}
	}
	if len(members) > 0 && len(mine) == 0 && outside == member {
		return fmt.Errorf("instance %s is no member of replica set %s any more: it was expelled; to join again as a new member it needs an empty data directory",
			l.UUID, b.ReplicasetUUID())
	}
	return l.checkLoss(alone && len(l.conf.Replication.Peers) < 2)
}

// rowsOfOurs are the rows of this instance that say which life of it counts. What
// replaces us, and is not decided, says nothing: this disk counts until then, and
// what is decided may be that the row is void. But behind a JOIN our own row may be one
// whose fate is open.
func (l *life) rowsOfOurs(b *box.Box, outside string) []box.Member {
	others := func(m box.Member) bool { return m.UUID != l.UUID }
	mine := slices.DeleteFunc(b.Members(), others)
	if len(mine) == 0 || outside == registered {
		mine = append(mine, slices.DeleteFunc(b.NewestMembers(), others)...)
	}
	return mine
}

// errFormerLife: the member's row was written by a later life of this instance.
var errFormerLife = errors.New("this data is of a former life of the instance: it has joined anew since")

// checkLoss: a member that may have lost rows is in doubt; one that nobody else
// knows has nobody to lose an argument with.
func (l *life) checkLoss(alone bool) error {
	mark, _, err := l.store.Meta(metaLost)
	if err != nil {
		return err
	}
	if len(mark) > 0 {
		l.doubt = errors.New(string(mark))
	}
	switch {
	case l.trusted:
		l.doubt = nil
		return l.forgetLoss()
	case l.doubt != nil || !l.store.MayHaveLost():
		return nil
	case alone:
		l.log.Warn().Stringer("wal_mode", l.store.Mode()).
			Msg("ROWS MAY BE LOST: the log was not synced and the last stop was not clean; going on with what is left, since there is no other member")
	case l.conf.Tarragon.AcceptLoss:
		l.log.Warn().Stringer("wal_mode", l.store.Mode()).
			Msg("ROWS MAY BE LOST: going on with what is left, as tarragon.accept_loss says; acknowledged transactions may be gone, and members may differ")
	default:
		l.doubt = errMayHaveLost
		return nil
	}
	return l.store.ForgetLoss()
}

var errMayHaveLost = errors.New("the last stop may have lost rows of the log; if every member went down like this, nobody can give the state back: tarragon accept-loss")

// checkSet refuses the data of another replica set.
func (l *life) checkSet(b *box.Box) error {
	want, have := l.conf.Database.ReplicasetUUID, b.ReplicasetUUID()
	if want == "" || have == "" || want == have {
		return nil
	}
	return fmt.Errorf("the data directory belongs to replica set %s, the configuration says %s", have, want)
}

// checkNames refuses the data of another instance, or of another replica set:
// copied, swapped or mounted in the wrong place. Files of a cluster have names and
// seldom uuids, so the uuid in the data would be taken, and two processes would
// vote and ack as one. Data that has no names yet says nothing. The words are
// those of Tarantool.
func (l *life) checkNames(b *box.Box) error {
	if have := b.ReplicasetName(); have != "" && l.conf.Replicaset != "" && have != l.conf.Replicaset {
		//lint:ignore ST1005 Tarantool's text
		return fmt.Errorf("Replicaset name mismatch. Snapshot: %s, config: %s.%s", have, l.conf.Replicaset, l.whoseData())
	}
	have := ""
	for _, m := range append(b.NewestMembers(), b.Members()...) { // what is confirmed comes last, and counts
		if m.UUID == l.UUID && m.Name != "" {
			have = m.Name
		}
	}
	if have != "" && l.conf.Name != "" && have != l.conf.Name {
		//lint:ignore ST1005 Tarantool's text
		return fmt.Errorf("Instance name mismatch. Snapshot: %s, config: %s.%s", have, l.conf.Name, l.whoseData())
	}
	return nil
}

func (l *life) whoseData() string {
	return " The data in " + l.conf.WAL.Dir + " is of another one"
}

// markLost takes down that a loss is certain.
func markLost(old metaStore, r *rejoin) error {
	if !r.newLife || errors.Is(r.cause, errMayHaveLost) {
		return nil // the store knows
	}
	return old.SetMeta(metaLost, []byte(r.cause.Error()))
}
