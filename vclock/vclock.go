package vclock

import (
	"fmt"
	"strconv"
	"strings"
)

// Max is the number of components: IDs 0..31.
const Max = 32

// MaxID is the greatest instance ID, and so the greatest number of members that a
// replica set may have.
const MaxID = Max - 1

// VClock holds an LSN for each instance ID; zero means "nothing".
type VClock [Max]uint64

// Order is the outcome of a comparison of two vector clocks.
type Order int8

// The four ways in which two vector clocks stand to each other.
const (
	Equal        Order = iota
	Less               // every component is <= the other's
	Greater            // every component is >= the other's
	Incomparable       // each has something that the other lacks
)

// Compare compares v with w in all components but 0.
func (v *VClock) Compare(w *VClock) Order {
	less, greater := false, false
	for i := 1; i < Max; i++ {
		if v[i] < w[i] {
			less = true
		} else if v[i] > w[i] {
			greater = true
		}
	}
	switch {
	case less && greater:
		return Incomparable
	case less:
		return Less
	case greater:
		return Greater
	}
	return Equal
}

// Covers tells whether v holds all that w holds: v >= w in every component but 0.
func (v *VClock) Covers(w *VClock) bool {
	for i := 1; i < Max; i++ {
		if v[i] < w[i] {
			return false
		}
	}
	return true
}

// Merge raises every component of v to that of w, 0 included.
func (v *VClock) Merge(w *VClock) {
	for i := range v {
		v[i] = max(v[i], w[i])
	}
}

// Min lowers every component of v to that of w, 0 included.
func (v *VClock) Min(w *VClock) {
	for i := range v {
		v[i] = min(v[i], w[i])
	}
}

// Follow sets component id to lsn, which must be greater than what is there.
func (v *VClock) Follow(id uint32, lsn uint64) {
	if lsn <= v[id] {
		panic(fmt.Sprintf("vclock: LSN %d of instance %d goes back from %d", lsn, id, v[id]))
	}
	v[id] = lsn
}

// Signature is the sum of all components, 0 included.
func (v *VClock) Signature() (sum uint64) {
	for _, lsn := range v {
		sum += lsn
	}
	return sum
}

// Len counts the components that are set.
func (v *VClock) Len() (n int) {
	for _, lsn := range v {
		if lsn != 0 {
			n++
		}
	}
	return n
}

// Global is v without component 0.
func (v VClock) Global() VClock {
	v[0] = 0
	return v
}

// String is the text form: {1: 10, 3: 5}.
func (v VClock) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for id, lsn := range v {
		if lsn == 0 {
			continue
		}
		if b.Len() > 1 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d: %d", id, lsn)
	}
	b.WriteByte('}')
	return b.String()
}

// Parse reads the text form. Spaces are free; IDs ascend or not, but come once.
func Parse(s string) (v VClock, err error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(s), "{")
	if body, ok = cutSuffix(body, ok); !ok {
		return v, fmt.Errorf("vclock: %q is not in braces", s)
	}
	if strings.TrimSpace(body) == "" {
		return v, nil
	}
	for _, part := range strings.Split(body, ",") {
		left, right, ok := strings.Cut(part, ":")
		if !ok {
			return v, fmt.Errorf("vclock: no colon in %q", part)
		}
		id, err := strconv.ParseUint(strings.TrimSpace(left), 10, 8)
		if err != nil || id >= Max {
			return v, fmt.Errorf("vclock: bad instance ID in %q", part)
		}
		lsn, err := strconv.ParseUint(strings.TrimSpace(right), 10, 63)
		if err != nil {
			return v, fmt.Errorf("vclock: bad LSN in %q", part)
		}
		if v[id] != 0 {
			return v, fmt.Errorf("vclock: instance ID %d comes twice", id)
		}
		v[id] = lsn
	}
	return v, nil
}

func cutSuffix(s string, ok bool) (string, bool) {
	if !ok {
		return s, false
	}
	return strings.CutSuffix(s, "}")
}
