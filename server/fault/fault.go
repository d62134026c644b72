// Package fault holds the one kind of error that a caller may tell apart.
//
// Everything below the web's edge returns a *fault.Error where the caller must
// decide by it, and an ordinary wrapped error elsewhere. Only package web knows
// which HTTP status a Kind becomes. Code and Detail are shown to people: they
// never contain a number, a name, an address, or anything that was typed in.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the class of a fault; package web turns it into an HTTP status.
type Kind string

// The kinds, with the HTTP status that package web gives them.
const (
	Malformed    Kind = "malformed"    // 400: the request cannot be read
	Unauthorized Kind = "unauthorized" // 401: nobody, or an ended sign-in
	Forbidden    Kind = "forbidden"    // 403: somebody, but not allowed
	NotFound     Kind = "not-found"    // 404: not there, or not theirs
	Conflict     Kind = "conflict"     // 409: not in this state
	Gone         Kind = "gone"         // 410: was there, and has ended
	Refused      Kind = "refused"      // 422: understood, and refused
	TooMany      Kind = "too-many"     // 429: later
	Internal     Kind = "internal"     // 500: our own fault
	Unavailable  Kind = "unavailable"  // 503: something we need is down
)

// Error is a fault that a caller may tell apart.
type Error struct {
	Kind   Kind
	Code   string // stable, kebab-case; listed in /openapi.json
	Detail string // one English sentence for people; says nothing of the input
	Say    string // the sentence that is told instead of the code's own; "": the code's
	Args   []any  // what is put into that sentence: counts, never a person's
	Err    error  // the cause, for the log only; may be nil

	// SupportCode is what a user reads out to support, when the refusal was noted.
	SupportCode string

	// RetryAfter is how long the caller should wait; 0 says nothing.
	RetryAfter time.Duration
}

// New makes a fault without a cause.
func New(kind Kind, code, detail string) *Error {
	return &Error{Kind: kind, Code: code, Detail: detail}
}

// Wrap makes a fault with a cause, which goes to the log and to nobody else.
func Wrap(err error, kind Kind, code, detail string) *Error {
	return &Error{Kind: kind, Code: code, Detail: detail, Err: err}
}

// Error gives kind, code and cause; Detail is for people and not part of it.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s %s: %v", e.Kind, e.Code, e.Err)
	}
	return fmt.Sprintf("%s %s", e.Kind, e.Code)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes two faults with the same code equal to errors.Is.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Kind == e.Kind && t.Code == e.Code
}

// Of finds the fault in an error's chain; ok is false when there is none.
func Of(err error) (f *Error, ok bool) {
	ok = errors.As(err, &f)
	return f, ok
}

// Code gives the code of the fault in err's chain, or "" when there is none.
func Code(err error) string {
	if f, ok := Of(err); ok {
		return f.Code
	}
	return ""
}
