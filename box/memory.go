package box

import "unsafe"

// Memory is how many bytes tuples and indexes take.
type Memory struct {
	Tuples  int // in use: versions with their headers
	Pages   int // what these are in
	Indexes int // nodes in use
	Nodes   int // what these are in
}

// Memory counts what the box takes. Safe for readers.
func (b *Box) Memory() Memory {
	const leafSize, innerSize = int(unsafe.Sizeof(leaf{})), int(unsafe.Sizeof(inner{}))
	p := &b.nodes
	return Memory{
		Tuples: b.mem.used, Pages: b.mem.size,
		Indexes: (int(p.nLeaves)-len(p.freeLeaves))*leafSize + (int(p.nInners)-len(p.freeInners))*innerSize,
		Nodes:   len(p.leaves)*leafBlock*leafSize + len(p.inners)*innerBlok*innerSize,
	}
}
