// Package testscript reads the lines of scripts under testdata, which the tests of the
// machines (limbo, raft, instance) have in common: a verb, words by their place, and
// others by name.
//
//	submit 7 lsn=4 sync
package testscript

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/vclock"
)

// Words are a line. What a line lacks or what is no number ends the test.
type Words struct {
	T     testing.TB
	Line  string
	Verb  string
	Plain []string
	Named map[string]string
}

// Parse takes a line apart.
func Parse(t testing.TB, line string) Words {
	w := Words{T: t, Line: line, Named: map[string]string{}}
	for i, f := range strings.Fields(line) {
		switch k, v, ok := strings.Cut(f, "="); {
		case i == 0:
			w.Verb = f
		case ok:
			w.Named[k] = v
		default:
			w.Plain = append(w.Plain, f)
		}
	}
	return w
}

// Number reads an unsigned decimal number.
func (w Words) Number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		w.T.Fatalf("%s: %v", w.Line, err)
	}
	return n
}

// Num is a named number, 0 if it is not there.
func (w Words) Num(name string) uint64 {
	if w.Named[name] == "" {
		return 0
	}
	return w.Number(w.Named[name])
}

// List is a named list of numbers, as [Words.Numbers] reads it.
func (w Words) List(name string) []uint64 { return w.Numbers(w.Named[name]) }

// Numbers reads a list of numbers, split by slashes or commas.
func (w Words) Numbers(text string) (ns []uint64) {
	for _, p := range strings.FieldsFunc(text, func(r rune) bool { return r == '/' || r == ',' }) {
		ns = append(ns, w.Number(p))
	}
	return ns
}

// Word is the nth plain word, from 0 on.
func (w Words) Word(n int) string {
	if n >= len(w.Plain) {
		w.T.Fatalf("%s: too few words", w.Line)
	}
	return w.Plain[n]
}

// At is the nth plain word as a number.
func (w Words) At(n int) uint64 { return w.Number(w.Word(n)) }

// Peer is the first plain word as a replica ID.
func (w Words) Peer() uint32 { return uint32(w.At(0)) }

// Duration is the nth plain word as a duration, as 150ms.
func (w Words) Duration(n int) time.Duration {
	d, err := time.ParseDuration(w.Word(n))
	if err != nil {
		w.T.Fatalf("%s: %v", w.Line, err)
	}
	return d
}

// Has tells whether a plain word is there.
func (w Words) Has(word string) bool { return slices.Contains(w.Plain, word) }

// VClock reads 1:5,2:3; nothing and a dash are an empty one.
func (w Words) VClock(text string) (v vclock.VClock) {
	if text == "" || text == "-" {
		return v
	}
	for _, f := range strings.Split(text, ",") {
		id, lsn, _ := strings.Cut(f, ":")
		v[w.Number(id)] = w.Number(lsn)
	}
	return v
}
