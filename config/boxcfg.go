package config

import (
	"math"
	"slices"
	"strings"
)

// BoxOption is an option as box.cfg knows it.
type BoxOption struct {
	Name    string
	Types   string   // in Lua's words: "number", "string, number"
	Default any      // a string, bool or float64; nil: it is not set
	Dynamic bool     // it may be set while the instance runs
	Grows   bool     // it is memory, and is not taken back
	Quorum  bool     // a number or a formula
	Level   bool     // a number from 0 to 7, or its name
	Words   []string // all values of a string; nil: any
	Limits  *Limits  // of a number; nil: none
	Wrong   string   // what is said of none of Words; empty: it is not looked at

	old  bool // TT_ and its name is a variable, below those of the file's layout
	free bool // the limits of the file are none there
}

// BoxOptions lists the options of box.cfg. The caller must not change them.
func BoxOptions() []*BoxOption { return schemaTable.box }

// newBoxOption reads the line of an option on box.cfg: its name, then words.
func newBoxOption(o *option, words []string) *BoxOption {
	b := &BoxOption{Name: words[0], Types: "string, number, table", old: true}
	text := ""
	if l := o.leaf; l != nil {
		b.Types, b.Quorum, b.Level, b.Words = luaTypes[l.typ], l.typ == "quorum", l.typ == "level", l.allowed
		text = l.def
	}
	for _, word := range words[1:] {
		name, val, _ := strings.Cut(word, "=")
		switch name {
		case "dynamic":
			b.Dynamic = true
		case "grows":
			b.Grows = true
		case "unset":
			text = ""
		case "novar":
			b.old = false
		case "any":
			b.free = true
		case "default":
			text = val
		case "types":
			b.Types, b.Words = strings.ReplaceAll(val, ",", ", "), nil
		default:
			panic("config: schema.txt: " + word + " of " + b.Name)
		}
	}
	b.Default = b.parse(text)
	return b
}

// oldVariable is the variable that has the name of box.cfg, as the layout of the file
// spells another. It counts as TT_<PATH>_DEFAULT does. Empty: there is none.
func (o *option) oldVariable() string {
	if o.box == nil || !o.box.old {
		return ""
	}
	return variable([]string{o.box.Name})
}

// luaTypes are the types of values that box.cfg takes for each of ours.
var luaTypes = map[string]string{
	"string": "string", "enum": "string", "uuid": "string", "boolean": "boolean",
	"number": "number", "integer": "number", "duration": "number", "size": "number",
	"level": "number, string", "quorum": "string, number",
}

// parse reads a default by the type of the option.
func (b *BoxOption) parse(text string) any {
	switch {
	case text == "":
		return nil
	case strings.HasPrefix(b.Types, "boolean"):
		v, _ := parseBool(text)
		return v
	case strings.HasPrefix(b.Types, "number"):
		v, _ := parseNumber(text)
		return v
	}
	return text
}

// limit is what the limits of the file are for box.cfg. It takes more than 32 bits
// have, where the file does not: the process counts so many at most.
func (b *BoxOption) limit(l *Limits) {
	if b == nil || b.free {
		return
	}
	own := *l
	if own.Most == math.MaxInt32 {
		own.Most = math.MaxInt64
	}
	b.Limits = &own
}

// Has tells whether a word is a value of the option.
func (b *BoxOption) Has(word string) bool { return slices.Contains(b.Words, word) }
