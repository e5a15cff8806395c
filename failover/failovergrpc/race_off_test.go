//go:build !race

package failovergrpc_test

// raceDetector says that the tests run with it, which allocates by itself.
const raceDetector = false
