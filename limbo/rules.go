package limbo

// Rules are what a term goes by. Its PROMOTE says which.
type Rules uint8

// Rules.
const (
	NoRules   Rules = iota // no term is in effect
	Strong                 // see the package comment, and strong.go
	Tarantool              // Tarantool's, see tarantool.go
)

func (r Rules) String() string { return [...]string{"off", "strong", "tarantool"}[r] }

// rules are one set of them as a value: the limbo, as it goes by that set. All
// that differs between terms is here; the queue, the history of terms and the
// chain of PROMOTEs are common.
type rules[P any] interface {
	// judge says what becomes of a transaction that arrives.
	judge(t Txn) (Verdict, error)
	// place says how one that was taken waits, by its Term, Sync and Behind.
	place(e Entry[P]) Entry[P]
	// judgeRequest does so for a row that acts on the queue.
	judgeRequest(r Request) (Verdict, error)
	// take applies such a row.
	take(r Request) error
	// lead commits rows of the term in effect, which is ours, of which a quorum has
	// those up to an LSN. It returns the LSN to confirm, 0 if nothing new is committed.
	lead(lsn uint64) uint64
	// settle voids what a PROMOTE leaves out of the queue, and begins its term.
	settle(p *Promote)
	// names is the LSN that a new PROMOTE tells Tarantools to be confirmed of the
	// term in effect.
	names() uint64
}

// by gives the limbo under a set of rules. Before the first term the strong ones
// say that nothing is known of any other.
func (l *Limbo[P]) by(r Rules) rules[P] {
	if r == Tarantool {
		return tarantool[P]{l}
	}
	return strong[P]{l}
}

// Txn is what the fate of a transaction that arrives depends on.
type Txn struct {
	Origin   uint32
	LSN      uint64 // of its first row
	Term     uint64 // its stamp
	WaitSync bool   // it waits for CONFIRM
	Empty    bool   // it consists of NOPs
	Logged   bool   // recovery: it is in our log, so it was taken
	Partial  bool   // recovery: it was open at a checkpoint, and what was between such rows is gone
}

// Kind is the type of a row that acts on the queue.
type Kind uint8

// Kinds.
const (
	Confirmation Kind = iota // CONFIRM
	Rollback                 // ROLLBACK
	Promotion                // PROMOTE
	Demotion                 // DEMOTE
)

// Request is a row that acts on the queue.
type Request struct {
	Kind     Kind
	Origin   uint32 // who wrote it
	Row      uint64 // its own LSN
	Stamp    uint64 // its own term
	Owner    uint32 // whose transactions are meant
	LSN      uint64 // of them; see the kinds
	Named    uint64 // strong rules: what LSN is for a Tarantool
	Term     uint64 // of a promotion or demotion
	PrevTerm uint64 // ours: term of the PROMOTE that a promotion follows; 0: not told
	Known    uint64 // greatest LSN of Owner that is held
	Logged   bool   // as of a Txn
	Partial  bool   // as of a Txn
	Pending  bool   // Tarantool's rules: a promotion of ours, which waits for a quorum
}

// Verdict is what becomes of a row that arrives.
type Verdict uint8

// Verdicts.
const (
	Keep Verdict = iota // take it
	Void                // a newer term in effect excludes it: keep it as NOP
	Idle                // NOPs of a term that never promoted anybody here: log them as they are
)

// Judge says what becomes of a transaction that arrives, by a set of rules. An
// error that is no [Refusal] is a contradiction: the row does not fit the history
// of PROMOTEs that is held.
func (l *Limbo[P]) Judge(r Rules, t Txn) (Verdict, error) { return l.by(r).judge(t) }

// JudgeRequest does so for a row that acts on the queue. Void: it is out of date.
func (l *Limbo[P]) JudgeRequest(r Rules, req Request) (Verdict, error) {
	return l.by(r).judgeRequest(req)
}

// Take applies a row that acts on the queue. Where it would not pass JudgeRequest
// it does what is left of it, as Tarantool does in recovery: nothing if it is out
// of date.
func (l *Limbo[P]) Take(r Rules, req Request) error { return l.by(r).take(req) }

// Refusal is why a row cannot be taken.
type Refusal struct {
	Kind RefusalKind
	Text string
}

// RefusalKind is whom a refusal speaks of.
type RefusalKind uint8

// Kinds of refusals.
const (
	Misorder   RefusalKind = iota // the stream: something is missing before the row
	Nonsense                      // the row: nobody may say so
	SplitBrain                    // two histories
)

func (r *Refusal) Error() string { return r.Text }

func misorder(text string) error { return &Refusal{Misorder, text} }

func nonsense(text string) error { return &Refusal{Nonsense, text} }

func split(text string) error { return &Refusal{SplitBrain, text} }
