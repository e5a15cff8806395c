package wire

import "fmt"

// ErrorKind says in which way a message is unfit. The kinds number from 0 to
// NumErrorKinds-1, so that drops can be counted in an array.
type ErrorKind uint8

// The kinds of error.
const (
	Truncated    ErrorKind = iota // ends in the middle of something
	TooLarge                      // over MaxMessage
	Future                        // version above ours
	UnknownKind                   // neither a report nor verdicts
	NonCanonical                  // right, but not written in the one form allowed
	BadName                       // empty, too long or not UTF-8
	BadValue                      // a number outside its limits
	TooManyRows                   // over MaxRows
	Trailing                      // zero padding after the last section
	Missing                       // no origin, or a service without rows
)

// NumErrorKinds is the number of error kinds.
const NumErrorKinds = int(Missing) + 1

var kindNames = [NumErrorKinds]string{
	"truncated", "too-large", "future", "unknown-kind", "non-canonical",
	"bad-name", "bad-value", "too-many-rows", "trailing", "missing",
}

// String returns the kind's name, fit for a metric attribute.
func (k ErrorKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Error is the error of every function of this package. Detail says where and
// what, for people; it never quotes the message.
type Error struct {
	Kind   ErrorKind
	Detail string
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return "wire: " + e.Kind.String()
	}
	return "wire: " + e.Kind.String() + ": " + e.Detail
}

// Is reports whether target is an Error of the same kind without a detail, such
// as the sentinels below.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Detail == ""
}

// What can be wrong with a value to encode, for errors.Is.
var (
	ErrTooLarge    error = &Error{Kind: TooLarge}
	ErrTooManyRows error = &Error{Kind: TooManyRows}
	ErrBadName     error = &Error{Kind: BadName}
	ErrBadValue    error = &Error{Kind: BadValue}
)

func errorf(kind ErrorKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// in says which row an error is about.
func (e *Error) in(row int) *Error {
	return &Error{Kind: e.Kind, Detail: fmt.Sprintf("row %d: %s", row, e.Detail)}
}
