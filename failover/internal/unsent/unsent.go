// Package unsent has the error of an attempt that could not be sent.
package unsent

// Error says that the fault lies in the request or in the configuration, and nothing
// was sent: that ends the call and is no evidence.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// NotSent tells the retry loop.
func (e *Error) NotSent() bool { return true }
