package copyfile

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// Reader reads a file. It belongs to one goroutine.
type Reader struct {
	Header Header

	from   *bufio.Reader
	digest hash.Hash
	at     int64  // of the block that is read next
	no     uint64 // of it
	block  []byte // the one that was read last
	tuples uint64
	sum    [DigestSize]byte // behind the end
}

// NewReader reads the header of a file.
func NewReader(from io.Reader) (*Reader, error) {
	r := &Reader{from: bufio.NewReaderSize(from, 64<<10), digest: sha256.New()}
	var head [len(mark) + 4]byte
	if err := r.read(head[:]); err != nil {
		return nil, err
	}
	if string(head[:len(mark)]) != mark {
		return nil, damaged("it does not begin with %q", mark)
	}
	if v := binary.LittleEndian.Uint32(head[len(mark):]); v != version {
		return nil, damaged("it has format %d, and this version reads %d", v, version)
	}
	kind, content, err := r.next()
	if err != nil {
		return nil, err
	}
	if kind != blockHeader {
		return nil, damaged("it has no header")
	}
	if r.Header, err = readHeader(content); err != nil {
		return nil, err
	}
	return r, nil
}

// read fills b. The end of the file is no place to stop at.
func (r *Reader) read(b []byte) error {
	n, err := io.ReadFull(r.from, b)
	if err == nil {
		_, _ = r.digest.Write(b) // cannot fail
		r.at += int64(n)
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends at byte %d, in the middle", r.at+int64(n))
	}
	return fmt.Errorf("read the file of a base copy: %w", err)
}

// next reads a block, and checks it.
func (r *Reader) next() (kind byte, content []byte, err error) {
	at := r.at
	r.block = append(r.block[:0], 0, 0, 0, 0)
	if err := r.read(r.block); err != nil {
		return 0, nil, err
	}
	size := int(binary.LittleEndian.Uint32(r.block))
	if size < 1 || size > maxBlock {
		return 0, nil, damaged("block %d, at byte %d, has a length of %d", r.no, at, size)
	}
	for left := size + 4; left > 0; { // no more memory than what has come, and once again
		n := min(left, max(len(r.block), blockBytes))
		was := len(r.block)
		r.block = slices.Grow(r.block, n)[:was+n]
		if err := r.read(r.block[was:]); err != nil {
			return 0, nil, err
		}
		left -= n
	}
	whole := r.block[:4+size]
	if sum := binary.LittleEndian.Uint32(r.block[4+size:]); sum != blockSum(r.no, whole) {
		return 0, nil, damaged("block %d, at byte %d, has a wrong checksum", r.no, at)
	}
	r.no++
	return whole[4], whole[blockHead:], nil
}

// Next returns tuples of one space, valid until the next call. io.EOF: there are no more, and
// all that was there is whole.
func (r *Reader) Next() (space uint32, tuples [][]byte, err error) {
	kind, content, err := r.next()
	switch {
	case err != nil:
		return 0, nil, err
	case kind == blockEnd:
		return 0, nil, r.end(content)
	case kind != blockTuples || len(content) < 4:
		return 0, nil, damaged("block %d is of a kind that has no place there", r.no-1)
	}
	space = binary.LittleEndian.Uint32(content)
	for content = content[4:]; len(content) > 0; {
		n, err := mp.Scan(content)
		if err != nil || mp.KindOf(content[0]) != mp.Array {
			return 0, nil, damaged("block %d has something that is no tuple", r.no-1)
		}
		tuples = append(tuples, content[:n:n])
		content = content[n:]
	}
	r.tuples += uint64(len(tuples))
	return space, tuples, nil
}

// end checks what ends the file; io.EOF: all is well.
func (r *Reader) end(content []byte) error {
	var told [2]uint64
	if n, err := mp.Scan(content); err != nil || n != len(content) || !xrow.ReadUints(content, told[:]) {
		return damaged("its end is none")
	}
	if told[0] != r.no-1 || told[1] != r.tuples {
		return damaged("it has %d tuples in %d blocks, and says that there are %d in %d", r.tuples, r.no-1, told[1], told[0])
	}
	want := [DigestSize]byte(r.digest.Sum(nil))
	if err := r.read(r.sum[:]); err != nil {
		return err
	}
	if r.sum != want {
		return damaged("its digest is wrong")
	}
	if _, err := r.from.ReadByte(); err == nil {
		return damaged("there is something behind its end")
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the file of a base copy: %w", err)
	}
	return io.EOF
}

// Digest is that of the file. It is known once Next has returned io.EOF.
func (r *Reader) Digest() [DigestSize]byte { return r.sum }
