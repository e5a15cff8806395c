// Package race tells tests whether the race detector is on, which makes everything
// slow and lets pools forget.
package race
