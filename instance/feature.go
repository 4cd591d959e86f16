package instance

import (
	"errors"
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// The feature level of a replica set is a number in _schema,
// ["tarragon.feature", level]; without the row it is 1. What a newer version
// writes that an older one cannot read, rows, keys or spaces, has a level, and is
// written once the level in effect is that. A client raises it when every member
// of ours has said in its SUBSCRIBE, or in the answer to ours, that it reads what
// it means. An instance below the level is not let in, and one that meets a level
// above its own stops. Instances of Tarantool have no level: they carry the row,
// and what would stop them is not written while one is there.
//
// Decision 0025 has the alternatives.

const (
	// FeatureLevel is the newest level that this version reads and writes.
	FeatureLevel = 3
	// baseLevel is what there was before levels: nothing says it.
	baseLevel = 1

	featureKey = "tarragon.feature"
)

// ErrFeature is the cause of Effects.Fatal, and of a recovery that ends, where the
// replica set has a level that this version does not read.
var ErrFeature = errors.New("instance: the feature level of the replica set is above that of this version")

// Feature is the level of a replica set, and who could have another.
type Feature struct {
	Level  uint32             // in effect; 1: that of the first version
	Newest uint32             // by the newest row, whose fate may be open
	Reads  uint32             // the newest that this instance reads
	Others [vclock.Max]uint32 // the newest that each member of ours said it reads; 0: it has said nothing since our start, or is a Tarantool
}

func featureTuple(level uint32) []byte {
	return msgp.AppendUint32(msgp.AppendString([]byte{0x92}, featureKey), level)
}

// readFeature reads a tuple of featureTuple. A row that we cannot read is of a
// version that is newer than all that we know.
func readFeature(tuple []byte) uint32 {
	if len(tuple) == 0 {
		return baseLevel
	}
	n, at, ok := mp.ReadArrayHeader(tuple)
	if !ok || n < 2 {
		return ^uint32(0)
	}
	_, used, ok := mp.ReadString(tuple[at:])
	if !ok {
		return ^uint32(0)
	}
	level, _, ok := mp.ReadUint(tuple[at+used:])
	if !ok || level > uint64(^uint32(0)) {
		return ^uint32(0)
	}
	return max(uint32(level), baseLevel)
}

// CheckFeature tells whether a version that reads levels up to some reads all of a
// box, rows whose fate is open too. The error wraps [ErrFeature].
func CheckFeature(b *box.Box, reads uint32) error {
	level := max(readFeature(b.Setting(featureKey)), readFeature(b.NewestSetting(featureKey)))
	if level <= reads {
		return nil
	}
	return fmt.Errorf("%w: it is %d, this one reads levels up to %d; start a newer version", ErrFeature, level, reads)
}

// newestFeature is the level by all rows of the log: nobody below it is let in,
// though its fate may be open.
func (c *Core) newestFeature() uint32 { return readFeature(c.box.NewestSetting(featureKey)) }

// heardFeature notes what a member says that it reads. The first versions say
// nothing; nor do instances of Tarantool, of which none is asked.
func (p *peers) heardFeature(from, reads uint32, kind xrow.Kind) {
	switch {
	case !isID(from):
	case kind == xrow.Tarantool:
		p.reads[from] = 0
	default:
		p.reads[from] = max(reads, baseLevel)
	}
}

// refuseFeature tells why a joiner may have nothing of this replica set; nil: it may.
func (c *Core) refuseFeature(j *JoinRequest) *xrow.Error {
	if j.Incarnation == 0 && j.Feature == 0 {
		return c.refuseTarantool()
	}
	return RefuseFeature(c.newestFeature(), j.Feature)
}

// RefuseFeature is the answer to an instance of ours that does not read a level;
// nil: it does. What the first versions say is 0.
func RefuseFeature(level, reads uint32) *xrow.Error {
	if reads = max(reads, baseLevel); level <= reads {
		return nil
	}
	return &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf(
		"This replica set has feature level %d, an instance that reads levels up to %d cannot take part: start a newer version", level, reads)}
}

// raiseFeature is tarragon.feature_raise. Without a level it raises to the newest that
// this instance reads.
func (c *Core) raiseFeature(ev RaiseFeature) {
	level := ev.Level
	if level == 0 {
		level = c.cfg.Feature
	}
	if !c.writable() {
		c.eff.reply(ev.Conn, ev.Sync, nil, c.readonly())
		return
	}
	c.gate.chores = append(c.gate.chores, Request{Conn: ev.Conn, Sync: ev.Sync, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		if level == c.newestFeature() {
			return noValues, nil
		}
		if err := c.refuseRaise(level); err != nil {
			return nil, err
		}
		c.trace(FactFeature, 0, uint64(level), "")
		d := xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceSchema, Tuple: featureTuple(level)}
		return noValues, tx.ExecuteInternal(&d)
	}})
}

// refuseRaise is asked behind a barrier, so that nobody is let in between the
// question and the row.
func (c *Core) refuseRaise(level uint32) error {
	refuse := func(format string, args ...any) error {
		return &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf("Feature level %d is refused: ", level) + fmt.Sprintf(format, args...)}
	}
	if now := c.newestFeature(); level < now {
		return refuse("the replica set has %d, and what was written at a level stays", now)
	}
	if level > c.cfg.Feature {
		return refuse("this instance reads levels up to %d", c.cfg.Feature)
	}
	tarantools := c.members.kinds.tarantools
	for _, m := range c.box.NewestMembers() {
		if !isID(m.ID) || m.ID == c.members.self || tarantools&(1<<m.ID) != 0 {
			continue
		}
		switch reads := c.peers.reads[m.ID]; {
		case reads == 0:
			return refuse("instance %d (%s) has not said what it reads, since the start of this one; it must be connected", m.ID, nameOf(&m))
		case reads < level:
			return refuse("instance %d (%s) reads levels up to %d: start a newer version there, or expel it", m.ID, nameOf(&m), reads)
		}
	}
	return nil
}

func nameOf(m *box.Member) string {
	if m.Name != "" {
		return m.Name
	}
	return m.UUID
}

// stopIfOlder ends the part of this instance where the log has a level that it does
// not read. It must be called whenever rows of system spaces have come.
func (c *Core) stopIfOlder() {
	if err := CheckFeature(c.box, c.cfg.Feature); err != nil && c.started { // who recovers asks at the end
		c.withdraw(FactOlder, "its version is too old", err)
	}
}

func (c *Core) featureInfo() Feature {
	return Feature{Level: readFeature(c.box.Setting(featureKey)), Newest: c.newestFeature(), Reads: c.cfg.Feature, Others: c.peers.reads}
}
