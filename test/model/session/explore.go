package session

// Result of a search.
type Result struct {
	States int
	Trace  []string // to the fault
	Fault  string   // empty: there is none
	Done   int      // states in which all numbers are answered
}

// Explore tries every history within bounds, the shortest first, up to a number of
// states.
func Explore(r Rules, b Bounds, limit int) (res Result) {
	type node struct {
		state
		from int
		what string
	}
	all := []node{{state: state{ticks: uint8(b.Ticks), others: uint8(b.Others)}, from: -1}}
	seen := map[state]struct{}{all[0].state: {}}
	for i := 0; i < len(all) && len(all) < limit; i++ {
		s := all[i].state
		if int(s.number) == b.Numbers && !s.open {
			res.Done++
		}
		for _, st := range s.steps(&r, &b) {
			if _, ok := seen[st.next]; ok {
				continue
			}
			seen[st.next] = struct{}{}
			all = append(all, node{st.next, i, st.what})
			if res.Fault = st.next.wrong(&b); res.Fault == "" {
				continue
			}
			for at := len(all) - 1; at > 0; at = all[at].from {
				res.Trace = append([]string{all[at].what}, res.Trace...)
			}
			res.States = len(all)
			return res
		}
	}
	res.States = len(all)
	return res
}
