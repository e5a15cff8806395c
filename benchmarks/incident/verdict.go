package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/murmuration-go/murmuration/benchmarks/incident/internal/ways"
)

// What is less than this apart counts as equal: goodput, recovery in seconds, and
// latency as a ratio.
const (
	sameGoodput  = .01
	sameRecovery = .5
	sameLatency  = 1.2
)

func isOurs(name string) bool { return name == ways.Ours || name == ways.OursRPC }

// never is how long what never recovers takes.
func never(s *float64) float64 {
	if s == nil {
		return math.Inf(1)
	}
	return *s
}

// verdict says in plain words who won, and where ours lost.
func verdict(r *Report) string {
	most, first := 0.0, math.Inf(1)
	var us *Result
	for i := range r.Results {
		x := &r.Results[i]
		most, first = max(most, x.Goodput), min(first, never(x.Recovery))
		if isOurs(x.Strategy) {
			us = x
		}
	}
	var good, quick []string
	for i := range r.Results {
		x := &r.Results[i]
		if x.Goodput >= most-sameGoodput {
			good = append(good, x.Strategy)
		}
		if never(x.Recovery) <= first+sameRecovery {
			quick = append(quick, x.Strategy)
		}
	}
	s := fmt.Sprintf("Most calls succeeded with %s (%.2f). ", join(good), most)
	if math.IsInf(first, 1) {
		s += "Nobody recovered before the run ended."
	} else {
		s += fmt.Sprintf("The first to recover, %.1f s after the fault: %s.", first, join(quick))
	}
	if us == nil {
		return s
	}
	lost := losses(r, us)
	if len(lost) == 0 {
		return s + fmt.Sprintf(" %s lost to nobody.", us.Strategy)
	}
	return s + fmt.Sprintf(" %s lost in %s.", us.Strategy, strings.Join(lost, "; in "))
}

// losses are the figures in which another strategy was better than ours.
func losses(r *Report, us *Result) (l []string) {
	goodput, recovery, own, quick := us, us, us, us
	for i := range r.Results {
		x := &r.Results[i]
		if x.Goodput > goodput.Goodput {
			goodput = x
		}
		if never(x.Recovery) < never(recovery.Recovery) {
			recovery = x
		}
		if x.Own > own.Own {
			own = x
		}
		if x.Goodput >= us.Goodput-sameGoodput && x.P99 < quick.P99 {
			quick = x
		}
	}
	if goodput.Goodput > us.Goodput+sameGoodput {
		l = append(l, fmt.Sprintf("goodput (%.2f, %s %.2f)", us.Goodput, goodput.Strategy, goodput.Goodput))
	}
	if never(us.Recovery) > never(recovery.Recovery)+sameRecovery {
		l = append(l, fmt.Sprintf("recovery (%s, %s %s)", seconds(us.Recovery), recovery.Strategy, seconds(recovery.Recovery)))
	}
	if own.Own > us.Own+sameGoodput {
		l = append(l, fmt.Sprintf("what zone B's own users got (%.2f, %s %.2f)", us.Own, own.Strategy, own.Own))
	}
	if us.P99 > sameLatency*quick.P99 {
		l = append(l, fmt.Sprintf("p99 latency (%.0f ms, %s %.0f ms)", us.P99, quick.Strategy, quick.P99))
	}
	return l
}

func join(l []string) string {
	if n := len(l); n > 1 {
		return strings.Join(l[:n-1], ", ") + " and " + l[n-1]
	}
	return strings.Join(l, "")
}

func seconds(s *float64) string {
	if s == nil {
		return "never"
	}
	return fmt.Sprintf("%.1f s", *s)
}
