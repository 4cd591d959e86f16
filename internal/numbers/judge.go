package numbers

import (
	"strings"

	"tarragon.dev/tarragon/xrow"
)

// Verdict is what an answer means.
type Verdict uint8

// Verdicts.
const (
	Answer    Verdict = iota // it is the request's
	NotTaken                 // this copy was not executed: another one may be
	NotKnown                 // nobody knows yet: another copy will tell
	Unknown                  // nobody will ever know
	Gone                     // the same: the session that could tell has ended
	Lost                     // it is a COMMIT of what was never committed, and never is
	NoNumber                 // it takes none, and was not executed
	NoSession                // its session has ended, and it was not executed
)

// Copy is a copy of a request with a number that was answered. The zero Copy is one that was never sent before.
type Copy struct {
	Commit  bool   // of the transaction of a stream
	Maybe   bool   // an earlier copy may be executed
	Session string // the ID of its session
}

// Judge says what an answer means. unsure: this copy may be executed.
//
// An answer to the number itself is one for ever. What tells of this copy alone is none while
// an earlier one may be executed.
func Judge(c Copy, code xrow.Code, message string) (v Verdict, unsure bool) {
	switch code {
	case 0:
		return Answer, false
	case xrow.ErrSyncTimeout, xrow.ErrSyncQuorumTimeout:
		if c.Session != "" && strings.HasPrefix(message, xrow.Errorf(xrow.ErrNoSession, c.Session).Message) {
			return Gone, true
		}
		return NotKnown, true
	case xrow.ErrShutdown:
		return NotKnown, true
	case xrow.ErrWALIO:
		if strings.Contains(message, "unknown") {
			return NotKnown, true
		}
		return ofThisCopy(c.Maybe, Answer), false
	case xrow.ErrReadonly, xrow.ErrLoading, xrow.ErrSyncRollback:
		if c.Commit && !c.Maybe {
			return Answer, false // its transaction is over
		}
		return NotTaken, false
	case xrow.ErrSyncQueueFull, xrow.ErrWrongSchemaVersion:
		return ofThisCopy(c.Maybe, Answer), false
	case xrow.ErrSyncQueueUnclaimed:
		return ofThisCopy(c.Maybe, NoNumber), false
	case xrow.ErrNoNumber:
		if c.Maybe {
			return Unknown, true
		}
		return NoNumber, false
	case xrow.ErrNoSession:
		if c.Maybe {
			return Gone, true
		}
		return NoSession, false
	case xrow.ErrNumber: // it is never reused, so an instance errs
		if c.Maybe {
			return Unknown, true
		}
		return Answer, false
	case xrow.ErrNoTransaction:
		if c.Commit && c.Maybe {
			return Lost, false // the stream is another one's: it was not committed, and never is
		}
	}
	return Answer, false
}

// ofThisCopy is what follows where only this copy was refused.
func ofThisCopy(maybe bool, v Verdict) Verdict {
	if maybe {
		return NotTaken
	}
	return v
}
