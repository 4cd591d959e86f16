package proc

import "tarragon.dev/tarragon/instance"

// infoFilter is what a filtered replica has.
type infoFilter struct {
	Name    string       `msgpack:"name"`
	Version uint64       `msgpack:"version"`
	Gone    bool         `msgpack:"gone,omitempty"` // there is no such filter any more
	Absent  []string     `msgpack:"absent"`
	Copied  []infoCopied `msgpack:"being_copied"`
}

type infoCopied struct {
	Space   string `msgpack:"space"`
	Percent int    `msgpack:"percent"`
	Rows    int    `msgpack:"rows"`
}

// filterOf is nil where the instance has all.
func filterOf(i *instance.Info) *infoFilter {
	s := &i.Share
	if s.Filter == "" {
		return nil
	}
	f := &infoFilter{Name: s.Filter, Version: s.Version, Gone: s.Gone, Absent: s.Absent}
	for _, c := range s.Copied {
		f.Copied = append(f.Copied, infoCopied(c))
	}
	return f
}
