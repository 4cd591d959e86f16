package instance

import (
	"testing"

	"tarragon.dev/tarragon/vclock"
)

func TestFreeID(t *testing.T) {
	all := func(ids ...uint32) (mask uint32) {
		for _, id := range ids {
			mask |= 1 << id
		}
		return mask
	}
	const full = 1<<vclock.Max - 2
	tests := []struct {
		name string
		used uint32
		lsns []uint32 // IDs that an LSN is known of
		last uint32
		want uint32
	}{
		{"first", 0, nil, 0, 1},
		{"next", all(1, 2, 3), nil, 0, 4},
		{"not the one given back", all(1, 3), nil, 0, 4},
		{"nor one with rows", all(1, 2), []uint32{4}, 0, 5},
		{"local rows are nobody's", all(1), []uint32{0}, 0, 2},
		{"no room above", all(1, 31), []uint32{2}, 0, 3},
		{"all have rows", all(1, 31), []uint32{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
			29, 30}, 0, 2},
		{"nor the last one, which wrote nothing", all(1, 2), nil, 3, 4},
		{"no room above the last one", all(1, 2), []uint32{3}, 31, 4},
		{"full", full, nil, 0, 0},
	}
	for _, test := range tests {
		var c Core
		for _, id := range test.lsns {
			c.out.vclock[id] = 5
		}
		if got := c.members.freeID(test.used, test.last, &c.out.vclock); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}
