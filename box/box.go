package box

import (
	"cmp"

	"tarragon.dev/tarragon/internal/deque"
	"tarragon.dev/tarragon/xrow"
)

// Config is fixed for the life of a Box. A zero field means its default.
type Config struct {
	// MaxTupleSize bounds a tuple, header included; 1 MiB. Larger tuples stall
	// replication for everybody behind them.
	MaxTupleSize int
	// Memory bounds what tuples and indexes take, see quota.go: a client's
	// statement that needs more fails before it changes anything. Rows of peers and
	// of the log, system spaces and deletions go on. 0: no bound.
	Memory int
	// BuildAtOnce is how much of the work that a change of the schema makes is
	// done by its statement, in the units of [Txn.Build]; 1000, about a
	// millisecond. The rest is left to Build.
	BuildAtOnce int
	// WorkAtOnce is the slice of [Box.Work] that every Confirm does, and the end of
	// a view; 128, some tens of microseconds: what was dropped goes away under traffic
	// without anybody asking.
	WorkAtOnce int
	// Opaque lets rows of peers define what cannot be indexed or is not known
	// here: indexes of such a kind are left out and refuse to be used.
	Opaque bool
	// Hooks are functions that statements of clients run, by the names of spaces; system
	// spaces have none.
	Hooks map[string]*Hooks
	// Pages is where tuples up to 16 KiB and indexes lie; nil: Go's heap.
	Pages Pages
}

// Pages is memory for bytes without pointers: of any content from Take, and nobody's
// from Give on. The core calls it and nobody else, one call at a time.
type Pages interface {
	Take(n int) []byte
	Give(b []byte)
}

// goPages are of Go's heap.
type goPages struct{}

func (goPages) Take(n int) []byte { return make([]byte, n) }
func (goPages) Give([]byte)       {}

// Box is the state of all spaces. The zero value is not usable, see [New].
type Box struct {
	config Config
	mem    arena
	nodes  pool

	dict    *Schema // of readers: confirmed
	head    *Schema // of writers: with all prepared transactions
	version uint64  // schema version

	current *Txn              // open
	pending deque.Deque[*Txn] // undecided, oldest first
	headBy  uint64            // the newest undecided one that changes head; 0: none does
	unused  []*Txn
	last    uint64 // number of the newest transaction that began

	// Invariant: no pending transaction has a number <= confirmed.
	confirmed uint64
	shown     uint64

	updates updater
	views   views
	pins    pins
	drafts  drafts
	drawn   map[uint32]drawn // by sequence
	garbage trash
	forms   []*forming // that go on, oldest first
	loading bool       // Load was called and LoadDone was not
}

// New returns a box that knows the layout of the system spaces and holds no row.
func New(c Config) *Box {
	c.MaxTupleSize = cmp.Or(c.MaxTupleSize, 1<<20)
	c.BuildAtOnce = cmp.Or(c.BuildAtOnce, 1000)
	c.WorkAtOnce = cmp.Or(c.WorkAtOnce, 128)
	c.Memory = MemoryLimit(c.Memory)
	if c.Pages == nil {
		c.Pages = goPages{}
	}
	b := &Box{config: c, mem: newArena(c.Pages), nodes: pool{from: c.Pages}, version: 1}
	b.dict = newSchema()
	b.defineSystemSpaces()
	b.head = b.dict
	return b
}

// Confirm decides every prepared transaction with a number <= seq: committed for good.
func (b *Box) Confirm(seq uint64) {
	for b.pending.Len() > 0 && (*b.pending.At(0)).seq <= seq {
		t := b.pending.PopFront()
		for i := range t.stmts {
			b.settle(&t.stmts[i], t.seq, false)
		}
		for _, g := range t.dropped {
			b.garbage.add(b, g, t.seq)
		}
		b.dict = t.dict
		b.version += t.schemaOps
		b.unused = append(b.unused, t)
	}
	b.confirmed = max(b.confirmed, seq)
	b.Work(b.config.WorkAtOnce)
}

// Show lets default readers see prepared transactions with a number <= seq
// although they are not confirmed.
func (b *Box) Show(seq uint64) { b.shown = max(b.shown, seq) }

// Rollback makes every prepared transaction with a number >= seq vanish, newest first.
func (b *Box) Rollback(seq uint64) {
	b.drafts.rolledBack(seq)
	for b.pending.Len() > 0 && (*b.pending.At(b.pending.Len() - 1)).seq >= seq {
		t := b.pending.PopBack()
		t.vanish()
		b.unused = append(b.unused, t)
	}
}

// Looked is how often an undecided transaction was looked at: tests hold it
// against how many there are.
func (b *Box) Looked() uint64 { return b.pending.Looked() }

// Schema is the confirmed dictionary. Safe for readers; the value never changes.
func (b *Box) Schema() *Schema { return b.dict }

// SchemaVersion grows with every confirmed change of a space or an index. Safe
// for readers.
func (b *Box) SchemaVersion() uint64 { return b.version }

// bound is what default readers of a space see.
func (b *Box) bound(sp *space) uint64 {
	if sp.decidedByWrite() {
		return noEnd
	}
	return max(b.confirmed, b.shown)
}

// Member is a row of _cluster.
type Member struct {
	ID          uint32
	UUID        string
	Name        string
	Incarnation uint64 // of its store, the fourth field, which is ours; 0: not told
	Learner     bool   // it has an ID and does not count yet, the fifth field, which is ours
}

