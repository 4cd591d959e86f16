package config

import (
	"slices"
	"strings"

	"tarragon.dev/tarragon/internal/tlsconf"
	"tarragon.dev/tarragon/raft"
)

// peer is an instance of the replica set while it is looked at as a whole.
type peer struct {
	place
	*options
	mode raft.Mode
	anon bool
	iso  bool
}

// replicaset fills in what depends on the other members, and checks what may
// not be set together.
func (l *loader) replicaset(in *Instance, self place, own *options) {
	var leader *value
	peers := []peer{{place: self, options: own}}
	if l.root != nil {
		leader = l.root.at("groups", self.group, "replicasets", self.replicaset, "leader")
		peers = peers[:0]
		for _, p := range l.all {
			if p.group != self.group || p.replicaset != self.replicaset {
				continue
			}
			o := own
			if p.name != self.name {
				v, vars := l.optionsOf(p, false)
				o = &options{loader: l, v: v, vars: vars}
			}
			peers = append(peers, peer{place: p, options: o})
		}
	}
	for i := range peers {
		p := &peers[i]
		p.mode, p.anon, p.iso = p.electionMode(), p.boolean("replication.anon"), p.boolean("isolated")
	}
	in.Leader = leader.str()
	l.checkFailover(in, leader, peers)
	l.checkAnon(in, peers)
	l.checkPreferred(in, own, peers)
	l.bootstrapLeader(in, own, peers)
	for _, p := range peers {
		m := Member{
			Name: p.name, UUID: strings.ToLower(p.text("database.instance_uuid")), Peer: p.peerURI(), Client: p.clientURI(),
			ElectionMode: p.mode, ReadOnly: p.readOnly(in, len(peers)), Anon: p.anon,
		}
		if !m.Peer.IsZero() {
			m.Peer.TLS = own.dialTLS(p.options)
		}
		if p.name == self.name {
			in.ReadOnly = m.ReadOnly
		}
		in.Members = append(in.Members, m)
	}
	in.Tarragon.Members = own.members(in)
	l.checkMembers(in, peers)
	l.peers(in, own, peers)
	l.checkQuorum(in, own, peers)
	if in.WAL.Mode == WALNone && len(in.Replication.Peers) > 0 {
		own.bad("wal.mode", "none is for a single instance: without a log nothing can be replicated")
	}
}

func (p *peer) readOnly(in *Instance, members int) bool {
	switch in.Replication.Failover {
	case FailoverManual:
		return in.Leader != p.name
	case FailoverElection, FailoverSupervised:
		return p.mode == raft.Off
	}
	if p.isSet("database.mode") {
		return p.text("database.mode") == "ro"
	}
	return members > 1 || p.boolean("replication.anon")
}

// members are the names that may be registered: as given, or the instances of
// the file; nil: all.
func (o *options) members(in *Instance) []string {
	if v := o.get("tarragon.members"); v != nil {
		names := append([]string{}, strs(v)...)
		if slices.Contains(names, "*") {
			return nil
		}
		return names
	}
	if in.Source == "" {
		return nil
	}
	names := []string{}
	for _, m := range in.Members { // anonymous ones too: one may become a member
		names = append(names, m.Name)
	}
	return names
}

