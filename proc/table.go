package proc

import (
	"maps"
	"slices"
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// procedures by their full names.
var procedures map[string]handler

// administrative procedures are about the instance or the replica set, not about
// data (decision 0019). box.cfg is one when it is given options.
var administrative = [...]string{"box.ctl.demote", "box.ctl.promote", "box.ctl.set_on_shutdown_timeout", "box.ctl.switchover", "box.snapshot",
	"tarragon.accept_loss", "tarragon.adopt_term", "tarragon.copy.cancel", "tarragon.copy.list", "tarragon.expel", "tarragon.feature_raise", "tarragon.filter.alter", "tarragon.filter.create",
	"tarragon.filter.drop", "tarragon.filter.list", "tarragon.filter.show", "tarragon.lost.list", "tarragon.node.list", "tarragon.node.set", "tarragon.pause", "tarragon.replica.alter", "tarragon.replica.create",
	"tarragon.replica.drop", "tarragon.replica.list", "tarragon.resume", "tarragon.verify.digests", "tarragon.verify.rows", "tarragon.verify.spaces", "tarragon.verify.standing"}

// spaceMethods and indexMethods are called with a colon.
var spaceMethods, indexMethods map[string]handler

// tables are the names that lead to a procedure, and parts of box.info.
var tables map[string]bool

// init, because the tables and what is in them refer to each other.
func init() {
	procedures = map[string]handler{
		"box.broadcast": broadcast,
		"box.cfg":       boxCfg,
		"box.info":      boxInfo,
		"box.snapshot":  snapshot,
		"box.stat":      boxStat,

		"box.info.gc":      infoGC,
		"box.info.memory":  infoMemory,
		"box.runtime.info": runtimeInfo,
		"box.slab.info":    slabInfo,
		"box.stat.net":     boxStatNet,

		"box.ctl.demote":                  demote,
		"box.ctl.is_recovery_finished":    recoveryFinished,
		"box.ctl.promote":                 promote,
		"box.ctl.set_on_shutdown_timeout": shutdownTimeout,
		"box.ctl.switchover":              switchover,
		"box.ctl.wait_ro":                 wait(true),
		"box.ctl.wait_rw":                 wait(false),

		"box.schema.create_space": createSpace,
		"box.schema.space.create": createSpace,
		"box.schema.space.drop":   dropSpaceByID,

		"box.schema.func.create": createFunction,
		"box.schema.func.drop":   dropFunction,
		"box.schema.func.exists": functionExists,

		"box.schema.role.create": createRole,
		"box.schema.role.drop":   dropAccount(true),
		"box.schema.role.exists": exists(true),
		"box.schema.role.grant":  grant(true),
		"box.schema.role.info":   userInfo(true),
		"box.schema.role.revoke": revoke(true),

		"box.schema.user.create":   createUser,
		"box.schema.user.disable":  enable(false),
		"box.schema.user.drop":     dropAccount(false),
		"box.schema.user.enable":   enable(true),
		"box.schema.user.exists":   exists(false),
		"box.schema.user.grant":    grant(false),
		"box.schema.user.info":     userInfo(false),
		"box.schema.user.passwd":   passwd,
		"box.schema.user.password": hashPassword,
		"box.schema.user.revoke":   revoke(false),

		"box.session.effective_user": sessionUser,
		"box.session.euid":           sessionNumber(func(c *call) uint64 { return uint64(c.User.User()) }),
		"box.session.id":             sessionNumber(func(c *call) uint64 { return c.Session.Conn }),
		"box.session.peer":           sessionPeer,
		"box.session.su":             su,
		"box.session.sync":           sessionNumber(func(c *call) uint64 { return c.Session.Sync }),
		"box.session.type":           sessionType,
		"box.session.uid":            sessionNumber(func(c *call) uint64 { return uint64(c.User.User()) }),
		"box.session.user":           sessionUser,

		"tarragon.accept_loss":     acceptLoss,
		"tarragon.adopt_term":      adoptTerm,
		"tarragon.copy.cancel":     cancelCopies,
		"tarragon.copy.list":       listCopies,
		"tarragon.expel":           expel,
		"tarragon.feature_raise":   featureRaise,
		"tarragon.filter.alter":    alterFilter,
		"tarragon.filter.create":   createFilter,
		"tarragon.filter.drop":     dropFilter,
		"tarragon.filter.list":     listFilters,
		"tarragon.filter.show":     showFilter,
		"tarragon.node.list":       listNodes,
		"tarragon.node.set":        setNode,
		"tarragon.replica.alter":   alterReplica,
		"tarragon.replica.create":  createReplica,
		"tarragon.replica.drop":    dropReplica,
		"tarragon.replica.list":    listReplicas,
		xrow.ActAsCall:             actAs,
		xrow.ForwardCall:           forward,
		"tarragon.history":         history,
		"tarragon.lost.list":       lostList,
		"tarragon.pause":           pause,
		"tarragon.resume":          resume,
		"tarragon.verify.digests":  digests,
		"tarragon.verify.rows":     pastRows,
		"tarragon.verify.spaces":   spaceDigests,
		"tarragon.verify.standing": standing,
		sessionClose:               closeSession,
		sessionOpen:                openSession,
	}
	spaceMethods = map[string]handler{
		"auto_increment": autoIncrement,
		"bsize":          spaceSize,
		"count":          count,
		"create_index":   createIndex,
		"delete":         del,
		"drop":           dropSpace,
		"format":         spaceFormat,
		"get":            get,
		"insert":         insert,
		"len":            spaceLen,
		"put":            replace,
		"rename":         renameSpace,
		"replace":        replace,
		"select":         selectRows,
		"truncate":       truncateSpace,
		"update":         update,
		"upsert":         upsert,
	}
	indexMethods = map[string]handler{
		"alter":  alterIndex,
		"count":  count,
		"delete": del,
		"drop":   dropIndex,
		"get":    get,
		"len":    spaceLen,
		"max":    edge(box.LE),
		"min":    edge(box.GE),
		"random": randomTuple,
		"rename": renameIndex,
		"select": selectRows,
		"update": update,
	}
	tables = map[string]bool{"box.space": true, "box.index": true}
	for _, name := range administrative {
		procedures[name] = administer(procedures[name])
	}
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

// Names are what CALL knows, in order. Methods stand as those of any space and
// any index: box.space.*:get, box.space.*.index.*:get.
func Names() []string {
	names := slices.Collect(maps.Keys(procedures))
	for name := range spaceMethods {
		names = append(names, "box.space.*:"+name)
	}
	for name := range indexMethods {
		names = append(names, "box.space.*.index.*:"+name)
	}
	slices.Sort(names)
	return names
}

// serves tells whether the process has what a procedure needs.
func (p *Procs) serves(name string) bool {
	switch name {
	case "box.broadcast":
		return p.env.Broadcast != nil
	case "box.stat", "box.stat.net":
		return p.env.Stats != nil
	case "box.info.memory", "box.runtime.info":
		return p.env.Heap != nil
	case "box.info.gc":
		return p.env.Checkpoints != nil
	case "box.snapshot":
		return p.env.Snapshot != nil
	case "box.session.peer":
		return p.env.SessionPeer != nil
	case "box.session.su":
		return p.env.Su != nil
	case xrow.ActAsCall:
		return p.env.ActAs != nil
	case "tarragon.copy.list", "tarragon.copy.cancel":
		return p.env.Copies != nil
	case "tarragon.lost.list", "tarragon.verify.digests", "tarragon.verify.rows", "tarragon.verify.spaces", "tarragon.verify.standing":
		return p.env.Past != nil
	case "tarragon.accept_loss":
		return p.env.AcceptLoss != nil
	case "box.ctl.set_on_shutdown_timeout":
		return p.env.ShutdownTimeout != nil
	}
	return true
}
