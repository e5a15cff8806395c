package faulty_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"

	"github.com/murmuration-go/murmuration/internal/links"
	"github.com/murmuration-go/murmuration/internal/links/faulty"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// end is one member's end of the network.
type end struct {
	memberlist.Transport
	addr string
	port int
}

func open(ctx context.Context, t *testing.T) end {
	t.Helper()
	tr, port, err := links.Open(ctx, "127.0.0.1", 0, log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		closed := make(chan error)
		go func() { closed <- tr.Shutdown() }()
		for { // what nobody read holds up the closing
			select {
			case <-tr.PacketCh():
			case err := <-closed:
				if err != nil {
					t.Error(err)
				}
				return
			}
		}
	})
	return end{tr, fmt.Sprint("127.0.0.1:", port), port}
}

func (e end) send(t *testing.T, to end, text string) {
	t.Helper()
	if _, err := e.WriteTo([]byte(text), to.addr); err != nil {
		t.Fatal(err)
	}
}

// gets wants the next packet to be text: what was sent before has been lost.
func (e end) gets(t *testing.T, text string) {
	t.Helper()
	select {
	case p := <-e.PacketCh():
		if string(p.Buf) != text {
			t.Errorf("got %q, want %q", p.Buf, text)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%q has not come", text)
	}
}

func TestNetwork(t *testing.T) {
	n := faulty.New(1)
	ctx := links.With(t.Context(), n.Open)
	a, b, c := open(ctx, t), open(ctx, t), open(ctx, t)

	a.send(t, b, "whole")
	b.gets(t, "whole")

	n.Split(a.port)
	a.send(t, b, "lost in the split")
	b.send(t, a, "lost in the split")
	c.send(t, b, "on the same side")
	b.gets(t, "on the same side")
	if conn, err := a.DialTimeout(b.addr, time.Second); err == nil {
		_ = conn.Close()
		t.Error("dialled across the split")
	}
	n.Split()
	b.send(t, a, "healed")
	a.gets(t, "healed")
	conn, err := a.DialTimeout(b.addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = conn.Write([]byte("stream"))
		_ = conn.Close()
	}()
	in := <-b.StreamCh()
	if text, err := io.ReadAll(in); err != nil || !bytes.Equal(text, []byte("stream")) {
		t.Errorf("%q, %v", text, err)
	}
	_ = in.Close()

	n.Lose(1)
	a.send(t, b, "lost")
	n.Lose(0)
	n.Delay(time.Second, time.Second)
	a.send(t, b, "late")
	n.Delay(0, 0)
	a.send(t, b, "at once")
	b.gets(t, "at once")
	b.gets(t, "late")

	n.Repeat(1)
	a.send(t, b, "twice")
	n.Repeat(0)
	a.send(t, b, "once")
	for _, text := range []string{"twice", "twice", "once"} {
		b.gets(t, text)
	}

	n.Delay(time.Second, 1100*time.Millisecond)
	a.send(t, b, "under way when the network splits")
	n.Split(a.port)
	c.send(t, b, "after it")
	b.gets(t, "after it")
	n.Split()

	for _, addr := range []string{"nowhere", "127.0.0.1:none"} {
		if _, err := a.WriteTo(nil, addr); err == nil {
			t.Errorf("wrote to %q", addr)
		}
		if _, err := a.DialTimeout(addr, time.Second); err == nil {
			t.Errorf("dialled %q", addr)
		}
	}
}

// TestLoss: about the share that is asked for is lost, the same for the same seed.
func TestLoss(t *testing.T) {
	n := faulty.New(7)
	n.Lose(.5)
	ctx := links.With(t.Context(), n.Open)
	a, b := open(ctx, t), open(ctx, t)
	const sent = 60
	for i := range sent {
		a.send(t, b, fmt.Sprint(i))
	}
	n.Lose(0)
	a.send(t, b, "end")
	got := 0
	for p := range b.PacketCh() {
		if string(p.Buf) == "end" {
			break
		}
		got++
	}
	if got < sent/4 || got > sent*3/4 {
		t.Errorf("%d of %d packets came", got, sent)
	}
}

func TestSocketsByDefault(t *testing.T) {
	a, b := open(t.Context(), t), open(t.Context(), t)
	a.send(t, b, "plain")
	b.gets(t, "plain")
	if _, _, err := links.Open(t.Context(), "127.0.0.1", a.port, log.New(io.Discard, "", 0)); err == nil {
		t.Error("a port was opened twice")
	}
}
