package standin

import "time"

// maxBuckets: gobreaker rounds the window up to whole buckets of a tenth, in
// whole nanoseconds, which takes an eleventh where the division leaves a rest.
const maxBuckets = 11

// window is gobreaker's rollingCounts, without what the local rule never reads
// (requests, exclusions, successes in a row). Its quirk is kept: failures in a
// row leave the window with their bucket only if they are all the failures that
// the window holds, so that with calls that overlap a row can outlive the window.
type window struct {
	sum    counts
	age    int64 // the number of the youngest bucket since the generation began
	n      int64 // buckets in use
	bucket [maxBuckets]counts
}

type counts struct{ ok, failed, inRow uint32 }

func (c *counts) success() { c.ok++; c.inRow = 0 }
func (c *counts) failure() { c.failed++; c.inRow++ }

// buckets returns the length of a bucket and how many make the window.
func buckets(whole time.Duration) (period time.Duration, n int64) {
	period = whole / 10
	return period, int64((whole + period - 1) / period)
}

func (w *window) clear() { *w = window{n: w.n} }

// success and failure count an outcome in the bucket of its attempt's start, if
// the window still has it.
func (w *window) success(age int64) {
	if w.age-age < w.n {
		w.sum.success()
		w.bucket[age%w.n].success()
	}
}

func (w *window) failure(age int64) {
	if w.age-age < w.n {
		w.sum.failure()
		w.bucket[age%w.n].failure()
	}
}

// grow makes age the youngest bucket.
func (w *window) grow(age int64) {
	if age-w.age >= w.n {
		w.clear()
		w.age = age
	}
	for w.age < age {
		w.age++
		w.forget(w.age % w.n)
	}
}

func (w *window) forget(i int64) {
	old := w.bucket[i]
	w.bucket[i] = counts{}
	w.sum.ok -= old.ok
	w.sum.failed -= old.failed
	if w.sum.inRow == old.inRow+w.sum.failed {
		w.sum.inRow -= old.inRow
	}
}
