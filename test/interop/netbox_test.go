package interop

import (
	"os/exec"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/cluster"
)

// Tarantool's own connector finds what it is used to: testdata/netbox.lua says what.
func TestNetBox(t *testing.T) {
	for _, p := range []peer{debian, modern} {
		if p.path == "" {
			continue
		}
		t.Run(p.version, func(t *testing.T) {
			r := newRig(t)
			n := r.add(us(p), settings{first: true})
			if !n.isOurs() && !p.old() {
				n.set.extra = "\tmemtx_use_mvcc_engine = true,\n" // as ours is, always
			}
			n.start()
			r.up(n)
			out, err := exec.CommandContext(r.ctx, p.path, "testdata/netbox.lua", n.addr, cluster.User, cluster.Password).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "all is well") {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}
