package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tarantoolVersion is what `conditional` sections compare with: the version
// whose configuration we read.
var tarantoolVersion = [3]int{3, 8, 0}

// readConditional reads the sections whose condition holds; the others are not
// looked at, they may be meant for versions with other keys.
func (r *reader) readConditional(n *yaml.Node, path string) *value {
	if n.Kind != yaml.SequenceNode {
		r.mistake(r.where(n), path, "Unexpected data type for an array: %q", luaType(n))
		return nil
	}
	out := &value{kind: list, where: r.where(n)}
	for i, c := range n.Content {
		item := path + "[" + strconv.Itoa(i+1) + "]"
		c, ok := r.follow(c, item)
		if !ok {
			return out
		}
		body, cond := cutIf(c)
		if cond == nil {
			r.mistake(r.where(c), item, "A conditional section should have field \"if\"")
			continue
		}
		holds, err := evalCondition(cond.Value)
		if err != nil {
			r.mistake(r.where(cond), item, "%v", err)
			continue
		}
		if holds {
			out.items = append(out.items, r.readLevel(body, item, globalScope).without("conditional", "include"))
		}
	}
	return out
}

// cutIf takes the key "if" out of a mapping.
func cutIf(n *yaml.Node) (body, cond *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return n, nil
	}
	rest := *n
	rest.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "if" && n.Content[i+1].Kind == yaml.ScalarNode {
			cond = n.Content[i+1]
			continue
		}
		rest.Content = append(rest.Content, n.Content[i], n.Content[i+1])
	}
	return &rest, cond
}

// condition is recursive descent over
//
//	or    = and { "||" and }
//	and   = not { "&&" not }
//	not   = "!" not | "(" or ")" | version comparison version
//
// where a version is a literal like 3.1.0 or the word tarantool_version.
type condition struct {
	words []string
	depth int
	err   error
}

func evalCondition(text string) (bool, error) {
	c := condition{words: conditionWords(text)}
	holds := c.or()
	if c.err == nil && len(c.words) > 0 {
		c.fail()
	}
	return holds, c.err
}

// conditionWords cuts a condition into operators and everything between.
func conditionWords(text string) []string {
	var words []string
	for len(text) > 0 {
		n := 0
		for _, op := range []string{"||", "&&", ">=", "<=", "==", "!=", ">", "<", "!", "(", ")"} {
			if strings.HasPrefix(text, op) {
				n = len(op)
				break
			}
		}
		switch {
		case text[0] == ' ' || text[0] == '\t' || text[0] == '\n':
			text = text[1:]
			continue
		case n == 0:
			n = strings.IndexAny(text, " \t\n|&<>=!()")
			if n <= 0 {
				n = max(1, len(text)*(-n)) // no operator behind: the rest is one word
			}
		}
		words = append(words, text[:n])
		text = text[n:]
	}
	return words
}

func (c *condition) fail() {
	if c.err != nil {
		return
	}
	at := "the end"
	if len(c.words) > 0 {
		at = strconv.Quote(c.words[0])
	}
	c.err = textf("Unable to understand the condition at %s", at)
}

func (c *condition) take(word string) bool {
	if len(c.words) > 0 && c.words[0] == word {
		c.words = c.words[1:]
		return true
	}
	return false
}

func (c *condition) or() bool {
	v := c.and()
	for c.err == nil && c.take("||") {
		v = c.and() || v
	}
	return v
}

func (c *condition) and() bool {
	v := c.not()
	for c.err == nil && c.take("&&") {
		v = c.not() && v
	}
	return v
}

func (c *condition) not() bool {
	c.depth++
	defer func() { c.depth-- }()
	if c.depth > maxDepth {
		c.fail()
	}
	switch {
	case c.err != nil:
		return false
	case c.take("!"):
		return !c.not()
	case c.take("("):
		v := c.or()
		if !c.take(")") {
			c.fail()
		}
		return v
	}
	return c.compare()
}

func (c *condition) compare() bool {
	a := c.version()
	if c.err != nil || len(c.words) == 0 {
		c.fail()
		return false
	}
	sign := c.words[0]
	if !strings.Contains(" >= <= == != > < ", " "+sign+" ") {
		c.fail()
		return false
	}
	c.words = c.words[1:]
	b := c.version()
	order := 0
	for i := range a {
		if a[i] != b[i] {
			order = 1
			if a[i] < b[i] {
				order = -1
			}
			break
		}
	}
	switch sign {
	case ">=":
		return order >= 0
	case "<=":
		return order <= 0
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case ">":
		return order > 0
	}
	return order < 0
}

func (c *condition) version() (v [3]int) {
	if c.take("tarantool_version") {
		return tarantoolVersion
	}
	if len(c.words) == 0 {
		c.fail()
		return v
	}
	parts := strings.Split(c.words[0], ".")
	if len(parts) != 3 {
		c.fail()
		return v
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			c.fail()
			return v
		}
		v[i] = int(n)
	}
	c.words = c.words[1:]
	return v
}
