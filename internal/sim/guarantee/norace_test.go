//go:build !race

package guarantee_test

const raceEnabled = false
