package proc

// Settings is what box.cfg shows and sets. It is safe for concurrent use.
type Settings struct{}

// Change is a setting with its new value.
type Change struct {
	Name  string
	value value
}

func (s *Settings) get() []byte { return nil }
