package box

import (
	"slices"
	"strings"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// LanguageGo is the language of functions that are procedures of Go programs. Rows of
// others are kept.
const LanguageGo = "GO"

// Function is a row of _func. It says who may run a function, and as whom: the box has no
// code.
type Function struct {
	ID       uint32
	Owner    uint32
	Name     string
	Language string // GO, LUA, C, SQL_EXPR, ...
	Setuid   bool   // it runs with the rights of its owner
	HasBody  bool   // the code is in the row
	Version  uint32 // of GO: the least that will do
}

// IsGo tells whether it is a procedure of a Go program.
func (f *Function) IsGo() bool { return strings.EqualFold(f.Language, LanguageGo) }

// MayBeGo tells whether a procedure of its name does what it stands for: a row of LUA
// without a body names a function that the program has, in whatever language that is.
func (f *Function) MayBeGo() bool {
	return f.IsGo() || strings.EqualFold(f.Language, "LUA") && !f.HasBody
}

// functionOf reads a row of _func.
func functionOf(row rowReader) Function {
	f := Function{ID: uint32(row.uint(0)), Owner: uint32(row.uint(1)), Name: row.string(2), Setuid: row.uint(3) != 0,
		Language: shortName(row.string(4)), HasBody: row.string(5) != ""}
	if f.IsGo() {
		version, _ := versionOf(row)
		f.Version = uint32(version)
	}
	return f
}

// versionOf is the version that the options of a row ask for; 0: any. ok is false where
// it is no version.
func versionOf(row rowReader) (version uint64, ok bool) {
	ok = true
	_, _ = eachPair(row.raw(15), func(key string, v []byte) error {
		if key == "version" {
			version, ok = uintOf(v)
		}
		return nil
	})
	return version, ok && version <= uint64(^uint32(0))
}

// checkProcedure looks at what a client says of a function of language GO.
func checkProcedure(row rowReader, fail func(detail string) error) error {
	f := functionOf(row)
	if !f.IsGo() {
		return nil
	}
	if len(f.Name) > xrow.MaxProcedureName {
		return fail("function name is too long")
	}
	if f.HasBody {
		return fail("a function of language GO has no body: its code is in the program")
	}
	if _, ok := versionOf(row); !ok {
		return fail("opts.version must be an unsigned number of 32 bits")
	}
	if len(splitRow(row.raw(19))) > 0 {
		return fail("a function of language GO is no trigger by its row")
	}
	return nil
}

// Procedures are the functions of language GO. The list is never changed.
func (s *Schema) Procedures() []Function { return s.procedures }

// NewestProcedures are those by the newest rows, whose fate may be open.
func (b *Box) NewestProcedures() []Function { return b.head.procedures }

// NamedProcedures are those that the transaction has made, or has given another
// definition.
func (t *Txn) NamedProcedures() (named []Function) {
	for _, f := range t.dict.procedures {
		if !slices.Contains(t.base.procedures, f) {
			named = append(named, f)
		}
	}
	return named
}

// Function finds a function by name in the confirmed rows. Safe for readers.
func (b *Box) Function(name string) (f Function, ok bool) {
	sp := b.dict.spaces[xrow.SpaceFunc]
	ix := sp.index(2)
	if ix == nil {
		return f, false
	}
	p := ix.keyProbe(msgp.AppendString(nil, name), 1)
	for at := ix.seek(&p, false); at.leaf != 0; at = ix.next(at) {
		r := ix.refAt(at)
		if ix.compare(r, &p) != 0 {
			break
		}
		if r = ix.visible(r, b.bound(sp)); r != 0 {
			return functionOf(splitRow(b.mem.tuple(r))), true
		}
	}
	return f, false
}
