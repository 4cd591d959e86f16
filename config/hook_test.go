package config

import (
	"slices"
	"testing"
	"time"
)

// The program for changes of the role is a list of words, from any scope or a variable;
// a line for a shell is none.
func TestOnRoleChange(t *testing.T) {
	in := mustLoad(t, "tarragon: {on_role_change: [/etc/hook.sh, 'a b', '$(c)']}\n"+threeNodes, "i2")
	if got := in.Tarragon.OnRoleChange; !slices.Equal(got, []string{"/etc/hook.sh", "a b", "$(c)"}) || in.Tarragon.OnRoleChangeTimeout != 10*time.Second {
		t.Errorf("%q, %v", got, in.Tarragon.OnRoleChangeTimeout)
	}
	if in := mustLoad(t, threeNodes, "i2"); in.Tarragon.OnRoleChange != nil {
		t.Errorf("by default: %q", in.Tarragon.OnRoleChange)
	}
	if in := mustLoad(t, threeNodes, "i2", "TT_TARRAGON_ON_ROLE_CHANGE=/etc/hook.sh", "TT_TARRAGON_ON_ROLE_CHANGE_TIMEOUT=2.5"); !slices.Equal(in.Tarragon.OnRoleChange, []string{"/etc/hook.sh"}) || in.Tarragon.OnRoleChangeTimeout != 2500*time.Millisecond {
		t.Errorf("by variables: %q, %v", in.Tarragon.OnRoleChange, in.Tarragon.OnRoleChangeTimeout)
	}
	for _, bad := range []string{"/etc/hook.sh a", "['']"} {
		if in, err := load("tarragon: {on_role_change: "+bad+"}\n"+threeNodes, "i2", nil); err == nil {
			t.Errorf("%s is taken: %q", bad, in.Tarragon.OnRoleChange)
		}
	}
	if _, err := load("tarragon: {on_role_change_timeout: 0}\n"+threeNodes, "i2", nil); err == nil {
		t.Error("no time at all is taken")
	}
}
