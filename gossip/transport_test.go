package gossip

import (
	"io"
	"net"
	"testing"
)

// Whoever hangs up before they have said which cluster they are of are no strangers:
// members that crash do, and probes of whether a port is open.
func TestStrangers(t *testing.T) {
	m := join(t, Config{Cluster: "test"})
	for _, test := range []struct {
		says      string
		strangers uint64
	}{
		{"", 0},
		{"\xf4", 0},
		{"\xf4\x04te", 0},
		{"\xf4\x04test", 0},
		{"\xf4\x04text", 1},
		{"\xf4\x05tests", 2},
		{"\xf4\x00", 2}, // nobody writes that
		{"\x06 of no cluster", 3},
	} {
		c, err := net.Dial("tcp", m.Addr())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []byte(test.says) { // as it may come
			if _, err := c.Write([]byte{b}); err != nil {
				break
			}
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Logf("%q: %v", test.says, err)
		}
		_, _ = io.Copy(io.Discard, c) // until it is turned away
		_ = c.Close()
		if n := m.Health().LabelMismatches; n != test.strangers {
			t.Errorf("after %q: %d strangers, want %d", test.says, n, test.strangers)
		}
	}
}
