// Package script is a small language in which a simulated cluster is told what
// befalls it. Scenario files are written in it, and random histories are drawn,
// run, shrunk and printed in it.
//
// A line is a command with its arguments, or prose if it begins with #. What is
// indented is what an earlier run has written, and is passed over. Commands of
// the setup come first; all others happen at once, and only "run" lets time pass:
//
//	members 12
//	load 800
//	run 10s
//	# Ten seconds without an answer.
//	stall 10s
//	run 5s
//	show
//
// The commands are listed in commands.go. A fault with a length ends by itself.
// "member 2" is the third of the members that live, "steward 0" the best of the
// stewards; a command that finds nobody to act on does nothing.
package script

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// Script is what befalls a cluster, line by line.
type Script []Line

// Line is a command with its arguments, or prose. Which of the fields a command
// uses, its form says; the others are zero.
type Line struct {
	Name  string // of the command; "" for prose
	Prose string // with its #; "" for a blank line

	Who    Who
	N      uint64
	X      float64 // a rate, a factor or a share
	For    time.Duration
	Word   string
	OneWay bool
	Net    sim.Network
}

// Who is on whom a command acts. The zero Who is everybody, or nobody in
// particular.
type Who struct {
	Kind string // "member", "steward", "other" (than a steward) or "all"
	I    int
}

func (w Who) String() string {
	if w.Kind == "member" || w.Kind == "steward" {
		return fmt.Sprintf("%s %d", w.Kind, w.I)
	}
	return w.Kind
}

func (l Line) String() string {
	c, ok := find(l.Name)
	if !ok {
		return l.Prose
	}
	words := []string{l.Name}
	for i := range c.form {
		if s := c.form[i].write(&l); s != "" {
			words = append(words, s)
		}
	}
	return strings.Join(words, " ")
}

// String writes the script as Parse reads it.
func (s Script) String() string {
	var b strings.Builder
	for _, l := range s {
		b.WriteString(l.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Parse reads a script. The error names every line that is wrong, and what would
// be right.
func Parse(r io.Reader) (Script, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var s Script
	var faults []error
	began := ""
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			continue
		}
		l, err := parse(line)
		if err == nil && l.Name != "" {
			switch c, _ := find(l.Name); {
			case c.do == nil && began != "":
				err = fmt.Errorf("%s belongs to the setup, and %s has already begun; put it before", l.Name, began)
			case c.begins(&l) && began == "":
				began = l.Name
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", number, err))
			continue
		}
		s = append(s, l)
	}
	return s, errors.Join(faults...)
}

func parse(line string) (l Line, err error) {
	line = strings.TrimRight(line, " \t\r\n")
	words := strings.Fields(line)
	if len(words) == 0 {
		return Line{}, nil
	}
	if strings.HasPrefix(line, "#") {
		return Line{Prose: line}, nil
	}
	c, ok := find(words[0])
	if !ok {
		return l, fmt.Errorf("there is no command %q; there are %s", words[0], names())
	}
	l.Name = c.name
	rest := words[1:]
	for i := range c.form {
		if rest, err = c.form[i].read(&l, rest); err != nil {
			return l, fmt.Errorf("%s: %w; its form is: %s", c.name, err, c.usage())
		}
	}
	if len(rest) > 0 {
		return l, fmt.Errorf("%s: %q is too much; its form is: %s", c.name, strings.Join(rest, " "), c.usage())
	}
	return l, nil
}
