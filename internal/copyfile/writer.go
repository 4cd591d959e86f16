package copyfile

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/tinylib/msgp/msgp"
)

// Writer writes a file. It belongs to one goroutine.
type Writer struct {
	to     io.Writer
	digest hash.Hash
	block  []byte // gathers: its head, then what it has
	no     uint64 // of the block that gathers
	space  uint32 // of its tuples
	tuples uint64
	size   int64
	err    error // the first one
}

// blockHead is what goes before the content of a block: its length, which is that of kind and
// content, as 4 bytes, and its kind.
const blockHead = 5

// NewWriter begins a file.
func NewWriter(to io.Writer, h *Header) *Writer {
	w := &Writer{to: to, digest: sha256.New()}
	w.write(binary.LittleEndian.AppendUint32([]byte(mark), version))
	w.begin(blockHeader)
	w.block = h.append(w.block)
	w.end()
	return w
}

func (w *Writer) begin(kind byte) { w.block = append(w.block[:0], 0, 0, 0, 0, kind) }

// end writes the block that gathers. Its checksum is of its number, too, so that no block
// takes another's place.
func (w *Writer) end() {
	binary.LittleEndian.PutUint32(w.block, uint32(len(w.block)-4))
	w.block = binary.LittleEndian.AppendUint32(w.block, blockSum(w.no, w.block))
	w.write(w.block)
	w.no++
	w.block = w.block[:0]
}

// blockSum is the checksum of a block, of its length on.
func blockSum(no uint64, block []byte) uint32 {
	var head [8]byte
	binary.LittleEndian.PutUint64(head[:], no)
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, block)
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	_, _ = w.digest.Write(b) // cannot fail
	n, err := w.to.Write(b)
	w.size += int64(n)
	w.err = err
}

// Put adds a tuple. Those of a space come one behind the other.
func (w *Writer) Put(space uint32, tuple []byte) error {
	if len(w.block) > 0 && (space != w.space || len(w.block)+len(tuple) > blockBytes) {
		w.end()
	}
	if len(w.block) == 0 {
		w.begin(blockTuples)
		w.block = binary.LittleEndian.AppendUint32(w.block, space)
		w.space = space
	}
	w.block = append(w.block, tuple...)
	w.tuples++
	return w.err
}

// Size is what was written so far.
func (w *Writer) Size() int64 { return w.size }

// Close ends the file, and tells its digest. The file below stays open.
func (w *Writer) Close() (digest [DigestSize]byte, err error) {
	if len(w.block) > 0 {
		w.end()
	}
	w.begin(blockEnd)
	w.block = msgp.AppendUint64(msgp.AppendUint64(append(w.block, 0x92), w.no), w.tuples)
	w.end()
	if w.err == nil {
		digest = [DigestSize]byte(w.digest.Sum(nil))
		var n int
		n, w.err = w.to.Write(digest[:])
		w.size += int64(n)
	}
	if w.err != nil {
		return digest, fmt.Errorf("write the file of a base copy: %w", w.err)
	}
	return digest, nil
}
