package box

import (
	"slices"
	"testing"
)

// Sizes of spaces come in slices, and are those that Spaces tells.
func TestSpaceSizes(t *testing.T) {
	b := newWorld(t).b
	all := b.Spaces()
	var got []SpaceSize
	for from, more := uint32(0), true; more; {
		had := len(got)
		got = b.Schema().SpaceSizes(from, 3, got)
		if more = len(got) > had; more {
			from = got[len(got)-1].ID + 1
		}
		if len(got)-had > 3 {
			t.Fatalf("%d at once", len(got)-had)
		}
	}
	if !slices.EqualFunc(got, all, func(s SpaceSize, i SpaceInfo) bool {
		return s == SpaceSize{i.ID, i.Name, i.Engine, i.Temp, i.Rows, i.Bytes}
	}) {
		t.Errorf("%+v\n%+v", got, all)
	}
}
