package server

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/replication"
)

// founders is how many voters a new replica set needs before it takes writes of
// clients: a majority of the configured instances.
func (n *node) founders() int {
	count := 0
	for _, m := range n.in.Members {
		if !m.Anon {
			count++
		}
	}
	return max(count, len(n.in.Replication.Peers))/2 + 1 // replication.peers may name more than the file has
}

// rivalPause is between looks at the peers of a set that is being founded. While
// it is, nobody waits for an answer of ours but those who found it.
const rivalPause = 250 * time.Millisecond

// watchRivals looks for other replica sets until ours is complete. A lone
// founder gives way to the one that all prefer; of several, somebody has to
// decide, so they only say it.
func (n *node) watchRivals(ctx context.Context, e *engine) {
	boot := n.newBoot()
	for {
		var f instance.Founding
		var set string
		e.loop.Read(func(c *instance.Core) { f, set = c.Info(0).Founding, c.Box().ReplicasetUUID() })
		if set != "" && n.ready.Load() {
			if f.Need == 0 {
				n.troubles.set(areaFounding, "", nil)
				return
			}
			r, seen := boot.Rival(ctx, set, f.Lone)
			if ctx.Err() != nil {
				return
			}
			n.meetRival(e, &givingWay{identity: n.life.identity, set: set, rival: r}, f, seen)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rivalPause):
		}
	}
}

// meetRival draws the conclusion of one look.
func (n *node) meetRival(e *engine, g *givingWay, f instance.Founding, seen bool) {
	if seen && g.rival.Firmer && f.Lone {
		n.rival.Store(g)
		_ = e.loop.Submit(instance.GiveWay{}) // else the loop has ended
		return
	}
	var err error
	if seen {
		err = fmt.Errorf("%s is of another one%s, and this one, %s, has %d of the %d instances that it needs", g.rival.Addr,
			named(", ", g.rival.Replicaset), g.set, f.Have, f.Need)
	}
	if n.troubles.set(areaFounding, "two replica sets are being founded", err) && err != nil {
		n.log.Warn().Err(err).Bool("gives_way", !g.rival.Firmer).Msg("two replica sets are being founded")
	}
}

func named(before, uuid string) string {
	if uuid == "" {
		return ""
	}
	return before + uuid
}

// gaveWay ends the run of a lone founder, on the Loop's goroutine.
func (n *node) gaveWay() {
	if g := n.rival.Load(); g != nil {
		n.broken(g)
	}
}

// givingWay ends the run of a lone founder: the next one begins without data, and
// joins whom it finds.
type givingWay struct {
	identity identity
	set      string // that it has founded
	rival    replication.Rival
}

func (g *givingWay) Error() string {
	return fmt.Sprintf("replica set %s, which this instance alone has founded and no client has written to, gives way to %s, which %s is of",
		g.set, cmp.Or(g.rival.Replicaset, "another one"), g.rival.Addr)
}

// setAside puts an empty slot in the place of ours, which stays as that of a
// lost life does. It is another life: the ID that the data has may be anybody's
// in the other set.
func (g *givingWay) setAside(h *home) error {
	slot, err := h.fresh()
	if err != nil {
		return err
	}
	id := g.identity
	id.Incarnation = freshIncarnation()
	if err := id.save(slot); err != nil {
		return err
	}
	return h.take(g.Error())
}

// heldSet is the set whose data a rejoining instance has: it joins no other. A
// lone founder may.
func (n *node) heldSet() (set string) {
	if n.life.anew != nil {
		return n.life.anew.set
	}
	read := func(c *instance.Core, b *box.Box) {
		if set = b.ReplicasetUUID(); c.Info(0).Founding.Lone {
			set = ""
		}
	}
	if e := n.engine.Load(); e != nil {
		e.loop.Read(func(c *instance.Core) { read(c, c.Box()) })
	} else if n.recovered != nil {
		read(n.recovered, n.recovered.Box())
	}
	return set
}
