package script

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/murmuration-go/murmuration/internal/sim"
)

// param is one argument of a command: how it is called in its form, and how it is
// read from words and written.
type param struct {
	name     string
	optional bool
	read     func(l *Line, words []string) (rest []string, err error)
	write    func(l *Line) string
}

// optional is a parameter that may be left out. It is, if there are no words left
// or if they cannot be it and others may follow.
func optional(p param) param {
	read := p.read
	p.name, p.optional = "["+p.name+"]", true
	p.read = func(l *Line, words []string) ([]string, error) {
		if len(words) == 0 {
			return words, nil
		}
		return read(l, words)
	}
	return p
}

// one is a parameter of one word.
func one(name string, set func(l *Line, word string) error, write func(l *Line) string) param {
	return param{name: name, write: write, read: func(l *Line, words []string) ([]string, error) {
		if len(words) == 0 {
			return nil, fmt.Errorf("%s is missing", name)
		}
		return words[1:], set(l, words[0])
	}}
}

func number(name string, least, most uint64) param {
	return one(name, func(l *Line, word string) (err error) {
		if l.N, err = strconv.ParseUint(word, 10, 64); err != nil || l.N < least || l.N > most {
			return fmt.Errorf("%s is %q; it is to be a whole number from %d to %d", name, word, least, most)
		}
		return nil
	}, func(l *Line) string { return strconv.FormatUint(l.N, 10) })
}

func amount(name string, least, most float64) param {
	return one(name, func(l *Line, word string) (err error) {
		if l.X, err = strconv.ParseFloat(word, 64); err != nil || !(l.X >= least && l.X <= most) {
			return fmt.Errorf("%s is %q; it is to be a number from %v to %v", name, word, least, most)
		}
		return nil
	}, func(l *Line) string { return strconv.FormatFloat(l.X, 'g', -1, 64) })
}

func share() param {
	return one("SHARE", func(l *Line, word string) (err error) {
		l.X, err = parseShare(word)
		return err
	}, func(l *Line) string { return writeShare(l.X) })
}

func parseShare(word string) (float64, error) {
	digits, percent := strings.CutSuffix(word, "%")
	x, err := strconv.ParseFloat(digits, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x >= 0 && x <= 1) {
		return 0, fmt.Errorf("a share is %q; it is to be from 0%% to 100%%", word)
	}
	return x, nil
}

