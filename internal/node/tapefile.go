package node

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const tapeVersion = 4 // raised whenever a Call or what is in it has other fields

// tapeHead is the first line of a written tape; each further one is a Call.
type tapeHead struct {
	Version     int    `json:"tape"`
	Name        string `json:"name"`
	Incarnation uint64 `json:"incarnation"`
	Calls       int    `json:"calls"`
	Lost        int    `json:"lost,omitempty"`
}

// Write writes the tape as lines of JSON. Names must be UTF-8, as those of all
// that can be told to others are.
func (t *Tape) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	if err := e.Encode(tapeHead{tapeVersion, t.Name, t.Incarnation, len(t.Calls), t.Lost}); err != nil {
		return fmt.Errorf("node: write tape: %w", err)
	}
	for i := range t.Calls {
		if err := e.Encode(&t.Calls[i]); err != nil {
			return fmt.Errorf("node: write tape: call %d: %w", i, err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("node: write tape: %w", err)
	}
	return nil
}

// ReadTape reads what Write wrote. It fails on a tape that is of another version,
// incomplete or larger than one could have grown.
func ReadTape(r io.Reader) (*Tape, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var head tapeHead
	if err := d.Decode(&head); err != nil {
		return nil, fmt.Errorf("node: read tape: first line: %w", err)
	}
	if head.Version != tapeVersion {
		return nil, fmt.Errorf("node: read tape: it is of version %d; this is %d", head.Version, tapeVersion)
	}
	t := &Tape{Name: head.Name, Incarnation: head.Incarnation}
	for {
		var c Call
		err := d.Decode(&c)
		switch {
		case errors.Is(err, io.EOF) && len(t.Calls) == head.Calls:
			t.Lost = head.Lost
			return t, nil
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		case err == nil && (len(t.Calls) == head.Calls || !t.room(&c)):
			err = errors.New("the tape is too long")
		}
		if err != nil {
			return nil, fmt.Errorf("node: read tape: after %d calls of %d: %w", len(t.Calls), head.Calls, err)
		}
		t.Calls = append(t.Calls, c)
	}
}
