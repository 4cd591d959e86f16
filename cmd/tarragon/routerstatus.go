package main

import (
	"fmt"
	"io"
	"strings"

	"tarragon.dev/tarragon/router"
)

// printNodesSaid says what administrators have said of instances (tarragon node set), once for each replica set.
func printNodesSaid(w io.Writer, all []*instanceInfo) {
	told := map[string]bool{}
	for _, in := range rulesFirst(all) {
		if told[in.Replicaset] {
			continue
		}
		told[in.Replicaset] = true
		var said []string
		for _, n := range in.Nodes {
			said = append(said, n.said()...)
		}
		if len(said) > 0 {
			fmt.Fprint(w, wrap("by 'tarragon node set' "+strings.Join(said, ", "), ""))
		}
	}
}

// said is what is not as if nobody had said anything.
func (n *nodeLine) said() (out []string) {
	name := n.Name
	if name == "" {
		name = n.UUID
	}
	switch {
	case n.Fence:
		out = append(out, name+" is FENCED (no clients by routers, no leadership)")
	case !n.Writes:
		out = append(out, name+" shall not lead")
	}
	if n.Priority != 0 {
		out = append(out, fmt.Sprintf("%s has priority %d", name, n.Priority))
	}
	return out
}

// printRouters prints how the routers in instances stand.
func printRouters(w io.Writer, all []*instanceInfo) {
	for _, in := range all {
		if in.Router != nil {
			fmt.Fprintf(w, "router at %s:\n", in.label())
			for _, line := range routerLines(in.Router) {
				fmt.Fprint(w, wrap(line, "  "))
			}
		}
	}
}

func routerLines(st *router.Stats) (out []string) {
	for _, p := range st.Ports {
		to := "nowhere"
		if len(p.LeadsTo) > 0 {
			to = "to " + strings.Join(p.LeadsTo, ", ")
		}
		line := fmt.Sprintf("%s leads %s (%s): %s", p.Port, to, p.Why, plural(p.Clients, "client"))
		if p.Refused > 0 {
			line += fmt.Sprintf("; %d refused, there was no room", p.Refused)
		}
		out = append(out, line)
	}
	var at []string
	for _, in := range st.Instances {
		if !in.Answers {
			at = append(at, fmt.Sprintf("%s does not answer (%s)", in.Name, in.Why))
			continue
		}
		at = append(at, fmt.Sprintf("%s %d with %s under way", in.Name, in.Backends, plural(in.UnderWay, "request")))
	}
	out = append(out, "connections: "+strings.Join(at, ", "))
	h, n := &st.Held, &st.Writes
	out = append(out,
		fmt.Sprintf("since its start: %s, %d hidden from all clients; %s held, %d in vain; %s sent again, %d of %s under numbers; the outcome of %d is unknown",
			plural(int(st.Failovers), "failover"), st.Hidden, plural(int(h.Total), "request"), h.Expired, plural(int(h.Again), "request"),
			n.Repeated, plural(int(n.Numbered), "write"), h.Unknown),
		fmt.Sprintf("now: %s held (%d bytes), %s open", plural(int(h.Now), "request"), h.Bytes, plural(n.Sessions, "exactly-once session")))
	return out
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
