package law

import (
	"time"

	"github.com/murmuration-go/murmuration/internal/coord"
	"github.com/murmuration-go/murmuration/internal/wire"
)

// Decision is what a steward says of an endpoint.
type Decision struct {
	Phi       coord.Phi
	Mode      coord.Mode
	State     wire.State
	L0        time.Duration
	Thr       time.Duration
	Demand    float64 // first tries wanted per second
	Reporters int     // members heard in the last 5 s; 1 while dimmed on one member's word
	Failures  uint64  // in the last Window
	Outcomes  uint64
	Latency   time.Duration // mean of the successes in the last Window
	Window    time.Duration // two ticks; more in trouble, if nothing has ended of late
	Failing   int           // members that have seen an attempt fail in the last Window
	Pushback  time.Duration // how long retries are to wait

	Base coord.Phi // the dimmer in force, on which Phi was decided
	Ceil float64   // the load that was too much the last time, as a fraction of Demand; 1 if unknown
	Why  Why       // what led to the last step
}

// Why is what a step of the dimmer rests on.
type Why uint8

// The reasons.
const (
	Untouched Why = iota
	Tripped       // failures cost time, and successes are slow or absent
	Adopted       // found dimmed by a steward new to its office
	NoneWell      // an epoch in which hardly anything succeeded
	Tight         // an epoch whose successes were slow
	Draining      // slow still, but faster than in the epoch before
	Accepted      // slow, but not for load
	Clean         // an epoch in which all was well
	Over          // clean for long enough at full
	NotAlone      // what rested on one reporter's word ends when there is another
	Rested        // operators decide
)

func (y Why) String() string {
	return [...]string{"untouched", "tripped", "adopted", "none well", "tight", "draining", "accepted", "clean", "over", "not alone", "rested"}[y]
}
