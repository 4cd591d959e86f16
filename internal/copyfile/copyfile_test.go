package copyfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

func testHeader() *Header {
	return &Header{Replicaset: "11111111-1111-1111-1111-111111111111", Sender: "aaaaaaaa-0000-4000-8000-000000000001", VClock: vclock.VClock{1: 77, 31: 5}, Term: 9,
		Spaces: []Space{{512, "people", 3}, {513, "orders", 40}, {600, "none", 0}}}
}

type row struct {
	space uint32
	tuple []byte
}

func tuple(n uint64, size int) []byte {
	return msgp.AppendString(msgp.AppendUint64([]byte{0x92}, n), strings.Repeat("x", size))
}

// testRows are of two spaces: some blocks of the second, one of which is one large tuple.
func testRows(size int) (rows []row) {
	for i := range uint64(3) {
		rows = append(rows, row{512, tuple(i, 5)})
	}
	for i := range uint64(12) {
		rows = append(rows, row{513, tuple(i, size)})
	}
	return rows
}

func write(t testing.TB, h *Header, rows []row) ([]byte, [DigestSize]byte) {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, h)
	for _, r := range rows {
		if err := w.Put(r.space, r.tuple); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := w.Close()
	if err != nil || w.Size() != int64(b.Len()) {
		t.Fatalf("%v, size %d of %d", err, w.Size(), b.Len())
	}
	return b.Bytes(), digest
}

// readAll reads all that is there, and tells whether it is whole.
func readAll(from io.Reader) (h Header, rows []row, digest [DigestSize]byte, err error) {
	r, err := NewReader(from)
	if err != nil {
		return h, nil, digest, err
	}
	for {
		space, tuples, err := r.Next()
		if err == io.EOF {
			return r.Header, rows, r.Digest(), nil
		}
		if err != nil {
			return r.Header, rows, digest, err
		}
		for _, tuple := range tuples {
			rows = append(rows, row{space, bytes.Clone(tuple)})
		}
	}
}

// What was written comes back: with no rows, with few, with many blocks, with tuples that
// are larger than a block.
func TestRoundTrip(t *testing.T) {
	for _, rows := range [][]row{nil, testRows(10), testRows(50_000), testRows(3 * blockBytes)} {
		file, digest := write(t, testHeader(), rows)
		h, got, read, err := readAll(bytes.NewReader(file))
		if err != nil || !reflect.DeepEqual(&h, testHeader()) || !reflect.DeepEqual(got, rows) || read != digest {
			t.Errorf("%d rows: %v, %+v, %d rows", len(rows), err, h, len(got))
		}
		if sum := sha256.Sum256(file[:len(file)-DigestSize]); sum != digest || !bytes.Equal(file[len(file)-DigestSize:], digest[:]) {
			t.Error("the digest is not that of the file")
		}
	}
}

// A byte that is altered anywhere is seen, whatever it becomes, and nothing is handed out that
// was not written.
func TestAttackAlteredFile(t *testing.T) {
	rows := testRows(10)
	file, _ := write(t, testHeader(), rows)
	for at := range file {
		for _, mask := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(file)
			bad[at] ^= mask
			_, got, _, err := readAll(bytes.NewReader(bad))
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d altered by %#x: %v", at, mask, err)
			}
			if len(got) > len(rows) || !reflect.DeepEqual(got, rows[:len(got):len(got)]) && len(got) > 0 {
				t.Fatalf("byte %d altered by %#x: other rows were handed out", at, mask)
			}
		}
	}
}

// A file that was cut anywhere is seen to be, as is one with something behind its end.
func TestAttackCutFile(t *testing.T) {
	file, _ := write(t, testHeader(), testRows(10))
	for n := range file {
		if _, _, _, err := readAll(bytes.NewReader(file[:n])); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut behind %d of %d bytes: %v", n, len(file), err)
		}
	}
	if _, _, _, err := readAll(bytes.NewReader(append(bytes.Clone(file), 0))); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "behind its end") {
		t.Errorf("%v", err)
	}
}

