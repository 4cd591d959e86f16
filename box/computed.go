package box

import (
	"encoding/base64"
	"slices"
	"sort"
	"strings"

	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// ownViews begin the names of views of Tarragon's own.
const ownViews = "_vtarragon_"

// computed are spaces that no row defines, so that a Tarantool has nothing of them. Their
// tuples are made when they are read, by who has what they tell. A row of _space may not
// have their IDs, and one that has such a name, from before it was ours, wins by name.
// Decision 0033 has the reasons.
var computed = map[uint32]*space{
	xrow.ViewHistory: newComputed(xrow.ViewHistory, ownViews+"history", xrow.SpaceCluster, []FieldInfo{
		{"term", "unsigned", false}, {"leader", "unsigned", false}, {"uuid", "string", true}, {"name", "string", true}, {"kind", "string", false},
		{"by", "string", false}, {"reason", "string", false}, {"first", "unsigned", false}, {"last", "unsigned", false}, {"at", "double", true},
		{"still", "double", true}, {"at_most", "boolean", false}, {"previous", "unsigned", true}, {"rules", "string", false},
	}),
}

// newComputed defines one whose tuples who may read base sees. The first field is the
// primary key.
func newComputed(id uint32, name string, base uint32, fields []FieldInfo) *space {
	sp := &space{id: id, owner: UserAdmin, name: name, engine: engineSysview, computed: base, stats: &stats{}}
	b := appendArrayHead(nil, len(fields))
	for _, f := range fields {
		b = msgp.AppendString(msgp.AppendString(append(b, 0x83), "name"), f.Name)
		b = msgp.AppendString(msgp.AppendString(b, "type"), f.Type)
		b = msgp.AppendBool(msgp.AppendString(b, "is_nullable"), f.Nullable)
	}
	declared, err := sp.parseFormat(b, door{})
	if err != nil {
		panic(err)
	}
	o := OwnSpace{fields: [][2]string{{fields[0].Name, fields[0].Type}}}
	ix, err := parseIndex(o.primary(id), sp, door{})
	if err != nil {
		panic(err)
	}
	ix.setOrder(nil)
	sp.indexes = []*index{ix}
	sp.format = newFormat(declared, 0, sp.indexes)
	return sp
}

// shown is a space that may be read, those that no row defines too; nil: there is none.
func (s *Schema) shown(id uint32) *space {
	if sp := s.spaces[id]; sp != nil {
		return sp
	}
	return computed[id]
}

func (s *Schema) needShown(id uint32) (*space, error) {
	if sp := s.shown(id); sp != nil {
		return sp, nil
	}
	return s.needSpace(id)
}

// spaceID resolves a name.
func (s *Schema) spaceID(name string) (id uint32, ok bool) {
	if id, ok = s.names[name]; ok || !strings.HasPrefix(name, ownViews) {
		return id, ok
	}
	for _, sp := range computed {
		if sp.name == name {
			return sp.id, true
		}
	}
	return 0, false
}

// Rows are the tuples of a computed space, by ascending number: that is their only key.
type Rows interface {
	Len() int
	Number(i int) uint64
	Append(b []byte, i int) []byte // the raw tuple, some KiB at most
}

// SelectComputed is Select of a computed space. Safe for readers.
func (b *Box) SelectComputed(user Credentials, q *Query, rows Rows, out []byte) (res []byte, n int, err error) {
	q.More, q.Large = false, nil
	s, err := b.prepareScan(b.dict, b.dict, user, q)
	if err != nil {
		return out, 0, err
	}
	if q.resume == nil {
		if err := s.setAfter(q); err != nil {
			return out, 0, err
		}
	}
	if q.Limit == 0 || !s.user.readsAll(s.sp.computed) {
		return out, 0, nil
	}
	out, n = s.compute(q, rows, out)
	return out, n, nil
}

// compute is run for rows that are made.
func (s *scan) compute(q *Query, rows Rows, out []byte) (res []byte, n int) {
	at, step := s.from(q.resume, rows)
	start, left := len(out), q.MaxRows
	var key, last []byte
	for ; at >= 0 && at < rows.Len(); at += step {
		if q.MaxRows > 0 && left == 0 {
			q.More = true
			break
		}
		next := msgp.AppendUint64(nil, rows.Number(at))
		switch {
		case !s.satisfied(next):
		case q.Offset > 0:
			q.Offset--
		default:
			was := len(out)
			if out = rows.Append(out, at); q.MaxBytes > 0 && was > start && len(out)-start > q.MaxBytes {
				out, q.More = out[:was], true
			} else {
				last = next
				n++
			}
		}
		if q.More {
			break
		}
		key, left = next, left-1
		if uint32(n) == q.Limit {
			break
		}
	}
	if q.FetchPosition && last != nil {
		q.Position = base64.RawStdEncoding.AppendEncode(q.Position[:0], slices.Concat([]byte{0x91}, last))
	}
	if q.More {
		q.Limit -= uint32(n)
		q.resume = key
	}
	return out, n
}

// from is where a scan of rows begins, and in which direction it goes.
func (s *scan) from(resume []byte, rows Rows) (at, step int) {
	switch {
	case resume == nil && s.descending():
		return rows.Len() - 1, -1
	case resume == nil:
		return 0, 1
	}
	number, _ := uintOf(resume)
	if s.descending() {
		return sort.Search(rows.Len(), func(i int) bool { return rows.Number(i) >= number }) - 1, -1
	}
	return sort.Search(rows.Len(), func(i int) bool { return rows.Number(i) > number }), 1
}
