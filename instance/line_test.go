package instance

import (
	"strings"
	"testing"

	"tarragon.dev/tarragon/terms"
)

// Where a line stands beside a peer's history, by rows that are confirmed here.
func TestLine(t *testing.T) {
	tarantool := span(3, 2, 1, 9)
	tarantool.Rules = terms.Tarantool
	ours := []terms.Span{span(2, 1, 1, 10), span(3, 2, 1, 20)}
	for _, c := range []struct {
		name      string
		ours      []terms.Span
		confirmed uint64
		end       [3]uint64 // term, owner and LSN of our log's end
		theirs    []terms.Span
		decided   uint64
		want      Standing
		void      uint64
		text      string
	}{
		{"the same", ours, 20, [3]uint64{3, 2, 20}, ours, 20, Equal, 0, ""},
		{"less of the newest term", ours, 15, [3]uint64{3, 2, 18}, ours, 20, Behind, 0, ""},
		{"the same rows, less known", ours, 15, [3]uint64{3, 2, 20}, ours, 20, Behind, 0, ""},
		{"more of the newest term", ours, 20, [3]uint64{3, 2, 25}, ours, 20, Ahead, 0, "LSN 25 of instance 2 in term 3"},
		{"a newer term", ours, 15, [3]uint64{3, 2, 20}, append(ours[:2:2], span(5, 3, 1, 7)), 7, Behind, 0, ""},
		{"rows that the newer term leaves out", ours[:1], 8, [3]uint64{2, 1, 14}, append(ours[:1:1], span(5, 3, 1, 7)), 7, Ahead, 4, ""},
		{"a PROMOTE that is void", ours[:1], 10, [3]uint64{4, 1, 13}, append(ours[:1:1], span(5, 3, 1, 7)), 7, Ahead, 3, ""},
		{"a PROMOTE of which the peer does not know", ours[:1], 10, [3]uint64{4, 1, 13}, ours[:1], 10, Ahead, 0, ""},
		{"the peer knows less", ours, 20, [3]uint64{3, 2, 20}, ours[:1], 10, Unjudged, 0, ""},
		{"the peer knows nothing", ours, 20, [3]uint64{3, 2, 20}, nil, 0, Unjudged, 0, ""},
		{"we know nothing", nil, 0, [3]uint64{}, ours, 20, Unjudged, 0, ""},
		{"under Tarantool's rules", []terms.Span{ours[0], tarantool}, 9, [3]uint64{3, 2, 9}, []terms.Span{ours[0], span(4, 3, 1, 2)}, 2, Unjudged, 0, ""},
		{"a history that begins later", ours, 20, [3]uint64{3, 2, 20}, ours[1:], 20, Equal, 0, ""},

		{"another leader of a term", ours, 20, [3]uint64{3, 2, 20}, []terms.Span{ours[0], span(3, 3, 1, 5)}, 5, Parted, 0, "behind LSN 10 of instance 1 in term 2: here term 3 is that of instance 2"},
		{"another first LSN", ours, 20, [3]uint64{3, 2, 20}, []terms.Span{ours[0], span(3, 2, 2, 20)}, 20, Parted, 0, "from its LSN 2 on"},
		{"another end of a term", ours, 20, [3]uint64{3, 2, 20}, []terms.Span{span(2, 1, 1, 12), ours[1]}, 20, Parted, 0, "behind LSN 10 of instance 1 in term 2"},
		{"committed rows are left out", ours[:1], 12, [3]uint64{2, 1, 14}, append(ours[:1:1], span(5, 3, 1, 7)), 7, Parted, 0, "here LSN 12 is committed, there the term ends with LSN 10"},
		{"a term of ours is not there", ours, 20, [3]uint64{3, 2, 20}, []terms.Span{ours[0], span(5, 3, 1, 7)}, 7, Parted, 0, "there it was never in effect"},
		{"a term between ours", []terms.Span{ours[0], span(5, 3, 1, 7)}, 7, [3]uint64{5, 3, 7}, []terms.Span{ours[0], span(3, 2, 1, 20), span(5, 3, 1, 7)}, 7, Parted, 0, "there term 3 of instance 2"},
		{"from the beginning", ours, 20, [3]uint64{3, 2, 20}, []terms.Span{span(2, 3, 1, 10), ours[1]}, 20, Parted, 0, "at the beginning"},
	} {
		l := Line{History: c.ours, Confirmed: c.confirmed, Term: c.end[0], Owner: uint32(c.end[1]), Last: c.end[2]}
		got := l.Compare(c.theirs, c.decided)
		if got.Standing != c.want || got.Void != c.void || !strings.Contains(got.Text, c.text) {
			t.Errorf("%s: %v, %d void: %s; want %v, %d, %q", c.name, got.Standing, got.Void, got.Text, c.want, c.void, c.text)
		}
	}
}
