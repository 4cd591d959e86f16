package result

// Units of figures.
const (
	PerSecond = "1/s"
	Micros    = "us"
	Millis    = "ms"
	Bytes     = "B"
	Count     = ""
	Cores     = "cores"
)

// Figure is one number of a measurement.
type Figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit,omitempty"`
	Value float64 `json:"value"`
}

// Record is one measurement of a line on a system.
type Record struct {
	Line    string   `json:"line"`
	System  string   `json:"system"`
	Turn    int      `json:"turn"`              // from 0
	Series  string   `json:"series,omitempty"`  // what grows; empty: the line stands alone
	X       float64  `json:"x,omitempty"`       // how far it has grown
	Figures []Figure `json:"figures,omitempty"` // none: nothing was measured, Faults says why
	// Samples are single times in milliseconds, for a distribution.
	Samples []float64 `json:"samples,omitempty"`
	Faults  string    `json:"faults,omitempty"` // what went wrong, in words
}

// Value finds a figure.
func (r *Record) Value(name string) (float64, bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value, true
		}
	}
	return 0, false
}
