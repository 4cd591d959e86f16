package config

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// option is what is known of one option of the file, or of a section whose options
// are one to its readers, besides its place in the tree.
type option struct {
	path   string
	leaf   *node      // nil: a list, names, or a section
	limits *Limits    // of a number; nil: its type's
	bits   *bits      // of the mode of a file
	box    *BoxOption // nil: none in box.cfg
	shown  string     // the default in words, where its text does not do
	about  string     // one line for people; empty: not told of by itself
}

// Limits are the values of a number.
type Limits struct {
	Least, Most int64
	Above       bool   // Least is none itself
	Wrong       string // what is said of others
}

// Allow tells whether a number is within the limits. The greatest of int64 is none.
func (l *Limits) Allow(v float64) bool {
	least := v > float64(l.Least) || !l.Above && v == float64(l.Least)
	return least && (l.Most == math.MaxInt64 || v <= float64(l.Most))
}

// bits are the values of the mode of a file.
type bits struct {
	own   fs.FileMode // what the owner needs
	never fs.FileMode // what nobody may have
	wrong string      // what is said of others
}

// bounds are numbers that have a home elsewhere.
var bounds = map[string]int64{"int64": math.MaxInt64, "int32": math.MaxInt32, "frame": xrow.MaxFrame, "4*frame": 4 * xrow.MaxFrame, "members": vclock.MaxID, "memory": maxMemory}

// maxMemory is Tarantool's limit of memtx.memory.
const maxMemory = 1024 * math.MaxUint32

// table is schema.txt: the tree of options, and what is known of each.
type table struct {
	root    *node
	options []*option          // in its order
	byPath  map[string]*option // by the path of the option, so for a list without what is in it
	box     []*BoxOption       // in its order
}

// headOf is the path of the option that a place in the tree belongs to.
func headOf(path string) string {
	for _, inside := range []string{"[]", ".*"} {
		path, _, _ = strings.Cut(path, inside)
	}
	return path
}

// at makes the option of a line known.
func (t *table) at(path string, leaf *node) *option {
	head := headOf(path)
	o := t.byPath[head]
	if o == nil {
		o = &option{path: head}
		t.options = append(t.options, o)
		t.byPath[head] = o
	}
	if head == path {
		o.leaf = leaf
	}
	return o
}

// attribute reads one more line on an option.
func (t *table) attribute(o *option, word, rest string) error {
	switch word {
	case "box":
		o.box = newBoxOption(o, strings.Fields(rest))
		t.box = append(t.box, o.box)
	case "range":
		o.limits = readLimits(rest)
		o.box.limit(o.limits)
	case "positive":
		o.limits = &Limits{Most: math.MaxInt64, Above: true, Wrong: rest}
		o.box.limit(o.limits)
	case "boxrange":
		o.box.Limits = readLimits(rest)
	case "boxsays":
		o.box.Wrong = rest
	case "bits":
		words := strings.SplitN(rest, " ", 3)
		own, _ := parseMode(words[0])
		never, _ := parseMode(words[1])
		o.bits = &bits{own, never, words[2]}
	case "shown":
		o.shown = rest
	case "about":
		o.about = rest
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	return nil
}

// readLimits reads "LEAST MOST what is said of others".
func readLimits(text string) *Limits {
	words := strings.SplitN(text, " ", 3)
	return &Limits{Least: bound(words[0]), Most: bound(words[1]), Wrong: words[2]}
}

func bound(word string) int64 {
	if n, named := bounds[word]; named {
		return n
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		panic("config: schema.txt: no number: " + word)
	}
	return n
}
