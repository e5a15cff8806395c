//go:build race

package failover_test

const raceDetector = true
