package xlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble's write-ahead log, read by hand: Open wants to know more of a broken
// end than Pebble tells, and inspection has to work where Pebble gives up.
//
// A file is blocks of 32 KiB. A record is one or more chunks, none of which
// crosses the end of a block:
//
//	CRC u32 | size u16 | kind u8 | file number u32 | synced u64 | payload
//
// all little endian; kinds 1 to 4 end behind the kind, 5 to 8 behind the file
// number. synced promises that the file up to there was on disk when the chunk
// was written. A chunk with the next file number ends the file. The CRC is
// CRC32C from the kind on, rotated as in LevelDB.
const (
	walSuffix = ".log"
	walBlock  = 32 << 10
	walHead   = 19 // of the kinds 9 to 12
)

// chunk is one chunk of a journal file.
type chunk struct {
	head     int
	position byte   // 0 full, 1 first, 2 middle, 3 last
	synced   uint64 // 0: not told
	end      bool   // of the file
	payload  []byte
}

var errChunk = errors.New("xlog: bad chunk")

// parseChunk reads the chunk at the head of b, the rest of a block.
func parseChunk(b []byte, file uint32) (c chunk, err error) {
	if len(b) < 7 {
		return c, errChunk
	}
	size, kind := int(binary.LittleEndian.Uint16(b[4:])), b[6]
	if kind == 0 || kind > 12 {
		return c, errChunk
	}
	c.head = [3]int{7, 11, walHead}[(kind-1)/4]
	c.position = (kind - 1) % 4
	if len(b) < c.head {
		return c, errChunk
	}
	if kind > 4 {
		switch binary.LittleEndian.Uint32(b[7:]) {
		case file:
		case file + 1:
			c.end = true
			return c, nil
		default:
			return c, errChunk
		}
	}
	if len(b) < c.head+size {
		return c, errChunk
	}
	sum := crc32.Checksum(b[6:c.head+size], castagnoli)
	if sum = (sum>>15 | sum<<17) + 0xa282ead8; sum != binary.LittleEndian.Uint32(b) {
		return c, errChunk
	}
	if kind > 8 {
		c.synced = binary.LittleEndian.Uint64(b[11:])
	}
	c.payload = b[c.head : c.head+size]
	return c, nil
}

// walReader reads the records of one journal file.
type walReader struct {
	r     io.Reader
	file  uint32
	buf   [walBlock]byte
	block []byte // what was read of the current block
	at    int64  // offset of the block in the file
	pos   int    // in the block
	rec   []byte

	last   uint64 // the newest group of the records, 0: none yet
	behind bool   // last is of a record behind the break
}

// Ends of a journal file.
var (
	errWALTorn = errors.New("xlog: torn tail")         // the file breaks off behind what was synced
	errWALBad  = errors.New("xlog: damage in journal") // bytes that were synced are not there
)

// next reads a record, valid until the next call, and its offset. The end of
// the file is io.EOF, or errWALTorn or errWALBad with the offset of the break.
func (w *walReader) next() (rec []byte, offset int64, err error) {
	w.rec = w.rec[:0]
	inside := false
	for {
		if err := w.fill(); err == io.EOF {
			if inside {
				return nil, offset, errWALTorn
			}
			return nil, w.at + int64(w.pos), io.EOF
		} else if err != nil {
			return nil, w.at, err
		}
		here := w.at + int64(w.pos)
		c, err := parseChunk(w.block[w.pos:], w.file)
		starts := c.position == 0 || c.position == 1
		switch {
		case err == nil && c.end && !inside:
			return nil, here, io.EOF
		case err != nil || c.end || starts == inside:
			return nil, here, w.verdict(uint64(here))
		}
		if !inside {
			offset = here
		}
		inside = true
		w.rec = append(w.rec, c.payload...)
		w.pos += c.head + len(c.payload)
		if c.position == 0 || c.position == 3 {
			if _, last := groupsOf(w.rec); last != 0 {
				w.last = last
			}
			return w.rec, offset, nil
		}
	}
}

// fill makes the chunk at pos, or the head of the next block, ready to read.
func (w *walReader) fill() error {
	rest := w.block[w.pos:]
	if len(rest) > 0 && len(w.block) < walBlock {
		return nil // the last block: what is left of it is a chunk or a tear
	}
	if len(rest) >= walHead || len(rest) >= 7 && !isZero(rest) {
		return nil
	}
	return w.readBlock()
}

func (w *walReader) readBlock() error {
	w.at += int64(len(w.block))
	w.pos = 0
	n, err := io.ReadFull(w.r, w.buf[:])
	w.block = w.buf[:n]
	if n > 0 && errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return err
}

// verdict tells whether the bad chunk at offset is a torn tail or damage: it
// is damage if any chunk behind it vouches for offset. Chunks are
// looked for at every byte, since sizes behind a break mean nothing.
func (w *walReader) verdict(offset uint64) error {
	for pos := w.pos + 1; ; pos = 0 {
		for ; pos+walHead <= len(w.block); pos++ {
			if kind := w.block[pos+6]; kind < 9 || kind > 12 {
				continue
			}
			if c, err := parseChunk(w.block[pos:], w.file); err == nil && !c.end && w.vouches(c, offset) {
				return errWALBad
			}
		}
		if err := w.readBlock(); err == io.EOF {
			return errWALTorn
		} else if err != nil {
			return err
		}
	}
}

