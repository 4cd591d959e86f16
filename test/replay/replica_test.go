package replay

import "testing"

// TestReplicaOf38 joins a recorded master of 3.8.
func TestReplicaOf38(t *testing.T) {
	s := newScript(t, "replica-join-3.8", `replication: {timeout: 30, reconnect_timeout: 0.01, peers: ['replicator:r@MASTER']}
database: {mode: ro, instance_uuid: 383fedb5-8852-404c-9520-0a4ddc48a6e0}
`)
	s.stop = "error case"
	s.hooks["replica is ended"] = func() {
		s.n.halt()
		s.n.start()
	}
	s.n.start()
	s.play()
}

// TestReplicaOf26 joins a recorded master of 2.6.
func TestReplicaOf26(t *testing.T) {
	s := newScript(t, "join-2.6", `replication: {timeout: 30, reconnect_timeout: 0.01, peers: ['MASTER']}
database: {mode: ro, instance_uuid: 148ac4bb-46d0-4e8a-a8fa-f74755db11dd}
`)
	s.stop = "sync row"
	s.n.start()
	s.play()
}