// Blocks that are whole and stand in other places, are missing or come twice are seen.
func TestAttackMovedBlocks(t *testing.T) {
	file, _ := write(t, testHeader(), testRows(60_000))
	var blocks [][]byte
	rest := file[len(mark)+4 : len(file)-DigestSize]
	for len(rest) > 0 {
		n := 8 + int(binary.LittleEndian.Uint32(rest))
		blocks, rest = append(blocks, rest[:n]), rest[n:]
	}
	if len(blocks) < 6 {
		t.Fatalf("%d blocks", len(blocks))
	}
	try := func(what string, order ...int) {
		t.Helper()
		bad := bytes.Clone(file[:len(mark)+4])
		for _, i := range order {
			bad = append(bad, blocks[i]...)
		}
		sum := sha256.Sum256(bad) // somebody who can count
		if _, _, _, err := readAll(bytes.NewReader(append(bad, sum[:]...))); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	last := len(blocks) - 1
	try("one is missing", 0, 1, 2, last)
	try("all are missing", 0, last)
	try("two have changed places", 0, 2, 1, 3, last)
	try("one comes twice", 0, 1, 1, 2, 3, last)
	try("there is no header", 1, 2, 3, last)
	try("there are two headers", 0, 0, 1, last)
	try("there is no end", 0, 1, 2)
}

// Who announces much gets no memory for it.
func TestAttackAnnouncedBlock(t *testing.T) {
	bad := binary.LittleEndian.AppendUint32([]byte(mark), version)
	bad = binary.LittleEndian.AppendUint32(bad, maxBlock)
	allocs := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := NewReader(bytes.NewReader(bad)); !errors.Is(err, ErrDamaged) {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if allocs > 1<<20 {
		t.Errorf("%d bytes for a file of %d", allocs, len(bad))
	}
}

// A reader's errors say what is wrong.
func TestReaderSays(t *testing.T) {
	file, _ := write(t, testHeader(), testRows(10))
	for want, bad := range map[string][]byte{
		"the file of the base copy is damaged: it does not begin with \"TRGNCOPY\"":       append([]byte("SNAPSHOT"), file[8:]...),
		"the file of the base copy is damaged: it has format 2, and this version reads 1": append([]byte("TRGNCOPY\x02"), file[9:]...),
		"the file of the base copy is damaged: it ends at byte 40, in the middle":         file[:40],
		"the file of the base copy is damaged: it ends at byte 0, in the middle":          nil,
	} {
		if _, err := NewReader(bytes.NewReader(bad)); err == nil || err.Error() != want {
			t.Errorf("%v, not %s", err, want)
		}
	}
}

// A writer's file may fail: the first error stays.
func TestWriterFails(t *testing.T) {
	broken := errors.New("no room")
	w := NewWriter(failing{broken}, testHeader())
	for range 100 {
		_ = w.Put(512, tuple(1, 50_000))
	}
	if _, err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// The format does not change by accident: files are brought between versions.
func TestGolden(t *testing.T) {
	file, _ := write(t, testHeader(), testRows(3))
	name := filepath.Join("testdata", "golden.copy")
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, want) {
		t.Errorf("the format has changed: %x, not %x", file, want)
	}
}

func FuzzRead(f *testing.F) {
	for _, size := range []int{0, 10, 200} {
		file, _ := write(f, testHeader(), testRows(size))
		f.Add(file)
		f.Add(file[:len(file)/2])
	}
	empty, _ := write(f, &Header{}, nil)
	f.Add(empty)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rows, _, err := readAll(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		again, _ := write(t, &h, rows)
		if _, got, _, err := readAll(bytes.NewReader(again)); err != nil || !reflect.DeepEqual(got, rows) {
			t.Fatalf("%v", err)
		}
	})
}
