package xrow

// Kind is the kind of program that an instance is.
type Kind uint8

// Kinds.
const (
	KindUnknown Kind = iota // nobody has said
	Tarragon
	Tarantool
)

func (k Kind) String() string { return [...]string{"unknown", "tarragon", "tarantool"}[k] }
