package instance

import (
	"fmt"
	"strings"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// Procedures are in the program, and only their names are in the replica set: a row of
// _func of language GO. So every member has to have one before a row names it, or the
// next leader would be one that cannot run it. Members tell in their SUBSCRIBE, or in
// the answer to ours, what they have. What an instance of Tarantool would do with such a
// row is to stop its replication.
//
// Decision 0039 has the alternatives.

// heardProcedures notes what a member says that it has. Earlier versions say nothing, nor
// do instances of Tarantool.
func (p *peers) heardProcedures(from uint32, all []xrow.Procedure) {
	if isID(from) {
		p.procs[from] = all
	}
}

// hasProcedure finds a procedure among those announced.
func hasProcedure(all []xrow.Procedure, name string) (version uint32, ok bool) {
	for i := range all {
		if all[i].Name == name {
			return all[i].Version, true
		}
	}
	return 0, false
}

// refuseProcedures is the error of a change of the schema that names procedures which some
// member does not have. It is asked behind a barrier, so that nobody is let in between the
// question and the row.
func (c *Core) refuseProcedures(tx *box.Txn) error {
	for _, f := range tx.NamedProcedures() {
		var lacks []string
		for _, m := range c.box.NewestMembers() {
			if text := c.lacksProcedure(&m, &f); text != "" {
				lacks = append(lacks, fmt.Sprintf("instance %d (%s) %s", m.ID, nameOf(&m), text))
			}
		}
		if len(lacks) > 0 {
			return xrow.Errorf(xrow.ErrCreateFunction, f.Name, strings.Join(lacks, "; "))
		}
	}
	return nil
}

// lacksProcedure says what is missing at a member; empty: nothing.
func (c *Core) lacksProcedure(m *box.Member, f *box.Function) string {
	all := c.cfg.Procedures
	if m.UUID != c.cfg.UUID {
		if !isID(m.ID) || c.members.kinds.tarantools&(1<<m.ID) != 0 {
			return "is a Tarantool, which knows no language GO"
		}
		all = c.peers.procs[m.ID]
	}
	switch version, ok := hasProcedure(all, f.Name); {
	case !ok && m.UUID == c.cfg.UUID:
		return "has not registered it"
	case !ok:
		return "has not announced it, since the start of this one"
	case version < f.Version:
		return fmt.Sprintf("has version %d of it, and %d is asked for", version, f.Version)
	}
	return ""
}

// refuseTarantool tells why an instance of Tarantool may have nothing of this replica set;
// nil: it may.
func (c *Core) refuseTarantool() *xrow.Error {
	named := c.box.NewestProcedures()
	if len(named) == 0 {
		return nil
	}
	return &xrow.Error{Code: xrow.ErrUnsupported, Message: fmt.Sprintf("This replica set has functions of language GO, '%s' among them,"+
		" with which an instance of Tarantool cannot start: drop them first", named[0].Name)}
}
