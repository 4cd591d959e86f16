package xrow

// DML is the body of INSERT, REPLACE, UPDATE, DELETE and UPSERT. The raw
// values point into the input of DecodeDML.
type DML struct {
	Type      Type
	SpaceID   uint32
	IndexID   uint32
	IndexBase uint32
	Key       []byte // raw array; nil: absent
	Tuple     []byte // raw array: the tuple, or the operations of UPDATE
	Ops       []byte // raw array: the operations of UPSERT
}

// AppendBody encodes the body as Tarantool writes it to its log: UPSERT has
// OPS before TUPLE, index 0 and base 0 are left out.
func (d *DML) AppendBody(dst []byte) []byte {
	m := openMap(dst)
	m.uint(KeySpaceID, uint64(d.SpaceID))
	m.uintNonzero(KeyIndexID, uint64(d.IndexID))
	m.uintNonzero(KeyIndexBase, uint64(d.IndexBase))
	if d.Key != nil {
		m.raw(KeyKey, d.Key)
	}
	if d.Ops != nil {
		m.raw(KeyOps, d.Ops)
	}
	if d.Tuple != nil {
		m.raw(KeyTuple, d.Tuple)
	}
	return m.dst
}

// DecodeDML reads a body that Scan went over; nil counts as an empty map. The
// type of every known key is checked, used or not, then that the mandatory
// ones are there, the lowest missing one is named. The error is an [Error]:
// INVALID_MSGPACK or MISSING_REQUEST_FIELD.
func DecodeDML(t Type, body []byte) (d DML, err error) {
	d.Type = t
	if body == nil {
		return d, missing("SPACE_ID")
	}
	hasSpace := false
	f := openFields(body)
	for f.next() {
		if !f.key.Accepts(f.val[0]) {
			return d, badMsgpack("packet body", nil)
		}
		switch f.key {
		case KeySpaceID:
			d.SpaceID, hasSpace = u32(f.val)
		case KeyIndexID:
			d.IndexID, _ = u32(f.val)
		case KeyIndexBase:
			d.IndexBase, _ = u32(f.val)
		case KeyKey:
			d.Key = f.val
		case KeyTuple:
			d.Tuple = f.val
		case KeyOps:
			d.Ops = f.val
		}
	}
	switch {
	case f.bad:
		return d, badMsgpack("packet body", nil)
	case !hasSpace:
		return d, missing("SPACE_ID")
	case d.Key == nil && (t == Update || t == Delete):
		return d, missing("KEY")
	case d.Tuple == nil && t != Delete:
		return d, missing("TUPLE")
	case d.Ops == nil && t == Upsert:
		return d, missing("OPS")
	}
	return d, nil
}
