package tarragon

import (
	"bytes"
	"fmt"

	"tarragon.dev/tarragon/internal/mp"

	"github.com/vmihailenco/msgpack/v5"
)

// Tuple is a raw tuple: a MessagePack array. nil: there is none. Its bytes are the caller's.
type Tuple []byte

// TupleOf is a slice or a struct as a raw tuple.
func TupleOf(v any) (Tuple, error) { return encodeTuple(v) }

// Decode reads the tuple into what v points to: a slice or a struct.
func (t Tuple) Decode(v any) error {
	if t == nil {
		return fmt.Errorf("tarragon: no tuple to decode into %T", v)
	}
	return decode(t, v)
}

// EncodeMsgpack writes it as it is.
func (t Tuple) EncodeMsgpack(enc *msgpack.Encoder) error { return enc.Encode(msgpack.RawMessage(t)) }

// DecodeMsgpack keeps a copy of it.
func (t *Tuple) DecodeMsgpack(dec *msgpack.Decoder) error {
	raw, err := dec.DecodeRaw()
	*t = Tuple(raw)
	return err
}

// Key is a key of several parts. A key of one part may be that value itself, and one of no
// parts nil. A key may have fewer parts than its index.
type Key []any

func decode(raw []byte, v any) error {
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(bytes.NewReader(raw))
	return dec.Decode(v)
}

// encode is v as MessagePack, integers in their shortest form.
func encode(v any) ([]byte, error) { return encodeWith(v, false) }

func encodeWith(v any, structsAreArrays bool) ([]byte, error) {
	var b bytes.Buffer
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(&b)
	enc.UseCompactInts(true)
	enc.UseArrayEncodedStructs(structsAreArrays)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("tarragon: %T has no MessagePack: %w", v, err)
	}
	if err := mp.Check(b.Bytes()); err != nil { // a codec of the caller's own
		return nil, fmt.Errorf("tarragon: %T: %w", v, err)
	}
	return b.Bytes(), nil
}

// encodeTuple is v as an array: a struct is one of its fields.
func encodeTuple(v any) ([]byte, error) {
	raw, err := encodeWith(v, true)
	if err == nil && mp.KindOf(raw[0]) != mp.Array {
		err = fmt.Errorf("tarragon: a tuple is an array, and %T is none", v)
	}
	return raw, err
}

func encodeArgs(args []any) ([]byte, error) {
	if args == nil {
		args = []any{}
	}
	return encode(args)
}

// encodeKey is a key in any spelling.
func encodeKey(key any) ([]byte, error) {
	switch k := key.(type) {
	case nil:
		return encodeArgs(nil)
	case Key:
		return encodeArgs(k)
	}
	return encode([]any{key})
}

// firstOf is the tuple of an answer of one or none.
func firstOf(data []byte) Tuple {
	n, at, ok := mp.ReadArrayHeader(data)
	if !ok || n == 0 {
		return nil
	}
	return Tuple(data[at:])
}
