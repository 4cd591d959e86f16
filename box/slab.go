package box

import (
	"encoding/binary"
	"math/bits"

	"tarragon.dev/tarragon/xrow"
)

// ref names a version: page in the upper 20 bits, place in units of 16 bytes
// in the lower 12. 0 is no version.
type ref uint32

const (
	unit      = 16
	pageSize  = 64 << 10
	firstPage = 4 << 10 // of a class: most classes of a small box hold little
	maxPages  = 1 << 20 // 64 GiB of small tuples
	smallMax  = 16 << 10
	noSlot    = 0xffff
	fineMax   = 1024 // size classes go by units up to here, by eighths above
	fineCount = fineMax / unit
)

// arena hands out memory for versions. Pages of one size class each; what is
// larger than smallMax has a page of its own, which is Go's, see lasts. Pages that
// fall empty go back to where they are from.
type arena struct {
	from    Pages
	pages   [][]byte
	meta    []pageMeta
	unused  []uint32 // free places in pages
	partial [fineCount + 64]uint32
	begun   [fineCount + 64]bool // the class has had its first page

	size, used int         // bytes of all pages, and of those handed out
	large      int         // bytes of those with a page of their own
	orders     [orders]int // how many are handed out, by the power of two of their size
}

// pageMeta describes a page. next and prev chain pages of a class that have
// free slots; 0 ends the chain (page 0 is never used).
type pageMeta struct {
	class      uint8
	live       uint16
	free       uint16 // unit of the first free slot; the slot holds the next one
	bump       uint16 // first unit never handed out
	next, prev uint32
	listed     bool
}

func newArena(from Pages) arena {
	return arena{from: from, pages: make([][]byte, 1), meta: make([]pageMeta, 1)}
}

// classOf is the size class for n bytes, n <= smallMax.
func classOf(n int) int {
	units := (n + unit - 1) / unit
	if units <= fineCount {
		return units - 1
	}
	// Eight classes for each doubling: at most an eighth is lost.
	top := bits.Len(uint(units-1)) - 1
	step := (units - 1) >> (top - 3) & 7
	return fineCount + (top-6)*8 + step
}

// classUnits is the slot size of a class.
func classUnits(class int) int {
	if class < fineCount {
		return class + 1
	}
	class -= fineCount
	top, step := class/8+6, class%8
	return (8 + step + 1) << (top - 3)
}

// alloc returns memory of at least n bytes.
func (a *arena) alloc(n int) (ref, []byte, error) {
	if n > smallMax {
		p, err := a.newPage(make([]byte, n))
		if err != nil {
			return 0, nil, err
		}
		a.used += n
		a.large += n
		a.orders[orderOf(n)]++
		return ref(p << 12), a.pages[p], nil
	}
	class := classOf(n)
	p := a.partial[class]
	if p == 0 {
		size := pageSize
		if !a.begun[class] {
			size, a.begun[class] = max(firstPage, classUnits(class)*unit), true
		}
		var err error
		if p, err = a.newPage(a.from.Take(size)); err != nil {
			return 0, nil, err
		}
		a.meta[p] = pageMeta{class: uint8(class), free: noSlot}
		a.list(p)
	}
	m := &a.meta[p]
	units := uint16(classUnits(class))
	at := m.free
	if at != noSlot {
		m.free = binary.LittleEndian.Uint16(a.pages[p][int(at)*unit:])
	} else {
		at = m.bump
		m.bump += units
	}
	m.live++
	a.used += n
	a.orders[orderOf(n)]++
	if m.free == noSlot && int(m.bump)+int(units) > len(a.pages[p])/unit {
		a.unlist(p)
	}
	return ref(p<<12 | uint32(at)), a.pages[p][int(at)*unit : int(at)*unit+n], nil
}

// release gives the memory of n bytes back.
func (a *arena) release(r ref, n int) {
	p := uint32(r) >> 12
	a.used -= n
	a.orders[orderOf(n)]--
	if n > smallMax {
		a.large -= n
		a.dropPage(p)
		return
	}
	m := &a.meta[p]
	at := uint16(r & 0xfff)
	binary.LittleEndian.PutUint16(a.pages[p][int(at)*unit:], m.free)
	m.free = at
	m.live--
	if !m.listed {
		a.list(p)
	}
	if m.live == 0 && (m.next != 0 || m.prev != 0) {
		a.unlist(p)
		page := a.pages[p]
		a.dropPage(p)
		a.from.Give(page)
	}
}

func (a *arena) newPage(b []byte) (uint32, error) {
	if n := len(a.unused); n > 0 {
		p := a.unused[n-1]
		a.unused = a.unused[:n-1]
		a.pages[p] = b
		a.size += len(b)
		return p, nil
	}
	if len(a.pages) == maxPages {
		return 0, xrow.Errorf(xrow.ErrMemoryIssue, len(b), "slab allocator", "memtx_tuple")
	}
	a.size += len(b)
	a.pages = append(a.pages, b)
	a.meta = append(a.meta, pageMeta{})
	return uint32(len(a.pages) - 1), nil
}

func (a *arena) dropPage(p uint32) {
	a.size -= len(a.pages[p])
	a.pages[p] = nil
	a.meta[p] = pageMeta{}
	a.unused = append(a.unused, p)
}

func (a *arena) list(p uint32) {
	m := &a.meta[p]
	head := a.partial[m.class]
	m.next, m.prev, m.listed = head, 0, true
	if head != 0 {
		a.meta[head].prev = p
	}
	a.partial[m.class] = p
}

func (a *arena) unlist(p uint32) {
	m := &a.meta[p]
	if m.prev != 0 {
		a.meta[m.prev].next = m.next
	} else {
		a.partial[m.class] = m.next
	}
	if m.next != 0 {
		a.meta[m.next].prev = m.prev
	}
	m.next, m.prev, m.listed = 0, 0, false
}
