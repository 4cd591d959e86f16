package offheap

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve maps a region, whose memory comes as it is touched; nil: the system refuses.
func reserve(n int) []byte {
	r, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	_ = unix.Madvise(r, unix.MADV_HUGEPAGE) // fewer faults and misses, where the system has them
	return r
}

// discard gives the memory of a piece back to the system, and what is in it up.
// false: the system refuses.
func discard(b []byte) bool { return unix.Madvise(b, unix.MADV_DONTNEED) == nil }

// touch gives a piece its memory, and changes nothing in it. A system that cannot (before
// 5.14), or has none, does so when somebody writes there.
func touch(b []byte) { _ = unix.Madvise(b, unix.MADV_POPULATE_WRITE) }

// owns tells whether a piece is of one of the regions.
func (p *pages) owns(b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, r := range p.regions {
		if begin := uintptr(unsafe.Pointer(unsafe.SliceData(r))); at >= begin && at < begin+uintptr(len(r)) {
			return true
		}
	}
	return false
}
