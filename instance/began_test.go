package instance

import (
	"testing"

	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// How a term begins survives a checkpoint in which its PROMOTE is pending: the row says the same
// as the one that came.
func TestBeganSurvivesCheckpoint(t *testing.T) {
	p := limbo.Promote{Term: 7, Owner: 2, LSN: 5, PrevTerm: 6, PrevOwner: 1, PrevLSN: 9, Named: 9, Rules: terms.Strong,
		Began: terms.Began{Kind: terms.Forced, By: "admin", Reason: "why not", At: 1_764_472_123_456_789, Gap: 1_234_567, Loose: true}}
	r, err := xrow.Decode(pendingFrame(&p)[xrow.FrameHead:])
	if err != nil {
		t.Fatal(err)
	}
	body, err := xrow.DecodeSynchro(r.Body)
	if err != nil || body.Move == nil {
		t.Fatal(body, err)
	}
	if got := beganBy(body.Move, terms.Micros(r.Timestamp)); got != p.Began || body.Move.To != p.Owner {
		t.Errorf("%+v, want %+v", got, p.Began)
	}
	p.Began = terms.Began{At: 1_764_472_123_456_789} // of an earlier version
	r, _ = xrow.Decode(pendingFrame(&p)[xrow.FrameHead:])
	if body, err := xrow.DecodeSynchro(r.Body); err != nil || body.Move != nil || terms.Micros(r.Timestamp) != p.Began.At {
		t.Errorf("%+v at %v, %v", body, r.Timestamp, err)
	}
}

// A page of the history begins behind a term and says whether more follow.
func TestHistoryPage(t *testing.T) {
	var c Core
	c.limbo.Restore([]terms.Span{span(2, 1, 1, 4), span(5, 1, 5, 9), span(6, 2, 1, 3)}, 3, c.limbo.ConfirmedOf())
	for _, p := range []struct {
		after       uint64
		limit, n    int
		first, last uint64
		more        bool
	}{{0, 2, 2, 2, 5, true}, {0, 3, 3, 2, 6, false}, {2, 5, 2, 5, 6, false}, {3, 1, 1, 5, 5, true}, {6, 1, 0, 0, 0, false}, {1 << 63, 1, 0, 0, 0, false}} {
		page, more := c.HistoryPage(p.after, p.limit)
		if len(page) != p.n || more != p.more || p.n > 0 && (page[0].Term != p.first || page[p.n-1].Term != p.last) {
			t.Errorf("behind %d, %d: %v, %t", p.after, p.limit, page, more)
		}
	}
}
