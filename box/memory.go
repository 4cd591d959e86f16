package box

import "unsafe"

// Memory is how many bytes tuples and indexes take.
type Memory struct {
	Tuples  int // in use: versions with their headers
	Pages   int // what these are in
	Indexes int // nodes in use
	Nodes   int // what these are in
	Outside int // of Pages and Nodes: beside Go's heap
	Taken   int // what counts against Limit: pages and nodes, as Tarantool would count them
	Limit   int // beyond which clients' writes are refused; 0: none
}

// Over tells whether there is more than clients could have written.
func (m Memory) Over() bool { return m.Limit > 0 && m.Taken > m.Limit }

// Memory counts what the box takes. Safe for readers.
func (b *Box) Memory() Memory {
	const leafSize, innerSize = int(unsafe.Sizeof(leaf{})), int(unsafe.Sizeof(inner{}))
	p := &b.nodes
	outside := 0
	if _, inside := b.config.Pages.(goPages); !inside {
		outside = b.mem.size - b.mem.large + p.size()
	}
	return Memory{
		Outside: outside,
		Tuples:  b.mem.used, Pages: b.mem.size,
		Indexes: (int(p.nLeaves)-len(p.freeLeaves))*leafSize + (int(p.nInners)-len(p.freeInners))*innerSize,
		Nodes:   p.size(),
		Taken:   b.taken(), Limit: b.config.Memory,
	}
}
