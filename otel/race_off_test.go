//go:build !race

package otel_test

const raceDetector = false
