//go:build race

package gossip_test

// racing says that the race detector slows everything down.
const racing = true
