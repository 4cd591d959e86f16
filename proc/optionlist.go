package proc

import (
	"fmt"

	"tarragon.dev/tarragon/config"
)

// option is an option of box.cfg (Tarantool, src/box/lua/load_cfg.lua).
type option = config.BoxOption

// optionList is what Tarantool's clients may find in box.cfg of a server
// that keeps its tuples in memory. Options that mean nothing here are not in
// it: setting them would promise what is not done.
var optionList = config.BoxOptions()

var optionIndex = func() map[string]int {
	m := map[string]int{}
	for i, o := range optionList {
		m[o.Name] = i
	}
	return m
}()

// checks are of options of which the table does not say all.
var checks = map[string]func(o *option, v value) string{"read_only": plainBool, "memtx_memory": memory}

// wrong says what is wrong with a value of the right type; empty: nothing.
func wrong(o *option, v value) string {
	if check := checks[o.Name]; check != nil {
		return check(o, v)
	}
	switch f, isNumber := v.number(); {
	case o.Level:
		return logLevel(v)
	case o.Limits != nil && isNumber && !o.Limits.Allow(f):
		return o.Limits.Wrong
	case o.Wrong != "":
		if word, _ := v.str(); !o.Has(word) {
			return o.Wrong
		}
	}
	return ""
}

func memory(o *option, v value) string {
	if f, _ := v.number(); !o.Limits.Allow(f) {
		return fmt.Sprintf("must be >= %d and <= %d, but it is %.0f", o.Limits.Least, o.Limits.Most, f)
	}
	return ""
}

func logLevel(v value) string {
	if _, ok := levelOf(v); !ok {
		return fmt.Sprintf("expected a number from 0 to %d or one of %s", config.Levels-1, config.LevelNames())
	}
	return ""
}

// levelOf is the number of a log level.
func levelOf(v value) (n int, ok bool) {
	if s, isText := v.str(); isText {
		return config.Level(s)
	}
	f, _ := v.number()
	return int(f), f >= 0 && f < config.Levels
}

func plainBool(_ *option, v value) string {
	if v.kind() != kindBool {
		return "should be of type boolean"
	}
	return ""
}
