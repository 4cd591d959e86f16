package proc

import "strings"

// procedures by their full names.
var procedures map[string]handler

// spaceMethods and indexMethods are called with a colon.
var spaceMethods, indexMethods map[string]handler

// tables are the names that lead to a procedure, and parts of box.info.
var tables map[string]bool

// init, because the tables and what is in them refer to each other.
func init() {
	procedures = map[string]handler{
		"box.info": boxInfo,
	}
	spaceMethods = map[string]handler{}
	indexMethods = map[string]handler{}
	tables = map[string]bool{"box.space": true, "box.index": true}
	for name := range procedures {
		for at := strings.LastIndexByte(name, '.'); at > 0; at = strings.LastIndexByte(name[:at], '.') {
			if procedures[name[:at]] == nil {
				tables[name[:at]] = true
			}
		}
	}
	for _, name := range []string{"replication", "election", "synchro", "vclock", "replicaset", "cluster", "config", "tarragon"} {
		tables["box.info."+name] = true
	}
}

// serves tells whether the process has what a procedure needs.
func (p *Procs) serves(name string) bool {
	switch name {
	case "box.broadcast":
		return p.env.Broadcast != nil
	case "box.snapshot":
		return p.env.Snapshot != nil
	case "box.session.peer":
		return p.env.SessionPeer != nil
	case "box.session.su":
		return p.env.Su != nil
	case "box.ctl.set_on_shutdown_timeout":
		return p.env.ShutdownTimeout != nil
	}
	return true
}
