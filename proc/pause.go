package proc

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
)

var pauseOptions = template{"seconds": "number", "reason": "string"}

// pause is tarragon.pause{seconds=, reason=}: no automatic elections for so long, ten
// minutes if it is not said. It is answered when the row is committed.
func pause(c *call) error {
	if len(c.args) > 1 {
		return illegal("Usage: tarragon.pause([{seconds = ..., reason = ...}])")
	}
	opts, err := readOptions(c.arg(0), pauseOptions)
	if err != nil {
		return err
	}
	ev := instance.PauseElections{Conn: c.Conn, Sync: c.Sync, By: c.userName(), Reason: opts.str("reason")}
	if v, ok := opts["seconds"]; ok {
		f, _ := v.number()
		if !(f >= instance.MinPause.Seconds() && f <= instance.MaxPause.Seconds()) { // nor is it no number
			return illegal("options parameter 'seconds' should be from %v to %v", instance.MinPause.Seconds(), instance.MaxPause.Seconds())
		}
		ev.For = toDuration(f)
	}
	return c.submit(ev)
}

// resume is tarragon.resume(): whether there was a pause.
func resume(c *call) error {
	return c.submit(instance.ResumeElections{Conn: c.Conn, Sync: c.Sync})
}

// userName is the name of whoever calls.
func (c *call) userName() (name string) {
	c.schema(func(s *box.Schema) {
		u, _ := s.User(c.User.User())
		name = u.Name
	})
	return name
}

// infoPause is the pause that counts here, in seconds.
type infoPause struct {
	Left   float64 `msgpack:"left"`
	For    float64 `msgpack:"seconds"`
	By     string  `msgpack:"by"`
	Reason string  `msgpack:"reason"`
}

// pauseOf is nil where there is none.
func pauseOf(i *instance.Info) *infoPause {
	if i.Pause.Left == 0 {
		return nil
	}
	return &infoPause{i.Pause.Left.Seconds(), i.Pause.For.Seconds(), i.Pause.By, i.Pause.Reason}
}
