package proc

import (
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// Tarantool keeps who made an account and who granted a right in an eighth
// field of _user and a sixth one of _priv: {origins: {name: true or bits}}. A
// row without it has the default origin alone. Rows of the configuration are
// marked, so that it takes back only what it gave, and a leader of either kind
// finds the rows as it would have written them.
const (
	originDefault = ""       // a procedure that was called
	originConfig  = "config" // the configuration

	fieldUserOpts = 7 // counted from 0
	fieldPrivOpts = 5
)

// origins are in the order of the row.
type origins []originBits

// originBits is one of them; bits is 1 for an account.
type originBits struct {
	name string
	bits box.Priv
}

// privOrigins are those of a row of _priv; none of no row.
func privOrigins(row tuple) origins {
	if row == nil {
		return nil
	}
	if o, ok := readOrigins(row.field(fieldPrivOpts)); ok {
		return o
	}
	return origins{{originDefault, box.Priv(row.uint(4))}}
}

// userOrigins are those of a row of _user.
func userOrigins(row tuple) origins {
	if o, ok := readOrigins(row.field(fieldUserOpts)); ok {
		return o
	}
	return origins{{originDefault, 1}}
}

// readOrigins reads the options of a row; false: they name no origin.
func readOrigins(opts value) (out origins, ok bool) {
	if opts.kind() != kindMap {
		return nil, false
	}
	pairs, err := opts.pairs()
	if err != nil {
		return nil, false
	}
	for _, p := range pairs {
		if p.name != "origins" || p.val.kind() != kindMap {
			continue
		}
		n, at, ok := mp.ReadMapHeader(p.val)
		if !ok || n > limit {
			return nil, false
		}
		flat, err := split(p.val[at:], 2*n) // pairs passes over the empty name
		if err != nil {
			return nil, false
		}
		for i := 0; i < len(flat); i += 2 {
			name, _ := flat[i].str()
			bits, isNum := flat[i+1].integer()
			if !isNum {
				bits = 1
			}
			out = out.with(name, box.Priv(bits))
		}
		return out, true
	}
	return nil, false
}

func (o origins) of(name string) box.Priv {
	for _, x := range o {
		if x.name == name {
			return x.bits
		}
	}
	return 0
}

// with is a copy in which an origin has these bits; 0 takes it away.
func (o origins) with(name string, bits box.Priv) origins {
	out := slices.Clone(o)
	i := slices.IndexFunc(out, func(x originBits) bool { return x.name == name })
	switch {
	case bits == 0 && i >= 0:
		return slices.Delete(out, i, i+1)
	case bits == 0:
		return out
	case i >= 0:
		out[i].bits = bits
		return out
	}
	return append(out, originBits{name, bits})
}

// all is what the origins give together.
func (o origins) all() (bits box.Priv) {
	for _, x := range o {
		bits |= x.bits
	}
	return bits
}

// onlyDefault: the row needs no options.
func (o origins) onlyDefault() bool { return len(o) == 1 && o[0].name == originDefault }

// ofUser is the options of a row of _user.
func (o origins) ofUser() mp.Pairs { return o.options(func(box.Priv) any { return true }) }

// ofPriv is the options of a row of _priv.
func (o origins) ofPriv() mp.Pairs { return o.options(func(bits box.Priv) any { return bits }) }

func (o origins) options(of func(box.Priv) any) (out mp.Pairs) {
	var each mp.Pairs
	for _, x := range o {
		each.Put(x.name, of(x.bits))
	}
	out.Put("origins", each)
	return out
}

// addOrigin puts an origin to an account that others made.
func (t *txn) addOrigin(row tuple, origin string) error {
	o := userOrigins(row)
	if o.of(origin) != 0 {
		return nil
	}
	return t.setOrigins(row, o.with(origin, 1))
}

// setOrigins writes the options of an account.
func (t *txn) setOrigins(row tuple, o origins) error {
	if o.onlyDefault() && row.field(fieldUserOpts).isNil() {
		return nil
	}
	var opts any
	if !o.onlyDefault() {
		opts = o.ofUser()
	}
	return t.update(xrow.SpaceUser, keyOf(row.uint(0)), assign(fieldUserOpts+1, opts))
}

// addPriv grants from one origin what that has not granted yet; false: nothing
// was to do.
func (t *txn) addPriv(origin string, grantor uint32, grantee uint64, class string, id value, bits box.Priv) (bool, error) {
	have, err := t.get(xrow.SpacePriv, 0, privKeyOf(grantee, class, id))
	if err != nil {
		return false, err
	}
	o := privOrigins(have)
	old := o.of(origin)
	if bits&^old == 0 {
		return false, nil
	}
	return true, t.putPriv(grantor, grantee, class, id, o.with(origin, old|bits))
}
