package proc

import (
	"strconv"

	"tarragon.dev/tarragon/instance"
)

var switchoverOptions = template{"to": "string, number", "mode": "string", "max_lag": "number", "timeout": "number", "reason": "string",
	"token": "number", "lease": "number", "force": "boolean"}

// switchover is box.ctl.switchover{to=, mode=, max_lag=, timeout=, reason=, token=, lease=, force=}: leadership
// moves to a member, by name, uuid or ID; without one to the one that holds most. mode is
// strict or fast, max_lag in bytes, timeout and lease in seconds. The answer is a map with to, name,
// term, lsn and held, once that leads.
func switchover(c *call) error {
	if len(c.args) > 1 {
		return illegal("Usage: box.ctl.switchover([{to = ..., mode = 'strict' or 'fast', max_lag = ..., timeout = ..., reason = ..., token = ..., lease = ..., force = ...}])")
	}
	opts, err := readOptions(c.arg(0), switchoverOptions)
	if err != nil {
		return err
	}
	ev := instance.SwitchoverRequest{Conn: c.Conn, Sync: c.Sync, By: c.userName(), To: opts.str("to"), Reason: opts.str("reason")}
	if id, ok := opts["to"].integer(); ok {
		ev.To = strconv.FormatUint(id, 10)
	}
	switch mode := opts.str("mode"); mode {
	case "", "strict":
	case "fast":
		ev.Fast = true
	default:
		return illegal("options parameter 'mode' should be 'strict' or 'fast'")
	}
	if v, ok := opts["max_lag"]; ok {
		f, _ := v.number()
		if !(f >= 1 && f <= 1<<50) {
			return illegal("options parameter 'max_lag' should be a number of bytes, at least 1")
		}
		ev.MaxLag = int(f)
	}
	if v, ok := opts["timeout"]; ok {
		f, _ := v.number()
		if !(f > 0 && f <= instance.MaxHold.Seconds()) {
			return illegal("options parameter 'timeout' should be more than 0 and at most %v seconds", instance.MaxHold.Seconds())
		}
		ev.Hold = toDuration(f)
	}
	if ev.Mandate, err = mandateOf(opts); err != nil {
		return err
	}
	return c.submit(ev)
}

// infoMoving is a move of leadership that this instance makes.
type infoMoving struct {
	To      uint32  `msgpack:"to"`
	Name    string  `msgpack:"name"`
	For     float64 `msgpack:"seconds"` // since it began
	Written bool    `msgpack:"written"` // it cannot be given up any more
	Lacks   uint64  `msgpack:"lacks"`   // rows that the target has not on its disk
	By      string  `msgpack:"by"`
	Reason  string  `msgpack:"reason"`
}

// movingOf is nil where there is none.
func movingOf(i *instance.Info) *infoMoving {
	m := &i.Moving
	if m.To == 0 {
		return nil
	}
	return &infoMoving{m.To, m.Name, m.For.Seconds(), m.Written, m.Lacks, m.By, m.Reason}
}
