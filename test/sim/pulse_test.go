package sim

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A life that does not end is a failure, by name.
func TestEndlessLives(t *testing.T) {
	for _, test := range []struct {
		name  string
		begin func(*World)
		text  string
	}{
		{"events that take no time", func(w *World) {
			var again func()
			again = func() { w.after(0, again) }
			again()
		}, "events within a second"},
		{"an event that draws", func(w *World) {
			w.after(0, func() {
				for w.rng.IntN(2) < 2 {
				}
			})
		}, "draws more than"},
	} {
		w := newWorld(1, Options{}, nil)
		func() {
			defer w.catch()
			test.begin(w)
			w.run(time.Second, nil)
		}()
		var v *Violation
		if !errors.As(w.failure, &v) || v.Checker != "endless" || !strings.Contains(v.Text, test.text) {
			t.Errorf("%s: %v", test.name, w.failure)
		}
	}
}
