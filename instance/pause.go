package instance

import (
	"bytes"
	"fmt"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// A pause is a row of _tarragon_set, ["pause", {seconds, by, reason, at}]: while
// it counts here we start no election of our own accord (raft.Raft.Pause). It counts
// from the moment at which the row came into our log, or from our start, for the set
// time by our own clock, whatever the clocks of others say; so it ends without a
// leader too. A row whose fate is open counts: who asked for the pause may have been
// told that it is there. When a newer PROMOTE voids it, it counts no more. The leader
// takes the row of a pause that is over away, or each restart would begin it anew.

const (
	pauseKey = "pause"

	maxPauseReason = 200 // bytes
)

// Bounds of a pause. One day is more than any maintenance of a set that is to fail
// over by itself again.
const (
	MinPause     = time.Second
	MaxPause     = 24 * time.Hour
	DefaultPause = 10 * time.Minute // where no time is said
)

// PauseElections pauses automatic elections (tarragon.pause); a pause that is there is replaced.
type PauseElections struct {
	Conn, Sync uint64
	For        time.Duration // whole seconds count; 0: [DefaultPause]
	By         string        // who asks
	Reason     string        // at most 200 bytes
}

// ResumeElections ends a pause (tarragon.resume). The answer is whether there was one.
type ResumeElections struct{ Conn, Sync uint64 }

func (PauseElections) event()  {}
func (ResumeElections) event() {}

// Pause is one that counts here.
type Pause struct {
	Left   time.Duration // by our own clock; 0: there is none
	For    time.Duration
	By     string
	Reason string
}

// pausing is what is known here of a pause, by the rows that are committed and by
// those in the log.
type pausing struct{ confirmed, newest pauseRow }

// pauseRow is a row of a pause; the zero value: there is none.
type pauseRow struct {
	tuple []byte
	since time.Duration // it came, or we started
	pause Pause         // without Left
}

// until is when the pause ends here.
func (r *pauseRow) until() time.Duration {
	if r.tuple == nil {
		return 0
	}
	return r.since + r.pause.For
}

// take reads a row. One that was known goes on from when it came: a change of its
// fate begins nothing anew.
func (p *pausing) take(tuple []byte, now time.Duration) pauseRow {
	for _, known := range [...]pauseRow{p.newest, p.confirmed} {
		if tuple != nil && bytes.Equal(known.tuple, tuple) {
			return known
		}
	}
	pause, ok := readPause(tuple)
	if !ok {
		return pauseRow{}
	}
	return pauseRow{tuple: bytes.Clone(tuple), since: now, pause: pause}
}

func pauseTuple(p *Pause, wall float64) []byte {
	b := msgp.AppendString([]byte{0x92}, pauseKey)
	b = msgp.AppendString(append(b, 0x84), "seconds")
	b = msgp.AppendString(msgp.AppendUint64(b, uint64(p.For/time.Second)), "by")
	b = msgp.AppendString(msgp.AppendString(b, p.By), "reason")
	b = msgp.AppendString(msgp.AppendString(b, p.Reason), "at")
	return msgp.AppendFloat64(b, wall)
}

// readPause reads a tuple of pauseTuple. What we cannot read is none, for a Tarantool
// lets anybody write it who may write spaces; and its time is bounded.
func readPause(tuple []byte) (p Pause, ok bool) {
	n, at, ok := mp.ReadArrayHeader(tuple)
	if !ok || n < 2 {
		return p, false
	}
	_, used, ok := mp.ReadString(tuple[at:])
	if !ok {
		return p, false
	}
	at += used
	pairs, rest, err := msgp.ReadMapHeaderBytes(tuple[at:])
	for ; err == nil && pairs > 0; pairs-- {
		var key []byte
		if key, rest, err = msgp.ReadMapKeyZC(rest); err != nil {
			break
		}
		switch string(key) {
		case "seconds":
			var s uint64
			s, rest, err = msgp.ReadUint64Bytes(rest)
			p.For = time.Duration(min(s, uint64(MaxPause/time.Second))) * time.Second
		case "by":
			p.By, rest, err = msgp.ReadStringBytes(rest)
		case "reason":
			p.Reason, rest, err = msgp.ReadStringBytes(rest)
		default:
			rest, err = msgp.Skip(rest)
		}
	}
	return p, err == nil && p.For > 0
}

// notePause follows the rows. It must be called whenever a transaction on system
// spaces has come into the log, gone from it or been committed.
func (c *Core) notePause() {
	if !c.started {
		return // who recovers counts from its start
	}
	was, now := c.pause, c.now.Mono
	c.pause = pausing{
		confirmed: was.take(c.box.Own(&box.OwnSet, pauseKey), now),
		newest:    was.take(c.box.NewestOwn(&box.OwnSet, pauseKey), now),
	}
	newest := &c.pause.newest
	switch {
	case bytes.Equal(newest.tuple, was.newest.tuple):
	case newest.tuple == nil:
		c.trace(FactResumed, 0, 0, "")
	default:
		p := &newest.pause
		c.trace(FactPaused, 0, 0, fmt.Sprintf("for %v, by %s: %s", p.For, p.By, p.Reason))
	}
	c.raft.Pause(newest.until(), now)
}

// clearPause takes the row of a pause that is over here away.
func (c *Core) clearPause() {
	if r := &c.pause.newest; r.tuple == nil || c.now.Mono < r.until() || !c.lead.leading || !c.writable() || len(c.gate.chores) > 0 {
		return
	}
	c.gate.chores = append(c.gate.chores, Request{Internal: true, IsSync: true, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		if c.now.Mono < c.pause.newest.until() {
			return noValues, nil // another one has come
		}
		_, err := tx.DeleteOwn(&box.OwnSet, pauseKey)
		return noValues, err
	}})
}

