package main

import "fmt"

// Under Tarantool's rules a leader's own write decides an asynchronous row, and a PROMOTE
// that leaves one out is a split brain. So leadership is handed over by a word, not by a
// row: the leader holds its writes until the target has all, says the word, and writes
// nothing more in its term. This is that move alone, in a model of its own: three
// instances, L leads in term 1 and moves to T; words are late, lost and heard twice.

// WordRules are which rules of the move by a word are broken.
type WordRules struct {
	Early  bool // the word is said before the target has all
	Behind bool // the leader writes behind its word
	GoesOn bool // a leader whose word led to nothing takes writes again in its term
	Late   bool // a word counts in any term
}

var wordRules = map[string]WordRules{
	"final":        {},
	"word-early":   {Early: true},
	"word-behind":  {Behind: true},
	"word-goes-on": {GoesOn: true},
	"word-late":    {Late: true},
}

// Places and bounds of it.
const (
	wordL, wordT = 0, 1
	wordRows     = 3
	wordTerms    = 4
)

// wordState is comparable: it is its own key.
type wordState struct {
	Held  [3]uint8 // rows of L that each has
	Known uint8    // of these, what L knows T to have
	Term  [3]uint8
	Vote  [3]uint8 // in Term, an ID plus 1
	Asked uint8    // term in which T campaigns because of the word; 0: none
	Leads uint8    // term in which L leads and writes; 0: it does not
	Holds bool     // writes wait
	Said  bool
	Word  bool // is under way, for ever
	Won   [wordTerms + 1]uint8
	Upto  uint8 // rows that the PROMOTE of the term that the word began names
	Moved uint8 // that term; 0: none
}

// wordSteps lists what may happen next, each with its story.
func (r WordRules) wordSteps(s wordState, take func(string, wordState)) {
	if frozen := s.Holds && !(s.Said && r.Behind); s.Leads > 0 && !frozen && s.Held[wordL] < wordRows {
		t := s
		t.Held[wordL]++
		take("L writes", t)
	}
	if s.Leads > 0 && !s.Holds {
		t := s
		t.Holds = true
		take("L holds its writes", t)
	}
	if s.Holds && (!s.Said || r.GoesOn) {
		t := s
		t.Holds, t.Said = false, false
		take("L gives the move up", t)
	}
	if s.Leads == 1 && s.Holds && !s.Said && (s.Known == s.Held[wordL] || r.Early) {
		t := s
		t.Said, t.Word = true, true
		take("L says the word", t)
	}
	if s.Said && s.Leads > 0 {
		t := s
		t.Leads = 0
		take("L resigns", t)
	}
	if s.Word && (s.Term[wordT] == 1 || r.Late) && s.Term[wordT] < wordTerms {
		t := s
		t.campaign(wordT)
		t.Asked = t.Term[wordT]
		take("T hears the word", t)
	}
	r.elect(s, take)
	for i := range uint8(3) {
		if s.Held[i] < s.Held[wordL] {
			t := s
			t.Held[i]++
			take(fmt.Sprintf("%d pulls a row", i), t)
		}
	}
	if s.Known != s.Held[wordT] {
		t := s
		t.Known = s.Held[wordT]
		take("T acks", t)
	}
}

// elect is votes and terms, by the rules of promotions by hand, which ask nobody first.
func (r WordRules) elect(s wordState, take func(string, wordState)) {
	for c := range uint8(3) {
		if s.Leads == 0 && s.Term[c] < wordTerms {
			t := s
			t.campaign(c)
			take(fmt.Sprintf("%d campaigns", c), t)
		}
		votes := 0
		for i := range uint8(3) {
			if s.Term[i] == s.Term[c] && s.Vote[i] == c+1 {
				votes++
			}
			if s.Vote[c] == c+1 && i != c && s.Term[i] < s.Term[c] && s.Held[c] >= s.Held[i] {
				t := s
				t.Term[i], t.Vote[i] = s.Term[c], c+1
				t.deposed(i)
				take(fmt.Sprintf("%d votes for %d", i, c), t)
			}
		}
		if term := s.Term[c]; s.Vote[c] == c+1 && votes > 1 && s.Won[term] == 0 {
			t := s
			t.Won[term] = c + 1
			if c == wordL {
				t.Leads, t.Holds, t.Said = term, false, false
			}
			if c == wordT && s.Asked == term {
				t.Moved, t.Upto = term, s.Held[c]
			}
			take(fmt.Sprintf("%d leads in term %d", c, term), t)
		}
	}
}

func (s *wordState) campaign(c uint8) {
	s.Term[c]++
	s.Vote[c] = c + 1
	s.deposed(c)
}

// deposed: who knows a newer term leads no more.
func (s *wordState) deposed(i uint8) {
	if i == wordL && s.Term[i] > s.Leads {
		s.Leads = 0
	}
}

// check: the PROMOTE that the word led to leaves nothing out that L has written before the
// next leader.
func (s *wordState) check() error {
	if s.Moved > 0 && s.Held[wordL] > s.Upto && s.Moved == s.newest() {
		return fmt.Errorf("split brain: L has %d rows, the PROMOTE of term %d names %d", s.Held[wordL], s.Moved, s.Upto)
	}
	return nil
}

func (s *wordState) newest() (term uint8) {
	for t, id := range s.Won {
		if id > 0 {
			term = uint8(t)
		}
	}
	return term
}

// Explore goes through all histories. trace is the shortest one that breaks, if any does.
func (r WordRules) Explore() (states int, trace []string, err error) {
	type from struct {
		at   wordState
		step string
	}
	start := wordState{Leads: 1, Term: [3]uint8{1, 1, 1}}
	came := map[wordState]from{start: {}}
	queue := []wordState{start}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if err := s.check(); err != nil {
			for at := s; at != start; at = came[at].at {
				trace = append([]string{came[at].step}, trace...)
			}
			return len(came), trace, err
		}
		r.wordSteps(s, func(step string, t wordState) {
			if _, known := came[t]; !known {
				came[t] = from{s, step}
				queue = append(queue, t)
			}
		})
	}
	return len(came), nil, nil
}
