package node

import (
	"errors"

	"github.com/murmuration-go/murmuration/internal/wire"
)

// Drop says why a well-formed message or row was not heeded.
type Drop uint8

// The reasons.
const (
	DropStale      Drop = iota // not newer than what is held: replayed, repeated or late
	DropStranger               // from somebody who is not a live member
	DropNotSteward             // a verdict by a member that is not a steward of the service
	DropNotMine                // a report about a service that this node does not watch over
	DropFull                   // one service, endpoint or reporter too many
	DropPaced                  // one wish for a loan too many in a second
	NumDrops
)

func (d Drop) String() string {
	return [...]string{"stale", "stranger", "not-steward", "not-mine", "full", "paced"}[d]
}

// Stats counts what a node has handled since it started.
type Stats struct {
	Received  uint64 // messages
	Reports   uint64 // rows taken in
	Verdicts  uint64 // rows taken in
	Asks      uint64 // wishes for a loan sent
	Answers   uint64 // to those of others, empty ones included
	Lent      uint64 // loans sent
	Borrowed  uint64 // loans taken in
	Dropped   [NumDrops]uint64
	Malformed [wire.NumErrorKinds]uint64
}

// Drop counts something that was not heeded.
func (s *Stats) Drop(d Drop) { s.Dropped[d]++ }

func (s *Stats) malformed(err error) {
	var e *wire.Error
	if errors.As(err, &e) && int(e.Kind) < len(s.Malformed) {
		s.Malformed[e.Kind]++
		return
	}
	s.Malformed[0]++
}

// Stats returns the counts so far.
func (n *Node) Stats() Stats { return n.stats }
