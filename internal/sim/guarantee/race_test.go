//go:build race

package guarantee_test

const raceEnabled = true
