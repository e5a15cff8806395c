package coord

import "errors"

// NotSent reports whether an error says, by a method of that name, that nothing
// reached the endpoint. Refusals are known by it, and not by their package.
func NotSent(err error) bool {
	type notSent interface{ NotSent() bool }
	if e, ok := err.(notSent); ok { // spares an allocation
		return e.NotSent()
	}
	var e notSent
	return errors.As(err, &e) && e.NotSent()
}
