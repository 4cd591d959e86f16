package config

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Mistake is one thing that is wrong. [Load] joins all of them in its error.
type Mistake struct {
	Where string // file:line, variable or flag; may be empty
	Path  string // of the option; empty: the whole
	Text  string // Tarantool's own words where it has some
}

// Error is the mistake in one line.
func (m *Mistake) Error() string { return location(m.Where, m.Path, m.Text) }

func location(where, path, text string) string {
	switch {
	case where != "" && path != "":
		return where + ": " + path + ": " + text
	case where != "":
		return where + ": " + text
	case path != "":
		return path + ": " + text
	}
	return text
}

// maxFindings bounds what a hopeless file makes us say.
const maxFindings = 200

// findings gathers mistakes and warnings.
type findings struct {
	mistakes []*Mistake
	warnings []Warning
	more     int // mistakes beyond maxFindings
}

func (f *findings) mistake(where, path, format string, args ...any) {
	m := Mistake{where, path, fmt.Sprintf(format, args...)}
	for _, old := range f.mistakes {
		if *old == m { // several instances inherit it
			return
		}
	}
	if len(f.mistakes) == maxFindings {
		f.more++
		return
	}
	f.mistakes = append(f.mistakes, &m)
}

func (f *findings) warn(where, path, format string, args ...any) {
	f.addWarning(Warning{Where: where, Path: path, Text: fmt.Sprintf(format, args...)})
}

func (f *findings) addWarning(w Warning) {
	if len(f.warnings) == maxFindings {
		return
	}
	for _, old := range f.warnings {
		if old == w {
			return
		}
	}
	f.warnings = append(f.warnings, w)
}

// err joins the mistakes in the order of the file.
func (f *findings) err() error {
	sort.SliceStable(f.mistakes, func(i, j int) bool {
		a, b := f.mistakes[i], f.mistakes[j]
		return lessWhere(a.Where, b.Where)
	})
	var errs []error
	for _, m := range f.mistakes {
		errs = append(errs, m)
	}
	if f.more > 0 {
		errs = append(errs, fmt.Errorf("and %d mistakes more", f.more))
	}
	return errors.Join(errs...)
}

// text is an error in Tarantool's words, which begin with a capital letter.
type text string

func (t text) Error() string { return string(t) }

func textf(format string, args ...any) error { return text(fmt.Sprintf(format, args...)) }

// lessWhere orders "file:line" places by line within a file.
func lessWhere(a, b string) bool {
	fileA, lineA := splitWhere(a)
	fileB, lineB := splitWhere(b)
	if fileA != fileB {
		return fileA < fileB
	}
	return lineA < lineB
}

func splitWhere(where string) (file string, line int) {
	i := strings.LastIndexByte(where, ':')
	if i < 0 {
		return where, 0
	}
	n, err := strconv.Atoi(where[i+1:])
	if err != nil {
		return where, 0
	}
	return where[:i], n
}
