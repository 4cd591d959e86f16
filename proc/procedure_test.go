package proc

import (
	"errors"
	"testing"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// programOf are procedures by name and version. They return at once: the number of the user
// that they run as, and their arguments; or an error.
type programOf map[string]uint32

func (p programOf) Version(name string) (version uint32, ok bool) {
	version, ok = p[name]
	return version, ok
}

func (p programOf) Start(r Run) error {
	as, err := r.As()
	if r.Name == "fails" {
		err = errors.New("it has failed")
	}
	var data []byte
	if err == nil {
		data, err = r.Data([][]byte{mp.Encode(as.User()), r.Args})
	}
	r.Done(data, err)
	return nil
}

func (p programOf) Info() ProceduresInfo {
	return ProceduresInfo{Running: 1, Limit: 5, All: []ProcedureInfo{{Name: "f", Version: 2, Running: 1, Calls: 4, Failed: 2, Again: 3}}}
}

// An answer of a procedure has the bounds of others, and waits for its turn when it is
// large.
func TestProcedureAnswer(t *testing.T) {
	large := mp.Encode([]any{make([]byte, LargeAnswer)})
	turns := 0
	c := newCaller(t, instance.ModeCandidate, func(e *Env) {
		e.Procedures, e.MaxAnswer = programOf{"f": 1}, LargeAnswer+20
	})
	call := func(args []byte, later error) (err *xrow.Error) {
		answered := false
		c.p.Call(Call{User: 1, Type: xrow.Call, Name: "f", Args: args,
			Later: func() (func(), error) { turns++; return func() { turns += 10 }, later },
			Reply: func(_ []byte, e *xrow.Error) {
				if turns >= 10 {
					t.Error("answered behind its turn")
				}
				answered, err = true, e
			}})
		if !answered {
			t.Error("no answer")
		}
		return err
	}
	if err := call(mp.Encode([]any{1}), nil); err != nil || turns != 0 {
		t.Errorf("a small one: %v, %d", err, turns)
	}
	if err := call(large, nil); err != nil || turns != 11 {
		t.Errorf("a large one: %v, %d", err, turns)
	}
	turns = 0
	if err := call(large, errors.New("no room")); err == nil || err.Message != "no room" || turns != 1 {
		t.Errorf("without room: %v, %d", err, turns)
	}
	if err := call(mp.Encode([]any{make([]byte, LargeAnswer+10)}), nil); err == nil || err.Code != xrow.ErrMemoryIssue {
		t.Errorf("too large: %v", err)
	}
}
