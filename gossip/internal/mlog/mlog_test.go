package mlog

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

func TestLevels(t *testing.T) {
	for line, want := range map[string]string{
		"[DEBUG] memberlist: Stream connection from=x\n": `level=DEBUG msg="memberlist: Stream connection from=x"`,
		"[INFO] memberlist: Marking x as failed":         `level=INFO msg="memberlist: Marking x as failed"`,
		"[WARN] memberlist: slow":                        `level=WARN msg="memberlist: slow"`,
		"[ERR] memberlist: bad":                          `level=ERROR msg="memberlist: bad"`,
		"[ERROR] memberlist: bad":                        `level=ERROR msg="memberlist: bad"`,
		"[ERR] Failed to shutdown":                       `level=ERROR msg="memberlist: Failed to shutdown"`,
		"Err: Could not set the deadline":                `level=WARN msg="memberlist: Err: Could not set the deadline"`,
		"[FATAL] memberlist: x":                          `level=WARN msg="memberlist: [FATAL] memberlist: x"`,
		"[WARN] memberlist: \xff name":                   "level=WARN msg=\"memberlist: \uFFFD name\"",
		"[":                                              `level=WARN msg="memberlist: ["`,
		"":                                               `level=WARN msg="memberlist: "`,
		"[WARN] memberlist: two\nlines level=ERROR msg=x": `level=WARN msg="memberlist: two\nlines level=ERROR msg=x"`,
	} {
		var out bytes.Buffer
		h := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		b := New(slog.New(h))
		if n, err := b.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%q: wrote %d, %v", line, n, err)
		}
		if got := strings.TrimSuffix(out.String(), "\n"); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

func TestLimit(t *testing.T) {
	var out bytes.Buffer
	b := New(slog.New(slog.NewTextHandler(&out, nil)))
	l := b.Logger()
	for range 10_000 {
		l.Print("[DEBUG] memberlist: costs nothing, the level is off")
	}
	if out.Len() > 0 {
		t.Fatalf("debug lines: %s", &out)
	}
	for range 1000 {
		l.Print("[WARN] memberlist: again")
	}
	n := strings.Count(out.String(), "again")
	if n < Burst || n > Burst+10 {
		t.Errorf("%d lines passed, the burst is %d", n, Burst)
	}
	out.Reset()
	b.limit = rate.NewLimiter(rate.Every(time.Nanosecond), 1)
	l.Print("[WARN] memberlist: later")
	if !strings.Contains(out.String(), "suppressed=9") {
		t.Errorf("the next line does not tell of those held back: %s", &out)
	}
	out.Reset()
	l.Print("[WARN] memberlist: last")
	if strings.Contains(out.String(), "suppressed") {
		t.Errorf("told twice: %s", &out)
	}
}

func TestClassify(t *testing.T) {
	b := New(slog.New(slog.NewTextHandler(io.Discard, nil)))
	want := map[Trouble]uint64{}
	for text, trouble := range map[string]Trouble{
		`discarding packet with unacceptable label "x": from=1.2.3.4:5`:                              Label,
		`discarding stream with unacceptable label "": from=1.2.3.4:5`:                               Label,
		`failed to receive and remove the stream label header: EOF from=1.2.3.4:5`:                   Label,
		`Decrypt packet failed: no installed keys could decrypt the message from=1.2.3.4:5`:          Key,
		`Decrypt packet failed: payload is too small to decrypt: 3 from=1.2.3.4:5`:                   Key,
		`failed to receive: encryption is configured but remote state is not encrypted from=1.2.3.4`: Key,
		`failed to receive: remote state is encrypted and encryption is not configured from=1.2.3.4`: Key,
		`failed to join 1.2.3.4:5: EOF`:                                                              HungUp,
		`failed to join 1.2.3.4:5: read tcp 1.2.3.4:1->1.2.3.4:5: read: connection reset by peer`:    HungUp,
		`failed to join 1.2.3.4:5: dial tcp 1.2.3.4:5: connect: connection refused`:                  Other,
		`Marking x as failed, suspect timeout reached`:                                               Other,
		``: Other,
	} {
		if got := Classify(text); got != trouble {
			t.Errorf("%q is %d, want %d", text, got, trouble)
		}
		b.Logger().Print("[ERR] memberlist: " + text)
		want[trouble]++
	}
	for trouble, n := range want {
		if got := b.Count(trouble); got != n {
			t.Errorf("%d lines of trouble %d, want %d", got, trouble, n)
		}
	}
}
