package replication

import (
	"fmt"
	"time"

	"tarragon.dev/tarragon/xrow"
)

// doubles are identities under which two processes were met: somebody copied a
// directory, or started it on two machines. Each process draws a number when it
// starts and says it in SUBSCRIBE and in the answer to one, so two are told apart
// also where they have one address and never see each other. What both say is one
// member's word, and may be two words: one vote given twice, one LSN for two rows.
// So neither is listened to or served until one gives no sign of life any more,
// and both are told.
//
// It is a value under the hub's lock.
type doubles struct {
	heard     map[string]map[uint64]time.Duration // when, by UUID and process
	contested map[string]time.Duration            // when an identity was met as two processes last
}

func newDoubles() doubles {
	return doubles{heard: make(map[string]map[uint64]time.Duration), contested: make(map[string]time.Duration)}
}

// doubleTimeouts is for how many death timeouts, or pauses between attempts where
// those are longer, one of them counts as alive that has said nothing more: both ask
// again within one, unless they are dead or cut off.
const doubleTimeouts = 2

// meet takes down that a process speaks for an identity, before anything that it
// says counts. An error says that another one does too. One that stays anonymous
// speaks for no member. The lock is held.
func (h *Hub) meet(uuid string, process uint64, anon bool) *xrow.Error {
	now := h.node.Now().Mono
	heard := h.doubles.heard[uuid]
	if process == 0 { // of Tarantool's kind, or so it says
		if heard != nil {
			return errDouble(uuid)
		}
		return nil
	}
	if other := h.speaksFor(uuid, process, anon); other != 0 && heard == nil {
		heard = map[uint64]time.Duration{other: now}
		h.doubles.heard[uuid] = heard
		h.cfg.Logger.Error().Str("uuid", uuid).Msg("two processes are alive under one identity: neither is listened to until one is gone; was a data directory copied?")
		h.endStreams(uuid, errDouble(uuid))
	}
	if heard == nil {
		return nil
	}
	heard[process] = now
	t := h.times.Load()
	for p, at := range heard {
		if now-at > doubleTimeouts*max(t.death, t.reconnect) {
			delete(heard, p)
		}
	}
	if len(heard) > 1 {
		h.doubles.contested[uuid] = now
		return errDouble(uuid)
	}
	delete(h.doubles.heard, uuid)
	h.cfg.Logger.Warn().Str("uuid", uuid).Msg("one process is left under this identity")
	return nil
}

// speaksFor is another process than this one that has a stream with us under an
// identity; 0: none has.
func (h *Hub) speaksFor(uuid string, process uint64, anon bool) uint64 {
	for _, r := range h.relays {
		if r.uuid == uuid && (r.peer == 0) == anon && r.end == nil && r.process != 0 && r.process != process {
			return r.process
		}
	}
	for _, a := range h.appliers {
		if !anon && a.uuid == uuid && a.drop != nil && a.process != 0 && a.process != process {
			return a.process
		}
	}
	return 0
}

// endStreams ends all streams with an identity, and says why.
func (h *Hub) endStreams(uuid string, why *xrow.Error) {
	for _, r := range h.relays {
		if r.uuid == uuid {
			r.end = why
			r.wakeUp()
		}
	}
	for _, a := range h.appliers {
		if a.uuid == uuid && a.drop != nil {
			a.drop(why)
		}
	}
}

// isContested tells whether a joiner asks for the place of a member that was met as
// two processes a short while ago: that one may be silent only because another one
// speaks in its name.
func (h *Hub) isContested(info *Info, req *xrow.JoinRequest) *xrow.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.times.Load()
	for i := range info.Members {
		m := &info.Members[i]
		named := req.InstanceName != "" && m.Name == req.InstanceName && m.UUID != req.InstanceUUID
		again := m.UUID == req.InstanceUUID && m.Incarnation != req.Incarnation
		if at, ok := h.doubles.contested[m.UUID]; ok && (named || again) && h.node.Now().Mono-at < contestedTimeouts*max(t.death, t.reconnect) {
			return xrow.Errorf(xrow.ErrCfg, "instance_name", fmt.Sprintf("the place of %s is not given away: two processes speak in its name; stop one, and try again later, or expel it", m.UUID))
		}
	}
	return nil
}

// contestedTimeouts is how many death timeouts, or pauses between attempts where
// those are longer, the place of a member is kept that was met as two processes: long
// enough for the honest one to be heard again.
const contestedTimeouts = 10

func errDouble(uuid string) *xrow.Error {
	return xrow.Errorf(xrow.ErrCfg, "instance_uuid", "two processes are alive as "+uuid+"; neither takes part until one is stopped")
}
