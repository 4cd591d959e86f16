package config

import (
	"slices"
	"testing"
	"time"
)

// The command that brings base copies is a list of words. It has to say where the file goes,
// and the sender has no part in the name of the program.
func TestTransferCommand(t *testing.T) {
	in := mustLoad(t, "tarragon: {transfer_command: [scp, -q, 'x@%host%:%source%', '%target%']}\n"+threeNodes, "i2")
	if got := in.Tarragon; !slices.Equal(got.TransferCommand, []string{"scp", "-q", "x@%host%:%source%", "%target%"}) || got.TransferTimeout != time.Hour || got.TransferFallback != 0 {
		t.Errorf("%q, %v, %d", got.TransferCommand, got.TransferTimeout, got.TransferFallback)
	}
	if in := mustLoad(t, threeNodes, "i2"); in.Tarragon.TransferCommand != nil {
		t.Errorf("by default: %q", in.Tarragon.TransferCommand)
	}
	for _, bad := range []string{"cp", "['', '%source%', '%target%']", "[cp, '%source%']", "[cp, '%target%']", "['%source%', '%target%']", "['/bin/%host%', '%source%', '%target%']"} {
		if in, err := load("tarragon: {transfer_command: "+bad+"}\n"+threeNodes, "i2", nil); err == nil {
			t.Errorf("%s is taken: %q", bad, in.Tarragon.TransferCommand)
		}
	}
}
