package main

import "fmt"

// Kind is what a row of the log is.
type Kind uint8

const (
	DML      Kind = iota // a synchronous client write
	PROMOTE              // first row of a term
	CONFIRM              // "rows of my term up to RefLSN are committed"
	CONFIG               // who counts from here on; a barrier
	HANDOVER             // a CONFIRM, and the last row of its term: RefOwner is to lead the next one
)

// Row is one entry of a log. (Origin, LSN) names it; Term stamps who was
// leader when it was written. A row never changes: that it is void (a NOP to
// readers) follows from the chain, see chain.go.
type Row struct {
	Origin, LSN, Term uint8
	Kind              Kind
	// PROMOTE: the row it follows. CONFIRM: RefLSN only. HANDOVER: RefLSN and, in RefOwner, the target.
	RefOwner, RefTerm, RefLSN uint8
	// CONFIG, and the PROMOTE of term 1, which founds the set.
	Cfg   Config
	Token uint8 // PROMOTE: by which its leader leads, see token.go; 0: none is asked for
}

func (r Row) String() string {
	id := fmt.Sprintf("%c%d/t%d", 'A'+r.Origin, r.LSN, r.Term)
	switch {
	case r.Kind == PROMOTE && r.configures():
		return fmt.Sprintf("%s PROMOTE %v", id, r.Cfg)
	case r.Kind == PROMOTE:
		return fmt.Sprintf("%s PROMOTE after %c%d/t%d%s", id, 'A'+r.RefOwner, r.RefLSN, r.RefTerm, tokenString(r.Token))
	case r.Kind == CONFIRM:
		return fmt.Sprintf("%s CONFIRM <=%d", id, r.RefLSN)
	case r.Kind == HANDOVER:
		return fmt.Sprintf("%s HANDOVER to %c, CONFIRM <=%d", id, 'A'+r.RefOwner, r.RefLSN)
	case r.Kind == CONFIG:
		return fmt.Sprintf("%s CONFIG %v", id, r.Cfg)
	}
	return id
}

// configures reports whether the row says who counts.
func (r Row) configures() bool { return r.Kind == CONFIG || r.Kind == PROMOTE && r.Term == 1 }

// confirms reports whether the row tells what is committed, and waits for nobody itself.
func (r Row) confirms() bool { return r.Kind == CONFIRM || r.Kind == HANDOVER }

// VClock is the greatest LSN per origin.
type VClock [maxN]uint8

func vclockOf(log []Row) (v VClock) {
	for _, r := range log {
		v[r.Origin] = max(v[r.Origin], r.LSN)
	}
	return v
}

func (v VClock) covers(w VClock) bool {
	for i := range v {
		if v[i] < w[i] {
			return false
		}
	}
	return true
}

func has(log []Row, origin, lsn uint8) bool {
	for _, r := range log {
		if r.Origin == origin && r.LSN == lsn {
			return true
		}
	}
	return false
}
