package interop

import (
	"fmt"

	"tarragon.dev/tarragon/internal/cluster"
)

// value is something that came as MessagePack; what is not there is nil.
type value struct{ any any }

// at goes into maps and arrays: a Lua table with the keys 1..n comes as either.
func (v value) at(path ...any) value {
	for _, key := range path {
		switch in := v.any.(type) {
		case map[any]any:
			v = value{}
			for k, x := range in {
				if fmt.Sprint(k) == fmt.Sprint(key) {
					v = value{x}
				}
			}
		case []any:
			i := 0
			if n, ok := key.(int); ok {
				i = n
			}
			v = value{}
			if i >= 1 && i <= len(in) {
				v = value{in[i-1]}
			}
		default:
			return value{}
		}
	}
	return v
}

// each is what a map or an array holds.
func (v value) each() (out []value) {
	switch in := v.any.(type) {
	case map[any]any:
		for _, x := range in {
			out = append(out, value{x})
		}
	case []any:
		for _, x := range in {
			out = append(out, value{x})
		}
	}
	return out
}

// num is a whole number, text a string: zero if it is something else.
func (v value) num() uint64 { return cluster.Number(v.any) }

func (v value) text() string {
	s, _ := v.any.(string)
	return s
}
