package sim

import "github.com/murmuration-go/murmuration/internal/coord"

// Counts is what happened to a service's calls. The slices have an element a
// second since Start.
type Counts struct {
	Firsts, Attempts, Retries int
	Refused                   int // first tries not sent
	Wished                    int // retries that the policy would have made, had the budget and the cluster let it
	Diverted                  int // attempts to an endpoint that is not home, beyond retries
	Wanted                    []int
	OK                        []int // calls that succeeded, by the second in which they arrived
	Sent                      []int // attempts
	RefusedAt                 []int

	Zones []ZoneCounts // by the zones of those who call

	Trips      int // advice that begins to dim, member by member
	NoLoad     int // advice that begins to limit retries, member by member
	Dimmed     int // members whose advice dims, now
	Restricted int // members whose advice restricts anything, now
	Lowest     coord.Phi
}

// ZoneCounts is what happened to the calls of one zone, by the second.
type ZoneCounts struct{ Wanted, OK []int }

// Goodput is the share of the zone's calls of seconds from to to (exclusive) that
// succeeded; 1 if there were none.
func (z *ZoneCounts) Goodput(from, to int) float64 { return goodput(z.OK, z.Wanted, from, to) }

func (c *Counts) zone(i int) *ZoneCounts {
	for len(c.Zones) <= i {
		c.Zones = append(c.Zones, ZoneCounts{})
	}
	return &c.Zones[i]
}

func (c *Counts) advised(_ *World, was, is *Advice) {
	dims := func(a *Advice) bool { return a.Phi < coord.PhiFull }
	if c.Lowest == 0 || is.Phi < c.Lowest {
		c.Lowest = max(is.Phi, 1)
	}
	switch {
	case dims(is) && !dims(was):
		c.Trips++
		c.Dimmed++
	case !dims(is) && dims(was):
		c.Dimmed--
	}
	switch {
	case is.InForce() && !was.InForce():
		c.Restricted++
		if !dims(is) {
			c.NoLoad++
		}
	case !is.InForce() && was.InForce():
		c.Restricted--
	}
}

func sum(v []int, from, to int) (n int) {
	for i := max(from, 0); i < min(to, len(v)); i++ {
		n += v[i]
	}
	return n
}

// Goodput is the share of the calls of seconds from to to (exclusive) that
// succeeded; 1 if there were none.
func (c *Counts) Goodput(from, to int) float64 { return goodput(c.OK, c.Wanted, from, to) }

func goodput(ok, wanted []int, from, to int) float64 {
	n := sum(wanted, from, to)
	if n == 0 {
		return 1
	}
	return float64(sum(ok, from, to)) / float64(n)
}

// Amplification is attempts over first tries wanted in seconds from to to.
func (c *Counts) Amplification(from, to int) float64 {
	return float64(sum(c.Sent, from, to)) / float64(max(sum(c.Wanted, from, to), 1))
}

// Recovery is how many seconds after second from it takes until 97 % of calls
// succeed for 5 s, or -1 if that does not happen before second to.
func (c *Counts) Recovery(from, to int) int {
	for i := from; i+5 <= to; i++ {
		if sum(c.Wanted, i, i+5) > 0 && c.Goodput(i, i+5) >= .97 {
			return i - from
		}
	}
	return -1
}

// Arrived are the attempts that reached the endpoint in seconds from to to.
func (s *Server) Arrived(from, to int) int { return sum(s.perSecond, from, to) }

// Retried are the retries among them.
func (s *Server) Retried(from, to int) int { return sum(s.again, from, to) }

// Peak is the most attempts of a second in seconds from to to, over the capacity
// that the endpoint had then; capacity gives it.
func (s *Server) Peak(from, to int, capacity func(second int) float64) float64 {
	peak := 0.0
	for i := max(from, 0); i < min(to, len(s.perSecond)); i++ {
		if c := capacity(i); c > 0 {
			peak = max(peak, float64(s.perSecond[i])/c)
		}
	}
	return peak
}
