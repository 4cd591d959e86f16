package proc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Quorum is a quorum formula: for n members, of which q make the synchro
// quorum.
type Quorum func(n, q int) int

// Settings is what box.cfg shows and sets. It is safe for concurrent use.
type Settings struct {
	formula func(text string) (Quorum, error)

	mu     sync.Mutex
	values []value // by place in optionList; nil: not set
}

// NewSettings makes settings with Tarantool's defaults. formula reads a
// quorum; its errors are shown to the client.
func NewSettings(formula func(text string) (Quorum, error)) *Settings {
	s := &Settings{formula: formula, values: make([]value, len(optionList))}
	for i, o := range optionList {
		s.values[i] = rawOf(o.Default)
	}
	return s
}

// Put sets an option at the start of the process, static ones too. v is a
// string, bool, int, float64, time.Duration (shown in seconds) or []string.
func (s *Settings) Put(name string, v any) error {
	i, ok := optionIndex[name]
	raw := rawOf(v)
	if !ok || raw == nil {
		return fmt.Errorf("box.cfg has no option %s of type %T", name, v)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[i] = raw
	return nil
}

func rawOf(v any) value {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return mp.Encode(int64(v))
		}
		return mp.Encode(v)
	case time.Duration:
		return rawOf(v.Seconds())
	case string, bool, int, []string:
		return mp.Encode(v)
	}
	return nil
}

// get is the map of all options that are set.
func (s *Settings) get() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out mp.Pairs
	for i, v := range s.values {
		if v != nil {
			out.Put(optionList[i].Name, v)
		}
	}
	return mp.Encode(out)
}

// Change is a setting with its new value.
type Change struct {
	Name   string
	Quorum Quorum // of quorum options
	value  value
}

// synchroQuorum is the option that a replica set has in common.
const synchroQuorum = "replication_synchro_quorum"

// rule is a synchronous quorum of n voters.
func (c Change) rule() func(n int) int { return func(n int) int { return c.Quorum(n, 0) } }

// formula is a quorum as text.
func (c Change) formula() string {
	if text, ok := c.value.str(); ok {
		return text
	}
	return strconv.Itoa(int(c.Number()))
}

// Number, Text and Bool are the new value by its type.
func (c Change) Number() float64 {
	f, _ := c.value.number()
	return f
}

// Text is a new value that is a string; empty for all others.
func (c Change) Text() string {
	s, _ := c.value.str()
	return s
}

// Bool is a new value that is a boolean.
func (c Change) Bool() bool {
	b, _ := c.value.boolean()
	return b
}

// String is the new value in JSON.
func (c Change) String() string {
	var v any
	err := mp.Decode(c.value, &v)
	text, jsonErr := json.Marshal(v)
	if err != nil || jsonErr != nil {
		return "?"
	}
	return string(text)
}

// Level is a new log level as a number from 0 to 7.
func (c Change) Level() int {
	n, _ := levelOf(c.value)
	return n
}

// Duration is a new value in seconds.
func (c Change) Duration() time.Duration { return toDuration(c.Number()) }

// badOption is ER_CFG.
func badOption(name, why string) error { return xrow.Errorf(xrow.ErrCfg, clip(name), why) }

// check reads the options of a call of box.cfg and says what is to change. All
// or nothing: the first mistake is the answer.
func (s *Settings) check(given []pair) ([]Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var changes []Change
	for _, g := range given {
		name := g.name
		if name == "" {
			name = numText(g.num)
		}
		i, ok := optionIndex[name]
		if !ok {
			return nil, badOption(name, "unexpected option")
		}
		c, err := s.checkOne(optionList[i], g.val)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(c.value, s.values[i]) {
			continue
		}
		if optionList[i].Grows && memoryOf(c.value) < memoryOf(s.values[i]) {
			return nil, badOption(name, "cannot decrease memory size at runtime")
		}
		if !optionList[i].Dynamic {
			return nil, xrow.Errorf(xrow.ErrReloadCfg, name)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// checkOne checks one value. nil and the empty string stand for the default.
func (s *Settings) checkOne(o *option, v value) (Change, error) {
	c := Change{Name: o.Name, value: rawOf(o.Default)}
	if text, isText := v.str(); !v.isNil() && !(isText && text == "") {
		if err := checkType(o, v); err != nil {
			return c, err
		}
		c.value = v.shortest()
	}
	if c.value == nil {
		return c, nil
	}
	if why := wrong(o, c.value); why != "" {
		return c, badOption(o.Name, why)
	}
	if o.Quorum {
		return c, s.checkQuorum(&c)
	}
	return c, nil
}

func checkType(o *option, v value) error {
	if !hasType(v, o.Types) {
		if bytes.ContainsRune([]byte(o.Types), ',') {
			return badOption(o.Name, "should be one of types "+o.Types)
		}
		return badOption(o.Name, "should be of type "+o.Types)
	}
	if f, ok := v.number(); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return badOption(o.Name, "should be a finite number")
	}
	return nil
}

// checkQuorum reads a quorum: a number, or a formula over N.
func (s *Settings) checkQuorum(c *Change) error {
	text, isText := c.value.str()
	if !isText {
		f := c.Number()
		if f < 1 || f >= vclock.Max {
			return badOption(c.Name, "the value must be greater than zero and less than maximal number of replicas")
		}
		c.Quorum = func(int, int) int { return int(f) }
		return nil
	}
	q, err := s.formula(text)
	if err != nil {
		return badOption(c.Name, err.Error())
	}
	c.Quorum = q
	return nil
}

// memoryOf is a size of memory as it counts, in bytes.
func memoryOf(v value) int {
	f, _ := v.number()
	return box.MemoryLimit(max(int(f), 1))
}

// store takes changes down, once they are carried out.
func (s *Settings) store(changes []Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		s.values[optionIndex[c.Name]] = c.value
	}
}
