package cluster

import (
	"context"
	"errors"

	"github.com/tarantool/go-iproto"
	"github.com/tarantool/go-tarantool/v2"
	"github.com/vmihailenco/msgpack/v5"
)

// linearRequest is a SELECT of one key of the space that carries the isolation
// level of a linearizable read, for which the driver has no option.
type linearRequest struct {
	*tarantool.SelectRequest
	key uint64
}

const linearizable = 4 // of IPROTO_TXN_ISOLATION

// Body writes the request's body.
func (q linearRequest) Body(_ tarantool.SchemaResolver, enc *msgpack.Encoder) error {
	type pair struct {
		key   iproto.Key
		value any
	}
	body := []pair{
		{iproto.IPROTO_SPACE_NAME, space}, {iproto.IPROTO_INDEX_ID, 0}, {iproto.IPROTO_LIMIT, 1},
		{iproto.IPROTO_ITERATOR, 0}, {iproto.IPROTO_KEY, []uint64{q.key}}, {iproto.IPROTO_TXN_ISOLATION, linearizable},
	}
	err := enc.EncodeMapLen(len(body))
	for _, p := range body {
		err = errors.Join(err, enc.EncodeUint(uint64(p.key)), enc.Encode(p.value))
	}
	return err
}

func linearSelect(ctx context.Context, conn *tarantool.Connection, key uint64) ([]any, error) {
	if conn == nil {
		return nil, errors.New("not connected")
	}
	return conn.Do(linearRequest{tarantool.NewSelectRequest(space).Context(ctx), key}).Get()
}
