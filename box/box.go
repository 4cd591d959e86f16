package box

// Config is fixed for the life of a Box. A zero field means its default.
type Config struct {
	// MaxTupleSize bounds a tuple, header included; 1 MiB. Larger tuples stall
	// replication for everybody behind them.
	MaxTupleSize int
}

// Box is the state of all spaces. The zero value is not usable, see [New].
type Box struct{}

// New returns a box that knows the layout of the system spaces and holds no row.
func New(c Config) *Box { panic("box: not built yet") }

// Begin starts a transaction. seq is chosen by the caller and strictly grows;
// one transaction is open at a time.
func (b *Box) Begin(seq uint64) *Txn { panic("box: not built yet") }

// Confirm decides every prepared transaction with a number <= seq: committed for good.
func (b *Box) Confirm(seq uint64) {}

// Show lets default readers see prepared transactions with a number <= seq
// although they are not confirmed.
func (b *Box) Show(seq uint64) {}

// Rollback makes every prepared transaction with a number >= seq vanish, newest first.
func (b *Box) Rollback(seq uint64) {}

// Work frees up to that many tuples of dropped and truncated spaces, and tells
// whether more are left. The owner calls it until it says no.
func (b *Box) Work(rows int) (more bool) { return false }

// Schema is the confirmed dictionary. Safe for readers; the value never changes.
func (b *Box) Schema() *Schema { return nil }

// SchemaVersion grows with every confirmed change of a space or an index.
func (b *Box) SchemaVersion() uint64 { return 0 }

// Member is a row of _cluster.
type Member struct {
	ID          uint32
	UUID        string
	Name        string
	Incarnation uint64 // of its store; 0: not told
}

// Members is the confirmed replica set, ascending by ID. Safe for readers.
func (b *Box) Members() []Member { return nil }

// NewestMembers includes undecided changes. Safe for readers.
func (b *Box) NewestMembers() []Member { return nil }

// ReplicasetUUID is empty before bootstrap. Safe for readers.
func (b *Box) ReplicasetUUID() string { return "" }

// SpaceInfo describes a space for status pages and space:len().
type SpaceInfo struct {
	ID      uint32
	Owner   uint32
	Name    string
	Engine  string
	Local   bool
	Temp    bool
	Sync    bool
	Rows    int // visible to default readers
	Bytes   int // of those tuples
	Indexes []IndexInfo
}

// IndexInfo describes an index.
type IndexInfo struct {
	ID     uint32
	Name   string
	Type   string
	Unique bool
}

// Spaces lists all spaces, ascending by ID. Safe for readers.
func (b *Box) Spaces() []SpaceInfo { return nil }

// Space describes one space. Safe for readers.
func (b *Box) Space(id uint32) (SpaceInfo, bool) { return SpaceInfo{}, false }

// IsDDLSpace tells whether a request on the space must run behind a barrier.
func (b *Box) IsDDLSpace(space uint32) bool { return false }

// IsSyncSpace tells whether a transaction that writes the space is synchronous.
func (b *Box) IsSyncSpace(space uint32) bool { return false }

// ResolveSpace finds a space by name in the confirmed dictionary.
func (b *Box) ResolveSpace(name string) (id uint32, ok bool) { return 0, false }

// ResolveIndex finds an index by name in the confirmed dictionary.
func (b *Box) ResolveIndex(space uint32, name string) (id uint32, ok bool) { return 0, false }

// UserByName finds a user (not a role) in the confirmed dictionary.
func (b *Box) UserByName(name string) (User, bool) { return User{}, false }
