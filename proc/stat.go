package proc

import (
	"fmt"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
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
}

// Heap is what the runtime takes: bytes in use, and what it has of the machine.
type Heap struct{ Used, Taken uint64 }

// statNames are what box.stat() tells of.
var statNames = [...]string{"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "UPSERT", "CALL", "EVAL", "AUTH", "EXECUTE", "PREPARE",
	"BEGIN", "COMMIT", "ROLLBACK", "INSERT_ARROW", "ERROR"}

// boxStat is box.stat(): requests over the network. What a procedure does is not
// counted beside its CALL.
func boxStat(c *call) error {
	st := c.p.env.Stats()
	var w writer
	w.openMap()
	for _, name := range statNames {
		w.counter(name, st.Requests[name])
		w.close()
	}
	w.close()
	c.reply(one(w.b))
	return nil
}

// counter leaves its map open for more.
func (w *writer) counter(name string, n Counter) {
	w.mapKey(name)
	w.num("total", n.Total)
	w.num("rps", n.Rate)
}

// boxStatNet is box.stat.net().
func boxStatNet(c *call) error {
	st := c.p.env.Stats()
	var w writer
	w.openMap()
	for _, n := range []struct {
		name    string
		of      Counter
		current uint64
	}{
		{"CONNECTIONS", st.Connections, st.Open},
		{"REQUESTS", st.All, st.InProgress},
		{"REQUESTS_IN_PROGRESS", st.All, st.InProgress},
		{"REQUESTS_IN_STREAM_QUEUE", Counter{}, 0},
		{"STREAMS", Counter{}, 0},
	} {
		w.counter(n.name, n.of)
		w.num("current", n.current)
		w.close()
	}
	for _, n := range []struct {
		name string
		of   Counter
	}{
		{"SENT", st.Sent}, {"RECEIVED", st.Received},
		{"LOGINS_FAILED", st.Failed}, {"LOGINS_DELAYED", st.Delayed}, {"LOGINS_REFUSED", st.Refused}, // ours
	} {
		w.counter(n.name, n.of)
		w.close()
	}
	w.close()
	c.reply(one(w.b))
	return nil
}

func (p *Procs) memory() (m box.Memory) {
	p.env.Loop.Read(func(core *instance.Core) { m = core.Box().Memory() })
	return m
}

// slabInfo is box.slab.info(): items are tuples, the arena is what they and
// the indexes are in, the quota memtx.memory as it is counted against.
func slabInfo(c *call) error {
	m := c.p.memory()
	used, arena := uint64(m.Tuples+m.Indexes), uint64(m.Pages+m.Nodes)
	quota, taken := uint64(m.Limit), uint64(m.Taken)
	var w writer
	w.openMap()
	w.num("items_size", uint64(m.Pages))
	w.num("items_used", uint64(m.Tuples))
	w.ratio("items_used_ratio", uint64(m.Tuples), uint64(m.Pages))
	w.num("quota_size", quota)
	w.num("quota_used", taken)
	w.ratio("quota_used_ratio", taken, quota)
	w.num("arena_size", arena)
	w.num("arena_used", used)
	w.ratio("arena_used_ratio", used, arena)
	w.close()
	c.reply(one(w.b))
	return nil
}

func (w *writer) ratio(key string, part, whole uint64) {
	percent := 0.0
	if whole > 0 {
		percent = 100 * float64(part) / float64(whole)
	}
	w.str(key, fmt.Sprintf("%.2f%%", percent))
}

// infoMemory is box.info.memory().
func infoMemory(c *call) error {
	m := c.p.memory()
	var w writer
	w.openMap()
	w.num("cache", 0)
	w.num("data", uint64(m.Tuples))
	w.num("index", uint64(m.Indexes))
	w.num("lua", c.p.env.Heap().Used)
	w.num("net", 0)
	w.num("query", 0)
	w.num("tx", 0)
	w.close()
	c.reply(one(w.b))
	return nil
}

// runtimeInfo is box.runtime.info(): there is no Lua, and what stands under
// its name is the whole heap.
func runtimeInfo(c *call) error {
	h := c.p.env.Heap()
	var w writer
	w.openMap()
	w.num("used", h.Taken)
	w.num("maxalloc", h.Taken)
	w.num("lua", h.Used)
	w.num("tuple", uint64(c.p.memory().Tuples))
	w.close()
	c.reply(one(w.b))
	return nil
}

// infoGC is box.info.gc(): what there is of checkpoints, and who keeps the log.
func infoGC(c *call) error {
	s := c.p.state(c.User)
	var w writer
	w.openMap()
	w.vclock("vclock", &s.info.VClock)
	w.num("signature", s.info.VClock.Signature())
	w.boolean("checkpoint_is_in_progress", false)
	w.arrayKey("checkpoints")
	for _, v := range c.p.env.Checkpoints() {
		w.count()
		w.openMap()
		w.raw("references", []byte{0x90})
		w.vclock("vclock", &v)
		w.num("signature", v.Signature())
		w.close()
	}
	w.close()
	w.arrayKey("consumers")
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
		w.count()
		w.openMap()
		w.str("name", "replica "+p.UUID)
		w.vclock("vclock", &v)
		w.num("signature", v.Signature())
		w.close()
	}
	w.close()
	w.close()
	c.reply(one(w.b))
	return nil
}
