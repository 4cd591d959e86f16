package limbo

import "tarragon.dev/tarragon/terms"

// rules are one set of [terms.Rules] as a value: the limbo, as it goes by that set. All
// that differs between terms is here; the queue, the history of terms and the
// chain of PROMOTEs are common.
type rules[P any] interface {
	// judge says what becomes of a row that arrives.
	judge(r Row) (Verdict, error)
	// place says how a transaction that was taken waits, by Term, Sync and Behind.
	place(e Entry[P]) Entry[P]
	// take applies a row that acts on the queue.
	take(r Row) error
	// lead commits rows of the term in effect, which is ours, of which a quorum has
	// those up to an LSN. It returns the LSN to confirm, 0 if nothing new is committed.
	lead(lsn uint64) uint64
	// settle voids what a PROMOTE leaves out of the queue, and begins its term.
	settle(p *Promote)
	// tells is the owner and the LSN that a CONFIRM of ours up to an LSN names to
	// Tarantools.
	tells(lsn uint64) (owner uint32, named uint64)
	// names is the LSN that a new PROMOTE tells Tarantools to be confirmed of the
	// term in effect.
	names() uint64
}

// by gives the limbo under a set of rules. Before the first term the strong ones
// say that nothing is known of any other.
func (l *Limbo[P]) by(r terms.Rules) rules[P] {
	if r == terms.Tarantool {
		return tarantool[P]{l}
	}
	return strong[P]{l}
}

// Kind is the type of a row that arrives.
type Kind uint8

// Kinds. All but the first act on the queue.
const (
	Transaction  Kind = iota
	Confirmation      // CONFIRM
	Rollback          // ROLLBACK
	Promotion         // PROMOTE
	Demotion          // DEMOTE
)

// Row is what arrives, as far as its fate depends on it. All of a transaction
// is one, with the LSN of its first row.
type Row struct {
	Kind   Kind
	Origin uint32 // who wrote it
	LSN    uint64
	Term   uint64 // its stamp

	Taken   bool // recovery: it was judged when it came; or nobody filters what is not strong
	Partial bool // recovery: it was open at a checkpoint, and what was between such rows is gone
	Pending bool // recovery: a promotion of ours under Tarantool's rules, which waits for a quorum

	// Of a transaction.
	WaitSync bool // it waits for CONFIRM
	Empty    bool // it consists of NOPs

	// Of a row that acts on the queue.
	Owner    uint32       // whose transactions are meant
	UpTo     uint64       // LSN of them; ROLLBACK: from there on
	Named    uint64       // strong rules: what UpTo is for a Tarantool
	Begins   uint64       // term of a promotion or demotion
	PrevTerm uint64       // ours: term of the PROMOTE that a promotion follows; 0: not told
	Known    uint64       // greatest LSN of Owner that is held
	At       uint64       // when it was written, see [terms.Micros]
	Began    *terms.Began // of a promotion or demotion: how its term begins; nil: not told
}

// Verdict is what becomes of a row that arrives.
type Verdict uint8

// Verdicts.
const (
	Keep Verdict = iota // take it
	Void                // a newer term in effect excludes it: keep it as NOP
	Idle                // NOPs of a term that never promoted anybody here: log them as they are
)

// Judge says what becomes of a row that arrives, by a set of rules, and changes
// nothing. An error that is no [Refusal] is a contradiction: the row does not fit
// the history of PROMOTEs that is held.
func (l *Limbo[P]) Judge(by terms.Rules, r Row) (Verdict, error) { return l.by(by).judge(r) }

// Take applies a row that acts on the queue. Where it would not be judged fit it does
// what is left of it, as Tarantool does in recovery: nothing if it is out of date.
func (l *Limbo[P]) Take(by terms.Rules, r Row) error { return l.by(by).take(r) }

// RulesOf are the rules of a term that a row is stamped with.
func (l *Limbo[P]) RulesOf(term uint64) terms.Rules {
	rules := l.Current().Rules
	for i := range l.pending {
		if p := &l.pending[i]; p.Term == term {
			rules = p.Rules
		}
	}
	if rules == terms.Tarantool {
		return terms.Tarantool
	}
	return terms.Strong
}

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
