package box

import (
	"math/rand/v2"
	"testing"
)

// Leaves that are filled in ascending order stay full, others at more than two thirds.
func TestLeafFill(t *testing.T) {
	const n = 100_000
	for name, least := range map[string]int{"ascending": 98, "scattered": 66} {
		t.Run(name, func(t *testing.T) {
			b := New(Config{})
			ix := &index{parts: []part{{typ: typeUnsigned}}, unique: true, pool: &b.nodes, mem: &b.mem, tree: b.newTree()}
			ix.setOrder(nil)
			others := int(b.nodes.nLeaves) - 1
			keys := rand.New(rand.NewPCG(11, 12)).Perm(n)
			for i := range n {
				key := keys[i]
				if name == "ascending" {
					key = i
				}
				ix.mustInsert(t, arr(key))
			}
			ix.mustBeValid(t)
			leaves := int(b.nodes.nLeaves) - len(b.nodes.freeLeaves) - others
			if fill := n * 100 / (leaves * leafCap); fill < least {
				t.Errorf("%d leaves are %d %% full, want %d", leaves, fill, least)
			}
		})
	}
}
