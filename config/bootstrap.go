package config

import "tarragon.dev/tarragon/raft"

// bootstrapLeader resolves who begins the replica set where the instances do
// not agree on that themselves.
func (l *loader) bootstrapLeader(in *Instance, own *options, peers []peer) {
	var named *value
	if l.root != nil {
		named = l.root.at("groups", in.Group, "replicasets", in.Replicaset, "bootstrap_leader")
	}
	strategy := in.Replication.BootstrapStrategy
	const path = "bootstrap_leader"
	switch {
	case strategy != BootstrapConfig && named != nil:
		l.mistake(named.where, path, "The \"bootstrap_leader\" option cannot be set for replicaset %q because \"bootstrap_strategy\" for instance %q is not \"config\"",
			in.Replicaset, in.Name)
	case strategy == BootstrapConfig && named == nil:
		l.mistake(own.where("replication.bootstrap_strategy"), path, "The \"bootstrap_leader\" option cannot be empty for replicaset %q because \"bootstrap_strategy\" for instance %q is \"config\"",
			in.Replicaset, in.Name)
	case strategy == BootstrapConfig:
		in.Replication.BootstrapLeader = named.text
		for _, p := range peers {
			if p.name == named.text {
				return
			}
		}
		l.mistake(named.where, path, "\"bootstrap_leader\" = %q option is set for replicaset %q of group %q, but instance %q is not found in this replicaset",
			named.text, in.Replicaset, in.Group, named.text)
	case strategy == BootstrapNative:
		in.Replication.BootstrapLeader = firstWriter(in, peers)
	}
}

// firstWriter is the first instance by name that may write: with elections, the
// first candidate. Empty: none.
func firstWriter(in *Instance, peers []peer) string {
	for _, p := range peers {
		may := !p.readOnly(in, len(peers))
		if in.Replication.Failover == FailoverElection {
			may = p.mode == raft.Candidate
		}
		if may && !p.anon {
			return p.name
		}
	}
	return ""
}
