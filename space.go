package tarragon

import (
	"context"

	"tarragon.dev/tarragon/xrow"
)

// Space is a space of a session or a transaction, by its name. Where it stands for an index,
// that is its primary one.
type Space struct {
	on   conn
	name string
}

// Index is an index of a space, by its name.
type Index struct {
	of   Space
	name string // empty: the primary one
}

// Index is an index by its name, which is looked up at each request.
func (s Space) Index(name string) Index { return Index{s, name} }

func (s Space) index() Index { return Index{of: s} }
func (i Index) index() Index { return i }

// Source is what can be read: a Space or an Index.
type Source interface{ index() Index }

// resolve finds the numbers.
func (i Index) resolve() (l link, space, index uint32, err error) {
	l = i.of.on.link()
	if space, err = l.ResolveSpace(i.of.name); err == nil && i.name != "" {
		index, err = l.ResolveIndex(space, i.name)
	}
	return l, space, index, err
}

// Insert adds a tuple, and gives it back as it is in the space: a sequence may have filled a
// field. ErrTupleFound: a tuple with such a key is there.
func (s Space) Insert(ctx context.Context, tuple any) (Tuple, error) {
	return s.put(ctx, xrow.Insert, tuple)
}

// Replace adds a tuple, or puts it in the place of the one with the same primary key.
func (s Space) Replace(ctx context.Context, tuple any) (Tuple, error) {
	return s.put(ctx, xrow.Replace, tuple)
}

func (s Space) put(ctx context.Context, t xrow.Type, tuple any) (Tuple, error) {
	raw, err := encodeTuple(tuple)
	if err != nil {
		return nil, err
	}
	return s.index().execute(ctx, xrow.DML{Type: t, Tuple: raw})
}

// Upsert adds a tuple, or carries the operations out on the one with the same primary key.
// Operations that do not fit that are left out.
func (s Space) Upsert(ctx context.Context, tuple any, ops ...Op) error {
	raw, err := encodeTuple(tuple)
	if err != nil {
		return err
	}
	list, err := encodeOps(ops)
	if err != nil {
		return err
	}
	_, err = s.index().execute(ctx, xrow.DML{Type: xrow.Upsert, Tuple: raw, Ops: list})
	return err
}

// Update is Index.Update by the primary key.
func (s Space) Update(ctx context.Context, key any, ops ...Op) (Tuple, error) {
	return s.index().Update(ctx, key, ops...)
}

// Delete is Index.Delete by the primary key.
func (s Space) Delete(ctx context.Context, key any) (Tuple, error) { return s.index().Delete(ctx, key) }

// Update carries operations out on the tuple with a full key of a unique index, and gives it
// as it is then; nil: there is none.
func (i Index) Update(ctx context.Context, key any, ops ...Op) (Tuple, error) {
	raw, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	list, err := encodeOps(ops)
	if err != nil {
		return nil, err
	}
	return i.execute(ctx, xrow.DML{Type: xrow.Update, Key: raw, Tuple: list})
}

// Delete removes the tuple with a full key of a unique index, and gives it as it was; nil:
// there was none.
func (i Index) Delete(ctx context.Context, key any) (Tuple, error) {
	raw, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return i.execute(ctx, xrow.DML{Type: xrow.Delete, Key: raw})
}

func (i Index) execute(ctx context.Context, d xrow.DML) (Tuple, error) {
	l, space, index, err := i.resolve()
	if err != nil {
		return nil, err
	}
	d.SpaceID, d.IndexID = space, index
	data, err := l.Execute(ctx, d)
	if err != nil {
		return nil, err
	}
	return firstOf(data), nil
}
