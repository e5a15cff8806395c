package coord

import "time"

var epoch = time.Now()

// Now returns the monotonic time since an arbitrary instant of this process.
// It reads only the monotonic clock, half the price of time.Now; only
// differences between two readings mean anything.
func Now() time.Duration { return time.Since(epoch) }
