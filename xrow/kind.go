package xrow

// Kind is the kind of program that an instance is.
type Kind uint8

// Kinds.
const (
	KindUnknown Kind = iota // nobody has said
	Tarragon
	Tarantool
)

func (k Kind) String() string { return [...]string{"unknown", "Tarragon", "Tarantool"}[k] }

// KindOf is what the incarnation of a store in a request says: a Tarantool has none.
func KindOf(incarnation uint64) Kind {
	if incarnation == 0 {
		return Tarantool
	}
	return Tarragon
}

// kind appends RULES: 1 = we know the strong rules. A Tarantool says nothing.
func (m *mapWriter) kind(k Kind) {
	if k == Tarragon {
		m.uint(KeyRules, 1)
	}
}

// readKind reads what kind wrote, or a later release.
func readKind(v []byte) (Kind, bool) {
	rules, ok := u64(v)
	if rules == 0 {
		return Tarantool, ok
	}
	return Tarragon, ok
}
