//go:build !race

package retry_test

// raceDetector says that the tests run with it, which allocates by itself.
const raceDetector = false
