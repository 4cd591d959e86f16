package instance

import (
	"time"
)

// mandate reads token=, lease= and force.
func (w words) mandate() Mandate {
	m := Mandate{Token: w.Num("token"), Force: w.Has("force")}
	if text := w.Named["lease"]; text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			panic(err)
		}
		m.Lease = d
	}
	return m
}
