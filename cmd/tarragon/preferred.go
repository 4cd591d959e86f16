package main

import (
	"fmt"
	"io"
)

// boxPreferred is who should lead by the configuration of an instance, and what the leader knows of that.
type boxPreferred struct {
	Name string   `msgpack:"name" json:"name"`
	Calm float64  `msgpack:"calm" json:"calm_seconds"`
	Left *float64 `msgpack:"left" json:"left_seconds,omitempty"` // of the calm time; nil: it does not run
	Why  string   `msgpack:"why" json:"why,omitempty"`           // why it does not
}

// printPreferred tells of leaders that another one is preferred to, when they give leadership back, or why not.
func printPreferred(w io.Writer, all []*instanceInfo) {
	for _, in := range all {
		p := in.Preferred
		if p == nil || in.Role != roleLeader || p.Name == in.Name {
			continue
		}
		if p.Left != nil {
			fmt.Fprintf(w, "preferred leader: %s gets leadership back from %s in %s, if it is well for so long\n", plain(p.Name), in.label(), seconds(*p.Left))
			continue
		}
		fmt.Fprintf(w, "preferred leader: %s gets nothing from %s: %s\n", plain(p.Name), in.label(), plain(p.Why))
	}
}
