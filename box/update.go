package box

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

const (
	maxOps = 4000 // of one request
	// maxMade bounds the bytes that the operations of one request may make:
	// thousands of splices of a large string would stall everybody.
	maxMade = 64 << 20
	// keepMade is how much of that memory is kept for the next request.
	keepMade = 1 << 20
)

// updater applies update operations. Its scratch memory is used again, so that
// the usual update allocates nothing.
type updater struct {
	format  *format
	base    int64 // INDEX_BASE
	lenient bool  // UPSERT: operations that do not fit are left out
	maxSize int

	tuple   []byte
	offsets []uint32 // of the fields of tuple, and of its end
	pieces  []piece
	n       int // fields now
	values  []byte
	made    int // bytes of new values so far
}

// piece is a run of fields: fields from..from+n of the tuple as it was, or
// values made since (from < 0): one value, or a run of nils.
type piece struct {
	from, n int
	data    []byte
}

// op is one decoded operation.
type op struct {
	code   byte
	no     int64  // field; negative: from the end
	path   []byte // as it was given; nil: a number was
	rest   []byte // of path, behind the field; empty: the field itself
	arg    []byte // the value after the field
	offset int64
	cut    int64
	paste  []byte
	count  uint64
}

// name is how messages call the field of an operation.
func (o *op) name() string {
	switch {
	case o.path != nil:
		return "'" + shortName(string(o.path)) + "'"
	case o.no < 0:
		return strconv.FormatInt(o.no, 10)
	}
	return strconv.FormatInt(o.no+1, 10)
}

func (o *op) missing() error {
	if o.path != nil {
		return xrow.Errorf(xrow.ErrNoSuchFieldName, o.name())
	}
	no := o.no
	if no >= 0 {
		no++
	}
	return xrow.Errorf(xrow.ErrNoSuchFieldNo, no)
}

func (o *op) wrongType(expected string) error {
	return xrow.Errorf(xrow.ErrUpdateArgType, o.code, o.name(), expected)
}

// check validates the operations without a tuple.
func (u *updater) check(ops []byte) error {
	if err := u.each(ops, func(*op) error { return nil }); err != nil {
		return about(err, "ops", xrow.Raw(ops))
	}
	return nil
}

