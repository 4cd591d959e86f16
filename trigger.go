package tarragon

import (
	"fmt"
	"maps"
	"slices"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/xrow"
)

// TriggerOp is what a trigger is told that a client has asked for.
type TriggerOp = xrow.Type

// Requests that run triggers.
const (
	OpInsert  TriggerOp = xrow.Insert
	OpReplace TriggerOp = xrow.Replace
	OpUpdate  TriggerOp = xrow.Update
	OpDelete  TriggerOp = xrow.Delete
	OpUpsert  TriggerOp = xrow.Upsert
)

// BeforeReplace has f run before a statement changes a space, by its name: with the tuple that is
// there and the one that the statement would leave, each nil where there is none. What it returns is
// left instead: new as it is, another tuple with the same primary key, nil for no tuple, or old for
// no change. An error fails the statement; so does a panic.
//
// Triggers of a space run one behind the other in the order of these calls, each with the
// tuple that the one before has returned; then the statement runs; then those of OnReplace.
//
// A trigger runs where the statement of a client does, of this program or another one: at the
// leader, or here for a local space. It does not run for rows of the log or of another member,
// which are what came of it: each member that may lead has to have the same ones. It runs in the loop
// through which all writes go, and with nobody else: it must be quick and pure. What it returns depends on
// its arguments alone; it calls nothing of the DB, which would wait for itself, and what it
// does elsewhere may be for a statement that is rolled back.
func (c *Config) BeforeReplace(space string, f func(old, new Tuple, op TriggerOp) (Tuple, error)) {
	h := c.hooks(space)
	h.Before = append(h.Before, func(old, new []byte, op xrow.Type) ([]byte, error) { return f(old, new, op) })
}

// OnReplace has f run behind each change of a space by a statement, see BeforeReplace. An error
// undoes the statement, and fails it; so does a panic. A change is not committed yet, and may
// be rolled back.
func (c *Config) OnReplace(space string, f func(old, new Tuple, op TriggerOp) error) {
	h := c.hooks(space)
	h.On = append(h.On, func(old, new []byte, op xrow.Type) error { return f(old, new, op) })
}

func (c *Config) hooks(space string) *box.Hooks {
	if c.triggers == nil {
		c.triggers = map[string]*box.Hooks{}
	}
	if c.triggers[space] == nil {
		c.triggers[space] = &box.Hooks{}
	}
	return c.triggers[space]
}

// checkTriggers refuses those that would never run.
func (c *Config) checkTriggers() error {
	system := box.New(box.Config{}) // has no others
	for _, space := range slices.Sorted(maps.Keys(c.triggers)) {
		if _, is := system.ResolveSpace(space); is || space == "" {
			return fmt.Errorf("tarragon: a trigger for space %q: system spaces have none", space)
		}
	}
	return nil
}