// checkFailover reports what the failover mode forbids.
func (l *loader) checkFailover(in *Instance, leader *value, peers []peer) {
	failover := in.Replication.Failover
	if leader != nil {
		known := false
		for _, p := range peers {
			known = known || p.name == leader.text
		}
		switch {
		case failover != FailoverManual:
			l.mistake(leader.where, "leader", "\"leader\" = %q option is set for replicaset %q of group %q, but this option cannot be used together with replication.failover = %q",
				leader.text, in.Replicaset, in.Group, failover)
		case !known:
			l.mistake(leader.where, "leader", "\"leader\" = %q option is set for replicaset %q of group %q, but instance %q is not found in this replicaset",
				leader.text, in.Replicaset, in.Group, leader.text)
		}
	}
	for _, p := range peers {
		if mode := p.get("database.mode"); mode != nil && failover != FailoverOff {
			l.mistake(mode.where, "database.mode", "database.mode = %q is set for instance %q of replicaset %q of group %q, but this option cannot be used together with replication.failover = %q",
				mode.text, p.name, in.Replicaset, in.Group, failover)
		}
		if mode := p.get("replication.election_mode"); mode != nil && mode.text != "off" && (failover == FailoverOff || failover == FailoverManual) {
			l.mistake(mode.where, "replication.election_mode", "replication.election_mode = %q is set for instance %q of replicaset %q of group %q, but this option is only applicable if replication.failover = \"election\"; the replicaset is configured with replication.failover = %q",
				mode.text, p.name, in.Replicaset, in.Group, failover)
		}
		if mode := p.get("replication.election_mode"); mode != nil && mode.text == "candidate" && failover == FailoverSupervised {
			l.mistake(mode.where, "replication.election_mode", "replication.election_mode = \"candidate\" is set for instance %q of replicaset %q of group %q, but with replication.failover = \"supervised\" an agent says who leads, and nobody stands for election by itself: \"manual\" or \"voter\"",
				p.name, in.Replicaset, in.Group)
		}
	}
}

// checkAnon reports what anonymous replicas may not be.
func (l *loader) checkAnon(in *Instance, peers []peer) {
	anon := 0
	for _, p := range peers {
		if !p.anon {
			if filter := p.text("tarragon.filter"); filter != "" {
				l.mistake(p.options.where("tarragon.filter"), "tarragon.filter", "tarragon.filter = %q is set for instance %q of replicaset %q of group %q, which is a member and has all spaces; a filter is for anonymous replicas: set replication.anon = true for this instance",
					filter, p.name, in.Replicaset, in.Group)
			}
			continue
		}
		anon++
		if filter := p.text("tarragon.filter"); filter != "" && p.text("tarragon.allow_tarantool") == "true" {
			l.mistake(p.options.where("tarragon.filter"), "tarragon.filter", "tarragon.filter = %q is set for instance %q of replicaset %q of group %q, but this option cannot be used together with tarragon.allow_tarantool = true: a replica with a filter cannot follow terms under Tarantool's rules",
				filter, p.name, in.Replicaset, in.Group)
		}
		where := p.options.where("replication.anon")
		switch {
		case in.Replication.Failover == FailoverOff && p.text("database.mode") == "rw":
			l.mistake(p.options.where("database.mode"), "database.mode", "database.mode = \"rw\" is set for instance %q of replicaset %q of group %q, but this option cannot be used together with replication.anon = true",
				p.name, in.Replicaset, in.Group)
		case in.Replication.Failover == FailoverManual && in.Leader == p.name:
			l.mistake(where, "replication.anon", "replication.anon = true is set for instance %q of replicaset %q of group %q that is configured as a leader; a leader can not be an anonymous replica",
				p.name, in.Replicaset, in.Group)
		case (in.Replication.Failover == FailoverElection || in.Replication.Failover == FailoverSupervised) && p.mode != raft.Off:
			l.mistake(where, "replication.election_mode", "replication.election_mode = %q is set for instance %q of replicaset %q of group %q, but this option cannot be used together with replication.anon = true; consider setting replication.election_mode = \"off\" explicitly for this instance",
				p.mode, p.name, in.Replicaset, in.Group)
		}
	}
	if anon == len(peers) && in.Replicaset != "" {
		l.mistake("", "replication.anon", "All the instances of replicaset %q of group %q are configured as anonymous replicas; it effectively means that the whole replicaset is read-only",
			in.Replicaset, in.Group)
	}
}

// checkPreferred reports a preferred leader that could not lead. Without a file only the members know who
// there is.
func (l *loader) checkPreferred(in *Instance, own *options, peers []peer) {
	const path = "tarragon.preferred_leader"
	name := in.Tarragon.PreferredLeader
	if name == "" || l.root == nil {
		return
	}
	bad := func(format string, args ...any) {
		l.mistake(own.where(path), path, "%s = %q is set for replicaset %q of group %q, but "+format, append([]any{path, name, in.Replicaset, in.Group}, args...)...)
	}
	if in.Replication.Failover != FailoverElection {
		bad("this option is only applicable if replication.failover = \"election\"; the replicaset is configured with replication.failover = %q", in.Replication.Failover)
		return
	}
	i := slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
	switch {
	case i < 0:
		var names []string
		for _, p := range peers {
			names = append(names, p.name)
		}
		bad("there is no such instance in this replicaset; there are %s", strings.Join(names, ", "))
	case peers[i].anon:
		bad("that instance is an anonymous replica (replication.anon), which never leads")
	case peers[i].mode != raft.Candidate:
		bad("the replication.election_mode of that instance is %q: only a \"candidate\" leads of its own accord", peers[i].mode)
	}
}

