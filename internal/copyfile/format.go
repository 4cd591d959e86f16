package copyfile

import (
	"errors"
	"fmt"
	"hash/crc32"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// mark begins each file, and version follows it: on disk.
const (
	mark    = "TRGNCOPY"
	version = 1
)

// Kinds of blocks, on disk.
const (
	blockHeader = 'H' // of the file
	blockTuples = 'T' // of one space
	blockEnd    = 'E' // how much there was
)

const (
	// blockBytes is about how much of tuples one block has; a tuple may be larger.
	blockBytes = 128 << 10
	// maxBlock bounds what a reader takes for a block.
	maxBlock = xrow.MaxFrame + 64
	// DigestSize is that of the SHA-256 that ends a file.
	DigestSize = 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged is wrapped by errors of a Reader: the file is not as it was written.
var ErrDamaged = errors.New("the file of the base copy is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Header says what a file has.
type Header struct {
	Replicaset string        // UUID
	Sender     string        // UUID of who wrote it
	VClock     vclock.VClock // decided by the sender when it opened the view
	Term       uint64        // in effect then
	Spaces     []Space       // ascending
}

// Space is one whose tuples are in a file.
type Space struct {
	ID     uint32
	Name   string
	Tuples uint64 // about
}

// IDs are those of the spaces.
func (h *Header) IDs() []uint32 {
	ids := make([]uint32, len(h.Spaces))
	for i := range h.Spaces {
		ids[i] = h.Spaces[i].ID
	}
	return ids
}

// append encodes [replica set, sender, vclock, term, [[space, name, tuples], ...]].
func (h *Header) append(dst []byte) []byte {
	dst = msgp.AppendString(append(dst, 0x95), h.Replicaset)
	dst = msgp.AppendString(dst, h.Sender)
	dst = xrow.AppendVClock(dst, &h.VClock)
	dst = msgp.AppendUint64(dst, h.Term)
	dst = msgp.AppendArrayHeader(dst, uint32(len(h.Spaces)))
	for i := range h.Spaces {
		s := &h.Spaces[i]
		dst = msgp.AppendUint32(append(dst, 0x93), s.ID)
		dst = msgp.AppendUint64(msgp.AppendString(dst, s.Name), s.Tuples)
	}
	return dst
}

// wireHeader is a Header as msgpack has it.
type wireHeader struct {
	Replicaset string
	Sender     string
	VClock     map[uint32]uint64
	Term       uint64
	Spaces     []wireSpace
}

type wireSpace struct {
	ID     uint32
	Name   string
	Tuples uint64
}

// readHeader reads what append wrote. The block's checksum was right.
func readHeader(b []byte) (h Header, err error) {
	if n, err := mp.Scan(b); err != nil || n != len(b) {
		return h, damaged("its header is no MessagePack")
	}
	var w wireHeader
	if err := mp.Decode(b, &w); err != nil {
		return h, damaged("its header: %v", err)
	}
	h.Replicaset, h.Sender, h.Term = w.Replicaset, w.Sender, w.Term
	for id, lsn := range w.VClock {
		if id >= vclock.Max {
			return h, damaged("its header has an instance %d", id)
		}
		h.VClock[id] = lsn
	}
	for i, s := range w.Spaces {
		if i > 0 && s.ID <= w.Spaces[i-1].ID {
			return h, damaged("its header has space %d twice or out of order", s.ID)
		}
		h.Spaces = append(h.Spaces, Space(s))
	}
	return h, nil
}
