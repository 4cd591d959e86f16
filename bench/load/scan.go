package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// Scan reads a space with the keys 1..keys from its start again and again on one
// connection, in answers of page tuples, and throws away what comes. It ends with
// ctx, which is no error.
func Scan(ctx context.Context, p Plan, space uint32, keys, page uint64) (bytes int64, err error) {
	nc, err := dial(ctx, &p)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	from := newScanReader(nc)
	for key := uint64(1); ; key += page {
		if key > keys {
			key = 1
		}
		n, err := scanPage(nc, from, space, key, page)
		bytes += n
		if ctx.Err() != nil {
			return bytes, nil
		}
		if err != nil {
			return bytes, err
		}
	}
}

func newScanReader(nc net.Conn) *bufio.Reader { return bufio.NewReaderSize(nc, 256<<10) }

// scanPage asks for the tuples from key on.
//
//	ce <len> | 82 00 01 01 00 | 86 10 ce <space> 11 00 14 05 13 00 12 ce <page> 20 91 cf <key>
func scanPage(nc net.Conn, from *bufio.Reader, space uint32, key, page uint64) (int64, error) {
	b := []byte{0xce, 0, 0, 0, 0, 0x82, byte(xrow.KeyType), byte(xrow.Select), byte(xrow.KeySync), 0, 0x86, byte(xrow.KeySpaceID), 0xce}
	b = binary.BigEndian.AppendUint32(b, space)
	b = append(b, byte(xrow.KeyIndexID), 0, byte(xrow.KeyIterator), 5, byte(xrow.KeyOffset), 0, byte(xrow.KeyLimit), 0xce)
	b = binary.BigEndian.AppendUint32(b, uint32(page))
	b = binary.BigEndian.AppendUint64(append(b, byte(xrow.KeyKey), 0x91, 0xcf), key)
	xrow.EndFrame(b, 0)
	if _, err := nc.Write(b); err != nil {
		return 0, err
	}
	var head [64]byte // longer than the header of an answer
	if _, err := io.ReadFull(from, head[:xrow.FrameHead]); err != nil {
		return 0, err
	}
	size := int64(binary.BigEndian.Uint32(head[1:]))
	start := head[:min(size, int64(len(head)))]
	if _, err := io.ReadFull(from, start); err != nil {
		return 0, err
	}
	if _, err := io.CopyN(io.Discard, from, size-int64(len(start))); err != nil {
		return 0, err
	}
	if code := answerCode(start); code != 0 {
		return 0, fmt.Errorf("a scan: error %d", code)
	}
	return size, nil
}

// answerCode is the error of an answer by its header, 0: none.
func answerCode(b []byte) uint32 {
	if len(b) < 7 || b[1] != byte(xrow.KeyType) {
		return 0xffff
	}
	code, _, ok := mp.ReadUint(b[2:])
	if !ok {
		return 0xffff
	}
	return uint32(code) &^ (1 << 15)
}
