package xrow

import (
	"fmt"

	"github.com/tinylib/msgp/msgp"
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

// Errorf makes the error of a code, its text filled in with args.
func Errorf(c Code, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(errCodes[c].text, args...)}
}

// AccessDenied makes ER_ACCESS_DENIED: access ("Read", "Write", "Execute" ...)
// to an object of a type ("space", "universe" ...) is denied for user. Its
// class has fields of its own.
func AccessDenied(access, objectType, object, user string) *Error {
	e := Errorf(ErrAccessDenied, access, objectType, object, user)
	e.Fields = msgp.AppendMapHeader(nil, 4)
	for _, field := range [...][2]string{
		{"object_type", objectType}, {"object_name", object}, {"access_type", access}, {"user", user},
	} {
		e.Fields = msgp.AppendString(e.Fields, field[0])
		e.Fields = msgp.AppendString(e.Fields, field[1])
	}
	return e
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
	return &Error{Code: ErrInvalidMsgpack, Message: "Invalid MsgPack - " + what, Err: cause}
}

func missing(field string) error {
	return &Error{Code: ErrMissingRequestField, Message: fmt.Sprintf("Missing mandatory field '%s' in request", field)}
}