// pauseElections is tarragon.pause.
func (c *Core) pauseElections(ev PauseElections) {
	p := Pause{For: ev.For, By: terms.ClipMove(ev.By), Reason: ev.Reason}
	if p.For == 0 {
		p.For = DefaultPause
	}
	var err *xrow.Error
	switch {
	case p.For < MinPause || p.For > MaxPause:
		err = &xrow.Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf("a pause takes %v to %v, not %v", MinPause, MaxPause, p.For)}
	case len(p.Reason) > maxPauseReason:
		err = &xrow.Error{Code: xrow.ErrIllegalParams, Message: fmt.Sprintf("the reason of a pause has at most %d bytes, not %d", maxPauseReason, len(p.Reason))}
	default:
		err = c.refuseOwnChange()
	}
	if err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	c.gate.chores = append(c.gate.chores, Request{Conn: ev.Conn, Sync: ev.Sync, IsSync: true, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		if err := c.refuseOwnSpace(&box.OwnSet); err != nil {
			return nil, err
		}
		return noValues, tx.PutOwn(&box.OwnSet, pauseTuple(&p, c.now.Wall))
	}})
}

// resumeElections is tarragon.resume.
func (c *Core) resumeElections(ev ResumeElections) {
	if err := c.refuseOwnChange(); err != nil {
		c.eff.reply(ev.Conn, ev.Sync, nil, err)
		return
	}
	c.gate.chores = append(c.gate.chores, Request{Conn: ev.Conn, Sync: ev.Sync, IsSync: true, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		found, err := tx.DeleteOwn(&box.OwnSet, pauseKey)
		return msgp.AppendBool([]byte{0x91}, found), err
	}})
}

// refuseOwnChange tells why this instance writes no row of an own space now: it is
// not the leader, or there is none.
func (c *Core) refuseOwnChange() *xrow.Error {
	switch {
	case !c.writable():
		return c.readonly()
	case !c.lead.leading:
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: "There is no leader: elections are off here, and nobody was promoted"}
	}
	return nil
}

// refuseOwnSpace tells why an own space may not be written. It is asked behind a
// barrier, where the level is decided.
func (c *Core) refuseOwnSpace(o *box.OwnSpace) error {
	if level := readFeature(c.box.Setting(featureKey)); level < o.Level {
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf("Space '%s' needs feature level %d, the replica set has %d: once all"+
			" members have the new version, 'tarragon feature raise' (tarragon.feature_raise) raises it", o.Name, o.Level, level)}
	}
	return nil
}

// pauseInfo is the pause that counts here.
func (c *Core) pauseInfo(now time.Duration) Pause {
	r := &c.pause.newest
	if r.tuple == nil || now >= r.until() {
		return Pause{}
	}
	p := r.pause
	p.Left = r.until() - now
	return p
}
