package instance

import (
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// The leader registers replicas: by administrative procedures, and on the way one with a
// filter that comes for the first time. One that was dropped does not come so: its row
// stays, until so many were dropped behind it.

// Bounds of the registry. All of it is read in the Step that changes it.
const (
	maxReplicas = 256
	maxDropped  = 128 // rows that are kept of those that were dropped
)

// CreateReplica registers a replica (tarragon.replica.create). It has no answer.
type CreateReplica struct {
	Conn, Sync         uint64
	Name, UUID, Filter string // Filter empty: it has all
}

// AlterReplica registers a replica with another filter, also one that was dropped
// (tarragon.replica.alter). It has no answer.
type AlterReplica struct {
	Conn, Sync   uint64
	Name, Filter string
}

// DropReplica drops a replica (tarragon.replica.drop). It has no answer.
type DropReplica struct {
	Conn, Sync uint64
	Name       string
}

func (CreateReplica) event() {}
func (AlterReplica) event()  {}
func (DropReplica) event()   {}

// registry is all replicas inside a transaction.
type registry struct {
	c        *Core
	tx       *box.Txn
	all      []Replica
	greatest uint64 // number that is in use
}

func (c *Core) openRegistry(tx *box.Txn) *registry {
	g := &registry{c: c, tx: tx, all: readReplicas(tx.OwnRows(&box.OwnReplica))}
	for i := range g.all {
		g.greatest = max(g.greatest, g.all[i].Number)
	}
	return g
}

// find is the registered replica of a name; nil: there is none.
func (g *registry) find(name string) *Replica {
	at := slices.IndexFunc(g.all, func(r Replica) bool { return r.Name == name && !r.Dropped })
	if at < 0 {
		return nil
	}
	return &g.all[at]
}

// findDropped is the last of a name that was dropped; nil: none is known.
func (g *registry) findDropped(name string) (last *Replica) {
	for i := range g.all {
		if r := &g.all[i]; r.Name == name && r.Dropped && (last == nil || r.Number > last.Number) {
			last = r
		}
	}
	return last
}

// users are the registered replicas with a filter.
func (g *registry) users(filter string) (users []Replica) {
	for i := range g.all {
		if r := &g.all[i]; r.Filter == filter && !r.Dropped {
			users = append(users, *r)
		}
	}
	return users
}

func (g *registry) put(r Replica) error {
	g.greatest++
	r.Number = g.greatest
	if at := slices.IndexFunc(g.all, func(o Replica) bool { return o.UUID == r.UUID }); at >= 0 {
		g.all[at] = r
	} else {
		g.all = append(g.all, r)
	}
	return g.tx.PutOwn(&box.OwnReplica, r.Tuple())
}

// drop keeps a row, and takes the oldest of those away where there are too many.
func (g *registry) drop(r Replica) error {
	r.Dropped = true
	if err := g.put(r); err != nil {
		return err
	}
	dropped, oldest := 0, (*Replica)(nil)
	for i := range g.all {
		if o := &g.all[i]; o.Dropped {
			if dropped++; oldest == nil || o.Number < oldest.Number {
				oldest = o
			}
		}
	}
	if dropped <= maxDropped {
		return nil
	}
	_, err := g.tx.DeleteOwn(&box.OwnReplica, oldest.UUID)
	return err
}

// register writes a new row, or that of one that was dropped anew.
func (g *registry) register(r Replica) error {
	if !xrow.ValidName(r.Name) {
		return filterError("'%s' cannot name a replica: a name begins with a lower case letter, behind which are such letters, digits, - and _, %d at most of all",
			clipFilter(r.Name), xrow.MaxName)
	}
	if o := g.find(r.Name); o != nil && o.UUID != r.UUID {
		return xrow.Errorf(xrow.ErrInstanceNameDuplicate, r.Name, o.UUID+", a registered replica: 'tarragon replica drop "+o.Name+"' takes it away")
	}
	for _, m := range g.c.box.NewestMembers() {
		switch tarantool := g.c.members.kinds.tarantools&(1<<m.ID) != 0; {
		case m.UUID != r.UUID && m.Name != r.Name:
		case r.Filter != "" && tarantool:
			return FilteredTarantool(nameOf(&m))
		case m.UUID != r.UUID:
			return xrow.Errorf(xrow.ErrInstanceNameDuplicate, r.Name, m.UUID+", a member")
		default:
			return filterError("Replica '%s' is refused: %s is that of member %d", r.Name, r.UUID, m.ID)
		}
	}
	registered := 0
	for i := range g.all {
		if !g.all[i].Dropped && g.all[i].UUID != r.UUID {
			registered++
		}
	}
	if registered >= maxReplicas {
		return filterError("Replica '%s' is refused: %d replicas are registered, and no more may be", r.Name, registered)
	}
	if r.Filter != "" {
		if _, err := openCatalogue(g.tx).need(r.Filter); err != nil {
			return err
		}
	}
	return g.put(r)
}

// rename has the rows follow the name of a filter.
func (g *registry) rename(filter, to string) error {
	for _, r := range slices.Clone(g.all) {
		if r.Filter != filter {
			continue
		}
		r.Filter = to
		if err := g.put(r); err != nil {
			return err
		}
	}
	return nil
}

// replicaName is under what a replica is registered that comes by itself.
func (j *JoinRequest) replicaName() string {
	if j.Name == "" {
		return "replica-" + j.UUID
	}
	return j.Name
}

// knowsReplica tells whether an anonymous joiner gets what it asks for without a new row.
func (c *Core) knowsReplica(j *JoinRequest) bool {
	return j.Filter == "" || FindReplica(c.replicas, j.UUID) != nil // refuseReplica has looked at it
}

// refuseReplica refuses who asks for something else than is registered.
func (c *Core) refuseReplica(j *JoinRequest) *xrow.Error {
	r := FindReplica(c.replicas, j.UUID)
	if !j.anonymous() {
		return r.RefuseMember()
	}
	if c.Filter(j.Filter) == nil {
		if err := r.RefuseUnknown(j.Filter); err != nil {
			return err
		}
	}
	return r.Refuse(j.Filter, j.kind())
}

// kind tells what asks. A Tarantool says neither.
func (j *JoinRequest) kind() xrow.Kind {
	if j.Incarnation == 0 && j.Feature == 0 {
		return xrow.Tarantool
	}
	return xrow.Tarragon
}

// registerReplica registers one that has come by itself.
func (c *Core) registerReplica(tx *box.Txn, j *JoinRequest) error {
	if err := c.refuseOwnSpace(&box.OwnReplica); err != nil {
		return err
	}
	g := c.openRegistry(tx)
	if r := FindReplica(g.all, j.UUID); r != nil {
		if err := r.Refuse(j.Filter, j.kind()); err != nil {
			return err
		}
		return nil // somebody was faster
	}
	err := g.register(Replica{UUID: j.UUID, Name: j.replicaName(), Filter: j.Filter})
	if err == nil {
		c.trace(FactReplica, 0, 0, j.replicaName()+", "+withFilter(j.Filter))
	}
	return err
}

// createReplica is tarragon.replica.create.
func (c *Core) createReplica(ev CreateReplica) {
	c.changeReplicas(ev.Conn, ev.Sync, func(g *registry) ([]byte, error) {
		uuid, ok := xrow.ParseUUID(ev.UUID)
		if !ok {
			return nil, filterError("Replica '%s' is refused: '%s' is no uuid", clipFilter(ev.Name), clipFilter(ev.UUID))
		}
		if r := FindReplica(g.all, uuid); r != nil && !r.Dropped {
			return nil, filterError("Replica '%s' is refused: %s is registered as '%s'", clipFilter(ev.Name), uuid, r.Name)
		}
		return noValues, g.register(Replica{UUID: uuid, Name: ev.Name, Filter: ev.Filter})
	})
}

// alterReplica is tarragon.replica.alter.
func (c *Core) alterReplica(ev AlterReplica) {
	c.changeReplicas(ev.Conn, ev.Sync, func(g *registry) ([]byte, error) {
		was := g.find(ev.Name)
		if was == nil {
			was = g.findDropped(ev.Name)
		}
		if was == nil {
			return nil, noSuchReplica(ev.Name)
		}
		r := Replica{UUID: was.UUID, Name: was.Name, Filter: ev.Filter}
		if !was.Dropped && was.Filter == r.Filter {
			return noValues, nil
		}
		return noValues, g.register(r)
	})
}

// dropReplica is tarragon.replica.drop.
func (c *Core) dropReplica(ev DropReplica) {
	c.changeReplicas(ev.Conn, ev.Sync, func(g *registry) ([]byte, error) {
		r := g.find(ev.Name)
		if r == nil {
			return nil, noSuchReplica(ev.Name)
		}
		return noValues, g.drop(*r)
	})
}

func noSuchReplica(name string) error {
	return filterError("Replica '%s' does not exist", clipFilter(name))
}

// changeReplicas has a change made behind a barrier; it is answered when it is committed.
func (c *Core) changeReplicas(conn, sync uint64, change func(*registry) ([]byte, error)) {
	if err := c.refuseOwnChange(); err != nil {
		c.eff.reply(conn, sync, nil, err)
		return
	}
	c.gate.chores = append(c.gate.chores, Request{Conn: conn, Sync: sync, IsSync: true, Barrier: true, Do: func(tx *box.Txn) ([]byte, error) {
		if err := c.refuseOwnSpace(&box.OwnReplica); err != nil {
			return nil, err
		}
		return change(c.openRegistry(tx))
	}})
}

// stopUsers drops the replicas of a filter that goes, or tells why it may not go. The
// answer names them.
func (g *registry) stopUsers(filter string, force bool) ([]byte, error) {
	users := g.users(filter)
	if len(users) > 0 && !force {
		return nil, filterError("Filter '%s' is in use by %s: 'tarragon replica alter' gives them another one, 'tarragon replica drop' takes them away, and --force does so with the filter",
			filter, replicaNames(users))
	}
	names := make([]string, len(users))
	for i, r := range users {
		names[i] = r.Name
		if err := g.drop(r); err != nil {
			return nil, err
		}
	}
	return append([]byte{0x91}, mp.Encode(names)...), nil
}
