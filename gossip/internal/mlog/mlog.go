// Package mlog reads the lines that memberlist logs: it passes them on to a
// slog.Logger and tells what they say about peers that cannot be understood.
package mlog

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Bridge turns memberlist's lines, "[WARN] memberlist: text", into records of a
// slog.Logger and counts what they tell of traffic that could not be read. It
// passes on at most Burst lines at once and Rate a second in the long run; the
// next line says how many were held back. It is safe for concurrent use.
type Bridge struct {
	to     *slog.Logger
	limit  *rate.Limiter
	held   atomic.Uint64 // lines not passed on since the last one that was
	counts [troubles]atomic.Uint64
}

// The limit of lines.
const (
	Rate  = 2 // a second
	Burst = 20
)

// Count returns how many lines told of that trouble.
func (b *Bridge) Count(t Trouble) uint64 { return b.counts[t].Load() }

// New returns a bridge to a logger.
func New(to *slog.Logger) *Bridge {
	return &Bridge{to: to, limit: rate.NewLimiter(Rate, Burst)}
}

// Logger returns the logger to give to memberlist.
func (b *Bridge) Logger() *log.Logger { return log.New(b, "", 0) }

// Write takes one line; log.Logger sees to that.
func (b *Bridge) Write(line []byte) (int, error) {
	level, text := splitLine(line)
	b.counts[Classify(text)].Add(1)
	ctx := context.Background()
	if !b.to.Enabled(ctx, level) {
		return len(line), nil
	}
	if !b.limit.AllowN(time.Now(), 1) {
		b.held.Add(1)
		return len(line), nil
	}
	var attrs []slog.Attr
	if held := b.held.Swap(0); held > 0 {
		attrs = append(attrs, slog.Uint64("suppressed", held))
	}
	b.to.LogAttrs(ctx, level, "memberlist: "+text, attrs...)
	return len(line), nil
}

var levels = map[string]slog.Level{
	"DEBUG": slog.LevelDebug,
	"INFO":  slog.LevelInfo,
	"WARN":  slog.LevelWarn,
	"ERR":   slog.LevelError,
	"ERROR": slog.LevelError,
}

// splitLine separates the level and the text of a line. A line without a level
// is a warning.
func splitLine(line []byte) (slog.Level, string) {
	line = bytes.TrimRight(line, "\n")
	level := slog.LevelWarn
	if rest, ok := bytes.CutPrefix(line, []byte("[")); ok {
		if name, rest, ok := bytes.Cut(rest, []byte("] ")); ok {
			if l, ok := levels[string(name)]; ok {
				level, line = l, rest
			}
		}
	}
	text := strings.TrimPrefix(string(line), "memberlist: ")
	return level, strings.ToValidUTF8(text, "\uFFFD")
}

// Trouble is what a line or an error of memberlist says about a peer that
// cannot be understood. memberlist has no typed errors, so the text decides;
// package gossip's tests see to it that the texts still occur.
type Trouble uint8

// The kinds of trouble.
const (
	Other  Trouble = iota
	Key            // encrypted with another key, or only one side encrypts
	Label          // of another cluster
	HungUp         // the peer closed the connection without an answer
	troubles
)

// texts are what lines of each kind contain.
var texts = [troubles][]string{
	Label: {"unacceptable label", "label header"},
	Key: {
		"Decrypt packet failed", "no installed keys could decrypt", "remote state is not encrypted",
		"encryption is not configured", "too small to decrypt", "unsupported encryption version",
	},
	HungUp: {"EOF", "connection reset by peer"},
}

// Classify says what trouble a line or an error tells of.
func Classify(text string) Trouble {
	for _, t := range []Trouble{Label, Key, HungUp} {
		for _, part := range texts[t] {
			if strings.Contains(text, part) {
				return t
			}
		}
	}
	return Other
}
