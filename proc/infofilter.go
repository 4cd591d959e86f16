package proc

import "tarragon.dev/tarragon/instance"

// infoFilter is what a filtered replica has.
type infoFilter struct {
	Name    string       `msgpack:"name"`
	Version uint64       `msgpack:"version"`
	Gone    bool         `msgpack:"gone,omitempty"` // there is no such filter any more
	Absent  []string     `msgpack:"absent"`
	Copied  []infoCopied `msgpack:"being_copied"`
	Copy    *infoCopy    `msgpack:"copy,omitempty"`

	Indexes   []string    `msgpack:"indexes_left_out"`
	Built     []infoBuilt `msgpack:"indexes_being_built"`
	Sequences []string    `msgpack:"sequences_left_out"`
}

type infoBuilt struct {
	Index   string `msgpack:"index"` // with its space
	Percent int    `msgpack:"percent"`
}

type infoCopied struct {
	Space   string `msgpack:"space"`
	Percent int    `msgpack:"percent"`
	Rows    int    `msgpack:"rows"`
}

// infoCopy is how the base copy stands by which all spaces of being_copied come.
type infoCopy struct {
	Stage   string  `msgpack:"stage"`
	From    string  `msgpack:"from,omitempty"`
	By      string  `msgpack:"by,omitempty"` // connection or command
	Percent int     `msgpack:"percent"`
	Rows    int     `msgpack:"rows"`
	Total   int     `msgpack:"total"`
	Rate    int     `msgpack:"rows_per_second"`
	For     float64 `msgpack:"seconds"` // since it was ordered
	Failed  int     `msgpack:"failed"`  // tries in a row
	Reason  string  `msgpack:"reason,omitempty"`
	Next    float64 `msgpack:"next_try,omitempty"` // seconds
}

// filterOf is nil where the instance has all.
func filterOf(i *instance.Info) *infoFilter {
	s := &i.Share
	if s.Filter == "" {
		return nil
	}
	f := &infoFilter{Name: s.Filter, Version: s.Version, Gone: s.Gone, Absent: s.Absent, Sequences: s.Sequences}
	for _, ix := range s.Indexes {
		if name := ix.Space + "." + ix.Index; ix.Building {
			f.Built = append(f.Built, infoBuilt{name, ix.Percent})
		} else {
			f.Indexes = append(f.Indexes, name)
		}
	}
	for _, c := range s.Copied {
		f.Copied = append(f.Copied, infoCopied(c))
	}
	if c := s.Copy; c != nil {
		f.Copy = &infoCopy{Stage: string(c.Stage), From: c.Source.From, Percent: c.Percent, Rows: c.Rows, Total: c.Total, Rate: c.Rate,
			For: c.For.Seconds(), Failed: c.Failed, Reason: c.Why, Next: c.Next.Seconds()}
		switch {
		case c.Source.Command:
			f.Copy.By = "command"
		case c.Source.From != "":
			f.Copy.By = "connection"
		}
	}
	return f
}
