package filter

// Result of a search.
type Result struct {
	States int
	Trace  []string // to the fault
	Fault  string   // empty: there is none
	Served int      // states in which R serves S with a row in it
}

// Explore tries every history within bounds, the shortest first, up to a number of
// states.
func Explore(r Rules, b Bounds, limit int) (res Result) {
	type node struct {
		state
		from int
		what string
	}
	all := []node{{state: state{from: nobody, crashes: uint8(b.Crashes), moves: uint8(b.Moves)}, from: -1}}
	seen := map[state]struct{}{all[0].state: {}}
	for i := 0; i < len(all) && len(all) < limit; i++ {
		s := all[i].state
		for _, st := range s.steps(&r, &b) {
			if _, ok := seen[st.next]; ok {
				continue
			}
			seen[st.next] = struct{}{}
			all = append(all, node{st.next, i, st.what})
			if st.next.open(&r) && st.next.shown() != [2]uint8{} {
				res.Served++
			}
			if res.Fault = st.next.wrong(&r); res.Fault == "" {
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
