package instance

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Writable tells whether this instance takes writes to replicated spaces. For readers.
func (c *Core) Writable() bool { return c.writable() }

// writable tells whether this instance takes writes to replicated spaces.
func (c *Core) writable() bool {
	if c.members.self == 0 || c.out.failed != nil || c.members.expelled || c.closing || c.cfg.ReadOnly {
		return false
	}
	cur := c.limbo.Current()
	if c.cfg.Mode == raft.Off && cur.Owner == 0 && !c.lead.leading {
		return c.raft.Term() <= max(cur.Term, 1)
	}
	return c.lead.leading && cur.Term == c.raft.Term()
}

// roReason is the word of box.info.ro_reason and the text behind it.
func (c *Core) roReason() (reason, state string) {
	cur := c.limbo.Current()
	switch {
	case errors.Is(c.out.failed, ErrLostData):
		return "disk", c.out.failed.Error()
	case c.out.failed != nil:
		return "disk", "its disk failed: " + c.out.failed.Error()
	case c.members.expelled:
		return "expelled", "it was expelled from the replica set"
	case c.closing:
		return "shutdown", "it is shutting down"
	case c.cfg.ReadOnly: // an anonymous replica, too
		return "config", "box.cfg.read_only is true"
	case c.members.self == 0:
		return "orphan", "it is an orphan"
	case c.members.founding > 0 && c.writable():
		return reasonFounding, c.foundingText()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "state is election %s with term %d", c.raft.State(), c.raft.Term())
	if l := c.raft.Leader(); l != 0 {
		fmt.Fprintf(&b, ", leader is %d (%s)", l, c.members.uuidOf(l))
	}
	fmt.Fprintf(&b, ", synchro queue with term %d belongs to %d", cur.Term, cur.Owner)
	if cur.Owner != 0 {
		fmt.Fprintf(&b, " (%s)", c.members.uuidOf(cur.Owner))
	}
	if cur.Owner == c.members.self {
		b.WriteString(" and is frozen until promotion")
	}
	return "synchro", b.String()
}

// ReadonlyError is what a registration gets now; nil: it may be made.
func (c *Core) ReadonlyError() *xrow.Error {
	if c.writable() {
		return nil
	}
	return c.readonly()
}

// unwritable is the answer to a write that this instance cannot take.
func (c *Core) unwritable() *xrow.Error {
	if c.out.failed != nil {
		return &xrow.Error{Code: xrow.ErrWALIO, Message: "Failed to write to disk: " + c.out.failed.Error(), Err: c.out.failed}
	}
	return c.readonly()
}

// readonly is ER_READONLY with all that a client needs to find the leader
// (Tarantool, box_check_writable). leader_uri is ours.
func (c *Core) readonly() *xrow.Error {
	reason, state := c.roReason()
	e := &xrow.Error{Code: xrow.ErrReadonly, Message: xrow.Errorf(xrow.ErrReadonly).Message + " - " + state}
	f := fields{b: []byte{0x80}}
	f.str("name", "READONLY")
	f.str("reason", reason)
	if reason == "synchro" {
		f.str("state", c.raft.State().String())
		f.num("term", c.raft.Term())
		if l := c.raft.Leader(); l != 0 {
			f.num("leader_id", uint64(l))
			f.uuid("leader_uuid", c.members.uuidOf(l))
		}
		cur := c.limbo.Current()
		f.num("queue_owner_id", uint64(cur.Owner))
		f.num("queue_term", cur.Term)
		if cur.Owner != 0 {
			f.uuid("queue_owner_uuid", c.members.uuidOf(cur.Owner))
		}
		if l := c.raft.Leader(); l != 0 && c.cfg.Address != nil {
			if uri := c.cfg.Address(c.members.uuidOf(l)); uri != "" {
				f.str("leader_uri", uri)
			}
		}
	}
	e.Fields = f.b
	return e
}

// fields builds a small map with string keys.
type fields struct{ b []byte }

func (f *fields) key(name string) {
	f.b[0]++
	f.b = msgp.AppendString(f.b, name)
}

func (f *fields) str(name, v string) {
	f.key(name)
	f.b = msgp.AppendString(f.b, v)
}

func (f *fields) num(name string, v uint64) {
	f.key(name)
	f.b = msgp.AppendUint64(f.b, v)
}

// uuid appends an extension of type 2; what is no uuid is left out.
func (f *fields) uuid(name, text string) {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != 16 {
		return
	}
	f.key(name)
	f.b = append(append(f.b, 0xd8, 0x02), raw...)
}
