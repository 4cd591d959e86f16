package proc

import (
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
)

// Counter is a count since the start, and its growth a second.
type Counter struct{ Total, Rate uint64 }

// Stats is what clients asked for since the start.
type Stats struct {
	Requests                         map[string]Counter // by the name of the request
	All, Sent, Received, Connections Counter
	Failed, Delayed, Refused         Counter // logins, see box.stat.net
	Open, InProgress                 uint64
	Streams, Queued                  Counter // of streams, and of requests in them that came behind another one
	StreamsNow, QueuedNow            uint64
}

// Heap is what the runtime takes: bytes in use, and what it has of the machine.
type Heap struct{ Used, Taken uint64 }

// StatNames are what box.stat() tells of.
var StatNames = [...]string{"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "UPSERT", "CALL", "EVAL", "AUTH", "EXECUTE", "PREPARE",
	"BEGIN", "COMMIT", "ROLLBACK", "INSERT_ARROW", "ERROR"}

// boxStat is box.stat(): requests over the network. What a procedure does is not
// counted beside its CALL.
func boxStat(c *call) error {
	st := c.p.env.Stats()
	var out mp.Pairs
	for _, name := range StatNames {
		out.Put(name, answerOf(st.Requests[name]))
	}
	c.reply(one(mp.Encode(out)))
	return nil
}

// statAnswer is a counter; some tell what there is now, too.
type statAnswer struct {
	Total   uint64  `msgpack:"total"`
	Rate    uint64  `msgpack:"rps"`
	Current *uint64 `msgpack:"current,omitempty"`
}

func answerOf(n Counter) statAnswer { return statAnswer{Total: n.Total, Rate: n.Rate} }

// boxStatNet is box.stat.net().
func boxStatNet(c *call) error {
	st := c.p.env.Stats()
	var out mp.Pairs
	now := func(name string, n Counter, current uint64) {
		out.Put(name, statAnswer{n.Total, n.Rate, &current})
	}
	now("CONNECTIONS", st.Connections, st.Open)
	now("REQUESTS", st.All, st.InProgress)
	now("REQUESTS_IN_PROGRESS", st.All, st.InProgress)
	now("REQUESTS_IN_STREAM_QUEUE", st.Queued, st.QueuedNow)
	now("STREAMS", st.Streams, st.StreamsNow)
	out.Put("SENT", answerOf(st.Sent))
	out.Put("RECEIVED", answerOf(st.Received))
	out.Put("LOGINS_FAILED", answerOf(st.Failed)) // these are ours
	out.Put("LOGINS_DELAYED", answerOf(st.Delayed))
	out.Put("LOGINS_REFUSED", answerOf(st.Refused))
	c.reply(one(mp.Encode(out)))
	return nil
}

func (p *Procs) memory() (m box.Memory) {
	p.env.Loop.Read(func(core *instance.Core) { m = core.Box().Memory() })
	return m
}

// slabAnswer is bytes, and parts of them as text.
type slabAnswer struct {
	ItemsSize      int    `msgpack:"items_size"`
	ItemsUsed      int    `msgpack:"items_used"`
	ItemsUsedRatio string `msgpack:"items_used_ratio"`
	QuotaSize      int    `msgpack:"quota_size"`
	QuotaUsed      int    `msgpack:"quota_used"`
	QuotaUsedRatio string `msgpack:"quota_used_ratio"`
	ArenaSize      int    `msgpack:"arena_size"`
	ArenaUsed      int    `msgpack:"arena_used"`
	ArenaUsedRatio string `msgpack:"arena_used_ratio"`
}

// slabInfo is box.slab.info(): items are tuples, the arena is what they and
// the indexes are in, the quota memtx.memory as it is counted against.
func slabInfo(c *call) error {
	m := c.p.memory()
	used, arena := m.Tuples+m.Indexes, m.Pages+m.Nodes
	c.reply(one(mp.Encode(slabAnswer{
		m.Pages, m.Tuples, ratio(m.Tuples, m.Pages),
		m.Limit, m.Taken, ratio(m.Taken, m.Limit),
		arena, used, ratio(used, arena),
	})))
	return nil
}

func ratio(part, whole int) string {
	percent := 0.0
	if whole > 0 {
		percent = 100 * float64(part) / float64(whole)
	}
	return fmt.Sprintf("%.2f%%", percent)
}

// memoryAnswer is bytes.
type memoryAnswer struct {
	Cache int    `msgpack:"cache"`
	Data  int    `msgpack:"data"`
	Index int    `msgpack:"index"`
	Lua   uint64 `msgpack:"lua"`
	Net   int    `msgpack:"net"`
	Query int    `msgpack:"query"`
	Tx    int    `msgpack:"tx"`
}

// infoMemory is box.info.memory().
func infoMemory(c *call) error {
	m := c.p.memory()
	c.reply(one(mp.Encode(memoryAnswer{Data: m.Tuples, Index: m.Indexes, Lua: c.p.env.Heap().Used})))
	return nil
}

// runtimeAnswer is bytes.
type runtimeAnswer struct {
	Used     uint64 `msgpack:"used"`
	MaxAlloc uint64 `msgpack:"maxalloc"`
	Lua      uint64 `msgpack:"lua"`
	Tuple    int    `msgpack:"tuple"`
}

// runtimeInfo is box.runtime.info(): there is no Lua, and what stands under
// its name is the whole heap.
func runtimeInfo(c *call) error {
	h := c.p.env.Heap()
	c.reply(one(mp.Encode(runtimeAnswer{h.Taken, h.Taken, h.Used, c.p.memory().Tuples})))
	return nil
}

type gcAnswer struct {
	VClock      mp.Pairs       `msgpack:"vclock"`
	Signature   uint64         `msgpack:"signature"`
	InProgress  bool           `msgpack:"checkpoint_is_in_progress"`
	Checkpoints []gcCheckpoint `msgpack:"checkpoints"`
	Consumers   []gcConsumer   `msgpack:"consumers"`
}

type gcCheckpoint struct {
	References nothing  `msgpack:"references"`
	VClock     mp.Pairs `msgpack:"vclock"`
	Signature  uint64   `msgpack:"signature"`
}

type gcConsumer struct {
	Name      string   `msgpack:"name"`
	VClock    mp.Pairs `msgpack:"vclock"`
	Signature uint64   `msgpack:"signature"`
}

// infoGC is box.info.gc(): what there is of checkpoints, and who keeps the log.
func infoGC(c *call) error {
	s := c.p.state(c.User)
	out := gcAnswer{VClock: clockOf(&s.info.VClock), Signature: s.info.VClock.Signature(), Checkpoints: []gcCheckpoint{}, Consumers: []gcConsumer{}}
	for _, v := range c.p.env.Checkpoints() {
		out.Checkpoints = append(out.Checkpoints, gcCheckpoint{VClock: clockOf(&v), Signature: v.Signature()})
	}
	var peers []PeerStatus
	if c.p.env.Peers != nil {
		peers = c.p.env.Peers()
	}
	for _, p := range peers {
		if p.Downstream == nil {
			continue
		}
		var v vclock.VClock
		copy(v[:], p.Downstream.VClock)
		out.Consumers = append(out.Consumers, gcConsumer{"replica " + p.UUID, clockOf(&v), v.Signature()})
	}
	c.reply(one(mp.Encode(out)))
	return nil
}