// each decodes the operations one by one.
func (u *updater) each(ops []byte, f func(*op) error) error {
	n, at := mp.ArrayOf(ops)
	if n > maxOps {
		return tooManyOps()
	}
	for i := range n {
		end := mp.Skip(ops, at)
		var o op
		if err := u.decode(&o, ops[at:end], i+1); err != nil {
			return err
		}
		if err := f(&o); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// decode reads operation number (from 1).
func (u *updater) decode(o *op, b []byte, number int) error {
	if mp.KindOf(b[0]) != mp.Array {
		return xrow.Errorf(xrow.ErrIllegalParams, "update operation must be an array {op,..}")
	}
	n, at := mp.ArrayOf(b)
	if n == 0 {
		return xrow.Errorf(xrow.ErrIllegalParams, "update operation must be an array {op,..}, got empty array")
	}
	if mp.KindOf(b[at]) != mp.Str {
		return xrow.Errorf(xrow.ErrIllegalParams, "update operation name must be a string")
	}
	name := mp.TextOf(b[at:])
	want := 3
	if len(name) == 1 {
		o.code = name[0]
	}
	switch o.code {
	case '+', '-', '&', '|', '^', '=', '!', '#':
	case ':':
		want = 5
	default:
		return xrow.Errorf(xrow.ErrUnknownUpdateOp, number, `"`+shortName(string(name))+`"`)
	}
	if n != want {
		return xrow.Errorf(xrow.ErrUnknownUpdateOp, number, fmt.Sprintf("wrong number of arguments, expected %d, got %d", want, n))
	}
	at = mp.Skip(b, at)
	if err := u.decodeField(o, b[at:]); err != nil {
		return err
	}
	o.arg = b[mp.Skip(b, at):]
	return u.decodeArgs(o)
}

func (u *updater) decodeField(o *op, b []byte) error {
	switch mp.KindOf(b[0]) {
	case mp.Uint:
		v, _ := mp.IntOf(b)
		if v > math.MaxInt32 {
			return o.wrongType("an integer")
		}
		if int64(v) < u.base {
			return xrow.Errorf(xrow.ErrNoSuchFieldNo, v)
		}
		o.no = int64(v) - u.base
	case mp.Int:
		v, _ := mp.IntOf(b)
		if int64(v) < math.MinInt32 {
			return o.wrongType("an integer")
		}
		o.no = int64(v)
	case mp.Str:
		return u.decodePath(o, mp.TextOf(b))
	default:
		return xrow.Errorf(xrow.ErrIllegalParams, "field id must be a number or a string")
	}
	return nil
}

// decodePath finds the field that a path leads through. A mistake up to there
// is one of the request; what follows depends on the tuple.
func (u *updater) decodePath(o *op, path []byte) error {
	o.path = path
	no, ok := u.format.byName(path)
	if !ok {
		if len(path) == 0 {
			return xrow.Errorf(xrow.ErrNoSuchFieldName, "")
		}
		t, rest, bad := nextToken(path, true)
		if bad != 0 {
			return o.badPath(path, bad)
		}
		o.rest = rest
		if no, ok = t.index-1, t.index > 0; t.key != nil {
			no, ok = u.format.byName(t.key)
		}
		if !ok {
			return xrow.Errorf(xrow.ErrNoSuchFieldName, shortName(string(path)))
		}
	}
	o.no = int64(no)
	return nil
}

func (u *updater) decodeArgs(o *op) error {
	switch k := mp.KindOf(o.arg[0]); o.code {
	case '+', '-':
		if !typeNumber.accepts(o.arg) {
			return o.wrongType("a number")
		}
	case '&', '|', '^':
		if k != mp.Uint {
			return o.wrongType("a positive integer")
		}
	case '#':
		if k != mp.Uint {
			return o.wrongType("a positive integer")
		}
		if o.count, _ = mp.IntOf(o.arg); o.count == 0 {
			return xrow.Errorf(xrow.ErrUpdateField, o.name(), "cannot delete 0 fields")
		}
	case ':':
		return u.decodeSplice(o)
	}
	return nil
}

func (u *updater) decodeSplice(o *op) error {
	rest := o.arg
	for _, dst := range [...]*int64{&o.offset, &o.cut} {
		v, neg := uint64(0), false
		switch mp.KindOf(rest[0]) {
		case mp.Uint, mp.Int:
			v, neg = mp.IntOf(rest)
		default:
			return o.wrongType("an integer")
		}
		*dst = int64(v)
		if !neg && v > math.MaxInt32 {
			*dst = math.MaxInt32
		}
		if neg && *dst < math.MinInt32 {
			*dst = math.MinInt32
		}
		rest = rest[mp.Skip(rest, 0):]
	}
	if o.offset >= 0 {
		if o.offset < u.base {
			return xrow.Errorf(xrow.ErrUpdateSplice, o.name(), "offset is out of bound")
		}
		o.offset -= u.base
	}
	if k := mp.KindOf(rest[0]); k != mp.Str && k != mp.Bin {
		return o.wrongType("a string or varbinary")
	}
	o.paste = mp.TextOf(rest)
	return nil
}

// apply appends to dst the tuple with the operations done.
func (u *updater) apply(dst, tuple, ops []byte) ([]byte, error) {
	if err := u.check(ops); err != nil {
		return dst, err
	}
	u.start(tuple)
	err := u.each(ops, func(o *op) error {
		err := u.do(o)
		if u.lenient && u.made <= maxMade {
			return nil
		}
		return err
	})
	if err != nil {
		return dst, about(err, "ops", xrow.Raw(ops), "tuple", xrow.Raw(tuple))
	}
	dst = appendArrayHead(dst, u.n)
	for i := range u.pieces {
		dst = append(dst, u.bytes(&u.pieces[i])...)
	}
	if cap(u.values) > keepMade {
		u.values = nil
	}
	return dst, nil
}

// spend counts bytes that an operation makes.
func (u *updater) spend(n int) error {
	if u.made += n; u.made > maxMade {
		return tooManyOps()
	}
	return nil
}

func tooManyOps() error {
	return xrow.Errorf(xrow.ErrIllegalParams, "too many operations for update")
}

func (u *updater) start(tuple []byte) {
	n, at := mp.ArrayOf(tuple)
	u.tuple, u.n, u.values, u.made = tuple, n, u.values[:0], 0
	u.offsets = u.offsets[:0]
	for range n {
		u.offsets = append(u.offsets, uint32(at))
		at = mp.Skip(tuple, at)
	}
	u.offsets = append(u.offsets, uint32(at))
	u.pieces = append(u.pieces[:0], piece{from: 0, n: n})
}

func (u *updater) bytes(p *piece) []byte {
	if p.from < 0 {
		return p.data
	}
	return u.tuple[u.offsets[p.from]:u.offsets[p.from+p.n]]
}

// cutAt makes a piece begin at field no, and returns which one; one behind the
// last piece when no is the number of fields.
func (u *updater) cutAt(no int) int {
	for i := range u.pieces {
		p := &u.pieces[i]
		if no == 0 {
			return i
		}
		if no >= p.n {
			no -= p.n
			continue
		}
		right := piece{from: p.from, n: p.n - no}
		if p.from < 0 {
			right.data, p.data = p.data[no:], p.data[:no] // nils are one byte each
		} else {
			right.from += no
		}
		p.n = no
		u.insertPiece(i+1, right)
		return i + 1
	}
	return len(u.pieces)
}

func (u *updater) insertPiece(i int, p piece) {
	u.pieces = append(u.pieces, piece{})
	copy(u.pieces[i+1:], u.pieces[i:])
	u.pieces[i] = p
}

// do applies one operation to what the ones before it have made.
func (u *updater) do(o *op) error {
	if len(o.rest) > 0 {
		return u.doPath(o)
	}
	no := o.no
	if no < 0 {
		no += int64(u.n)
		if o.code == '!' {
			no++
		}
		if no < 0 {
			return o.missing()
		}
		o.no = no // from now on it is called by its place
	}
	switch o.code {
	case '=', '!':
		return u.put(o, int(no))
	case '#':
		u.remove(int(no), o.count)
		return nil
	}
	if no >= int64(u.n) {
		return o.missing()
	}
	i := u.single(int(no))
	v, err := u.compute(o, u.bytes(&u.pieces[i]), u.typeOf(int(no)))
	if err != nil {
		return err
	}
	u.pieces[i] = piece{from: -1, n: 1, data: v}
	return nil
}

func (u *updater) typeOf(no int) fieldType {
	if no < len(u.format.fields) {
		return u.format.fields[no].typ
	}
	return typeAny
}

// single makes field no a piece of its own.
func (u *updater) single(no int) int {
	i := u.cutAt(no)
	u.cutAt(no + 1)
	return i
}

// put assigns or inserts; fields between the end and no become nil.
func (u *updater) put(o *op, no int) error {
	if no > u.maxSize {
		return tooLarge(no, u.maxSize)
	}
	value := piece{from: -1, n: 1, data: o.arg}
	if o.code == '=' && no < u.n {
		u.pieces[u.single(no)] = value
		return nil
	}
	if gap := no - u.n; gap > 0 {
		u.insertPiece(len(u.pieces), piece{from: -1, n: gap, data: bytes.Repeat(nilValue, gap)})
		u.n = no
	}
	u.insertPiece(u.cutAt(no), value)
	u.n++
	return nil
}

func (u *updater) remove(no int, count uint64) {
	if no >= u.n {
		return
	}
	k := int(min(count, uint64(u.n-no)))
	i := u.cutAt(no)
	j := u.cutAt(no + k)
	u.pieces = append(u.pieces[:i], u.pieces[j:]...)
	u.n -= k
}

// compute is the new value of a field for all operations that look at the old
// one. It lives in the updater's memory.
func (u *updater) compute(o *op, old []byte, typ fieldType) ([]byte, error) {
	at := len(u.values)
	if err := u.spend(len(old) + len(o.paste)); err != nil {
		return nil, err
	}
	var err error
	switch o.code {
	case '+', '-':
		u.values, err = appendSum(u.values, o, old, typ)
	case '&', '|', '^':
		u.values, err = appendBits(u.values, o, old)
	case ':':
		u.values, err = appendSplice(u.values, o, old)
	}
	return u.values[at:len(u.values):len(u.values)], err
}

func appendBits(dst []byte, o *op, old []byte) ([]byte, error) {
	a, ok := uintOf(old)
	if !ok {
		return dst, o.wrongType("a positive integer")
	}
	b, _ := mp.IntOf(o.arg)
	switch o.code {
	case '&':
		a &= b
	case '|':
		a |= b
	default:
		a ^= b
	}
	return msgp.AppendUint64(dst, a), nil
}

func appendSplice(dst []byte, o *op, old []byte) ([]byte, error) {
	k := mp.KindOf(old[0])
	if k != mp.Str && k != mp.Bin {
		return dst, o.wrongType("a string or varbinary")
	}
	s := mp.TextOf(old)
	size := int64(len(s))
	from := o.offset
	if from < 0 {
		if from += size + 1; from < 0 {
			return dst, xrow.Errorf(xrow.ErrUpdateSplice, o.name(), "offset is out of bound")
		}
	}
	from = min(from, size)
	cut := min(o.cut, size-from)
	if cut < 0 {
		cut = max(0, size-from+cut)
	}
	n := len(s) - int(cut) + len(o.paste)
	if k == mp.Str {
		dst = appendStrHead(dst, n)
	} else {
		dst = appendBinHead(dst, n)
	}
	dst = append(dst, s[:from]...)
	dst = append(dst, o.paste...)
	return append(dst, s[from+cut:]...), nil
}

func appendStrHead(dst []byte, n int) []byte {
	switch {
	case n < 32:
		return append(dst, 0xa0|byte(n))
	case n < 1<<8:
		return append(dst, 0xd9, byte(n))
	case n < 1<<16:
		return append(dst, 0xda, byte(n>>8), byte(n))
	}
	return append(dst, 0xdb, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func appendBinHead(dst []byte, n int) []byte {
	switch {
	case n < 1<<8:
		return append(dst, 0xc4, byte(n))
	case n < 1<<16:
		return append(dst, 0xc5, byte(n>>8), byte(n))
	}
	return append(dst, 0xc6, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}
