package proc

import (
	"strconv"
	"strings"
)

// template names the options that a procedure takes, with the types that each
// may have in Lua's words, as in "string, number".
type template map[string]string

// options are what a caller gave; those that are nil are left out.
type options map[string]value

// readOptions reads a table of options; nil is an empty one.
func readOptions(v value, t template) (options, error) {
	opts := options{}
	if v.isNil() {
		return opts, nil
	}
	given, err := optionPairs(v)
	if err != nil {
		return nil, err
	}
	for _, o := range given {
		name := o.name
		if name == "" {
			name = strconv.FormatUint(o.num, 10)
		}
		types, ok := t[name]
		if !ok {
			return nil, illegal("unexpected option '%s'", clip(name))
		}
		if o.val.isNil() {
			continue
		}
		if !hasType(o.val, types) {
			if strings.Contains(types, ",") {
				return nil, illegal("options parameter '%s' should be one of types: %s", name, types)
			}
			return nil, illegal("options parameter '%s' should be of type %s", name, types)
		}
		opts[name] = o.val
	}
	return opts, nil
}

// optionPairs reads a map, or an array, whose keys are numbers from 1.
func optionPairs(v value) ([]pair, error) {
	if v.kind() == kindMap {
		return v.pairs()
	}
	list, err := v.array()
	if err != nil {
		return nil, illegal("options should be a table")
	}
	out := make([]pair, len(list))
	for i, e := range list {
		out[i] = pair{num: uint64(i + 1), val: e}
	}
	return out, nil
}

// hasType tells whether a value has one of the types.
func hasType(v value, types string) bool {
	mine := v.luaType()
	for t := range strings.SplitSeq(types, ",") {
		if strings.TrimSpace(t) == mine {
			return true
		}
	}
	return false
}

func (o options) has(name string) bool { return o[name] != nil }

func (o options) isTrue(name string) bool {
	b, _ := o[name].boolean()
	return b
}

func (o options) str(name string) string {
	s, _ := o[name].str()
	return s
}

// clip bounds what is repeated of foreign text in a message.
func clip(s string) string {
	if len(s) > maxNameInMessage {
		return s[:maxNameInMessage]
	}
	return s
}

// needString is an argument that must be a string.
func needString(v value, name string) (string, error) {
	s, ok := v.str()
	if !ok {
		return "", illegal("%s should be a string", name)
	}
	return s, nil
}
