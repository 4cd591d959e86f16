package box

import (
	"math/bits"
	"unsafe"

	"tarragon.dev/tarragon/xrow"
)

// quota is how memory is counted against Config.Memory: as Tarantool's
// allocator would take it, so that no leader accepts rows for which a follower
// of Tarantool's kind with the same file has no room, and never less than
// what is taken here.
//
// It counts whole pages and blocks of nodes: whoever frees half of each page
// has freed nothing for tuples of another size. Both kinds go up in steps of
// slabSize, as in Tarantool's arena, where each has slabs of its own.
//
// It is no exact copy: what that allocator keeps of sizes that are gone is left out.
//
// Invariant: it follows from the calls that the box has had, and from nothing
// else.
const (
	slabSize  = 16 << 20
	minMemory = 4 * slabSize // less would be gone with the first tuple, there
)

// slack is what Tarantool's pools, one for each size of tuples, have of the
// arena beside their tuples: some slabs for each power of two, a hundred times
// as large as a tuple (measured against 2.6; its pools lend each other slots until
// a quarter of a slab is lost). Sizes of all kinds together take no more than
// three eighths of the memory: then a Tarantool may have room for a little less.
func (a *arena) slack(limit int) (n int) {
	for order, live := range a.orders {
		if live > 0 {
			n += min(slabSize, 6*128<<order)
		}
	}
	if limit == 0 {
		return n
	}
	return min(n, limit/8*3)
}

// taken is the memory that counts. An entry of an index has 12 bytes here and 16
// there; large tuples, which have pages of their own here, are rounded up by a
// sixteenth there.
func (b *Box) taken() int {
	a := &b.mem
	return wholeSlabs(a.size+a.large/16+a.slack(b.config.Memory)) + wholeSlabs(b.nodes.size()/3*4)
}

// takenWith is taken once there are a tuple of n bytes that needs so many bytes of
// pages, and so many bytes of nodes more.
func (b *Box) takenWith(n, pages, nodes int) int {
	a := &b.mem
	large, order := a.large, orderOf(n)
	if n > smallMax {
		large += n
	}
	a.orders[order]++
	slack := a.slack(b.config.Memory)
	a.orders[order]--
	return wholeSlabs(a.size+pages+large/16+slack) + wholeSlabs((b.nodes.size()+nodes)/3*4)
}

func wholeSlabs(n int) int { return (n + slabSize - 1) / slabSize * slabSize }

const blockSize = leafBlock * int(unsafe.Sizeof(leaf{}))

// spare is how many leaves there are before the next block.
func (p *pool) spare() int {
	return len(p.leaves)*leafBlock - 1 - int(p.nLeaves) + len(p.freeLeaves)
}

// size is what all blocks of nodes take.
func (p *pool) size() int {
	return len(p.leaves)*blockSize + len(p.inners)*innerBlok*int(unsafe.Sizeof(inner{}))
}

// room tells whether a tuple that takes n bytes, with an entry in each of so
// many indexes, can be had within the limit. What needs neither a page nor a
// block, as behind a DELETE, always can, and costs no more than three looks.
func (b *Box) room(tuple, indexes int) error {
	n, pages, nodes := versionHead+tuple, 0, 0
	if n > smallMax {
		pages = n
	} else if b.mem.partial[classOf(n)] == 0 {
		pages = pageSize
	}
	if b.nodes.spare() < indexes {
		nodes = (indexes/leafBlock + 1) * blockSize
	}
	switch {
	case pages+nodes == 0 && b.mem.orders[orderOf(n)] > 0 || b.config.Memory == 0:
		return nil
	case b.takenWith(n, pages, 0) > b.config.Memory:
		return xrow.Errorf(xrow.ErrMemoryIssue, tarantoolSize(tuple), "slab allocator", "memtx_tuple")
	case b.takenWith(n, pages, nodes) > b.config.Memory:
		return noExtent()
	}
	return nil
}

// roomForEntries is room for entries of tuples that are there.
func (b *Box) roomForEntries(indexes int) error {
	if b.config.Memory != 0 && b.nodes.spare() < indexes && b.takenWith(0, 0, blockSize) > b.config.Memory {
		return noExtent()
	}
	return nil
}

// noExtent is what Tarantool says when it wants a piece of memory for an index.
func noExtent() error { return xrow.Errorf(xrow.ErrMemoryIssue, 16<<10, "mempool", "new slab") }

// tarantoolSize is what Tarantool asks for to keep a tuple: its header has ten
// bytes, six where the tuple is short.
func tarantoolSize(tuple int) int {
	if tuple <= 255 {
		return tuple + 6
	}
	return tuple + 10
}

// MemoryLimit is what a limit comes to: very little counts as 64 MiB; 0: none.
func MemoryLimit(n int) int {
	if n == 0 {
		return 0
	}
	return max(n, minMemory)
}

// SetMemory changes Config.Memory. For the owner only.
func (b *Box) SetMemory(n int) { b.config.Memory = MemoryLimit(n) }

// orderOf is where a size is counted, by its power of two.
func orderOf(n int) int { return bits.Len32(uint32(n)) % orders }

// orders is how many powers of two there are for the sizes of tuples.
const orders = 32
