package node_test

import (
	"fmt"
	"testing"
	"time"
)

func TestExp(t *testing.T) {
	type sc struct {
		name string
		n    int
		c    float64
		f    func(s *sim)
	}
	half := func(s *sim) { // S3: capacity halved 30 s
		s.capacity /= 2
		s.after(30*time.Second, func() { s.capacity *= 2 })
	}
	cold := func(s *sim) { // S6: 10 s stall, back at 30 %, full over 60 s
		s.stall(10 * time.Second)
		full := s.capacity
		s.after(10*time.Second, func() {
			var grow func(i int)
			grow = func(i int) {
				s.capacity = full * (.3 + .7*float64(i)/60)
				if i < 60 {
					s.after(time.Second, func() { grow(i + 1) })
				}
			}
			grow(0)
		})
	}
	surge := func(s *sim) { // S11
		s.load *= 1.5 / .8
		s.after(60*time.Second, func() { s.load /= 1.5 / .8 })
	}
	for _, c := range []sc{
		{"S1", 12, 1000, func(s *sim) { s.stall(10 * time.Second) }},
		{"S1", 100, 1000, func(s *sim) { s.stall(10 * time.Second) }},
		{"Q ", 12, 60, func(s *sim) { s.stall(6 * time.Second) }},
		{"Q ", 12, 100, func(s *sim) { s.stall(6 * time.Second) }},
		{"Q ", 12, 150, func(s *sim) { s.stall(6 * time.Second) }},
		{"Q ", 12, 250, func(s *sim) { s.stall(6 * time.Second) }},
		{"S3", 12, 1000, half}, {"S3", 100, 1000, half},
		{"S6", 12, 1000, cold}, {"S6", 100, 1000, cold},
		{"S11", 12, 1000, surge}, {"S11", 100, 1000, surge},
	} {
		out := ""
		for seed := range uint64(12) {
			s := newSim(seed, c.n, c.c, .8*c.c, time.Second)
			s.run(s.now + 20*time.Second)
			from := s.second()
			c.f(s)
			dur := 30
			switch c.name {
			case "S1", "S6":
				dur = 10
			case "Q ":
				dur = 6
			case "S11":
				dur = 60
			}
			s.run(s.now + time.Duration(dur+60)*time.Second)
			rec := s.recovered(from + dur)
			peak := 0.0
			for i := from + 4; i < from+dur+60 && i < len(s.arrived); i++ {
				cap := c.c
				if c.name == "S3" && i < from+30 {
					cap /= 2
				}
				if c.name == "S6" && i >= from+10 && i < from+70 {
					cap *= .3 + .7*float64(i-from-10)/60
				}
				peak = max(peak, float64(s.arrived[i])/cap)
			}
			out += fmt.Sprintf("  %.3f/%2d/%.2f", s.goodput(from, from+dur+60), rec, peak)
		}
		t.Logf("%-3s n=%d-%v %s", c.name, c.n, c.c, out)
	}
}
