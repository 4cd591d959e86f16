package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// scalarOf reads a scalar as Tarantool does (third_party/lua-yaml), which is
// neither YAML 1.1 nor 1.2: a plain text is null, a boolean or a number in few
// spellings, and else a string. One file has to mean the same to instances of
// both kinds, so what our parser makes of a plain text is not looked at.
func scalarOf(n *yaml.Node) scalar {
	const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	text := n.Value
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		if n.ShortTag() == "!!bool" {
			text = strconv.FormatBool(text == "true" || text == "yes")
		}
		return scalar{text, n.ShortTag()}
	case n.Style&quotes != 0:
		return scalar{text, "!!str"}
	}
	switch text {
	case "", "~", "null": // an empty one is an empty string there
		return scalar{text, "!!null"}
	case "true", "yes":
		return scalar{"true", "!!bool"}
	case "false", "no":
		return scalar{"false", "!!bool"}
	}
	if isInteger(text) {
		return scalar{text, "!!int"}
	}
	if isFloat(text) {
		return scalar{text, "!!float"}
	}
	return scalar{text, "!!str"}
}

// isInteger is whether C's strtoll takes all of the text, with the base 10.
func isInteger(text string) bool {
	if text != "" && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	for i := 0; i < len(text); i++ {
		if !isDigit(text[i]) {
			return false
		}
	}
	return text != ""
}

// isFloat is whether C's strtod takes all of the text: hexadecimal numbers too,
// and nothing with an underscore.
func isFloat(text string) bool {
	if strings.ContainsRune(text, '_') {
		return false
	}
	_, err := strconv.ParseFloat(hexFloat(text), 64)
	return err == nil || strings.HasSuffix(err.Error(), strconv.ErrRange.Error())
}

// hexFloat gives a hexadecimal number the exponent that Go wants and C does not.
func hexFloat(text string) string {
	lower := strings.ToLower(strings.TrimLeft(text, "+-"))
	if strings.HasPrefix(lower, "0x") && !strings.ContainsRune(lower, 'p') {
		return text + "p0"
	}
	return text
}
