package counted_test

import (
	"fmt"
	"io"
	"log"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/internal/links"
	"github.com/murmuration-go/murmuration/internal/links/counted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMeter: packets and both directions of a stream are counted, once.
func TestMeter(t *testing.T) {
	var m counted.Meter
	open := m.Over(links.Sockets)
	silent := log.New(io.Discard, "", 0)
	a, _, err := open("127.0.0.1", 0, silent)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Shutdown()
	b, port, err := open("127.0.0.1", 0, silent)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Shutdown()
	addr := fmt.Sprint("127.0.0.1:", port)

	if _, err := a.WriteTo(make([]byte, 70), addr); err != nil {
		t.Fatal(err)
	}
	<-b.PacketCh()
	conn, err := a.DialTimeout(addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	in := <-b.StreamCh()
	if _, err := io.ReadFull(in, make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if b, err := io.ReadAll(conn); err != nil || len(b) != 10 {
		t.Fatal(len(b), err)
	}
	conn.Close()
	if got, want := m.Sent(), (counted.Sent{Packets: 1, Bytes: 100, Streams: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, err := a.DialTimeout("127.0.0.1:none", time.Second); err == nil {
		t.Error("dialled nobody")
	}
	if _, _, err := open("127.0.0.1", port, silent); err == nil {
		t.Error("a port was opened twice")
	}
}
