package config

import (
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scalar is a leaf's value before it has a type: the text and what YAML took
// it for. An empty tag (environment, flags) means that it may be anything.
type scalar struct {
	text string
	tag  string // !!str, !!int, !!float, !!bool or empty
}

func (s scalar) isString() bool { return s.tag == "!!str" || s.tag == "" }
func (s scalar) isNumber() bool { return s.tag == "!!int" || s.tag == "!!float" }

// luaType is the name of the type in Tarantool's texts.
func (s scalar) luaType() string {
	switch s.tag {
	case "!!int", "!!float":
		return "number"
	case "!!bool":
		return "boolean"
	}
	return "string"
}

// scalars checks a text against each type. An enum is checked by its node.
var scalars = map[string]func(scalar) error{
	"string": func(s scalar) error {
		if !s.isString() {
			return textf("Expected %q, got %q", "string", s.luaType())
		}
		return nil
	},
	"boolean": func(s scalar) error {
		if s.tag != "!!bool" && s.tag != "" {
			return textf("Expected %q, got %q", "boolean", s.luaType())
		}
		_, err := parseBool(s.text)
		return err
	},
	"number": func(s scalar) error {
		if s.tag != "" && !s.isNumber() {
			return textf("Expected %q, got %q", "number", s.luaType())
		}
		_, err := parseNumber(s.text)
		return err
	},
	"integer": func(s scalar) error {
		if s.tag != "" && !s.isNumber() {
			return textf("Expected %q, got %q", "number", s.luaType())
		}
		_, err := parseInteger(s.text)
		return err
	},
	"duration": func(s scalar) error {
		if s.tag == "!!bool" {
			return textf("Expected duration as number or string with optional duration suffix, got boolean")
		}
		_, err := ParseDuration(s.text)
		return err
	},
	"size": func(s scalar) error {
		if s.tag == "!!bool" {
			return textf("Expected byte size as number or string with optional byte size suffix, got boolean")
		}
		_, err := ParseSize(s.text)
		return err
	},
	"quorum": func(s scalar) error {
		if s.tag == "!!bool" {
			return textf("Expected %q, got %q", "number", "boolean")
		}
		_, err := Parse(s.text)
		return err
	},
	"level": func(s scalar) error {
		_, err := parseLevel(s.text)
		if err == nil && s.tag == "!!str" && isDigit(s.text[0]) {
			return badLevel(s.text) // a number in quotes
		}
		return err
	},
	"mode": func(s scalar) error {
		if s.tag == "!!bool" {
			return textf("Expected %q, got %q", "string", "boolean")
		}
		_, err := parseMode(s.text)
		return err
	},
	"uuid": func(s scalar) error {
		if !s.isString() {
			return textf("Expected %q, got %q", "string", s.luaType())
		}
		return checkUUID(s.text)
	},
	"any":     func(scalar) error { return nil },
	"context": func(scalar) error { return nil }, // see value.context
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, textf("Expected %q, got %q", "boolean", text)
}

func parseNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(hexFloat(text), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsRune(text, '_') || isInteger(text) && !fits(text) {
		return 0, textf("Unable to parse a number from %q", text)
	}
	return v, nil
}

// fits is whether an integer has 64 bits at most, with or without a sign.
func fits(text string) bool {
	_, errInt := strconv.ParseInt(text, 10, 64)
	_, errUint := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64)
	return errInt == nil || errUint == nil
}

func parseInteger(text string) (int64, error) {
	if v, err := strconv.ParseInt(text, 10, 64); err == nil {
		return v, nil
	}
	v, err := parseNumber(text)
	if err != nil {
		return 0, err
	}
	if v != math.Floor(v) {
		return 0, textf("Expected number without a fractional part, got %s", text)
	}
	return clampInt(v), nil
}

// clampInt turns a whole float into an int64; beyond its range, into the limit.
func clampInt(v float64) int64 {
	switch {
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v <= math.MinInt64:
		return math.MinInt64
	}
	return int64(v)
}

