package instance

import (
	"reflect"
	"testing"

	"tarragon.dev/tarragon/xrow"
)

func someFilter() *Filter {
	return &Filter{
		Share:     xrow.Share{Filter: "hr", Version: 3, New: true, Spaces: []uint32{512, 600}},
		Indexes:   [][2]uint32{{513, 1}, {513, 2}},
		Sequences: []uint32{7},
		Former:    []xrow.Share{{Filter: "hr", Version: 2, Spaces: []uint32{512}}, {Filter: "hr", Version: 1, New: true}},
	}
}

// A filter's tuple is read as it was written. One that is cut off, or has a list out of
// order, is none: nobody takes a part of it.
func TestFilterTuple(t *testing.T) {
	want := someFilter()
	tuple := want.Tuple()
	if got := readFilter(tuple); !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for n := range tuple {
		if f := readFilter(tuple[:n]); f != nil {
			t.Errorf("cut off behind %d bytes: %+v", n, f)
		}
	}
	want.Spaces = []uint32{600, 512}
	if f := readFilter(want.Tuple()); f != nil {
		t.Errorf("%+v", f)
	}
}

// A sender serves the shares that its filter gives or gave, and no other one of that name.
func TestFilterGives(t *testing.T) {
	f := someFilter()
	for _, c := range []struct {
		share         xrow.Share
		gives, behind bool
	}{
		{xrow.Share{Version: 3, New: true, Spaces: []uint32{512, 600}}, true, false},
		{xrow.Share{Version: 3, New: true, Spaces: []uint32{512}}, false, false},
		{xrow.Share{Version: 2, Spaces: []uint32{512}}, true, false},
		{xrow.Share{Version: 1, New: true}, true, false},
		{xrow.Share{Version: 2, New: true}, false, false},
		{xrow.Share{Version: 0, New: true}, false, false},
		{xrow.Share{Version: 4, New: true, Spaces: []uint32{512, 600}}, false, true},
	} {
		if gives, behind := f.Gives(&c.share); gives != c.gives || behind != c.behind {
			t.Errorf("%+v: given %v, behind %v", c.share, gives, behind)
		}
	}
}
