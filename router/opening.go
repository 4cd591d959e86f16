package router

import (
	"errors"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/internal/numbers"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// opening is an errand: it asks for a session.
type opening struct {
	of   *numbers.Slots
	size int
}

// newOpening asks for a session. It runs as the user of the backend that it goes to.
func newOpening(of *numbers.Slots, size int, until time.Duration) *request {
	q := iproto.NewCarried(xrow.Call, 0)
	q.Body = xrow.AppendCall(nil, numbers.OpenCall, msgp.AppendUint64([]byte{0x91}, uint64(size)))
	return &request{Carried: q, class: classCall, until: until, errand: &opening{of, size}}
}

func (o *opening) answered(e *xrow.Error, body []byte, now time.Duration) {
	if e == nil {
		id, err := sessionID(body)
		if err == nil {
			o.of.Opened(id, o.size)
			return
		}
		e = xrow.Errorf(xrow.ErrUnknown)
	}
	o.of.Refused(e.Code, e.Message, now)
}

func (o *opening) lost() { o.of.NotOpened(0, false) }

var errNoID = errors.New("router: no ID of a session in the answer")

func sessionID(body []byte) (string, error) {
	data, err := iproto.DataOf(scanned(body))
	if err != nil {
		return "", err
	}
	n, at, ok := mp.ReadArrayHeader(data)
	if !ok || n < 1 {
		return "", errNoID
	}
	id, _, ok := mp.ReadString(data[at:])
	if !ok || len(id) == 0 {
		return "", errNoID
	}
	return string(id), nil
}
