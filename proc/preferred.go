package proc

import "tarragon.dev/tarragon/instance"

// infoPrefers is who gets leadership back when it has been well. Only the leader tells for how long
// that has yet to be, or why it is not.
type infoPrefers struct {
	Name string   `msgpack:"name"`
	Calm float64  `msgpack:"calm"`           // seconds
	Left *float64 `msgpack:"left,omitempty"` // seconds
	Why  string   `msgpack:"why,omitempty"`
}

// preferredOf is nil where nobody is preferred.
func preferredOf(i *instance.Info) *infoPrefers {
	p := &i.Preferred
	if p.Name == "" {
		return nil
	}
	out := &infoPrefers{Name: p.Name, Calm: p.Calm.Seconds(), Why: p.Why}
	if p.Left != 0 {
		out.Left = inSeconds(p.Left)
	}
	return out
}
