package wire

import (
	"encoding/binary"
	"time"
)

const (
	headerSize = 2 // kind and version
	ageSize    = 4 // after the header, in verdicts only
)

// Age returns the age in an encoded Verdicts message, without decoding the
// rest; false if b is not one.
func Age(b []byte) (time.Duration, bool) {
	if !aged(b) {
		return 0, false
	}
	ms := binary.BigEndian.Uint32(b[headerSize:])
	return time.Duration(ms) * time.Millisecond, true
}

// SetAge overwrites the age in an encoded Verdicts message and leaves the rest
// as it is; false, and nothing changed, if b is not one. The age loses
// fractions of a millisecond and is kept within 0 to MaxAge.
func SetAge(b []byte, age time.Duration) bool {
	if !aged(b) {
		return false
	}
	binary.BigEndian.PutUint32(b[headerSize:], wireAge(age))
	return true
}

func aged(b []byte) bool {
	return len(b) >= headerSize+ageSize && Kind(b[0]) == KindVerdicts && b[1] == Version
}

func wireAge(d time.Duration) uint32 {
	return uint32(min(max(d, 0), MaxAge) / time.Millisecond)
}
