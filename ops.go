package tarragon

// Op is an operation of an update: on a field, by its number from 0, or from the end below 0,
// its name, or the path of a value inside of it.
type Op struct{ args []any }

// Assign sets a field; one behind the last is added.
func Assign(field, value any) Op { return Op{[]any{"=", field, value}} }

// Add adds a number to a field.
func Add(field, number any) Op { return Op{[]any{"+", field, number}} }

// Subtract takes a number off a field.
func Subtract(field, number any) Op { return Op{[]any{"-", field, number}} }

// And, Or and Xor are of the bits of an unsigned field.
func And(field any, bits uint64) Op { return Op{[]any{"&", field, bits}} }

// Or: see And.
func Or(field any, bits uint64) Op { return Op{[]any{"|", field, bits}} }

// Xor: see And.
func Xor(field any, bits uint64) Op { return Op{[]any{"^", field, bits}} }

// Splice replaces bytes of a text, of which n begin at a position from 0.
func Splice(field any, at, n int, text string) Op { return Op{[]any{":", field, at, n, text}} }

// InsertField puts a value in front of a field.
func InsertField(field, value any) Op { return Op{[]any{"!", field, value}} }

// DeleteFields removes so many fields.
func DeleteFields(field any, n int) Op { return Op{[]any{"#", field, n}} }

func encodeOps(ops []Op) ([]byte, error) {
	list := make([][]any, len(ops))
	for i, o := range ops {
		list[i] = o.args
	}
	return encode(list)
}
