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

// BenchmarkLoad loads a snapshot of 75-byte tuples in key order, as a view
// shows them, and in any order, as a HASH index of Tarantool sends them.
func BenchmarkLoad(b *testing.B) {
	for _, order := range []string{"key", "hash"} {
		b.Run(order, func(b *testing.B) {
			w := newWorld(b)
			w.space(512, "t", m{}, nil, pkIndex([]any{0, "unsigned"}))
			_, load := dump(b, w.b.OpenView(), 100)
			box := New(Config{})
			if err := load(box); err != nil {
				b.Fatal(err)
			}
			tuple := []byte(nil)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				key := uint64(i)
				if order == "hash" {
					key *= 0x9e3779b97f4a7c15
				}
				tuple = benchTuple(tuple[:0], key)
				if err := box.Load(512, tuple); err != nil {
					b.Fatal(err)
				}
			}
			if err := box.LoadDone(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
