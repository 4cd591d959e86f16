package xrow

import (
	"slices"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"

	"github.com/tinylib/msgp/msgp"
)

// Share is what a filter gives a replica: docs/protocol/filters.md. It is never changed.
type Share struct {
	Filter  string
	Version uint64
	New     bool     // spaces that are not listed are had, those that are listed are not; false: the other way round
	Spaces  []uint32 // IDs, ascending
}

// MaxShare bounds the spaces of a filter.
const MaxShare = 65536

// Has tells whether the replica has a space. It has all system spaces, and what is no
// statement, space 0.
func (s *Share) Has(space uint32) bool {
	if s == nil || space < FirstUserSpace {
		return true
	}
	_, listed := slices.BinarySearch(s.Spaces, space)
	return s.New != listed
}

// Same tells whether two shares have the same spaces, whatever their names.
func (s *Share) Same(o *Share) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.New == o.New && slices.Equal(s.Spaces, o.Spaces)
}

// share writes [filter, version, new, spaces]; nil: nothing.
func (m *mapWriter) share(s *Share) {
	if s == nil {
		return
	}
	m.key(KeyShare)
	m.dst = s.Append(m.dst)
}

// Append encodes [filter, version, new, spaces].
func (s *Share) Append(dst []byte) []byte {
	dst = msgp.AppendString(append(dst, 0x94), s.Filter)
	return AppendSpaces(msgp.AppendBool(msgp.AppendUint64(dst, s.Version), s.New), s.Spaces)
}

// AppendSpaces encodes the IDs of spaces as an array.
func AppendSpaces(dst []byte, ids []uint32) []byte {
	dst = msgp.AppendArrayHeader(dst, uint32(len(ids)))
	for _, id := range ids {
		dst = msgp.AppendUint32(dst, id)
	}
	return dst
}

// ReadSpaces reads such an array, and tells its length in bytes. The IDs must ascend.
func ReadSpaces(v []byte) (ids []uint32, n int, ok bool) {
	elems, n, ok := mp.ReadArrayHeader(v)
	if !ok || elems > MaxShare {
		return nil, 0, false
	}
	for range elems {
		id, used, ok := mp.ReadUint(v[n:])
		if !ok || id > LastSpace || len(ids) > 0 && uint32(id) <= ids[len(ids)-1] {
			return nil, 0, false
		}
		ids = append(ids, uint32(id))
		n += used
	}
	return ids, n, true
}

// ReadShare reads what Append wrote. More elements may follow.
func ReadShare(v []byte) (*Share, bool) {
	n, at, ok := mp.ReadArrayHeader(v)
	if !ok || n < 4 {
		return nil, false
	}
	name, used, ok := mp.ReadString(v[at:])
	if !ok || len(name) == 0 || len(name) > MaxName {
		return nil, false
	}
	at += used
	version, used, ok := mp.ReadUint(v[at:])
	if !ok {
		return nil, false
	}
	at += used
	isNew, used, ok := mp.ReadBool(v[at:])
	if !ok {
		return nil, false
	}
	spaces, _, ok := ReadSpaces(v[at+used:])
	return &Share{Filter: string(name), Version: version, New: isNew, Spaces: spaces}, ok
}

// Copy asks for a base copy of some spaces.
type Copy struct {
	Spaces []uint32      // IDs, ascending
	VClock vclock.VClock // what the replica holds, decided or not
	Term   uint64        // newest one whose PROMOTE is among that, in effect or not
}

// copy writes [spaces, vclock, term]; nil: nothing.
func (m *mapWriter) copy(c *Copy) {
	if c == nil {
		return
	}
	m.key(KeyCopy)
	m.dst = AppendVClock(AppendSpaces(append(m.dst, 0x93), c.Spaces), &c.VClock)
	m.dst = msgp.AppendUint64(m.dst, c.Term)
}

// readCopy reads it. More elements may follow.
func readCopy(v []byte) (*Copy, bool) {
	n, at, ok := mp.ReadArrayHeader(v)
	if !ok || n < 3 {
		return nil, false
	}
	c := &Copy{}
	spaces, used, ok := ReadSpaces(v[at:])
	if !ok || len(spaces) == 0 {
		return nil, false
	}
	c.Spaces = spaces
	at += used
	used, err := mp.Scan(v[at:])
	if err != nil || !readVClock(v[at:at+used], &c.VClock) {
		return nil, false
	}
	c.Term, _, ok = mp.ReadUint(v[at+used:])
	return c, ok
}

// File is where the sender of a base copy has written it.
type File struct {
	Path   string   // at the sender
	Size   uint64   // bytes
	Digest [32]byte // SHA-256 of what is in front of the last 32 bytes
}

// maxPath bounds the path of a file, as the kernel does.
const maxPath = 4096

// append encodes [path, size, digest].
func (f *File) append(dst []byte) []byte {
	dst = msgp.AppendString(append(dst, 0x93), f.Path)
	return msgp.AppendBytes(msgp.AppendUint64(dst, f.Size), f.Digest[:])
}

// readFile reads it. More elements may follow.
func readFile(v []byte) (*File, bool) {
	n, at, ok := mp.ReadArrayHeader(v)
	if !ok || n < 3 {
		return nil, false
	}
	path, used, ok := mp.ReadString(v[at:])
	if !ok || len(path) == 0 || len(path) > maxPath {
		return nil, false
	}
	at += used
	f := &File{Path: string(path)}
	if f.Size, used, ok = mp.ReadUint(v[at:]); !ok {
		return nil, false
	}
	digest, _, err := msgp.ReadBytesZC(v[at+used:])
	if err != nil || len(digest) != len(f.Digest) {
		return nil, false
	}
	f.Digest = [32]byte(digest)
	return f, true
}
