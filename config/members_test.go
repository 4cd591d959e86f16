package config

import (
	"slices"
	"testing"
)

// Who may become a member: the instances of the file, or those of the list; nil
// lets everybody in, and an empty list nobody.
func TestMembersOption(t *testing.T) {
	for _, test := range []struct {
		name, list string
		want       []string
	}{
		{"the file", "", []string{"i1", "i2", "i3"}},
		{"a list", "tarragon: {members: [i1, i9]}\n", []string{"i1", "i9"}},
		{"everybody", "tarragon: {members: [i1, '*']}\n", nil},
		{"nobody", "tarragon: {members: []}\n", []string{}},
	} {
		in := mustLoad(t, test.list+threeNodes, "i2")
		if got := in.Tarragon.Members; !slices.Equal(got, test.want) || (got == nil) != (test.want == nil) {
			t.Errorf("%s: %q", test.name, got)
		}
	}
	if in := mustLoad(t, threeNodes, "i2", "TT_TARRAGON_MEMBERS=i1,i4", "TT_TARRAGON_MAX_MEMBERS=5"); !slices.Equal(in.Tarragon.Members, []string{"i1", "i4"}) || in.Tarragon.MaxMembers != 5 {
		t.Errorf("by variables: %q, %d", in.Tarragon.Members, in.Tarragon.MaxMembers)
	}
	if in, err := Load(Source{}); err == nil && in.Tarragon.Members != nil {
		t.Errorf("without a file: %q", in.Tarragon.Members)
	}
	if _, err := load("tarragon: {max_members: 32}\n"+threeNodes, "i2", nil); err == nil {
		t.Error("32 members are taken")
	}
}
