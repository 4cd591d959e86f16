package xrow

import (
	"tarragon.dev/tarragon/internal/mp"

	"github.com/tinylib/msgp/msgp"
)

// Procedure is a procedure of a Go program by its name, as it stands in rows of _func,
// and by its version.
type Procedure struct {
	Name    string
	Version uint32
}

// Bounds of what a program may have: all of it goes into one request.
const (
	MaxProcedures    = 1000
	MaxProcedureName = 255 // bytes
)

// procedures writes them by name; none: nothing.
func (m *mapWriter) procedures(all []Procedure) {
	if len(all) == 0 {
		return
	}
	m.key(KeyProcedures)
	m.dst = msgp.AppendMapHeader(m.dst, uint32(len(all)))
	for _, p := range all {
		m.dst = msgp.AppendUint32(msgp.AppendString(m.dst, p.Name), p.Version)
	}
}

// readProcedures reads them.
func readProcedures(v []byte) (all []Procedure, ok bool) {
	n, at, ok := mp.ReadMapHeader(v)
	if !ok || n > MaxProcedures {
		return nil, false
	}
	for range n {
		name, used, ok := mp.ReadString(v[at:])
		if !ok || len(name) == 0 || len(name) > MaxProcedureName {
			return nil, false
		}
		at += used
		version, used, ok := mp.ReadUint(v[at:])
		if !ok || version > uint64(^uint32(0)) {
			return nil, false
		}
		at += used
		all = append(all, Procedure{string(name), uint32(version)})
	}
	return all, true
}
