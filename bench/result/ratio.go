package result

import "slices"

// Ratio is how one figure of a line compares between ours and a peer.
type Ratio struct {
	Line   string    `json:"line"`
	Figure string    `json:"figure"`
	Peer   string    `json:"peer"`
	Ours   float64   `json:"ours"`  // the median
	Other  float64   `json:"other"` // the median
	Pairs  []float64 `json:"pairs"` // ours divided by the peer's, of each turn
	Median float64   `json:"median"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
}

// Compare pairs the records of two systems, turn by turn, in the order of the
// lines. A turn in which one of them has no such figure, or the peer's is
// nothing, is no pair; a line without pairs is not there.
func Compare(records []Record, ours, peer string, figures ...string) (all []Ratio) {
	var lines []string
	for i := range records {
		if records[i].System == peer && !slices.Contains(lines, records[i].Line) {
			lines = append(lines, records[i].Line)
		}
	}
	for _, line := range lines {
		for _, figure := range figures {
			if r, ok := compare(records, line, figure, ours, peer); ok {
				all = append(all, r)
			}
		}
	}
	return all
}

func compare(records []Record, line, figure, ours, peer string) (Ratio, bool) {
	find := func(system string, turn int) (float64, bool) {
		for i := range records {
			if r := &records[i]; r.Line == line && r.System == system && r.Turn == turn {
				return r.Value(figure)
			}
		}
		return 0, false
	}
	r := Ratio{Line: line, Figure: figure, Peer: peer}
	var mine, others []float64
	for i := range records {
		if records[i].Line != line || records[i].System != peer {
			continue
		}
		a, known := find(ours, records[i].Turn)
		b, measured := records[i].Value(figure)
		if !known || !measured || b == 0 {
			continue
		}
		mine, others, r.Pairs = append(mine, a), append(others, b), append(r.Pairs, a/b)
	}
	if len(r.Pairs) == 0 {
		return r, false
	}
	r.Ours, r.Other, r.Median = Median(mine), Median(others), Median(r.Pairs)
	r.Low, r.High = slices.Min(r.Pairs), slices.Max(r.Pairs)
	return r, true
}
