// Package benchmarks compares Murmuration with its peers, side by side in one
// run. It is a module of its own, so that the peers do not end up in the
// dependency graph of those who use Murmuration.
//
//	cd benchmarks && go test -bench . -benchmem
//
// Absolute times depend on the machine; the ratios within one run are what
// counts, and TestRatios guards them.
package benchmarks
