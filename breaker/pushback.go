package breaker

import (
	"errors"
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
)

// heed takes note, for the cluster, of an endpoint's wish to be left alone. An
// error tells it by a method, as those of retry.After do, so that the breaker need
// not know who made it. It is no matter whether the error counts as a failure: a
// refusal for too many requests does not.
func (b *Breaker) heed(err error) {
	if err == nil || b.shared == nil {
		return
	}
	var p interface{ Pushback() time.Duration }
	if errors.As(err, &p) {
		b.shared.PushedBack(coord.Now(), p.Pushback())
	}
}

// Pushback reports how long the cluster lets the endpoint alone, for its own sake:
// until then retries are to wait. It is 0 unless the endpoint has asked two members
// within 5 s. First tries do not wait, and the breaker refuses nobody for it.
func (b *Breaker) Pushback() time.Duration { return b.shared.Advice().Pushback(coord.Now()) }

// Failing is about how many members have seen attempts at the endpoint fail in the
// last half second, 0 when that is unknown.
func (b *Breaker) Failing() int { return b.shared.Advice().Failing }