// Kind is what the row tells: a Tarantool may have registered one of ours without an
// incarnation.
func (m *Member) Kind() xrow.Kind {
	if m.Incarnation == 0 {
		return xrow.KindUnknown
	}
	return xrow.Tarragon
}

// Members is the confirmed replica set, ascending by ID. Safe for readers.
func (b *Box) Members() []Member { return b.members(b.dict, b.confirmed) }

// NewestMembers includes undecided changes. Safe for readers.
func (b *Box) NewestMembers() []Member { return b.members(b.head, noEnd) }

func (b *Box) members(s *Schema, bound uint64) (all []Member) {
	b.each(s.spaces[xrow.SpaceCluster], bound, func(tuple []byte) {
		row := splitRow(tuple)
		all = append(all, Member{uint32(row.uint(0)), row.string(1), row.string(2), row.uint(3), row.bool(4)})
	})
	return all
}

// ReplicasetUUID is empty before bootstrap. Safe for readers.
func (b *Box) ReplicasetUUID() string { return b.schemaText("replicaset_uuid", "cluster") }

// ReplicasetName is empty when the replica set has none. Safe for readers.
func (b *Box) ReplicasetName() string { return b.schemaText("replicaset_name", "") }

// elderSchema tells whether the schema is older than 3.0.0, so that members of
// old releases may be there.
func (b *Box) elderSchema() bool { return b.schemaText("cluster", "cluster") != "" }

// Setting is the confirmed tuple of _schema under a key, nil if there is none.
// Safe for readers; the caller must not change it.
func (b *Box) Setting(key string) []byte { return b.setting(b.dict, b.confirmed, key) }

// NewestSetting includes an undecided change; otherwise like Setting.
func (b *Box) NewestSetting(key string) []byte { return b.setting(b.head, noEnd, key) }

func (b *Box) setting(s *Schema, bound uint64, key string) (found []byte) {
	b.each(s.spaces[xrow.SpaceSchema], bound, func(tuple []byte) {
		if splitRow(tuple).string(0) == key {
			found = tuple
		}
	})
	return found
}

// schemaText is the text in _schema under one of two keys.
func (b *Box) schemaText(key, elder string) (text string) {
	b.each(b.dict.spaces[xrow.SpaceSchema], b.confirmed, func(tuple []byte) {
		row := splitRow(tuple)
		if k := row.string(0); k == key || k == elder {
			text = row.string(1)
		}
	})
	return text
}

// each goes over the tuples of a space that a bound sees, in primary-key order.
func (b *Box) each(sp *space, bound uint64, f func(tuple []byte)) {
	pk := sp.primary()
	if pk == nil {
		return
	}
	for at := pk.first(); at.leaf != 0; at = pk.next(at) {
		if r := pk.visible(pk.refAt(at), bound); r != 0 {
			f(b.mem.tuple(r))
		}
	}
}

// Spaces lists all spaces, ascending by ID. Safe for readers.
func (b *Box) Spaces() []SpaceInfo { return b.dict.Spaces() }

// Space describes one space. Safe for readers.
func (b *Box) Space(id uint32) (info SpaceInfo, ok bool) {
	if info, ok = b.dict.Space(id); ok && b.shown > b.confirmed {
		b.addShown(b.dict.shown(id).stats, &info)
	}
	return info, ok
}

// addShown counts what readers see although it is not confirmed.
func (b *Box) addShown(of *stats, info *SpaceInfo) {
	for k := range b.pending.Len() {
		t := *b.pending.Peek(k)
		if t.seq > b.shown {
			return
		}
		for i := range t.stmts {
			s := &t.stmts[i]
			if s.sp.stats != of {
				continue
			}
			if s.new != 0 {
				info.Rows++
				info.Bytes += len(b.mem.tuple(s.new))
			}
			if s.old != 0 {
				info.Rows--
				info.Bytes -= len(b.mem.tuple(s.old))
			}
		}
	}
}

// IsDDLSpace tells whether a request on the space must run behind a barrier.
// Values of sequences define nothing, nor do sessions. For the owner: it looks at the newest dictionary.
func (b *Box) IsDDLSpace(space uint32) bool {
	return space > xrow.LastInternalSpace && space < xrow.FirstUserSpace && space != xrow.SpaceSequenceData ||
		b.head.isOwn(space) && space != b.head.session
}

// HasSpace tells whether there is a space, transactions that are not prepared aside.
// For the owner: it looks at the newest dictionary.
func (b *Box) HasSpace(id uint32) bool { return b.head.spaces[id] != nil }

// IsSyncSpace tells whether a transaction that writes the space is synchronous.
// For the owner: it looks at the newest dictionary.
func (b *Box) IsSyncSpace(space uint32) bool {
	sp := b.head.spaces[space]
	return sp != nil && sp.sync
}

// IsGlobalSpace tells whether a space exists and is replicated. For the owner.
func (b *Box) IsGlobalSpace(space uint32) bool {
	sp := b.head.spaces[space]
	return sp != nil && !sp.decidedByWrite()
}

// ResolveSpace finds a space by name in the confirmed dictionary.
func (b *Box) ResolveSpace(name string) (id uint32, ok bool) {
	return b.dict.spaceID(name)
}

// ResolveIndex finds an index by name in the confirmed dictionary.
func (b *Box) ResolveIndex(space uint32, name string) (id uint32, ok bool) {
	id, err := b.dict.FindIndex(space, name)
	return id, err == nil
}

// UserByName finds a user (not a role) in the confirmed dictionary.
func (b *Box) UserByName(name string) (User, bool) {
	u, ok := b.dict.UserByName(name)
	return u, ok && !u.Role
}
