package terms

// Rules are what a term goes by. Its PROMOTE says which.
type Rules uint8

// Rules.
const (
	NoRules   Rules = iota // no term is in effect
	Strong                 // ours, see docs/protocol/limbo.md
	Tarantool              // Tarantool's
)

func (r Rules) String() string { return [...]string{"off", "strong", "tarantool"}[r] }

// Span is a term in effect: the LSNs of its owner that belong to it.
type Span struct {
	Term  uint64
	Owner uint32 // 0 after a DEMOTE
	First uint64 // LSN of its PROMOTE
	Last  uint64 // greatest LSN held of it; final once a newer term is in effect

	Writer uint32 // who wrote its PROMOTE or DEMOTE: Owner, but for a DEMOTE
	Rules  Rules  // Strong or Tarantool

	Began Began
}
