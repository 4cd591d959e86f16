package xlog

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// The value of a log key. These numbers are on disk; see doc.go for the layout.
const (
	valueVersion    = 2
	valueVersionOld = 1 // of format 1: no owner, no list

	headFull byte = 1 << 0 // the clock list is the whole vclock before the group
	headList byte = 1 << 1 // an owner list follows the clock

	rowFirst      byte = 1 << 0 // first row of a transaction
	rowTerm       byte = 1 << 1 // a term follows
	rowSameOrigin byte = 1 << 2 // as the row before it
	rowSameType   byte = 1 << 3
	rowSameSpace  byte = 1 << 4
	rowNextLSN    byte = 1 << 5 // one more than the origin's last

	maxRowHead = 1 + 4*binary.MaxVarintLen64 + 2*binary.MaxVarintLen32
	maxHead    = 2 + 2*binary.MaxVarintLen32 + 3*binary.MaxVarintLen64 + vclock.Max*(1+binary.MaxVarintLen64)
	crcLen     = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// owner says whose a group is. The zero one is that of a group inside of a
// checkpoint's state.
type owner struct {
	core uint32
	slot uint32
	no   uint64 // in the slot
}

// extras are what only some groups carry.
type extras struct {
	full bool       // the whole vclock
	list *ownerList // nil: none
	pos  uint64     // of the group, where it has a list
}

// appendHead appends all of the value that comes before the rows.
func appendHead(dst []byte, o owner, g *xrow.Group, x extras) []byte {
	flags, before := byte(0), g.Before
	if x.full {
		flags |= headFull
	} else {
		before = onlyOrigins(g)
	}
	if x.list != nil {
		flags |= headList
	}
	dst = append(dst, valueVersion, flags)
	dst = binary.AppendUvarint(dst, uint64(o.core))
	dst = binary.AppendUvarint(dst, uint64(o.slot))
	dst = binary.AppendUvarint(dst, o.no)
	dst = binary.AppendUvarint(dst, uint64(len(g.Table)))
	dst = binary.AppendUvarint(dst, uint64(len(g.Rows)))
	dst = appendClock(dst, &before)
	if x.list != nil {
		dst = appendList(dst, x.list, x.pos)
	}
	return appendTable(dst, g)
}

// onlyOrigins is the vclock before the group, cut down to the authors of its rows.
func onlyOrigins(g *xrow.Group) (v vclock.VClock) {
	for i := range g.Table {
		origin := g.Table[i].Origin
		v[origin] = g.Before[origin]
	}
	return v
}

func appendTable(dst []byte, g *xrow.Group) []byte {
	last := g.Before
	var prev xrow.Ref
	for i := range g.Table {
		ref := &g.Table[i]
		at := len(dst)
		dst = append(dst, 0)
		dst = binary.AppendUvarint(dst, uint64(len(g.Frame(i))))
		var flags byte
		if ref.First {
			flags |= rowFirst
		}
		if ref.Origin == prev.Origin {
			flags |= rowSameOrigin
		} else {
			dst = append(dst, byte(ref.Origin))
		}
		if ref.Type == prev.Type {
			flags |= rowSameType
		} else {
			dst = binary.AppendUvarint(dst, uint64(ref.Type))
		}
		if ref.SpaceID == prev.SpaceID {
			flags |= rowSameSpace
		} else {
			dst = binary.AppendUvarint(dst, uint64(ref.SpaceID))
		}
		if delta := ref.LSN - last[ref.Origin]; delta == 1 {
			flags |= rowNextLSN
		} else {
			dst = binary.AppendVarint(dst, int64(delta))
		}
		if ref.Term != 0 {
			flags |= rowTerm
			dst = binary.AppendUvarint(dst, ref.Term)
		}
		dst[at] = flags
		last[ref.Origin] = ref.LSN
		prev = *ref
	}
	return dst
}

// appendClock appends the set components: their count, then pairs of ID and LSN.
func appendClock(dst []byte, v *vclock.VClock) []byte {
	dst = append(dst, byte(v.Len()))
	for id, lsn := range v {
		if lsn != 0 {
			dst = append(dst, byte(id))
			dst = binary.AppendUvarint(dst, lsn)
		}
	}
	return dst
}

// appendValue encodes a group as the value of its log key.
func appendValue(dst []byte, o owner, g *xrow.Group, x extras) []byte {
	start := len(dst)
	dst = appendHead(dst, o, g, x)
	dst = append(dst, g.Rows...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// head is the beginning of a value.
type head struct {
	owner
	old    bool // of format 1: only its key tells the number
	full   bool
	list   *ownerList    // nil: none; without positions
	before vclock.VClock // full: the vclock before the group; else only the authors of its rows
	rows   int
	bytes  int
}

// ownerAt says whose the group at a position is. Format 1 had one Core, and its
// numbers for positions.
func (h *head) ownerAt(pos uint64) owner {
	if h.old {
		return owner{slot: upgradedSlot, no: pos}
	}
	return h.owner
}

// decodeHead reads the beginning of a value and returns the reader behind it.
// It does not look at the checksum.
func decodeHead(value []byte) (h head, r reader, err error) {
	r = reader{b: value}
	version := r.byte()
	if version > valueVersion {
		return h, r, newer("group", uint64(version), valueVersion)
	}
	if version < valueVersionOld {
		return h, r, damaged("no group")
	}
	flags := r.byte()
	if h.old = version == valueVersionOld; h.old {
		h.slot = upgradedSlot
	} else {
		h.owner = owner{core: r.u32(), slot: r.u32(), no: r.uvarint()}
	}
	h.full = flags&headFull != 0
	rows, size := r.uvarint(), r.uvarint()
	h.before = r.clock()
	if flags&headList != 0 {
		h.list = r.list()
	}
	if r.bad || flags&^(headFull|headList) != 0 || h.old && flags&headList != 0 || size > math.MaxUint32 || size > uint64(len(r.b)) || rows > uint64(len(r.b)) {
		return h, r, damaged("bad head of a group")
	}
	h.rows, h.bytes = int(rows), int(size)
	return h, r, nil
}

// decodeValue reads a group. Unless the value has the whole vclock, before is
// what the group begins with. Rows points into value.
func decodeValue(value []byte, before vclock.VClock) (h head, g *xrow.Group, err error) {
	if len(value) < crcLen {
		return h, nil, damaged("no group")
	}
	body := value[:len(value)-crcLen]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(value[len(body):]) {
		return h, nil, damaged("bad checksum of a group")
	}
	h, r, err := decodeHead(body)
	if err != nil {
		return h, nil, err
	}
	if h.full {
		before = h.before
	} else {
		h.raise(&before)
	}
	g = &xrow.Group{Before: before, After: before, Table: make([]xrow.Ref, h.rows)}
	if !r.table(g, h.bytes) || len(r.b) != h.bytes {
		return h, nil, damaged("bad row table of a group")
	}
	g.Rows = r.b
	return h, g, nil
}

// raise sets the components that the head names.
func (h *head) raise(v *vclock.VClock) {
	for id, lsn := range h.before {
		if lsn != 0 {
			v[id] = lsn
		}
	}
}

// reader takes integers from the head of b; bad tells that one was not there.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// u32 reads an unsigned integer of at most 32 bits.
func (r *reader) u32() uint32 {
	v := r.uvarint()
	r.bad = r.bad || v > math.MaxUint32
	return uint32(v)
}

// clock reads what appendClock wrote; IDs ascend.
func (r *reader) clock() (v vclock.VClock) {
	next := 0
	for range r.byte() {
		id, lsn := int(r.byte()), r.uvarint()
		if r.bad || id < next || id >= vclock.Max || lsn == 0 {
			r.bad = true
			return v
		}
		v[id], next = lsn, id+1
	}
	return v
}

// table fills g.Table, whose frames must be size bytes together, and g.After.
func (r *reader) table(g *xrow.Group, size int) bool {
	last := g.Before
	var prev xrow.Ref
	offset := 0
	for i := range g.Table {
		flags := r.byte()
		ref := prev
		ref.Offset, ref.Term, ref.First = uint32(offset), 0, flags&rowFirst != 0
		frame := r.uvarint()
		if frame > uint64(size-offset) {
			return false
		}
		offset += int(frame)
		if flags&rowSameOrigin == 0 {
			ref.Origin = uint32(r.byte())
		}
		if flags&rowSameType == 0 {
			ref.Type = xrow.Type(r.u32())
		}
		if flags&rowSameSpace == 0 {
			ref.SpaceID = r.u32()
		}
		delta := int64(1)
		if flags&rowNextLSN == 0 {
			delta = r.varint()
		}
		if flags&rowTerm != 0 {
			ref.Term = r.uvarint()
		}
		if r.bad || ref.Origin >= vclock.Max {
			return false
		}
		ref.LSN = last[ref.Origin] + uint64(delta)
		last[ref.Origin] = ref.LSN
		g.After[ref.Origin] = max(g.After[ref.Origin], ref.LSN)
		g.Table[i], prev = ref, ref
	}
	return offset == size
}
