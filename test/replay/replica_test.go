package replay

import "testing"

// TestReplicaOf26 joins a recorded master of 2.6.
func TestReplicaOf26(t *testing.T) {
	s := newScript(t, "join-2.6", `replication: {timeout: 30, reconnect_timeout: 0.01, peers: ['MASTER']}
database: {mode: ro, instance_uuid: 148ac4bb-46d0-4e8a-a8fa-f74755db11dd}
`)
	s.stop = "sync row"
	s.n.start()
	s.play()
}
