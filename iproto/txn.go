package iproto

import (
	"math"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// TxnOptions is what BEGIN and COMMIT may say of a transaction.
type TxnOptions struct {
	Timeout   time.Duration // of BEGIN; 0: it has none
	Isolation uint8         // of BEGIN: 0 default, 1 read-committed, 2 read-confirmed, 3 best-effort, 4 linearizable
	IsSync    bool          // all of the transaction is synchronous
}

// decode reads the body of a BEGIN or COMMIT. The error is the answer at once. A fault is
// found only when the transaction has begun, so who has one already hears of that.
// Tarantool: xrow_decode_begin and tx_process_begin, which take keys as they come.
func (o *TxnOptions) decode(q *body) (fault, e *xrow.Error) {
	if q.shape == bodyAbsent {
		return nil, nil
	}
	pairs, n, ok := mp.ReadMapHeader(q.raw)
	if !ok {
		return nil, errMsgpack("request body")
	}
	var timeout, isolation *xrow.Error
	for range pairs {
		key, size, ok := mp.ReadUint(q.raw[n:])
		if !ok {
			return nil, errMsgpack("request body")
		}
		v := mp.First(q.raw[n+size:])
		n += size + len(v)
		if key >= uint64(len(bodyKinds)) || bodyKinds[key] == mp.Reserved {
			continue
		}
		if mp.KindOf(v[0]) != bodyKinds[key] {
			return nil, errMsgpack("request body")
		}
		switch xrow.Key(key) {
		case xrow.KeyTimeout:
			o.Timeout, timeout = decodeTimeout(mp.FloatOf(v))
		case xrow.KeyTxnIsolation:
			level, _, _ := mp.ReadUint(v)
			o.Isolation, isolation = decodeIsolation(uint32(level))
		case xrow.KeyIsSync:
			if o.IsSync, _, _ = mp.ReadBool(v); !o.IsSync {
				return nil, xrow.Errorf(xrow.ErrIllegalParams, "is_sync can only be true")
			}
		}
	}
	if timeout != nil {
		return timeout, nil
	}
	return isolation, nil
}

// decodeTimeout: 0 is the default, as Tarantool's decoder has it.
func decodeTimeout(seconds float64) (time.Duration, *xrow.Error) {
	switch {
	case seconds == 0:
		return 0, nil
	case !(seconds > 0): // not a number is none
		return 0, xrow.Errorf(xrow.ErrIllegalParams, "timeout must be a number greater than 0")
	case seconds >= float64(math.MaxInt64/time.Second):
		return math.MaxInt64, nil
	}
	return max(time.Duration(seconds*float64(time.Second)), 1), nil
}

// decodeIsolation: of a number the lower 32 bits count, as Tarantool has it.
func decodeIsolation(level uint32) (uint8, *xrow.Error) {
	if level > isolationLinearizable {
		return 0, errIsolation()
	}
	return uint8(level), nil
}

func errIsolation() *xrow.Error {
	return xrow.Errorf(xrow.ErrIllegalParams, "unknown isolation level")
}
