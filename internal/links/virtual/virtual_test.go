package virtual_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/internal/links/virtual"
)

// TestNetwork: packets come late and most of them, a split keeps them out, and an end that
// is closed is nobody's any more.
func TestNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := virtual.New(1)
		open := func(port int) memberlist.Transport {
			tr, _, err := n.Open("10.0.0.1", port, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = tr.Shutdown() })
			return tr
		}
		a, b := open(1), open(2)
		for _, port := range []int{0, 2} {
			if _, _, err := n.Open("10.0.0.1", port, nil); err == nil {
				t.Errorf("opened port %d", port)
			}
		}
		send := func() (got int) {
			for i := range 500 {
				if _, err := a.WriteTo([]byte(fmt.Sprint(i)), "10.0.0.1:2"); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			for {
				select {
				case <-b.PacketCh():
					got++
				case <-time.After(time.Second):
					return got
				}
				if late := time.Since(began); late <= 0 || late > 3*time.Millisecond {
					t.Fatalf("a packet came after %v", late)
				}
			}
		}
		if got := send(); got < 480 || got == 500 {
			t.Errorf("%d of 500 packets came, 1 %% are to be lost", got)
		}
		n.Split("10.0.0.1:2")
		if got := send(); got > 0 {
			t.Errorf("%d packets came across the split", got)
		}
		if _, err := a.DialTimeout("10.0.0.1:2", time.Second); err == nil {
			t.Error("dialled across the split")
		}
		n.Split()
		c, err := a.DialTimeout("10.0.0.1:2", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		in := <-b.StreamCh()
		go func() { _, _ = c.Write([]byte("x")); _ = c.Close() }()
		if text, err := io.ReadAll(in); string(text) != "x" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		if err := b.Shutdown(); err != nil {
			t.Fatal(err)
		}
		if _, err := a.DialTimeout("10.0.0.1:2", time.Second); err == nil {
			t.Error("dialled who is gone")
		}
		if _, _, err := n.Open("10.0.0.1", 2, nil); err != nil {
			t.Error(err)
		}
	})
}
