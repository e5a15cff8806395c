//go:build !race

package failoverhttp_test

// racing says that the race detector slows everything down.
const racing = false
