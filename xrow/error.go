package xrow

import (
	"fmt"
	"strings"
)

// Code is Tarantool's number of an error. A Code is an error too, so that
// errors.Is(err, xrow.ErrReadonly) works.
type Code uint32

// Error is the symbol of the code, as in ER_READONLY without the prefix.
func (c Code) Error() string {
	if known, ok := errCodes[c]; ok {
		return known.symbol
	}
	return fmt.Sprintf("error %d", uint32(c))
}

// Error is what a client or a peer receives: all but Err cross the wire, Err
// is the cause and stays in our log.
type Error struct {
	Code    Code
	Type    string // class; empty: the usual one of the code, see Class
	Message string
	Fields  []byte // raw map of payload fields (key 6 of an error element); nil: none
	Err     error
}

func (e *Error) Error() string        { return e.Message }
func (e *Error) Unwrap() error        { return e.Err }
func (e *Error) Is(target error) bool { return target == e.Code }

// OutcomeUnknown tells whether an error says that nobody knows whether what was asked for was,
// or will be, done. All others are certain. Only code and text cross the wire.
func (e *Error) OutcomeUnknown() bool {
	return e.Code == ErrSyncTimeout || e.Code == ErrWALIO && strings.Contains(e.Message, "utcome") // of the transaction is unknown
}

// Errorf makes the error of a code, its text filled in with args, which it has as
// fields too, by the names that Tarantool gives them. Arguments beyond those of the text
// are fields alone.
func Errorf(c Code, args ...any) *Error {
	text := errCodes[c].text
	e := &Error{Code: c, Message: fmt.Sprintf(text, args[:min(len(args), strings.Count(text, "%"))]...)}
	if e.Class() == "ClientError" {
		e.Fields = appendArgs(c, args)
	}
	return e
}

// AccessDenied makes ER_ACCESS_DENIED: access ("Read", "Write", "Execute" ...)
// to an object of a type ("space", "universe" ...) is denied for user. Its
// class has fields of its own.
func AccessDenied(access, objectType, object, user string) *Error {
	return Errorf(ErrAccessDenied, access, objectType, object, user).
		With("object_type", objectType, "object_name", object, "access_type", access, "user", user)
}

// AnswerTooLarge is what a read gets whose answer would be of n bytes at least: a
// limit that is the same for all kinds of reads, and no shortage.
func AnswerTooLarge(n, limit int) *Error {
	e := Errorf(ErrMemoryIssue, n, "the answer", "tuples")
	e.Message += fmt.Sprintf(": an answer may have %d, ask for less by LIMIT and go on behind it", limit)
	return e
}

// Class is the name of the error's class, on which appliers of Tarantool
// act before they look at the code (Tarantool: applier_f).
func (e *Error) Class() string {
	if e.Type != "" {
		return e.Type
	}
	switch e.Code {
	case ErrAccessDenied:
		return "AccessDeniedError"
	case ErrXlogGap:
		return "XlogGapError"
	case ErrMemoryIssue:
		return "OutOfMemory"
	case ErrIllegalParams:
		return "IllegalParams"
	case ErrTimeout:
		return "TimedOut"
	case ErrSystem:
		return "SystemError"
	}
	return "ClientError"
}

func badMsgpack(what string, cause error) error {
	e := Errorf(ErrInvalidMsgpack, what)
	e.Err = cause
	return e
}

func missing(field string) error {
	return Errorf(ErrMissingRequestField, field)
}
