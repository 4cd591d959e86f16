package box

// Priv is a set of privilege bits.
type Priv uint32

// Privilege bits of _priv (schema.md section 10).
const (
	PrivRead    Priv = 1 << iota // R
	PrivWrite                    // W
	PrivExecute                  // X
	PrivSession                  // S
	PrivUsage                    // U
	PrivCreate                   // C
	PrivDrop                     // D
	PrivAlter                    // A
	PrivReference
	PrivTrigger
	PrivInsert
	PrivUpdate
	PrivDelete
	PrivGrant
	PrivMetagrant
	PrivAll Priv = 1<<32 - 1
)

// IDs of users and roles that always exist.
const (
	UserGuest       uint32 = 0
	UserAdmin       uint32 = 1
	RolePublic      uint32 = 2
	RoleReplication uint32 = 3
	RoleSuper       uint32 = 31
)

// User is a user or a role.
type User struct {
	ID    uint32
	Owner uint32
	Name  string
	Role  bool
	Hash  []byte // SHA1(SHA1(password)), 20 bytes; nil: no password is set
}

// Schema is a dictionary: spaces, indexes, users and rights. The one of
// [Box.Schema] never changes, that of [Txn.Schema] with the transaction's next
// statement.
type Schema struct{}

// FindSpace resolves a name; the error is NO_SUCH_SPACE.
func (s *Schema) FindSpace(name string) (id uint32, err error) { return 0, nil }

// FindIndex resolves a name; the error is NO_SUCH_SPACE or NO_SUCH_INDEX_NAME.
func (s *Schema) FindIndex(space uint32, name string) (id uint32, err error) { return 0, nil }

// User finds a user or role by ID.
func (s *Schema) User(id uint32) (User, bool) { return User{}, false }

// UserByName finds a user or role by name.
func (s *Schema) UserByName(name string) (User, bool) { return User{}, false }

// NextSpaceID, NextIndexID and NextUserID are what box.schema would choose.
func (s *Schema) NextSpaceID() uint32 { return 0 }

// NextIndexID is one more than the largest index ID of the space.
func (s *Schema) NextIndexID(space uint32) uint32 { return 0 }

// NextUserID is one more than the largest ID of a user or role, at least 32.
func (s *Schema) NextUserID() uint32 { return 0 }

// CheckUniverse tells whether user has the right on universe; the error is ACCESS_DENIED.
func (s *Schema) CheckUniverse(user uint32, need Priv) error { return nil }

// CheckSpace tells whether user has the right on a space; the error is
// NO_SUCH_SPACE or ACCESS_DENIED.
func (s *Schema) CheckSpace(user, space uint32, need Priv) error { return nil }

// CheckDDL tells whether user may create, alter or drop an object of a class
// ("space", "user", "role", "function", "sequence"); id is that of an existing
// object. The owner may all but create.
func (s *Schema) CheckDDL(user uint32, class string, id uint32, name string, owner uint32, need Priv) error {
	return nil
}

// IsGlobalSpace tells whether a space exists and is replicated.
func (b *Box) IsGlobalSpace(space uint32) bool { return false }
