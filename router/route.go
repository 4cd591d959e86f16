package router

import (
	"fmt"
	"strings"
	"time"
)

// Port is what clients come in by.
type Port uint8

// Ports.
const (
	RW Port = iota // to the leader
	RO             // to readers
	ports
)

// String is the name of the port's option.
func (p Port) String() string { return [...]string{"rw", "ro"}[p] }

// word is what an instance has told of itself and of the others. The zero word: nothing,
// it is not connected.
type word struct {
	heard  bool // it has told all that follows
	ours   bool // it is a Tarragon
	uuid   string
	ro     bool   // it takes no writes
	term   uint64 // its own
	leader uint32 // whom it takes for the leader of the term, by number; 0: nobody
	id     uint32 // its own number, where it has told of itself as the leader; 0: it has not
	anon   bool   // it is no member: its belief counts for nothing but who may be read from
	fenced bool   // administrators keep clients away from it
	lag    time.Duration
	lags   bool // lag is known
}

// limits of routes.
type routing struct {
	maxLag      time.Duration // of a reader; 0: any
	leaderReads bool          // the leader is a reader where there is no other one
}

// routes is where ports lead to, by the places of instances among the words.
type routes struct {
	leader  int   // -1: there is none
	agreed  bool  // most members believe in the leader, those that are not heard included
	readers []int // who may read, the nearest to the leader's state first; empty: nobody
	why     [ports]string
}

// route decides where the ports lead to.
//
// The leader is who says that it takes writes, and is believed by most of those who say
// anything: who lies, or has not heard that it was replaced, has only itself. Of as many the
// newest term counts.
func route(words []word, names []string, r routing) (out routes) {
	out.leader = -1
	best, heard := 0, 0
	for i := range words {
		w := &words[i]
		if !w.heard {
			continue
		}
		heard++
		if w.ro {
			continue
		}
		votes := believers(words, i)
		if out.leader < 0 || votes > best || votes == best && w.term > words[out.leader].term {
			out.leader, best = i, votes
		}
	}
	if out.leader >= 0 {
		out.agreed = 2*membersFor(words, out.leader) > members(words)
	}
	switch {
	case out.leader >= 0:
		out.why[RW] = fmt.Sprintf("%s takes writes in term %d, say %d of %d", names[out.leader], words[out.leader].term, best, heard)
	case heard == 0:
		out.why[RW] = "no instance that answers"
	default:
		out.why[RW] = fmt.Sprintf("none that takes writes among the %d instances that answer", heard)
	}
	var late, fenced []string
	for i := range words {
		switch w := &words[i]; {
		case !w.heard || i == out.leader:
		case w.fenced:
			fenced = append(fenced, names[i])
		case r.maxLag > 0 && (!w.lags || w.lag > r.maxLag):
			late = append(late, names[i])
		default:
			out.readers = append(out.readers, i)
		}
	}
	switch {
	case len(out.readers) > 0:
		out.why[RO] = fmt.Sprintf("%d readers within the lag", len(out.readers))
	case out.leader >= 0 && r.leaderReads && !words[out.leader].fenced:
		out.readers = []int{out.leader}
		out.why[RO] = "the leader, as there is no other reader"
	default:
		out.why[RO] = "no reader"
	}
	if out.leader >= 0 && words[out.leader].fenced {
		out.why[RW] = names[out.leader] + " is fenced, and leads until another one can take over: " + out.why[RW]
		out.leader = -1
	}
	if len(fenced) > 0 {
		out.why[RO] += "; fenced: " + strings.Join(fenced, ", ")
	}
	if len(late) > 0 {
		out.why[RO] += "; too far behind: " + strings.Join(late, ", ")
	}
	return out
}

// believers is how many take an instance that takes writes for the leader, itself included.
func believers(words []word, of int) (n int) {
	for i := range words {
		if believes(words, i, of) {
			n++
		}
	}
	return n
}

func believes(words []word, i, of int) bool {
	w, o := &words[of], &words[i]
	return i == of || o.heard && w.id != 0 && o.term == w.term && o.leader == w.id
}

// membersFor is the same among members; members is how many they are.
func membersFor(words []word, of int) (n int) {
	for i := range words {
		if !words[i].anon && believes(words, i, of) {
			n++
		}
	}
	return n
}

func members(words []word) (n int) {
	for i := range words {
		if !words[i].anon {
			n++
		}
	}
	return n
}
