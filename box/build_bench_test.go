package box

import "testing"

// BenchmarkBuildSlice is one slice of an index on a filled space, of the size
// that the core asks for.
func BenchmarkBuildSlice(b *testing.B) {
	w := newWorld(b)
	w.space(512, "twin", nil, nil, pkIndex([]any{0, "unsigned"}))
	const rows = 200_000
	for i := 0; i < rows; i += 1000 {
		w.do(func(x *Txn) error {
			for j := range 1000 {
				d := replace(512, i+j, "some name or other", (i+j)*7919%rows)
				if _, err := x.Execute(UserAdmin, &d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	d := numIndex()
	var x *Txn
	begin := func() {
		w.seq++
		x = w.b.Begin(w.seq)
		if _, err := x.Execute(UserAdmin, &d); err != nil {
			b.Fatal(err)
		}
	}
	begin()
	for b.Loop() {
		if more, err := x.Build(2000); err != nil {
			b.Fatal(err)
		} else if !more {
			x.Abort()
			for w.b.Work(1 << 20) {
			}
			begin()
		}
	}
	x.Abort()
}
