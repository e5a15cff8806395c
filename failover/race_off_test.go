//go:build !race

package failover_test

// raceDetector says that the tests run with it, which allocates by itself.
const raceDetector = false
