package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// boxFilter is what box.info tells of a filtered replica.
type boxFilter struct {
	Name    string      `msgpack:"name"`
	Version number      `msgpack:"version"`
	Gone    bool        `msgpack:"gone"`
	Absent  []string    `msgpack:"absent"`
	Copied  []boxCopied `msgpack:"being_copied"`
	Copy    *boxCopy    `msgpack:"copy"`

	Indexes   []string   `msgpack:"indexes_left_out"`
	Built     []boxBuilt `msgpack:"indexes_being_built"`
	Sequences []string   `msgpack:"sequences_left_out"`
}

type boxCopied struct {
	Space   string `msgpack:"space"`
	Percent number `msgpack:"percent"`
}

type boxBuilt struct {
	Index   string `msgpack:"index"` // with its space
	Percent number `msgpack:"percent"`
}

// boxCopy is the base copy that a filtered replica takes.
type boxCopy struct {
	Stage   string  `msgpack:"stage"`
	From    string  `msgpack:"from"`
	By      string  `msgpack:"by"`
	Percent number  `msgpack:"percent"`
	Rows    number  `msgpack:"rows"`
	Total   number  `msgpack:"total"`
	Rate    number  `msgpack:"rows_per_second"`
	For     float64 `msgpack:"seconds"`
	Failed  number  `msgpack:"failed"`
	Reason  string  `msgpack:"reason"`
	Next    float64 `msgpack:"next_try"`
}

// boxGiven is what box.info tells of base copies that an instance gives.
type boxGiven struct {
	Limit number     `msgpack:"limit"`
	Given []boxGives `msgpack:"given"`
}

// boxGives is one of them; tarragon.copy.list answers with such.
type boxGives struct {
	ID      string   `msgpack:"id"`
	Replica string   `msgpack:"replica"`
	UUID    string   `msgpack:"uuid"`
	Address string   `msgpack:"address"`
	Spaces  []string `msgpack:"spaces"`
	Stage   string   `msgpack:"stage"`
	Percent number   `msgpack:"percent"`
	Rows    number   `msgpack:"rows"`
	Total   number   `msgpack:"total"`
	Rate    number   `msgpack:"rows_per_second"`
	Bytes   number   `msgpack:"bytes"`
	For     float64  `msgpack:"seconds"`
	Pins    number   `msgpack:"pinned"`
	Spooled bool     `msgpack:"spooled"`
	Reason  string   `msgpack:"reason"`
}

// filterState is how a filtered replica stands.
type filterState struct {
	Name    string   `json:"name"`
	Version uint64   `json:"version"`
	Gone    bool     `json:"gone,omitempty"`
	Absent  []string `json:"absent,omitempty"`
	Copied  []string `json:"being_copied,omitempty"`
	Copy    *copying `json:"copy,omitempty"`
}

// copying is a base copy as one of its ends tells of it.
type copying struct {
	Stage   string  `json:"stage"`
	Percent uint64  `json:"percent"`
	Rows    uint64  `json:"rows"`
	Total   uint64  `json:"about_rows"`
	Rate    uint64  `json:"rows_per_second"`
	For     float64 `json:"seconds"`
	Reason  string  `json:"reason,omitempty"`

	// At the replica.
	From   string  `json:"from,omitempty"`
	By     string  `json:"by,omitempty"`
	Failed uint64  `json:"failed,omitempty"`
	Next   float64 `json:"next_try_seconds,omitempty"`

	// At the sender.
	ID      string   `json:"id,omitempty"`
	At      string   `json:"at,omitempty"` // the sender
	Replica string   `json:"replica,omitempty"`
	UUID    string   `json:"uuid,omitempty"`
	Address string   `json:"address,omitempty"`
	Spaces  []string `json:"spaces,omitempty"`
	Pinned  uint64   `json:"pinned_bytes,omitempty"`
	Spooled bool     `json:"spooled,omitempty"`
}

