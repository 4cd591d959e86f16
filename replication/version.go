package replication

import (
	"fmt"

	"tarragon.dev/tarragon/xrow"
)

// version numbers releases of Tarantool as SERVER_VERSION does.
func version(major, minor, patch uint32) uint32 { return major<<16 | minor<<8 | patch }

// takesRaft tells whether a release reads RAFT messages, or at least takes them
// for heartbeats.
func takesRaft(v uint32) bool { return v >= version(2, 6, 0) }

// wantsRaftLocal tells whether a release takes RAFT messages only as rows of
// the local group (Tarantool, src/box/relay.cc).
func wantsRaftLocal(v uint32) bool {
	return v < version(2, 11, 6) || v >= version(3, 0, 0) && v < version(3, 2, 2)
}

// knowsPromote tells whether a release can follow a replica set with elections:
// it reads PROMOTE and DEMOTE, and tells its version when it joins.
func knowsPromote(v uint32) bool {
	return v >= version(2, 8, 2) || v >= version(2, 7, 3) && v < version(2, 8, 0)
}

// greetingVersion reads the release in a greeting; 0: it is none.
func greetingVersion(text string) uint32 {
	var v [3]uint32
	if n, _ := fmt.Sscanf(text, "%d.%d.%d", &v[0], &v[1], &v[2]); n < 3 {
		return 0
	}
	return version(v[0], v[1], v[2])
}

// checkRelease refuses a master that cannot be in a replica set with elections:
// it would write without being elected.
func checkRelease(greeting string, raft bool) error {
	if v := greetingVersion(greeting); raft && v != 0 && !knowsPromote(v) {
		return xrow.Errorf(xrow.ErrUnsupported, "A replica set with elections", "members of release "+versionText(v))
	}
	return nil
}

func versionText(v uint32) string { return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff) }
