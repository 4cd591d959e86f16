package mp

import (
	"bytes"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// Values that are built and read where speed does not count: answers of
// procedures, rows of system spaces, what the command line reads. On the way of
// a write, a read or a row bytes are appended and read in place.

// Encode is v as MessagePack. A struct is a map of its fields in their order,
// by the names in their tags (`msgpack:"name"`); integers take the shortest
// form. It panics for what has no MessagePack, such as a function. A map of Go
// has no order: [Pairs] has one.
func Encode(v any) []byte {
	var b bytes.Buffer
	enc := msgpack.GetEncoder()
	enc.Reset(&b)
	enc.UseCompactInts(true)
	err := enc.Encode(v)
	msgpack.PutEncoder(enc)
	if err != nil {
		panic(fmt.Sprintf("mp: %T: %v", v, err))
	}
	return b.Bytes()
}

// Tuple is an array of values.
func Tuple(fields ...any) []byte {
	if fields == nil {
		fields = []any{}
	}
	return Encode(fields)
}

// Decode reads b, one value with nothing behind it, into what v points to. It
// takes any bytes: they are scanned first, for v5 alone believes a header of 5
// bytes that promises gigabytes, and its stack is as deep as its input.
func Decode(b []byte, v any) error {
	if err := Check(b); err != nil {
		return err
	}
	dec := msgpack.GetDecoder()
	dec.Reset(bytes.NewReader(b))
	err := dec.Decode(v)
	msgpack.PutDecoder(dec)
	return err
}

// Raw is a value that is MessagePack already; empty: nil.
type Raw []byte

// EncodeMsgpack writes it as it is.
func (r Raw) EncodeMsgpack(enc *msgpack.Encoder) error {
	if len(r) == 0 {
		return enc.EncodeNil()
	}
	_, err := enc.Writer().Write(r)
	return err
}

// Pairs is a map whose entries stay in the order in which they were put. The
// zero value is an empty map, and no nil: therefore it is a struct.
type Pairs struct{ entries []pair }

type pair struct{ key, value any }

// Put adds an entry.
func (p *Pairs) Put(key, value any) { p.entries = append(p.entries, pair{key, value}) }

// EncodeMsgpack writes the map.
func (p Pairs) EncodeMsgpack(enc *msgpack.Encoder) error {
	if err := enc.EncodeMapLen(len(p.entries)); err != nil {
		return err
	}
	for _, e := range p.entries {
		if err := enc.Encode(e.key); err != nil {
			return err
		}
		if err := enc.Encode(e.value); err != nil {
			return err
		}
	}
	return nil
}

// Words is a map of text to text, given as key, value, key, value.
func Words(words ...string) (p Pairs) {
	for i := 0; i+1 < len(words); i += 2 {
		p.Put(words[i], words[i+1])
	}
	return p
}