// checkMembers reports members that could not be told apart.
func (l *loader) checkMembers(in *Instance, peers []peer) {
	addresses, uuids := map[string]string{}, map[string]string{}
	for i, m := range in.Members {
		if !m.Peer.IsZero() {
			addr := m.Peer.Address()
			if other, twice := addresses[addr]; twice {
				l.mistake(peers[i].place.where, "iproto", "instances %q and %q advertise the same address %s", other, m.Name, addr)
			}
			addresses[addr] = m.Name
		}
		if uuid := m.UUID; uuid != "" {
			if other, twice := uuids[uuid]; twice {
				l.mistake(peers[i].options.where("database.instance_uuid"), "database.instance_uuid", "instances %q and %q have the same uuid", other, m.Name)
			}
			uuids[uuid] = m.Name
		}
	}
}

// peers is whom the instance connects to: replication.peers, or all members
// that are neither anonymous nor isolated, itself included.
func (l *loader) peers(in *Instance, own *options, peers []peer) {
	if v := own.get("replication.peers"); v != nil {
		for i, item := range v.items {
			u, err := ParseURI(item.text)
			if err == nil {
				err = u.dialable()
			}
			if err != nil {
				l.mistake(item.where, itemPath("replication.peers", i), "%v", err)
				continue
			}
			u.TLS = in.peerTLS(u)
			in.Replication.Peers = append(in.Replication.Peers, u)
		}
		return
	}
	if len(peers) < 2 {
		return
	}
	for i, p := range peers {
		if p.anon || p.iso {
			continue
		}
		u := in.Members[i].Peer
		if u.IsZero() {
			l.warn(p.place.where, "iproto.advertise.peer", "instance %q has no address that others can connect to", p.name)
			continue
		}
		in.Replication.Peers = append(in.Replication.Peers, u)
	}
	if len(in.Replication.Peers) == 0 {
		l.mistake(in.Source, "", "replication.peers construction for instance %q of replicaset %q of group %q: no suitable peer URIs found",
			in.Name, in.Replicaset, in.Group)
	}
}

// checkQuorum warns of quorums that lose data or are more than there can be.
func (l *loader) checkQuorum(in *Instance, own *options, peers []peer) {
	n := 0
	for _, p := range peers {
		if !p.anon {
			n++
		}
	}
	const path = "replication.synchro_quorum"
	q, err := in.Replication.SynchroQuorum.Eval(n, 0)
	switch {
	case err != nil || n == 0:
	case q < n/2+1:
		l.warn(own.where(path), path, "a quorum of %d of %d is no majority: an acknowledged synchronous transaction is lost when the %d instance(s) that hold it are", q, n, q)
	case q > n && in.Source != "":
		l.warn(own.where(path), path, "a quorum of %d is more than the %d instance(s) of the file: it counts as all members", q, n)
	}
}

// BootstrapError says why a replica set with no data at all could not start: no
// member may write. Members that hold data do not need it.
func (in *Instance) BootstrapError() error {
	for _, m := range in.Members {
		if !m.ReadOnly {
			return nil
		}
	}
	return textf("Startup failure.\nNo leader to register new instance %q. All the instances in replicaset %q of group %q are configured to the read-only mode.",
		in.Name, in.Replicaset, in.Group)
}

// peerTLS is with what an address of replication.peers is dialed, which says nothing of TLS
// itself: as the member there, or else as peers are told to dial this instance.
func (in *Instance) peerTLS(u URI) *tlsconf.Files {
	for _, m := range in.Members {
		if m.Peer.Address() == u.Address() {
			return m.Peer.TLS
		}
	}
	return in.IProto.AdvertisePeer.TLS
}
