package result

import (
	"encoding/json"
	"io"
	"time"
)

// Report is a run as a file.
type Report struct {
	When    time.Time `json:"when"`
	Commit  string    `json:"commit"`  // of the benchmark and the server; "+" behind it: with changes
	Command []string  `json:"command"` // arguments of the run
	Machine Machine   `json:"machine"`
	Systems []System  `json:"systems"`
	Records []Record  `json:"records"`
	Ratios  []Ratio   `json:"ratios,omitempty"`
}

// System is one that was measured, and with what durability.
type System struct {
	Name  string `json:"name"`
	Nodes int    `json:"nodes"`
	How   string `json:"how"` // its settings, in its own words
}

// Note adds a system unless it is there.
func (r *Report) Note(s System) {
	for _, have := range r.Systems {
		if have == s {
			return
		}
	}
	r.Systems = append(r.Systems, s)
}

// Write writes the report as JSON that a person can read.
func (r *Report) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}