// writeShare writes percent where that is exact.
func writeShare(x float64) string {
	percent := strconv.FormatFloat(x*100, 'g', 4, 64) + "%"
	if y, err := parseShare(percent); err == nil && y == x {
		return percent
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// maxSpan keeps sums of times far from overflow.
const maxSpan = 1000 * time.Hour

func span() param {
	return one("D", func(l *Line, word string) (err error) {
		l.For, err = parseSpan(word)
		return err
	}, func(l *Line) string {
		if l.For == 0 {
			return ""
		}
		return writeSpan(l.For)
	})
}

func parseSpan(word string) (time.Duration, error) {
	d, err := time.ParseDuration(word)
	if err != nil || d <= 0 || d > maxSpan {
		return 0, fmt.Errorf("a time is %q; it is to be like 200ms, 10s or 1m30s, above 0 and at most %v", word, maxSpan)
	}
	return d, nil
}

func writeSpan(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// who is a parameter of one word or two.
func who(kinds ...string) param {
	var forms []string
	for _, k := range kinds {
		if k == "member" || k == "steward" {
			k += " I"
		}
		forms = append(forms, k)
	}
	name := strings.Join(forms, "|")
	return param{name: name, write: func(l *Line) string { return l.Who.String() },
		read: func(l *Line, words []string) ([]string, error) {
			if len(words) == 0 || !slices.Contains(kinds, words[0]) {
				return nil, fmt.Errorf("%q is nobody; it is to be %s", strings.Join(words, " "), name)
			}
			l.Who.Kind = words[0]
			if words[0] != "member" && words[0] != "steward" {
				return words[1:], nil
			}
			if len(words) < 2 {
				return nil, fmt.Errorf("which %s is missing, a number from 0", words[0])
			}
			i, err := strconv.ParseUint(words[1], 10, 16)
			if err != nil {
				return nil, fmt.Errorf("%s %q is nobody; it is to be a number from 0", words[0], words[1])
			}
			l.Who.I = int(i)
			return words[2:], nil
		}}
}

// choice is one of some words.
func choice(of ...string) param {
	name := strings.Join(of, "|")
	return one(name, func(l *Line, word string) error {
		if !slices.Contains(of, word) {
			return fmt.Errorf("%q is not known; it is to be %s", word, name)
		}
		l.Word = word
		return nil
	}, func(l *Line) string { return l.Word })
}

// oneWay is a word that may be there.
func oneWay() param {
	return param{name: "[one-way]", optional: true,
		read: func(l *Line, words []string) ([]string, error) {
			if len(words) > 0 && words[0] == "one-way" {
				l.OneWay = true
				return words[1:], nil
			}
			return words, nil
		},
		write: func(l *Line) string {
			if l.OneWay {
				return "one-way"
			}
			return ""
		}}
}

// The lies of a steward.
const (
	lieClosed = "closed"
	lieWell   = "well"
)

// lieLends is a member's lie beside those of its reports: it promises loans that
// it does not have.
const lieLends = "lends what it has not"

// lie is what a member or a steward says, the rest of the line.
func lie() param {
	return param{name: "LIE", write: func(l *Line) string { return l.Word },
		read: func(l *Line, words []string) ([]string, error) {
			l.Word = strings.Join(words, " ")
			known := []string{lieClosed, lieWell}
			if l.Who.Kind == "member" {
				known = []string{lieLends}
				for _, lie := range sim.Lies() {
					known = append(known, lie.Name)
				}
			}
			if !slices.Contains(known, l.Word) {
				return nil, fmt.Errorf("%q is no lie of a %s; there are: %s", l.Word, l.Who.Kind, strings.Join(known, ", "))
			}
			return nil, nil
		}}
}

// settings are what a network does to messages, name=value each.
func settings() param {
	return param{name: "[loss=SHARE] [duplicate=SHARE] [reorder=SHARE] [late=D] [latency=D] [garble=SHARE]", optional: true,
		read: func(l *Line, words []string) ([]string, error) {
			seen := map[string]bool{}
			for _, word := range words {
				name, value, _ := strings.Cut(word, "=")
				var err error
				share, time := l.setting(name)
				switch {
				case seen[name]:
					err = fmt.Errorf("%s is said twice", name)
				case share != nil:
					*share, err = parseShare(value)
				case time != nil:
					*time, err = parseSpan(value)
				default:
					err = fmt.Errorf("%q is no setting of a network", word)
				}
				if err != nil {
					return nil, err
				}
				seen[name] = true
			}
			return nil, nil
		},
		write: func(l *Line) string {
			var words []string
			for _, name := range []string{"loss", "duplicate", "reorder", "late", "latency", "garble"} {
				switch share, time := l.setting(name); {
				case share != nil && *share != 0:
					words = append(words, name+"="+writeShare(*share))
				case time != nil && *time != 0:
					words = append(words, name+"="+writeSpan(*time))
				}
			}
			return strings.Join(words, " ")
		}}
}

func (l *Line) setting(name string) (*float64, *time.Duration) {
	switch name {
	case "loss":
		return &l.Net.Loss, nil
	case "duplicate":
		return &l.Net.Duplicate, nil
	case "reorder":
		return &l.Net.Reorder, nil
	case "late":
		return nil, &l.Net.Late
	case "latency":
		return nil, &l.Net.Latency
	case "garble":
		return &l.Net.Garble, nil
	}
	return nil, nil
}
