package arch

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// TestSpaceIDs: the IDs of system spaces have one home, xrow/space.go.
func TestSpaceIDs(t *testing.T) {
	for _, s := range sources(t) {
		if s.name == "xrow/space.go" || strings.HasPrefix(s.pkg, "bench") { // a client, which knows what it is told
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if name := strings.ToLower(spec.Names[0].Name); !strings.Contains(name, "space") || strings.HasPrefix(name, "err") {
				return true
			}
			lit, ok := spec.Values[0].(*ast.BasicLit)
			if !ok || lit.Kind != token.INT {
				return true
			}
			if id, err := strconv.Atoi(lit.Value); err == nil && id > 256 && id < 512 {
				t.Errorf("%s: %s is an ID of a system space: those are in xrow/space.go", s.fset.Position(spec.Pos()), spec.Names[0].Name)
			}
			return true
		})
	}
}
