//go:build race

package failovergrpc_test

const raceDetector = true
