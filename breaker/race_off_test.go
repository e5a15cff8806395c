//go:build !race

package breaker_test

// raceDetector says that the tests run with it, which allocates by itself.
const raceDetector = false