// parseFilter is nil where the instance has all.
func parseFilter(m *boxFilter) *filterState {
	if m == nil {
		return nil
	}
	f := &filterState{Name: m.Name, Version: uint64(m.Version), Gone: m.Gone, Absent: m.Absent}
	for _, c := range m.Copied {
		f.Copied = append(f.Copied, c.Space)
	}
	if c := m.Copy; c != nil {
		f.Copy = &copying{Stage: c.Stage, Percent: uint64(c.Percent), Rows: uint64(c.Rows), Total: uint64(c.Total), Rate: uint64(c.Rate), For: c.For,
			From: c.From, By: c.By, Failed: uint64(c.Failed), Reason: c.Reason, Next: c.Next}
	}
	return f
}

// parseGives makes what we show of copies that an instance gives.
func parseGives(at string, list []boxGives) (out []*copying) {
	for i := range list {
		c := &list[i]
		out = append(out, &copying{ID: c.ID, At: at, Replica: c.Replica, UUID: c.UUID, Address: c.Address, Spaces: c.Spaces, Stage: c.Stage, Percent: uint64(c.Percent),
			Rows: uint64(c.Rows), Total: uint64(c.Total), Rate: uint64(c.Rate), For: c.For, Pinned: uint64(c.Pins), Spooled: c.Spooled, Reason: c.Reason})
	}
	return out
}

// printCopies has a line for each base copy that an instance takes or gives.
func printCopies(w io.Writer, all []*instanceInfo) {
	for _, in := range all {
		if f := in.Filter; f != nil && f.Copy != nil {
			fmt.Fprintf(w, "%s takes %s: %s\n", in.label(), list(f.Copied), f.Copy.taken())
		}
	}
	for _, in := range all {
		for _, c := range in.Gives {
			fmt.Fprintf(w, "%s gives %s to %s: %s\n", in.label(), list(c.Spaces), plain(c.Replica), c.given())
		}
	}
}

// maxListed bounds what a line has of spaces.
const maxListed = 8

func list(spaces []string) string {
	shown := make([]string, 0, maxListed)
	for i, s := range spaces {
		if i == maxListed {
			shown = append(shown, fmt.Sprintf("and %d more", len(spaces)-i))
			break
		}
		shown = append(shown, plain(s))
	}
	return dash(strings.Join(shown, ", "))
}

// progress is as "61 %, 310 k rows/s, 1.2 M of about 2 M rows, for 4s".
func (c *copying) progress() string {
	return fmt.Sprintf("%d %%, %s rows/s, %s of about %s rows, for %s", c.Percent, thousands(c.Rate), thousands(c.Rows), thousands(c.Total), seconds(c.For))
}

// taken is the state at the replica.
func (c *copying) taken() string {
	from := ""
	if c.From != "" {
		from = " from " + plain(c.From)
		if c.By == "command" {
			from += " by the transfer command"
		}
	}
	text := ""
	switch c.Stage {
	case "waits":
		text = "tried again in " + (time.Duration(c.Next * float64(time.Second))).Round(time.Second).String()
	case "asks":
		text = "asks for them, for " + seconds(c.For)
	case "behind":
		text = fmt.Sprintf("%s rows%s, which begin once all is here that was decided before them; for %s", thousands(c.Total), from, seconds(c.For))
	case "complete":
		text = fmt.Sprintf("all %s rows%s are here", thousands(c.Rows), from)
	default:
		text = c.progress() + from
	}
	return text + c.trouble()
}

func (c *copying) trouble() string {
	switch {
	case c.Reason == "":
		return ""
	case c.Failed > 0:
		return fmt.Sprintf("; failed %d times: %s", c.Failed, plain(c.Reason))
	}
	return "; " + plain(c.Reason)
}

// given is the state at the sender.
func (c *copying) given() string {
	id := ""
	if c.ID != "" {
		id = " (copy " + plain(c.ID) + ")"
	}
	switch c.Stage {
	case "refused":
		return fmt.Sprintf("refused %s ago%s", seconds(c.For), c.trouble())
	case "deciding":
		return fmt.Sprintf("not all that it holds is decided here, for %s%s", seconds(c.For), id)
	}
	return c.progress() + id
}

// thousands is a number for people, as 310 k.
func thousands(n uint64) string {
	switch {
	case n < 10_000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%d k", n/1000)
	}
	return fmt.Sprintf("%d.%d M", n/1_000_000, n%1_000_000/100_000)
}