// suffix cuts a number and a unit: "-1.5 GiB".
func suffix(text string) (number float64, unit string, err error) {
	i := len(text)
	for i > 0 && isLetter(text[i-1]) {
		i--
	}
	digits := strings.TrimRight(text[:i], " \t")
	if v, err := parseNumber(text); err == nil { // 1e18 is a number, not 1 with a unit
		return v, "", nil
	}
	v, err := parseNumber(digits)
	if err != nil {
		return 0, "", textf("Unable to parse a number from %q", text)
	}
	return v, text[i:], nil
}

var sizeUnits = map[string]float64{
	"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40, "PIB": 1 << 50,
}

// ParseSize reads a number of bytes: 1024, 16 MiB.
func ParseSize(text string) (int64, error) {
	v, unit, err := suffix(text)
	if err != nil {
		return 0, err
	}
	factor, ok := sizeUnits[strings.ToUpper(unit)]
	switch {
	case !ok:
		return 0, textf("Unknown byte size suffix %q (use B, KiB, MiB, GiB, TiB, PiB)", strings.ToUpper(unit))
	case v < 0:
		return 0, textf("Expected a non-negative byte size, got %s", text)
	case factor == 1 && v != math.Floor(v):
		return 0, textf("Expected byte size without a fractional part, got %s", text)
	}
	return clampInt(math.Floor(v * factor)), nil
}

var durationUnits = map[string]float64{
	"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "M": 30 * 86400, "y": 365 * 86400,
}

// ParseDuration reads seconds or a number with a unit: 0.5, 10s, 5 m. What is
// beyond the range of a time.Duration (292 years) becomes the greatest one.
func ParseDuration(text string) (time.Duration, error) {
	v, unit, err := suffix(text)
	if err != nil {
		return 0, err
	}
	factor, ok := durationUnits[unit]
	switch {
	case !ok:
		return 0, textf("Unknown duration suffix %q (use ms, s, m, h, d, w, M, y)", unit)
	case v < 0:
		return 0, textf("Expected a non-negative duration, got %s", text)
	}
	return time.Duration(clampInt(math.Round(v * factor * float64(time.Second)))), nil
}

// parseMode reads the permission bits of a file as chmod(1) does: in octal, which
// YAML takes for a number or for text.
func parseMode(text string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || len(text) < 3 || len(text) > 4 || fs.FileMode(n)&^fs.ModePerm != 0 {
		return 0, textf("Expected the mode of a file as three octal digits, with or without a 0 in front, got %q", text)
	}
	return fs.FileMode(n), nil
}

// Levels is the number of log levels; their numbers begin with 0.
const Levels = 8

var levels = [Levels]string{"fatal", "syserror", "error", "crit", "warn", "info", "verbose", "debug"}

// LevelNames lists the names of log levels, by number.
func LevelNames() string { return strings.Join(levels[:], ", ") }

// Level is the number of the log level of a name.
func Level(name string) (n int, ok bool) {
	n = slices.Index(levels[:], name)
	return n, n >= 0
}

// parseLevel reads a log level, as its number or its name.
func parseLevel(text string) (int, error) {
	if n, ok := Level(text); ok {
		return n, nil
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n < Levels && text == strconv.Itoa(n) {
		return n, nil
	}
	return 0, badLevel(text)
}

func badLevel(text string) error {
	return textf("Got %s, but only the following values are allowed: 0, fatal, 1, syserror, 2, error, 3, crit, 4, warn, 5, info, 6, verbose, 7, debug", text)
}

func checkUUID(text string) error {
	bad := textf("Unable to parse the value as a UUID: %q", text)
	if len(text) != 36 {
		return bad
	}
	zero := true
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return bad
			}
			continue
		}
		if !isDigit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F') {
			return bad
		}
		zero = zero && c == '0'
	}
	if zero {
		return textf("nil UUID is reserved")
	}
	return nil
}
