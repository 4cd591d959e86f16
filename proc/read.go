package proc

import (
	"math"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// gather is the tuples of an answer in the making, within the bounds of answers.
type gather struct {
	c   *call
	raw []byte
}

// LargeAnswer is the size beyond which room for an answer has to be asked for.
const LargeAnswer = 1 << 20

// Take makes it a Sink.
func (g *gather) Take(b []byte) error {
	n := len(g.raw) + len(b)
	if limit := g.c.p.env.MaxAnswer; limit > 0 && n > limit {
		return xrow.AnswerTooLarge(n, limit)
	}
	if n > LargeAnswer && g.c.done == nil && g.c.Large != nil {
		var err error
		if g.c.done, err = g.c.Large(); err != nil {
			return err
		}
	}
	g.raw = append(g.raw, b...)
	return nil
}

// query reads in slices, with the caller's rights: confirmed state, or what its
// transaction sees.
func (c *call) query(q *box.Query) (raw []byte, n int, err error) {
	g := gather{c: c}
	n, err = c.read(q, &g)
	return g.raw, n, err
}

func (c *call) read(q *box.Query, to instance.Sink) (n int, err error) {
	var id instance.TxnID
	if t := c.Txn; t != nil {
		if e := t.Forward(c.User, q.Space); e != nil {
			return 0, e
		}
		id = t.ID
	}
	return c.p.env.Loop.StreamSelect(id, c.User, q, to)
}

// definition reads rows of a system space, for what the caller is told anyway.
func (c *call) definition(q *box.Query) (raw []byte, n int, err error) {
	g := gather{c: c}
	n, err = c.p.env.Loop.StreamSelect(instance.TxnID{}, box.UserAdmin, q, &g)
	return g.raw, n, err
}

// nowhere takes the tuples that are only counted.
type nowhere struct{}

func (nowhere) Take([]byte) error { return nil }

// seesSpace is the error for those who do not find the space of a method in
// _vspace: nothing of its definition is told to them.
func (c *call) seesSpace() (err error) {
	c.schema(func(s *box.Schema) {
		if !s.SeesSpace(c.User, c.space.id) {
			err = xrow.Errorf(xrow.ErrNoSuchSpace, c.space.name)
		}
	})
	return err
}

// aboutIndex names the index of the call, one of those of its space, among the fields
// of an error.
func (c *call) aboutIndex(info box.SpaceInfo, e *xrow.Error) error {
	i := slices.IndexFunc(info.Indexes, func(ix box.IndexInfo) bool { return ix.ID == c.index.id })
	if i < 0 {
		return e
	}
	return e.With("index", info.Indexes[i].Name, "index_id", c.index.id, "space", c.space.name, "space_id", c.space.id)
}

// get is :get(key).
func get(c *call) error {
	if err := c.mayRead(); err != nil {
		return err
	}
	key := keyArg(c.arg(0))
	info, ok := c.spaceInfo()
	if !ok || len(info.Indexes) == 0 {
		return xrow.Errorf(xrow.ErrNoSuchIndexID, 0, c.space.name)
	}
	unique, parts := c.indexShape(info)
	n, _, _ := mp.ReadArrayHeader(key)
	switch {
	case !unique:
		return c.aboutIndex(info, xrow.Errorf(xrow.ErrMoreThanOneTuple))
	case n != parts:
		return c.aboutIndex(info, xrow.Errorf(xrow.ErrExactMatch, parts, n).With("key", xrow.Raw(key)))
	}
	raw, n, err := c.query(&box.Query{Space: c.space.id, Index: c.index.id, Key: key, Limit: 1})
	if err != nil {
		return err
	}
	if n == 0 {
		c.reply(nil)
		return nil
	}
	c.reply(one(raw))
	return nil
}

// indexShape tells of the index asked for whether it is unique, and how many
// parts it has.
func (c *call) indexShape(info box.SpaceInfo) (unique bool, parts int) {
	for _, ix := range info.Indexes {
		if ix.ID == c.index.id {
			return ix.Unique, len(ix.Parts)
		}
	}
	key := keyOf(uint64(c.space.id), uint64(c.index.id))
	raw, n, err := c.definition(&box.Query{Space: xrow.SpaceIndex, Key: key, Limit: 1})
	if err != nil || n == 0 {
		return unique, 0
	}
	rows, err := tuples(raw, n)
	if err != nil {
		return unique, 0
	}
	parts, _, _ = mp.ReadArrayHeader(rows[0].field(5))
	return unique, parts
}

func (c *call) spaceInfo() (info box.SpaceInfo, ok bool) {
	c.p.env.Loop.Read(func(core *instance.Core) { info, ok = core.Box().Space(c.space.id) })
	return info, ok
}

// selectRows is :select(key, options).
func selectRows(c *call) error {
	q, err := c.selectQuery()
	if err != nil {
		return err
	}
	raw, n, err := c.query(q)
	if err != nil {
		return err
	}
	v := one(append(msgp.AppendArrayHeader(make([]byte, 0, len(raw)+5), uint32(n)), raw...))
	if q.FetchPosition && q.Position != nil {
		v = append(v, msgp.AppendStringFromBytes(nil, q.Position))
	}
	c.reply(v)
	return nil
}

// selectQuery reads a key and the options of select.
func (c *call) selectQuery() (*box.Query, error) {
	q := &box.Query{Space: c.space.id, Index: c.index.id, Key: keyArg(c.arg(0)), Limit: math.MaxUint32}
	opts := c.arg(1)
	var err error
	if q.Iterator, err = iterator(opts, q.Key); err != nil || opts.kind() != kindMap {
		return q, err
	}
	given, err := opts.pairs()
	if err != nil {
		return nil, err
	}
	for _, o := range given {
		switch o.name {
		case "offset", "limit":
			n, ok := o.val.integer()
			if !ok && !o.val.isNil() {
				return nil, illegal("options parameter '%s' should be of type number", o.name)
			}
			if o.name == "offset" {
				q.Offset = uint32(min(n, math.MaxUint32))
			} else if ok {
				q.Limit = uint32(min(n, math.MaxUint32))
			}
		case "fetch_pos":
			q.FetchPosition, _ = o.val.boolean()
		case "after":
			if err := after(q, o.val); err != nil {
				return nil, err
			}
		}
	}
	return q, nil
}

// after sets where a select goes on: behind a position or a tuple.
func after(q *box.Query, v value) error {
	switch v.kind() {
	case kindNil:
	case kindString:
		q.AfterPosition, _, _ = mp.ReadString(v)
	case kindArray:
		q.AfterTuple = v
	default:
		return xrow.Errorf(xrow.ErrIteratorPosition)
	}
	return nil
}

// iterator reads the iterator out of options, by name or by number: a value
// alone, or under the key iterator. The default is ALL for an empty key.
func iterator(opts value, key []byte) (uint32, error) {
	switch opts.kind() {
	case kindNil, kindNumber, kindString, kindArray:
	case kindMap:
		given, err := opts.pairs()
		if err != nil {
			return 0, err
		}
		opts = pick(given, "iterator", 0)
	default:
		return 0, xrow.Errorf(xrow.ErrIteratorType, opts.luaType())
	}
	if name, ok := opts.str(); ok {
		if n, ok := iteratorNames[upper(clip(name))]; ok {
			return n, nil
		}
		return 0, xrow.Errorf(xrow.ErrIteratorType, clip(name))
	}
	if n, ok := opts.integer(); ok {
		return uint32(min(n, math.MaxUint32)), nil
	}
	if n, _, _ := mp.ReadArrayHeader(key); n == 0 {
		return box.ALL, nil
	}
	return box.EQ, nil
}

var iteratorNames = map[string]uint32{"EQ": box.EQ, "REQ": box.REQ, "ALL": box.ALL, "LT": box.LT, "LE": box.LE,
	"GE": box.GE, "GT": box.GT, "BITS_ALL_SET": 7, "BITS_ANY_SET": 8, "BITS_ALL_NOT_SET": 9, "OVERLAPS": 10,
	"NEIGHBOR": 11, "NP": box.NP, "PP": box.PP}

// spaceLen is space:len() and index:len(). What a transaction sees it has to count.
func spaceLen(c *call) error {
	if err := c.mayRead(); err != nil {
		return err
	}
	if c.Txn != nil {
		return count(c)
	}
	info, _ := c.spaceInfo()
	c.reply(one(mp.Encode(info.Rows)))
	return nil
}

// mayRead is the error for those who may not read the space of a method.
func (c *call) mayRead() (err error) {
	c.schema(func(s *box.Schema) { err = s.CheckSpace(c.User, c.space.id, box.PrivRead) })
	return err
}

// spaceSize is space:bsize().
func spaceSize(c *call) error {
	if err := c.mayRead(); err != nil {
		return err
	}
	info, ok := c.spaceInfo()
	if !ok {
		return xrow.Errorf(xrow.ErrNoSuchSpace, c.space.name)
	}
	c.reply(one(mp.Encode(info.Bytes)))
	return nil
}

// count is :count(key, options). Without a key it is the length; else the
// tuples are gone over, in slices.
func count(c *call) error {
	if err := c.mayRead(); err != nil {
		return err
	}
	info, ok := c.spaceInfo()
	if !ok || len(info.Indexes) == 0 {
		c.reply(one([]byte{0}))
		return nil
	}
	q := box.Query{Space: c.space.id, Index: c.index.id, Key: keyArg(c.arg(0)), Limit: math.MaxUint32}
	var err error
	if q.Iterator, err = iterator(c.arg(1), q.Key); err != nil {
		return err
	}
	total, err := c.read(&q, nowhere{})
	if err != nil {
		return err
	}
	c.reply(one(mp.Encode(total)))
	return nil
}

// edge is index:min(key) and index:max(key).
func edge(it uint32) handler {
	return func(c *call) error {
		q := &box.Query{Space: c.space.id, Index: c.index.id, Key: keyArg(c.arg(0)), Limit: 1, Iterator: it}
		if n, _, _ := mp.ReadArrayHeader(q.Key); n > 0 && it == box.GE {
			q.Iterator = box.EQ
		} else if n > 0 {
			q.Iterator = box.REQ
		}
		raw, n, err := c.query(q)
		if err != nil {
			return err
		}
		if n == 0 {
			c.reply(nil)
			return nil
		}
		c.reply(one(raw))
		return nil
	}
}

// randomTuple is index:random(seed): any visible tuple, the same one for the
// same seed while nothing changes. Without a seed it is 0, to which Tarantool
// rounds its math.random() down.
func randomTuple(c *call) error {
	f, ok := c.arg(0).number()
	if !ok && !c.arg(0).isNil() || math.IsNaN(f) || math.IsInf(f, 0) {
		return illegal("Usage: index.random(space_id, index_id, rnd)")
	}
	q := box.Query{Space: c.space.id, Index: c.index.id, Key: []byte{0x90}, Limit: 1, Iterator: box.ALL,
		Random: true, Seed: uint32(int64(math.Mod(f, 1<<32)))}
	raw, n, err := c.query(&q)
	if err == nil && n == 0 { // what is there is in front of the place
		raw, n, err = c.query(&box.Query{Space: q.Space, Index: q.Index, Key: q.Key, Limit: 1, Iterator: box.ALL})
	}
	if err != nil {
		return err
	}
	if n == 0 {
		c.reply(nil)
		return nil
	}
	c.reply(one(raw))
	return nil
}

// last is the tuple with the greatest primary key as the transaction sees it.
func (t *txn) last(space uint32) (tuple, error) {
	raw, n, err := t.tx.Query(t.user, &box.Query{Space: space, Iterator: box.LE, Key: []byte{0x90}, Limit: 1}, nil)
	if err != nil || n == 0 {
		return nil, err
	}
	rows, err := tuples(raw, n)
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}