// vouches tells whether c, behind a break at offset, shows that offset had been
// synced. The chunk's own word may be one sync old. But groups are appended one
// batch after the other, each synced before the next (Store.appendLocked): a
// batch was written behind a sync of its predecessor and of all before that.
func (w *walReader) vouches(c chunk, offset uint64) bool {
	if c.synced > offset {
		return true
	}
	if c.position > 1 {
		return false
	}
	first, last := groupsOf(c.payload)
	if first == 0 {
		return false
	}
	skips := w.last != 0 && first > w.last+1
	second := w.behind
	w.last, w.behind = last, true
	return skips || second
}

// groupsOf are the positions of the first and the last group of a record, 0 if it holds none: a
// batch has one operation a group, in order, and voided rows behind them. Of the
// head of a record it tells what it can see.
func groupsOf(rec []byte) (first, last uint64) {
	h, ok := batchrepr.ReadHeader(rec)
	if !ok || h.Count == 0 {
		return 0, 0
	}
	op := rec[batchrepr.HeaderLen:]            // kind u8, length of the key as a varint, key
	if len(op) < 2 || len(op) < 2+int(op[1]) { // the first byte of a key's length says it all
		return 0, 0
	}
	first, ok = parseLogKey(presentKey(op[2 : 2+op[1]]))
	if !ok {
		return 0, 0
	}
	last = first
	for ops := batchrepr.Read(rec); ; {
		_, key, _, ok, err := ops.Next()
		if !ok || err != nil {
			return first, last
		}
		if pos, ok := parseLogKey(presentKey(key)); ok {
			last = pos
		}
	}
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// journalFile is one file of the write-ahead log.
type journalFile struct {
	name string
	num  uint64
}

// journalFiles lists them, oldest first.
func journalFiles(fs vfs.FS, dir string) ([]journalFile, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("xlog: %w", err)
	}
	var files []journalFile
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, walSuffix)
		if num, err := strconv.ParseUint(digits, 10, 64); ok && err == nil {
			files = append(files, journalFile{name, num})
		}
	}
	slices.SortFunc(files, func(a, b journalFile) int { return cmpUint(a.num, b.num) })
	return files, nil
}

func cmpUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// readJournal calls f with every record of a file and its offset. It returns
// the offset at which the file ends, and why: nil, errWALTorn or errWALBad.
func readJournal(fs vfs.FS, dir string, j journalFile, f func(rec []byte, offset int64) error) (end int64, err error) {
	file, err := fs.Open(fs.PathJoin(dir, j.name))
	if err != nil {
		return 0, fmt.Errorf("xlog: %w", err)
	}
	defer func() { _ = file.Close() }()
	w := &walReader{r: file, file: uint32(j.num)}
	for {
		rec, offset, err := w.next()
		if err == io.EOF {
			return offset, nil
		}
		if err != nil {
			return offset, err
		}
		if err := f(rec, offset); err != nil {
			return offset, err
		}
	}
}

// checkJournals refuses a store whose newest journal file has damage before
// its tail; Pebble checks the others, and would take such damage for a torn
// tail if it is near the end. cut says that synced bytes may be missing, since
// the mode was Write or None: then the log ends where the first file breaks.
func (s *Store) checkJournals(cut bool) error {
	files, err := journalFiles(s.fs, s.opts.Dir)
	if err != nil {
		return err
	}
	for i, j := range files {
		newest := i == len(files)-1
		if !newest && !cut {
			continue
		}
		offset, err := readJournal(s.fs, s.opts.Dir, j, func([]byte, int64) error { return nil })
		switch {
		case err == nil:
		case cut && (errors.Is(err, errWALBad) || errors.Is(err, errWALTorn)):
			s.log(Warn, nil, "journal %s is cut at offset %d: the machine went down without a clean stop", j.name, offset)
			return s.cutJournals(files[i:], offset)
		case errors.Is(err, errWALBad):
			return damaged("%s: damage at offset %d, before the end of what was synced", s.fs.PathJoin(s.opts.Dir, j.name), offset)
		case errors.Is(err, errWALTorn):
			s.torn = fmt.Sprintf(": %s breaks off at offset %d", j.name, offset)
			s.log(Info, nil, "journal %s ends at offset %d without a mark: the last stop was not a clean one", j.name, offset)
		default:
			return fmt.Errorf("xlog: %w", err)
		}
	}
	return nil
}

// cutJournals ends the first of the files at an offset and removes the others.
func (s *Store) cutJournals(files []journalFile, offset int64) error {
	path := s.fs.PathJoin(s.opts.Dir, files[0].name)
	whole, err := readFile(s.fs, path)
	if err != nil {
		return fmt.Errorf("xlog: %w", err)
	}
	for _, j := range files[1:] {
		if err := s.fs.Remove(s.fs.PathJoin(s.opts.Dir, j.name)); err != nil {
			return fmt.Errorf("xlog: %w", err)
		}
	}
	temp := path + ".cut"
	f, err := s.fs.FS.Create(temp, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(whole[:offset])
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = s.fs.Rename(temp, path)
	}
	if err == nil {
		err = syncDir(s.fs, s.opts.Dir)
	}
	if err != nil {
		return fmt.Errorf("xlog: %w", err)
	}
	return nil
}
